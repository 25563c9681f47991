import dataclasses
import json
import math
from importlib import resources

import numpy as np
import pytest
import torch

from auditkit.errors import DataError, InputError, ModelError, ReportError
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_gpt_data import Samples, distinct_characters, windows
from auditkit.models.char_gpt_training import Evaluation, evaluate, train
from auditkit.models.char_transformer import CharGPTConfig
from auditkit.models.loading import load_model
from auditkit.progress import listen
from auditkit.rendering.loss_curve import save_loss_curve

CYCLE = "abcdefgh" * 60
SMALL = CharGPTConfig(
    vocabulary="abcdefgh",
    hidden=32,
    layers=1,
    heads=2,
    context=16,
    causal=True,
    positions=True,
    scaled=True,
    pre_norm=True,
)


@pytest.fixture(scope="module")
def cyclic():
    return train(CYCLE, SMALL, epochs=30, batch_size=8, lr=3e-3, seed=1, device="cpu")


def noise(n: int = 500) -> str:
    return "".join(np.random.default_rng(0).choice(list("abcdefgh"), size=n))


# --- data -----------------------------------------------------------------------------------------------------------


def test_synthetic_sequences_repeat_no_character_and_are_shifted_by_one():
    samples = distinct_characters(1000, seed=3)
    assert samples.inputs.shape == samples.targets.shape == (1000, 4)
    assert np.array_equal(samples.inputs[:, 1:], samples.targets[:, :-1])
    whole = np.concatenate([samples.inputs, samples.targets[:, -1:]], axis=1)
    assert all(len(set(row)) == 5 for row in whole.tolist())
    # Every symbol is as frequent as any other: 5000 draws, 185.2 expected each; chi-squared(26) < 54 with p = 0.999.
    counts = np.bincount(whole.ravel(), minlength=27)
    assert len(counts) == 27
    assert ((counts - 5000 / 27) ** 2 / (5000 / 27)).sum() < 54
    assert np.array_equal(samples.inputs, distinct_characters(1000, seed=3).inputs)
    assert not np.array_equal(samples.inputs, distinct_characters(1000, seed=4).inputs)


def test_windows_by_hand():
    samples = windows(np.arange(8), width=3, offset=1)
    assert samples.inputs.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert samples.targets.tolist() == [[2, 3, 4], [5, 6, 7]]


# --- learning -------------------------------------------------------------------------------------------------------


def test_a_planted_cycle_is_learned_to_nearly_no_loss(cyclic):
    last = cyclic.history.epochs[-1]
    assert last.validation_loss < 0.02
    assert last.validation_accuracy == 1
    assert cyclic.history.epochs[0].validation_loss > 1  # started near log(8) = 2.08
    assert cyclic.history.stopped == "finished"
    assert isinstance(cyclic.model, CharGPT)
    assert cyclic.model.generate(["abc"], max_new_tokens=20) == [("defghabc" * 3)[:20]]


def test_noise_is_not_predicted():
    found = train(noise(4000), SMALL, epochs=3, lr=3e-3, device="cpu").history.epochs[-1]
    assert found.validation_loss == pytest.approx(math.log(8), abs=0.1)


def test_early_stopping_stops_and_keeps_the_best_weights():
    text = noise()
    result = train(text, SMALL, epochs=200, batch_size=4, lr=1e-2, patience=3, device="cpu")
    history = result.history
    losses = [e.validation_loss for e in history.epochs]
    assert history.stopped == "early"
    assert len(history.epochs) == history.best_epoch + 3 < 200
    assert losses[history.best_epoch - 1] == min(losses) < losses[-1]
    ids = np.array([SMALL.vocabulary.index(c) for c in text[450:]])
    assert evaluate(result.model.module, windows(ids, 16)).loss == pytest.approx(min(losses))
    assert (history.train_characters, history.validation_characters) == (28 * 16, 3 * 16)


def test_same_seed_same_bytes_another_seed_others(tmp_path):
    config = dataclasses.replace(SMALL, dropout=0.1)
    files = []
    for run, seed in enumerate((0, 0, 1)):
        torch.manual_seed(run)  # what the caller did before must not matter
        result = train(CYCLE, config, epochs=2, seed=seed, device="cpu")
        files.append((result.model.save(tmp_path / str(run)) / "model.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


def test_the_original_preset_memorises_its_samples():
    samples = distinct_characters(60, seed=0)
    result = train(samples, CharGPTConfig.original(), epochs=150, batch_size=60, lr=1e-3, validation=0, device="cpu")
    assert result.history.epochs[-1].validation_loss is None
    assert result.history.best_epoch == 150
    assert evaluate(result.model.module, samples).accuracy > 0.75
    assert not isinstance(result.model, CharGPT)


def test_without_a_mask_the_answers_leak_into_all_positions_but_the_last():
    """Unseen sequences: 1/3, 1/3, 1/3, 0 with the leak; at most 1/26, 1/25, 1/24, 1/23 behind a causal mask."""
    data, unseen = distinct_characters(6000, seed=0), distinct_characters(2000, seed=1)
    config = dataclasses.replace(CharGPTConfig.original(), hidden=64)
    leaking, honest = (
        train(data, dataclasses.replace(config, causal=c), epochs=3, lr=2e-3, validation=0, device="cpu").model.module
        for c in (False, True)
    )
    assert evaluate(leaking, unseen).position_accuracy == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=0.06)
    assert max(evaluate(honest, unseen).position_accuracy) < 0.075


def test_evaluation_by_hand():
    found = Evaluation(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([[True, False], [True, True]]))
    assert (found.n, found.loss, found.accuracy) == (4, 2.0, 0.75)
    assert found.bits_per_character == pytest.approx(2.8853900817779268)
    assert found.position_accuracy.tolist() == [1.0, 0.5]


def test_cosine_schedule_warms_up_and_ends_at_a_tenth(monkeypatch):
    rates = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam,
        "step",
        lambda self, *a, **k: (rates.append(self.param_groups[0]["lr"]), step(self, *a, **k))[1],
    )
    train(CYCLE, SMALL, epochs=20, batch_size=4, lr=1e-2, schedule="cosine", device="cpu")
    peak = int(np.argmax(rates))
    assert len(rates) == 20 * 7
    assert max(rates) == pytest.approx(1e-2, rel=0.01)
    assert peak == 6  # the 7th of 140 steps
    assert rates[-1] == pytest.approx(1e-3, rel=1e-6)
    assert np.all(np.diff(rates[:7]) > 0)
    assert np.all(np.diff(rates[7:]) < 0)


