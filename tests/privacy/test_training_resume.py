"""A training stopped at any point goes on to the same end, and what it spent is never forgotten."""

import dataclasses
import json
import math
import shutil

import peft
import pytest
import torch

from auditkit.errors import InputError
from auditkit.models.char_gpt import CharGPT
from auditkit.privacy import training_run
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.ledger import LedgerError, read_ledger
from auditkit.privacy.training_loop import Loop
from auditkit.privacy.training_run import Run
from auditkit.privacy.training_settings import Settings
from tests.privacy.tiny_models import TEXTS, char_gpt, equal, masked_bert, train, weights

EPOCHS, STEPS = 2, 6
BASELINE = {"target_epsilon": math.inf, "noise_multiplier": None}


def run(folder, model=None, **settings):
    return train(
        model or char_gpt(dropout=0.1), TEXTS, **{"epochs": EPOCHS, "out": folder, "validation": TEXTS[:3]} | settings
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def comparable(record):
    return {key: value for key, value in record.items() if key != "seconds_per_step"}


def interrupt(monkeypatch, owner, name, at, *, after=False, error=KeyboardInterrupt):
    """Raise `error` when `owner.name` is called for the time number `at`; before its work, or `after` it."""
    original, calls = getattr(owner, name), []

    def broken(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == at and not after:
            raise error
        result = original(self, *args, **kwargs)
        if len(calls) == at:
            raise error
        return result

    monkeypatch.setattr(owner, name, broken)


PLACES = {
    "before its batch is drawn": (Loop, "step", False),
    "with its gradients half summed up": (Loop, "_part", True),
    "before its release": (Loop, "_release", False),
    "after its release": (Loop, "_release", True),
    "before the optimizer": (torch.optim.AdamW, "step", False),
    "with its weights moved, and not noted": (torch.optim.AdamW, "step", True),
    "after its end": (Loop, "step", True),
}


@pytest.mark.parametrize("at", [1, 3, 4, 6])
@pytest.mark.parametrize("where", PLACES)
def test_interrupted_anywhere_a_seeded_training_ends_as_if_it_had_not_been(
    where, at, monkeypatch, tmp_path, uninterrupted
):
    owner, name, after = PLACES[where]
    with monkeypatch.context() as planted:
        interrupt(planted, owner, name, at, after=after)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert read_ledger(tmp_path / "ledger.json").steps == at
    result = run(tmp_path)
    assert equal(result.model, uninterrupted.model)
    assert result.cost == uninterrupted.cost
    assert comparable(result.record) == comparable(uninterrupted.record)
    assert read_ledger(tmp_path / "ledger.json").steps == STEPS


@pytest.mark.parametrize("place", ["_end_epoch", "_scores"])
def test_interrupted_at_the_end_of_an_epoch_the_epoch_is_in_the_record(place, monkeypatch, tmp_path, uninterrupted):
    with monkeypatch.context() as planted:
        interrupt(planted, Run, place, 1)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert comparable(run(tmp_path).record) == comparable(uninterrupted.record)


def test_interrupted_again_and_again(monkeypatch, tmp_path, uninterrupted):
    for _ in range(STEPS):
        with monkeypatch.context() as planted:
            interrupt(planted, torch.optim.AdamW, "step", 2)
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path)
        if read_ledger(tmp_path / "ledger.json").steps == STEPS:
            break
    assert comparable(run(tmp_path).record) == comparable(uninterrupted.record)


def killed(folder, monkeypatch, at, **settings):
    """Stopped in step `at`, and its checkpoint lost."""
    with monkeypatch.context() as planted:
        interrupt(planted, Loop, "_release", at)
        with pytest.raises(KeyboardInterrupt):
            run(folder, **settings)
    (folder / "checkpoint.safetensors").unlink()


def test_killed_without_a_checkpoint_a_seeded_training_repeats_its_steps(monkeypatch, tmp_path, uninterrupted):
    """The same batches and the same noise: nothing new is shown, so nothing more is spent."""
    killed(tmp_path, monkeypatch, 4)
    result = run(tmp_path)
    assert equal(result.model, uninterrupted.model)
    assert result.cost == uninterrupted.cost


@pytest.mark.parametrize("secure", [False, True])
def test_killed_without_a_checkpoint_an_unseeded_trainings_lost_steps_stay_on_the_account(
    secure, monkeypatch, tmp_path, uninterrupted
):
    killed(tmp_path, monkeypatch, 4, seed=None, secure=secure)
    result = run(tmp_path, seed=None, secure=secure)
    assert result.cost == uninterrupted.cost
    assert read_ledger(tmp_path / "ledger.json").steps == result.record["steps"] == STEPS
    assert result.record["seconds_per_step"]["n"] == 2  # steps 5 and 6; the first four are lost
    assert result.model.notices == {"training steps lost with an interruption, but spent": 4}


def test_an_unseeded_training_loses_the_step_it_was_interrupted_in(monkeypatch, tmp_path, uninterrupted):
    with monkeypatch.context() as planted:
        interrupt(planted, Loop, "_release", 4)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, seed=None)
    result = run(tmp_path, seed=None)
    assert result.cost == uninterrupted.cost
    assert result.record["seconds_per_step"]["n"] == STEPS - 1
    assert result.model.notices == {"training steps lost with an interruption, but spent": 1}


