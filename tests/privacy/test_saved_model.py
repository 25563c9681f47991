"""A private training leaves a model: one folder that is loaded, audited and released, whole or not there at all."""

import errno
import json
import math
import shutil
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
import yaml
from safetensors import safe_open

import auditkit as ak
from auditkit.cli import main
from auditkit.compression import compress
from auditkit.errors import InputError, ModelError, ReportError
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import CharGPT
from auditkit.privacy import audit_training
from auditkit.privacy.ledger import read_ledger
from auditkit.privacy.objectives import objective_for
from auditkit.privacy.training_loop import Loop
from tests.privacy.tiny_models import KINDS, SIMILAR, TEXTS, TRANSLATED, char_gpt, equal, gpt2, masked_bert, train

BASELINE = {"target_epsilon": math.inf, "noise_multiplier": None}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(the model given, the result) of a training of this kind, each trained once; it lies in `result.folder`."""

    @lru_cache
    def of(kind, lora=None):
        make, records = KINDS[kind]
        given = make()
        out = tmp_path_factory.mktemp(kind) / "run"
        return given, train(given, records, lora=lora, learning_rate=3e-2, out=out)

    return of


def losses(model, records, module=None):
    objective = objective_for(model, records)
    module = (module or model.module).eval()
    with torch.no_grad():
        return objective.losses(module, objective.batch(range(len(records)), np.random.default_rng(0)))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What is loaded is what was trained.


@pytest.mark.parametrize("lora", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_is_loaded_as_the_model_that_was_trained(kind, lora, trained):
    given, result = trained(kind, lora)
    loaded = ak.load_model(str(result.folder / "model"))
    assert type(loaded) is type(result.model)
    assert equal(loaded, result.model)
    assert not equal(loaded, given)
    assert loaded.describe()["weights_sha256"] == result.record["weights_sha256"]
    torch.testing.assert_close(losses(loaded, KINDS[kind][1]), losses(result.model, KINDS[kind][1]), atol=0, rtol=0)


@pytest.mark.parametrize("lora", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_data_and_no_pickle_is_in_it(kind, lora, trained):
    """Nor the training's record, whose norms are without noise, nor a hash that a guessed seed could be tried on."""
    _, result = trained(kind, lora)
    found = files(result.folder / "model")
    assert {Path(name).suffix for name in found} == {".json", ".safetensors"}
    started = (result.folder / "started.txt").read_bytes()
    sentences = [part.encode() for record in (*TEXTS, *SIMILAR, *TRANSLATED) for part in record if len(str(part)) > 9]
    sentences += [text.encode() for text in TEXTS]
    for name, content in found.items():
        assert not any(secret in content for secret in (started, *sentences)), name
        assert b'"seed"' not in content, name


@pytest.mark.parametrize("lora", [None, 2])
def test_saving_a_result_gives_the_same_files(lora, trained, tmp_path):
    _, result = trained("masked", lora)
    where = result.save(tmp_path / "deep" / "own")
    assert where == tmp_path / "deep" / "own"
    assert files(where) == files(result.folder / "model")
    kept_nowhere = train(char_gpt(), TEXTS)
    assert equal(ak.load_model(str(kept_nowhere.save(tmp_path / "char"))), kept_nowhere.model)


@pytest.mark.parametrize("make", [gpt2, masked_bert])
def test_tied_weights_are_written_once_and_tied_again(make, tmp_path):
    result = train(make(), TEXTS, out=tmp_path)
    loaded = ak.load_model(str(tmp_path / "model")).module
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    with safe_open(tmp_path / "model" / "model.safetensors", framework="pt") as f:
        written = sum(math.prod(f.get_slice(name).get_shape()) for name in f.keys())  # noqa: SIM118 - not a mapping
    assert written == result.record["parameters"]


def test_the_tokenizer_goes_with_it(trained):
    given, result = trained("seq2seq")
    loaded = ak.load_model(str(result.folder / "model"))
    assert loaded.tokenizer(TEXTS).input_ids == given.tokenizer(TEXTS).input_ids
    assert loaded.generate(TEXTS[:2], 4) == result.model.generate(TEXTS[:2], 4)


# Adapters alone.


def quietly(make, *arguments):
    with warnings.catch_warnings():  # peft asks transformers for what that has renamed
        warnings.simplefilter("ignore", FutureWarning)
        return make(*arguments)