# --- files, progress, interruption ------------------------------------------------------------------------------------


def test_text_files_and_characters_outside_the_vocabulary(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(CYCLE + "ÄZ", encoding="utf-8")
    assert train(path, SMALL, epochs=1, device="cpu").history.replaced_characters == 2
    with pytest.raises(DataError, match="is a file; give pathlib"):
        train(str(path), SMALL, epochs=1)
    path.write_bytes(b"caf\xe9" * 100)
    with pytest.raises(DataError, match=r"not UTF-8 \(byte 3\)"):
        train(path, SMALL, epochs=1)
    with pytest.raises(DataError, match="cannot read"):
        train(tmp_path / "absent.txt", SMALL, epochs=1)


@pytest.mark.parametrize("text", ["", "a", "abcdefgh"])
def test_texts_too_short_to_split_are_refused(text):
    with pytest.raises(DataError, match="too short"):
        train(text, SMALL, epochs=1)


def test_samples_that_do_not_fit_are_refused():
    ids = np.full((20, 4), 8)
    with pytest.raises(DataError, match="vocabulary has 0 to 7"):
        train(Samples(ids, ids), SMALL, epochs=1)
    with pytest.raises(DataError, match="samples of 17 characters; the context is 16"):
        train(Samples(np.zeros((20, 17), int), np.zeros((20, 17), int)), SMALL, epochs=1)
    with pytest.raises(DataError, match="cannot be split"):
        train(Samples(ids[:2] * 0, ids[:2] * 0), SMALL, epochs=1)
    with pytest.raises(DataError, match="expected two equal"):
        Samples(ids, ids[:3])


def test_all_wrong_options_are_named_at_once():
    with pytest.raises(InputError, match=r"epochs 0.*lr -1.*patience without validation"):
        train(CYCLE, SMALL, epochs=0, lr=-1, validation=0, patience=2)


def test_a_diverging_loss_is_an_error():
    with pytest.raises(ModelError, match="the loss became"):
        train(CYCLE, dataclasses.replace(SMALL, pre_norm=False), epochs=5, lr=1e30, device="cpu")


def test_progress_is_told_and_ctrl_c_keeps_what_was_learned():
    calls = []

    def interrupt_in_third_epoch(done: int, total: int) -> None:
        calls.append((done, total))
        if done == 9:
            raise KeyboardInterrupt

    with listen(interrupt_in_third_epoch):
        history = train(CYCLE, SMALL, epochs=10, batch_size=8, device="cpu").history
    assert calls == [(i, 40) for i in range(1, 10)]  # 26 windows, 4 batches an epoch
    assert history.stopped == "interrupted"
    assert len(history.epochs) == 2

    def at_once(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with listen(at_once), pytest.raises(KeyboardInterrupt):
        train(CYCLE, SMALL, epochs=10, device="cpu")


def test_loss_curve_is_drawn(cyclic, tmp_path):
    svg = save_loss_curve(cyclic.history, tmp_path / "sub" / "loss.svg").read_text()
    assert svg.count('aria-roledescription="line mark"') == 2
    assert "validation" in svg
    assert save_loss_curve(cyclic.history, tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ReportError, match=r"\.svg or \.png"):
        save_loss_curve(cyclic.history, tmp_path / "loss.pdf")


def test_history_is_json(cyclic):
    data = cyclic.history.to_json()
    assert data["epochs"][0].keys() == {"number", "train_loss", "validation_loss", "validation_accuracy"}
    assert data["best_epoch"] == cyclic.history.best_epoch


# --- the one that ships -----------------------------------------------------------------------------------------------

RECORD = json.loads((resources.files("auditkit.models") / "weights/char_gpt/training.json").read_text(encoding="utf-8"))


def test_the_shipped_char_gpt_is_the_one_in_its_training_record():
    about = load_model("char-gpt", device="cpu").describe()
    assert about["weights_sha256"] == RECORD["model"]["weights_sha256"]
    assert about["parameters"] == RECORD["model"]["parameters"] <= 800_000
    assert RECORD["weights_bytes"] <= 1_700_000
    assert RECORD["seconds"] <= 300


@pytest.mark.data
def test_the_shipped_char_gpt_reproduces_its_recorded_loss_on_the_held_out_part(published):
    path = published("tinyshakespeare", "input.txt")
    held_out = path.read_text(encoding="utf-8")[-111539:]  # the last tenth of 1,115,394 characters
    model = load_model("char-gpt", device="cpu")
    found = evaluate(model.module, windows(np.array(model.tokenizer.encode(held_out)[0]), 128))
    assert found.n == RECORD["validation"]["n_characters"]
    assert found.loss == pytest.approx(RECORD["validation"]["loss_nats"], abs=1e-4)
    assert found.loss < 1.8