@pytest.mark.parametrize("settings", [{}, BASELINE, {"seed": None, "noise_multiplier": 0.02}])
def test_a_finished_training_called_again_trains_nothing(settings, monkeypatch, tmp_path):
    first = run(tmp_path, **settings)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix == ".json"}
    monkeypatch.setattr(Loop, "step", None)
    again = run(tmp_path, **settings)
    assert equal(first.model, again.model)
    assert first.cost == again.cost
    assert first.record == again.record
    assert json.loads(files["training.json"]) == again.record
    if settings != BASELINE:
        assert (
            json.loads(files["ledger.json"])["entries"] == json.loads((tmp_path / "ledger.json").read_text())["entries"]
        )


def test_a_baseline_goes_on_too(monkeypatch, tmp_path):
    whole = run(tmp_path / "whole", **BASELINE)
    with monkeypatch.context() as planted:
        interrupt(planted, torch.optim.AdamW, "step", 4)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", **BASELINE)
    assert equal(run(tmp_path / "parts", **BASELINE).model, whole.model)


def configured(*targets):
    return peft.LoraConfig(r=2, target_modules=list(targets))


@pytest.mark.parametrize(
    ("lora", "the_same"), [(2, 2), (configured("attention.v", "attention.q"), configured("attention.q", "attention.v"))]
)
def test_adapters_go_on_from_where_they_were(lora, the_same, monkeypatch, tmp_path):
    """Unseeded, they start at random numbers, which must not be taken for another training."""
    with monkeypatch.context() as planted:
        interrupt(planted, Loop, "step", 4)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, seed=None, lora=lora)
    with monkeypatch.context() as planted:
        interrupt(planted, Loop, "step", 1)
        at_resumption = _weights_when(planted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, seed=None, lora=the_same)
    saved = _saved_weights(tmp_path)
    assert {n for n in saved if "lora_" in n} == set(saved)
    assert all(torch.equal(saved[name], at_resumption[name]) for name in saved)


def test_the_order_of_a_configurations_targets_is_no_other_training():
    """Peft keeps them in a set, whose order differs from process to process."""
    targets = settings_with(configured("b", "c", "a")).fingerprint()["lora"]["target_modules"]
    assert targets == ["a", "b", "c"]


def settings_with(lora):
    given = {
        "epochs": 1, "logical_batch_size": 8, "delta": 1e-3, "noise_multiplier": 1.0, "max_grad_norm": 1.0,
        "learning_rate": 1e-3, "physical_batch_size": "auto", "mode": "auto", "sampler": "poisson",
        "unit": "example", "examples_per_unit": 8, "secure": False, "name": "x", "lora": lora,
    }  # fmt: skip
    return Settings(**dict.fromkeys(field.name for field in dataclasses.fields(Settings)) | given)


def _weights_when(monkeypatch):
    """The module's weights when the loop is asked for its first step."""
    found, step = {}, Loop.step

    def watched(self, number):
        found.update({name: p.detach().clone() for name, p in self.module.named_parameters()})
        return step(self, number)

    monkeypatch.setattr(Loop, "step", watched)
    return found


def _saved_weights(folder):
    from safetensors.torch import load_file

    tensors = load_file(folder / "checkpoint.safetensors")
    return {name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")}


@pytest.mark.parametrize("optimizer", [lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), torch.optim.RMSprop, None])
def test_the_optimizers_state_is_part_of_the_checkpoint(optimizer, monkeypatch, tmp_path):
    whole = run(tmp_path / "whole", optimizer=optimizer)
    with monkeypatch.context() as planted:
        interrupt(planted, Loop, "step", 4)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", optimizer=optimizer)
    assert equal(run(tmp_path / "parts", optimizer=optimizer).model, whole.model)


# Whose folder it is.


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as planted:
        interrupt(planted, Loop, "step", 3)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    return folder


OTHERS = {
    "data": {"dataset": [*TEXTS[:-1], "the sister was late ."]},
    "order of the data": {"dataset": TEXTS[::-1]},
    "weights": {"model": char_gpt(seed=1)},
    "owners": {"owners": [0, 0, *range(22)]},
    "epochs": {"epochs": 3},
    "noise": {"noise_multiplier": 0.02},
    "clipping": {"max_grad_norm": 0.5},
    "batch": {"logical_batch_size": 6},
    "learning rate": {"learning_rate": 1e-4},
    "seed": {"seed": 1},
    "adapters": {"lora": 2},
    "sampler": {"sampler": "shuffled"},
    "baseline": BASELINE,
}