def with_adapters(base, folder):
    return quietly(peft.PeftModel.from_pretrained, base, str(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_peft_puts_the_adapters_into_the_model_that_was_given(kind, trained):
    make, records = KINDS[kind]
    given, result = trained(kind, 2)
    base = make()
    with_adapters(base.module, result.folder / "model" / "adapter")
    torch.testing.assert_close(losses(given, records, base.module), losses(result.model, records), atol=1e-5, rtol=1e-5)
    config = json.loads((result.folder / "model" / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == given.name
    assert config["r"] == 2


def test_without_adapters_there_is_no_adapter_folder(trained):
    assert not (trained("causal")[1].folder / "model" / "adapter").exists()


def test_adapters_in_a_head_that_is_trained_whole_are_written_with_the_head(tmp_path):
    make, records = KINDS["classifier"]
    result = train(make(), records, lora=peft.LoraConfig(r=2, target_modules="all-linear"), learning_rate=3e-2)
    assert "classifier" in result.adapters.config.target_modules
    base = make()
    with_adapters(base.module, result.save(tmp_path / "x") / "adapter")
    torch.testing.assert_close(losses(base, records), losses(result.model, records), atol=1e-5, rtol=1e-5)


def test_adapters_that_began_as_a_part_of_the_base_are_in_the_model_only(tmp_path):
    pissa = peft.LoraConfig(r=2, target_modules=["c_attn"], init_lora_weights="pissa")
    result = train(gpt2(), TEXTS, lora=pissa, out=tmp_path)
    assert result.adapters is None
    assert not (tmp_path / "model" / "adapter").exists()
    assert equal(ak.load_model(str(tmp_path / "model")), result.model)


# An audit of the folder.


def test_the_command_line_audits_the_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    result = train(char_gpt(), TEXTS, noise_multiplier=2.0, out="run")
    write_audit(max=8)
    assert exit_code(["run", "audit.yaml", "--out", "report"]) == 0
    epsilon = ak.AuditReport.load("report/report.json")["dp_sgd/run/epsilon"]
    assert epsilon.value == result.cost.epsilon
    assert epsilon.details["training"]["audited"]


def test_an_infinite_epsilon_passes_no_rule(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train(char_gpt(), TEXTS, **BASELINE, out="run")
    write_audit(max=8, on_inconclusive="warn")
    assert exit_code(["run", "audit.yaml", "--out", "report"]) == 3
    epsilon = ak.AuditReport.load("report/report.json")["dp_sgd/run/epsilon"]
    assert (epsilon.status, epsilon.value) == ("undefined", None)
    assert "no epsilon, however large" in epsilon.details["reason"]


def write_audit(**rule):
    probes, gate = [{"dp_sgd": {"trainings": {"run": "run"}}}], [{"measurement": "dp_sgd/*epsilon", **rule}]
    Path("audit.yaml").write_text(yaml.safe_dump({"model": "run/model", "probes": probes, "gate": gate}))


def exit_code(arguments):
    try:
        main(arguments)
    except SystemExit as e:
        return e.code or 0
    return 0


# Whole, or not there.


def stopped_while_writing(monkeypatch, error):
    """The network is on disk and the rest is not; returns what stood in the training's folder at that moment."""
    save, seen = CharGPT.save, []

    def broken(self, folder):
        save(self, folder)
        (Path(folder) / "config.json").unlink()
        seen.append(sorted(path.name for path in Path(folder).parents[1].iterdir()))
        raise error

    monkeypatch.setattr(CharGPT, "save", broken)
    return seen


def test_a_training_stopped_while_it_writes_its_model_writes_it_when_called_again(monkeypatch, tmp_path):
    with monkeypatch.context() as planted:
        seen = stopped_while_writing(planted, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train(char_gpt(), TEXTS, out=tmp_path)
    assert len(seen) == 1
    assert "model" not in seen[0]
    assert not any("model" in path.name for path in tmp_path.iterdir())
    result = train(char_gpt(), TEXTS, out=tmp_path)
    assert equal(ak.load_model(str(tmp_path / "model")), result.model)


def test_what_a_killed_run_left_half_written_is_cleared_away(tmp_path):
    train(char_gpt(), TEXTS, out=tmp_path)
    (tmp_path / "model").rename(tmp_path / ".model.half")
    train(char_gpt(), TEXTS, out=tmp_path)
    kept = ["checkpoint.safetensors", "ledger.json", "model", "started.txt", "training.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("settings", [{}, {"lora": 2}, BASELINE])
def test_a_finished_training_called_again_writes_the_same_model(settings, there, monkeypatch, tmp_path):
    train(char_gpt(), TEXTS, **settings, out=tmp_path)
    before = files(tmp_path / "model")
    if not there:
        shutil.rmtree(tmp_path / "model")
    monkeypatch.setattr(Loop, "step", None)
    train(char_gpt(), TEXTS, **settings, out=tmp_path)
    assert files(tmp_path / "model") == before


def test_a_full_disk_is_one_error_and_loses_nothing(monkeypatch, tmp_path):
    with monkeypatch.context() as planted:
        stopped_while_writing(planted, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(ReportError, match=r"cannot write .*model: No space left on device; make room"):
            train(char_gpt(), TEXTS, out=tmp_path)
    assert not (tmp_path / "model").exists()
    steps = read_ledger(tmp_path / "ledger.json").steps
    monkeypatch.setattr(Loop, "step", None)
    train(char_gpt(), TEXTS, out=tmp_path)
    assert (tmp_path / "model" / "config.json").exists()
    assert read_ledger(tmp_path / "ledger.json").steps == steps


# Nobody's files are overwritten.


def test_a_model_that_is_there_already_is_not_trained_over(tmp_path):
    out = tmp_path / "run"
    char_gpt().save(out / "model")
    before = files(out)
    with pytest.raises(InputError, match="model is there already, where this training writes its model"):
        train(ak.load_model(str(out / "model")), TEXTS, out=out)
    assert files(out) == before


def test_a_result_is_saved_into_a_new_or_an_empty_folder_only(trained, tmp_path):
    _, result = trained("char-gpt")
    (tmp_path / "empty").mkdir()
    assert sorted(files(result.save(tmp_path / "empty"))) == ["config.json", "model.safetensors"]
    with pytest.raises(InputError, match="empty holds files already; expected a folder that is new or empty"):
        result.save(tmp_path / "empty")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = files(tmp_path)
    for name, said in {
        "foreign": "foreign holds files already; expected a folder that is new or empty",
        "file": "file is a file; expected a folder that is new or empty",
        "file/model": "cannot write .*file/model: ",
    }.items():
        with pytest.raises(InputError, match=said):
            result.save(tmp_path / name)
    assert files(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "foreign"]


def test_out_that_is_a_file_is_refused_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(Loop, "step", None)
    (tmp_path / "run").write_text("mine")
    with pytest.raises(InputError, match=r"out = .*run: File exists; expected a folder"):
        train(char_gpt(), TEXTS, out=tmp_path / "run")


# What no folder could hold.


def test_a_module_that_its_configuration_does_not_build_is_trained_and_not_saved(tmp_path):
    """Its files would be refused when they are loaded, and the epsilon is spent by then."""
    smaller = compress(gpt2(), [{"low_rank": {"rank": 2}}])
    result = train(smaller, TEXTS, out=tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()
    assert any(notice.startswith("trained model not saved: ") for notice in result.model.notices)
    with pytest.raises(ModelError, match=r"weights of this GPT2LMHeadModel are not those of its configuration"):
        result.save(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_network_narrowed_together_with_its_configuration_is_saved(tmp_path):
    smaller = compress(gpt2(), [{"neurons": {"ratio": 0.5}}])
    result = train(smaller, TEXTS, out=tmp_path)
    assert equal(ak.load_model(str(tmp_path / "model")), result.model)


def test_a_wrapper_around_a_module_is_not_saved_as_the_module(tmp_path):
    inner = gpt2()
    lora = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    wrapped = quietly(peft.get_peft_model, inner.module, lora)
    with pytest.raises(ModelError, match="are not those of its configuration"):
        CausalLM(wrapped, inner.tokenizer, name="wrapped").save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_model_of_an_audit_with_its_canaries_is_thrown_away(tmp_path):
    audit = audit_training(
        char_gpt(), TEXTS, seed=0, canaries=20, noise_multiplier=1.0, delta=1e-3, epochs=1, logical_batch_size=8,
        out=tmp_path,
    )  # fmt: skip
    assert audit.claimed.epsilon == read_ledger(tmp_path / "ledger.json").cost().epsilon
    assert not (tmp_path / "model").exists()


def test_the_audit_of_a_baseline_claims_nothing_and_is_saved(tmp_path):
    audit = audit_training(
        char_gpt(), TEXTS, seed=0, canaries=20, kind="black_box", target_epsilon=math.inf, epochs=1,
        logical_batch_size=8,
    )  # fmt: skip
    assert audit.claimed is None
    assert type(audit).load(audit.save(tmp_path / "audit.json")).claimed is None
