"""Audits that ended with 0, or asked and ran, without evidence: each is refused with a sentence and its exit code.

The model's code, its folder, the checkpoints of a stopped run, two runs in one folder, and what files give away.
"""

import builtins
import importlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from auditkit import checkpoint, cli, locks
from auditkit.errors import InputError, ModelError
from auditkit.models import before_loading, fit
from auditkit.models.identity import tokenizer_sha256
from auditkit.privacy.ledger import Ledger
from auditkit.privacy.sampling import PoissonSampler

FAKE = "auditkit.testing:FakeMaskedLM"
OUT = Path("audit-out")
REPORT = OUT / "report.json"
ROOT = Path(cli.__file__).parent
PROBE = """
from dataclasses import dataclass
from typing import ClassVar
from auditkit.measurement import Interval, Measurement
from auditkit.probes.base import ProbeResult
{top}
@dataclass(frozen=True, kw_only=True)
class Mine:
    id: str = "mine"
    data: str = ""
    needs: ClassVar[tuple] = ()
    source: ClassVar[str] = "us"
    {body}
    def measure(self, model, rng):
        {measure}
        return ProbeResult([Measurement(id="mine/all/x", value=value, interval=Interval(value, value), n=9)])
"""


@pytest.fixture
def audited(tmp_path, monkeypatch, capsys):
    """audited(model, probes, **modules) writes the modules and audit.yaml, runs it, and returns (exit code, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(model=FAKE, probes=("mask_fill",), **modules):
        for name, text in modules.items():
            Path(f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        lines = "".join(f"  - {probe}\n" for probe in probes)
        Path("audit.yaml").write_text(f"model: {model}\nprobes:\n{lines}")
        with pytest.raises(SystemExit) as end:
            cli.main(["run", "audit.yaml"])
        return end.value.code, capsys.readouterr().err

    return run


def mine(*, top="", body="", measure="value = 1.0"):
    return PROBE.format(top=top, body=body, measure=measure)


# --- the end of the process is no end of the audit --------------------------------------------------------------

EXIT = "raise SystemExit(0)"
FACTORY = "class Model: pass\ndef load():\n    {}\n"
ENDS = {
    "the model's module": ({"model": "ends:load", "ends": "import sys; sys.exit(0)"}, 2, "sys.exit(0) was called"),
    "a module that crashes": ({"model": "ends:load", "ends": "1 / 0"}, 2, "ZeroDivisionError"),
    "the factory": ({"model": "ends:load", "ends": FACTORY.format(EXIT)}, 2, "sys.exit(0) was called"),
    "the factory, no Exception": (
        {"model": "ends:load", "ends": FACTORY.format("raise BaseException('out')")},
        2,
        "BaseException: out",
    ),
    "describe": (
        {
            "model": "ends:Says",
            "ends": f"from auditkit.testing import FakeMaskedLM\nclass Says(FakeMaskedLM):\n"
            f"    def describe(self): {EXIT}\n",
        },
        2,
        "cannot say what it is",
    ),
    "the probe's module": ({"probes": ["ends:Mine"], "ends": mine(top=EXIT)}, 2, "sys.exit(0) was called"),
    "making the probe": (
        {"probes": ["ends:Mine"], "ends": mine(body=f"def __post_init__(self): {EXIT}")},
        2,
        "sys.exit(0) was called",
    ),
    "the probe": ({"probes": ["mask_fill", "ends:Mine"], "ends": mine(measure=EXIT)}, 3, "sys.exit(0) was called"),
    "the probe, past every handler": (
        {"probes": ["ends:Mine"], "ends": mine(measure="__import__('os')._exit(0)")},
        3,
        "os._exit(0) was called",
    ),
    "the probe, as another program": (
        {"probes": ["ends:Mine"], "ends": mine(top="import os", measure="os.execv('true', ['true'])")},
        3,
        "os.execv('true') was called",
    ),
    "the factory, past every handler": (
        {"model": "ends:load", "ends": FACTORY.format("import os; os._exit(0)")},
        2,
        "os._exit(0) was called",
    ),
    "the probe, with a text": ({"probes": ["ends:Mine"], "ends": mine(measure="exit('done')")}, 3, "sys.exit('done')"),
    "the probe, no Exception": (
        {"probes": ["ends:Mine"], "ends": mine(top="import asyncio", measure="raise asyncio.CancelledError")},
        3,
        "CancelledError",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_code_that_ends_the_run_has_crashed(audited, case):
    arguments, code, sentence = ENDS[case]
    ended, said = audited(**arguments)
    assert ended == code
    assert sentence in said
    assert "Traceback" not in said
    assert REPORT.exists() == (code == 3)


def test_ctrl_c_stays_an_interrupt(audited):
    ended, said = audited(probes=["ends:Mine"], ends=mine(measure="raise KeyboardInterrupt"))
    assert ended == 130
    assert "auditkit: stopped" in said


# --- a model folder is data -------------------------------------------------------------------------------------

EVIL = "from pathlib import Path\nPath('executed').write_text('x')\nclass Evil: pass\n"
CODE = {
    "auto_map, unknown type": ("config.json", {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}),
    "auto_map, known type": ("config.json", {"model_type": "bert", "auto_map": {"AutoModelForMaskedLM": "evil.Evil"}}),
    "tokenizer": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}),
    "of another repository": ("config.json", {"auto_map": {"AutoModel": "someone/repo--evil.Evil"}}),
    "kernel": ("config.json", {"model_type": "bert", "attn_implementation": "user/kernel"}),
    "kernel of one part": ("config.json", {"text_config": {"_attn_implementation": {"": "kernels-community/x@v1:f"}}}),
    "kernel by name": ("config.json", {"model_type": "bert", "attn_implementation": "flash_attention_2"}),
    "kernel of an encoder": ("sentence_bert_config.json", {"model_args": {"attn_implementation": "user/kernel"}}),
    "kernels": ("config.json", {"model_type": "bert", "use_kernels": True}),
}


def folder(name="evil_model", file="config.json", **content):
    path = Path(name)
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps({"architectures": ["BertForMaskedLM"]}))
    (path / file).write_text(json.dumps({"architectures": ["BertForMaskedLM"]} | content))
    (path / "evil.py").write_text(EVIL)
    return f"./{name}"


@pytest.mark.parametrize("case", CODE)
def test_code_that_a_folder_names_is_refused_and_not_run(audited, monkeypatch, case, tmp_path):
    def asked(*_):
        pytest.fail("standard input was read")

    monkeypatch.setattr(builtins, "input", asked)
    file, content = CODE[case]
    code, said = audited(model=folder(file=file, **content))
    assert code == 2
    assert said.count("\n") == 1
    assert f"{file} names" in said
    assert "auditkit runs no code that a model brings" in said
    assert not (tmp_path / "executed").exists()


def test_a_yes_on_standard_input_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = folder(model_type="evil", auto_map={"AutoConfig": "evil.Evil", "AutoModelForMaskedLM": "evil.Evil"})
    Path("audit.yaml").write_text(f"model: {model}\nprobes: [mask_fill]\n")
    command = [sys.executable, "-m", "auditkit", "run"]
    variables = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(command, input="y\n" * 99, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "evil.Evil" in done.stderr
    assert "[y/N]" not in done.stdout + done.stderr
    assert not Path("executed").exists()
    assert not REPORT.exists()


def test_every_call_that_could_ask_says_no():
    asks = re.compile(r"(?<![\w.])(?<!def )input\(|sys\.stdin")
    calls = re.compile(r"(\.from_pretrained|\.from_config|\bcached_file|\bSentenceTransformer|\bhf_hub_download)\(")
    for path in ROOT.rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if calls.search(line) and "`" not in line:
                assert "trust_remote_code=False" in line, f"{path.name}:{number}: {line.strip()}"
            assert not asks.search(line), f"{path.name}:{number} reads standard input"


def test_chat_templates_are_sandboxed():
    from jinja2.exceptions import SecurityError

    from ..models.conftest import word_piece_tokenizer

    tokenizer = word_piece_tokenizer()
    tokenizer.chat_template = "{{ messages.__class__.__base__.__subclasses__() }}"
    with pytest.raises(SecurityError):
        tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)


# --- what fits, and what does not -------------------------------------------------------------------------------

BROKEN = {
    "a million layers": ({"num_hidden_layers": 1_000_000}, "num_hidden_layers: 1,000,000, but the weight files hold"),
    "zero heads": ({"num_attention_heads": 0}, "num_attention_heads: 0; expected at least 1"),
    "a number for a list": ({"architectures": 5}, "architectures: 5; expected a list of class names"),
    "absurd width": ({"intermediate_size": 10**12}, "parameters, but the weight files hold"),
    "absurd vocabulary": ({"vocab_size": 10**13}, "parameters, but the weight files hold"),
    "a text for a number": ({"hidden_size": "wide"}, "cannot load"),
    "two layers of four": ({"num_hidden_layers": 2}, "weights of the checkpoint fit nowhere in BertForMaskedLM (bert."),
}  # fmt: skip


@pytest.fixture(scope="module")
def four_layers(tmp_path_factory):
    import torch
    import transformers

    from ..models import conftest as tiny

    path = tmp_path_factory.mktemp("four")
    tokenizer = tiny.word_piece_tokenizer()
    torch.manual_seed(0)
    sizes = tiny.SMALL | {"num_hidden_layers": 4, "max_position_embeddings": 40, "vocab_size": len(tokenizer)}
    transformers.BertForMaskedLM(transformers.BertConfig(**sizes)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.mark.parametrize("case", BROKEN)
def test_a_configuration_that_does_not_belong_to_the_weights(audited, four_layers, tmp_path, case):
    change, sentence = BROKEN[case]
    model = tmp_path / "model"
    model.mkdir()
    for file in four_layers.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | change))
    code, said = audited(model="./model")
    assert code == 2
    assert sentence in said
    assert said.count("\n") == 1


def test_a_char_gpt_of_a_million_layers(audited):
    own = ROOT / "models" / "weights" / "char_gpt"
    Path("gpt").mkdir()
    (Path("gpt") / "model.safetensors").write_bytes((own / "model.safetensors").read_bytes())
    config = json.loads((own / "config.json").read_text())
    for change in ({"layers": 10**6}, {"context": 10**12}):
        Path("gpt/config.json").write_text(json.dumps(config | change))
        code, said = audited(model="./gpt")
        assert code == 2
        assert "parameters, but the weight files hold" in said


def test_a_gguf_file_that_is_none_or_overflows(audited):
    for content in (b"GGUF" + b"\xff" * 64, b"not gguf", b""):
        Path("m.gguf").write_bytes(content)
        code, said = audited(model="./m.gguf")
        assert code == 2
        assert said.startswith("auditkit: cannot load ./m.gguf: ")
        assert said.count("\n") == 1


def test_blocks_that_a_gguf_file_does_not_count():
    with pytest.raises(ModelError, match="holds 4 blocks, but its metadata say 2"):
        fit.refuse_unused_blocks(["token_embd.weight", "blk.0.a", "blk.3.a"], 2, "m.gguf")


def test_only_heads_of_other_tasks_may_be_left_over():
    module = SimpleNamespace(named_parameters=lambda: iter([("bert.encoder.x", 0), ("cls.predictions.bias", 0)]))
    left = ["bert.pooler.dense.weight", "cls.seq_relationship.bias", "bert.embeddings.position_ids"]
    (notice,) = fit.refuse_unused(module, left, "m")
    assert notice == "weights not used, of another task's head: cls.seq_relationship, pooler"
    for odd in ("cls.predictions.transform.9.weight", "bert.encoder.layer.9.x", "adapter.weight"):
        with pytest.raises(ModelError, match=re.escape(odd)):
            fit.refuse_unused(module, [odd], "m")


def test_deep_json_in_a_model_folder_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="is damaged"):
        before_loading.read_json(tmp_path / "config.json")


def test_two_swapped_ids_are_another_subject(four_layers, tmp_path):
    from transformers import AutoTokenizer

    def of(path):
        return tokenizer_sha256(AutoTokenizer.from_pretrained(path))

    for file in four_layers.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert of(four_layers) == of(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["she"], vocabulary["he"] = vocabulary["he"], vocabulary["she"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert of(four_layers) != of(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(four_layers)
    before = tokenizer_sha256(tokenizer)
    tokenizer(["a"], padding=True, truncation=True, max_length=4)
    assert tokenizer_sha256(tokenizer) == before
    tokenizer.chat_template = "{{ messages }}"
    assert tokenizer_sha256(tokenizer) != before


# --- checkpoints ------------------------------------------------------------------------------------------------

USES = mine(top="import helper", measure="value = float(helper.value())")
HELPER = "from deeper import NUMBER\ndef value(): return NUMBER\n"


def stopped(audited, **modules):
    """A run of a probe that is done and one that crashed, so that the checkpoints stay."""
    return audited(probes=["uses:Mine: {data: data}", "ends:Mine: {id: other}"], ends=mine(measure=EXIT), **modules)


@pytest.mark.parametrize("change", ["helper", "helper's helper", "data in a subfolder", "the probe", "nothing"])
def test_a_checkpoint_is_bound_to_code_and_data(audited, change):
    deep = Path("data/a/b")
    deep.mkdir(parents=True)
    (deep / "x.csv").write_text("1")
    modules = {"helper": HELPER, "deeper": "NUMBER = 1\n", "uses": USES}
    assert stopped(audited, **modules)[0] == 3
    if change == "helper":
        modules["helper"] += "# changed\n"
    elif change == "helper's helper":
        modules["deeper"] = "NUMBER = 2\n"
    elif change == "data in a subfolder":
        (deep / "x.csv").write_text("2")
    elif change == "the probe":
        modules["uses"] += "# changed\n"
    _, said = stopped(audited, **modules)
    assert ("mine: ok, 1 measurement, kept from the stopped run" in said) == (change == "nothing")


def test_no_edited_checkpoint_is_believed(audited):
    (file,) = [stopped(audited, helper=HELPER, deeper="NUMBER = 1\n", uses=USES), *OUT.glob(".partial/*")][1:]
    whole, key = file.read_text(), json.loads(file.read_text())["key"]
    checkpoints = checkpoint.Checkpoints(OUT)
    assert checkpoints.find("mine", key) is not None
    rng = random.Random(0)
    leaves = [m for m in re.finditer(r"\d+(\.\d+)?|null|true|false|\"[^\"]*\"", whole)]
    for _ in range(200):
        leaf = rng.choice(leaves)
        other = rng.choice(["7", "null", "[]", '"x"', "{}", "1e999", "NaN", "-1", "true"])
        file.write_text(whole[: leaf.start()] + other + whole[leaf.end() :])
        if file.read_text() != whole:
            assert checkpoints.find("mine", key) is None, file.read_text()
    for text in ("", "[]", "null", "[" * 100_000, whole[:-1], whole.replace("{", "", 1)):
        file.write_text(text)
        assert checkpoints.find("mine", key) is None


# --- two at once ------------------------------------------------------------------------------------------------


def test_the_second_run_in_a_folder_says_who_holds_it(audited):
    with locks.held(OUT / ".lock", what="x"):
        code, said = audited()
        assert code == 2
        assert f"auditkit: audit-out is being written by process {os.getpid()} on " in said
        assert not REPORT.exists()
    assert audited()[0] == 0
    assert not (OUT / ".lock").exists()


def test_the_lock_of_a_killed_run_stops_nobody(audited, tmp_path):
    code = "import os, sys, pathlib; from auditkit import locks\n"
    code += "with locks.held(pathlib.Path('audit-out/.lock'), what='x'): os.kill(os.getpid(), 9)"
    variables = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    assert subprocess.run([sys.executable, "-c", code], env=variables, cwd=tmp_path).returncode == -9
    assert (OUT / ".lock").exists()
    assert audited()[0] == 0


def test_a_ledger_is_not_written_while_another_writes(tmp_path, monkeypatch):
    monkeypatch.setattr("auditkit.privacy.ledger.PATIENCE", 0.05)
    path = tmp_path / "ledger.json"
    ledger = Ledger(path, delta=1e-4)
    settings = {"noise_multiplier": 0.9, "max_grad_norm": 1.0, "noise_policy": "test"}
    ledger.begin(PoissonSampler(1000, 50), **settings)
    with locks.held(tmp_path / ".ledger.json.lock", what="x"), pytest.raises(InputError, match="by process"):
        ledger.record_step()
    assert ledger.record_step() == 0
    assert list(tmp_path.iterdir()) == [path]


# --- what files give away ---------------------------------------------------------------------------------------


def test_what_is_written_respects_the_umask(audited):
    before = os.umask(0o077)
    try:
        assert audited()[0] == 0
    finally:
        os.umask(before)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in OUT.iterdir()} == {
        name: "0o600" for name in ("report.json", "report.html", "report.items.parquet")
    }


def test_a_report_names_no_folder_of_this_machine(audited, tmp_path, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("secret") / "mine.csv"
    row = "p1,The nurse is bad.,The nurse is good.,job,stereo\n"
    for path in (elsewhere, tmp_path / "inside.csv"):
        path.write_text("id,more,less,group,direction\n" + row)
    pairs = [f"stereotype_pairs: {{id: {i}, data: {p}}}" for i, p in (("a", elsewhere), ("b", tmp_path / "inside.csv"))]
    audited(probes=[*pairs, f"stereotype_pairs: {{id: c, data: {tmp_path / 'absent.csv'}}}"])
    text = REPORT.read_text()
    assert str(elsewhere.parent) not in text
    assert str(tmp_path) not in text
    shown = [next(iter(probe.values()))["data"] for probe in json.loads(text)["config"]["probes"]]
    assert shown == ["mine.csv", "inside.csv", "absent.csv"]
    assert os.uname().release not in text


def test_a_report_lists_the_packages_that_the_run_imported(audited, tmp_path):
    Path("light.py").write_text(
        "from auditkit import audit\nfrom auditkit.testing import FakeMaskedLM\n"
        "for out in ('first', 'second'): audit(FakeMaskedLM(), ['mask_fill'], out=out)\n"
    )
    variables = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    subprocess.run([sys.executable, "light.py"], check=True, env=variables)
    first, second = (json.loads(Path(f"{n}/report.json").read_text())["environment"] for n in ("first", "second"))
    assert first["packages"] == second["packages"]
    assert {"numpy", "jinja2"} <= first["packages"].keys()
    assert not {"pytest", "ruff", "torch", "transformers"} & first["packages"].keys()