@pytest.mark.parametrize("with_checkpoint", [True, False])
@pytest.mark.parametrize("what", OTHERS)
def test_another_training_in_the_same_folder_is_refused(what, with_checkpoint, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "copy")
    if not with_checkpoint:
        (folder / "checkpoint.safetensors").unlink()
    before = (folder / "ledger.json").read_bytes()
    settings = {"epochs": EPOCHS, "out": folder} | OTHERS[what]
    model, dataset = settings.pop("model", None), settings.pop("dataset", TEXTS)
    with pytest.raises(InputError, match="other data, weights or settings"):
        train(model or char_gpt(dropout=0.1), dataset, **settings)
    assert (folder / "ledger.json").read_bytes() == before


def test_another_delta_is_refused_by_the_ledger(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "copy")
    with pytest.raises(LedgerError, match=r"keeps delta = 0\.001, given 0\.0001"):
        run(folder, delta=1e-4)


@pytest.mark.parametrize("settings", [{"physical_batch_size": 2}, {"name": "other"}, {"validation": TEXTS[:5]}])
def test_what_changes_no_step_may_change(settings, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "copy")
    assert run(folder, **settings).record["steps"] == STEPS


def test_a_ledger_of_unknown_origin_is_not_continued(stopped, tmp_path):
    shutil.copy(stopped / "ledger.json", tmp_path)
    with pytest.raises(InputError, match="other data, weights or settings"):
        run(tmp_path)


def test_a_ledger_that_knows_fewer_steps_than_the_model_took_is_refused(stopped, tmp_path):
    """Going on would count those steps as never taken."""
    folder = shutil.copytree(stopped, tmp_path / "copy")
    (folder / "ledger.json").unlink()
    with pytest.raises(InputError, match="a model of 2 steps and a ledger of 0"):
        run(folder)
    assert not (folder / "ledger.json").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage" * 50, b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "cut", "no header"],
    ids=["empty", "garbage", "nothing in it", "cut", "no header"],
)
def test_a_damaged_checkpoint_is_a_clear_error(content, stopped, tmp_path):
    from safetensors.torch import load_file, save

    folder = shutil.copytree(stopped, tmp_path / "copy")
    path = folder / "checkpoint.safetensors"
    if content == "cut":
        content = path.read_bytes()[:-100]
    if content == "no header":
        content = save(load_file(path))
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        run(folder)
    assert read_ledger(folder / "ledger.json").steps == 3


def test_a_damaged_ledger_is_a_clear_error(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "copy")
    (folder / "ledger.json").write_text("{")
    with pytest.raises(LedgerError, match="no readable ledger"):
        run(folder)


# What is not finite.


def poison(monkeypatch, at, make):
    """Before step `at` (from 1) one weight is not a number."""
    step = Loop.step

    def poisoned(self, number):
        if number == at - 1:
            with torch.no_grad():
                next(make(self.module)).view(-1)[0] = math.nan
        step(self, number)

    monkeypatch.setattr(Loop, "step", poisoned)


@pytest.mark.parametrize("settings", [{}, BASELINE])
def test_a_weight_that_is_no_number_stops_the_training_and_spoils_nothing(settings, monkeypatch, tmp_path):
    whole = run(tmp_path / "whole", **settings)
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    folder = tmp_path / "parts"
    with monkeypatch.context() as planted:
        poison(planted, 4, lambda module: module.head.parameters())
        with pytest.raises(InputError, match="not finite"):
            run(folder, **settings)
    saved = _saved_weights(folder)
    assert all(bool(t.isfinite().all()) for t in saved.values())
    if not settings:
        assert read_ledger(folder / "ledger.json").steps == 4
    result = run(folder, **settings)
    assert equal(result.model, whole.model)
    assert result.cost == whole.cost


def test_a_loss_that_is_no_number_leaves_the_model_of_the_step_before(monkeypatch, tmp_path, uninterrupted):
    with monkeypatch.context() as planted:
        backward, calls = BookKeeping.backward, []

        def broken(self, losses):
            calls.append(1)
            return backward(self, losses * math.nan if len(calls) == 5 else losses)  # the doctor's two come first

        planted.setattr(BookKeeping, "backward", broken)
        with pytest.raises(InputError, match="not finite"):
            run(tmp_path)
    spent = read_ledger(tmp_path / "ledger.json").steps
    assert 1 < spent < STEPS
    result = run(tmp_path)
    assert equal(result.model, uninterrupted.model)
    assert result.cost == uninterrupted.cost


def test_masks_are_the_same_after_an_interruption(monkeypatch, tmp_path):
    whole = run(tmp_path / "whole", masked_bert())
    with monkeypatch.context() as planted:
        interrupt(planted, Loop, "_part", 4)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", masked_bert())
    result = run(tmp_path / "parts", masked_bert())
    assert equal(result.model, whole.model)
    assert comparable(result.record) == comparable(whole.record)


def test_nothing_is_kept_without_a_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = run(None)
    assert result.folder is None
    assert isinstance(result.model, CharGPT)
    assert weights(result.model)
    assert list(tmp_path.iterdir()) == []
