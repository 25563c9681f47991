import json

import numpy as np
import pytest
import torch
from torch import nn

from auditkit.compression.layers import linear_layers
from auditkit.compression.pruning import Magnitude
from auditkit.compression.recovery import Recover
from auditkit.compression.spec import compress, label, steps_of
from auditkit.errors import DataError, InputError, MissingCapability, UnknownName
from auditkit.privacy.ledger import read_ledger
from auditkit.privacy.settings import PrivacySettingError
from tests.privacy.tiny_models import KINDS, LABELLED, TEXTS, char_gpt, classifier, equal, gpt2, masked_bert, weights

HALF = Magnitude(ratio=0.5)
PRIVATE = {"noise_multiplier": 0.01, "delta": 1e-3, "seed": 0}  # beyond what the slow accountants compute


def zeros(model):
    """Where each weight of the blocks is exactly zero."""
    return {name: layer.weight == 0 for name, layer in linear_layers(model.module).items()}


def loss(model, texts):
    return -np.mean([s.mean for s in model.token_logprobs(texts)])


@pytest.mark.parametrize("privacy", [None, PRIVATE], ids=["plain", "private"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_pruned_stays_at_zero_and_the_rest_moves(kind, privacy):
    make, records = KINDS[kind]
    pruned = compress(make(), HALF)
    recovered = compress(pruned, Recover(texts=records, batch_size=8, learning_rate=1e-2, privacy=privacy))
    before, after = zeros(pruned), zeros(recovered)
    assert sum(int(z.sum()) for z in before.values()) == recovered.compression[-1]["zeros_kept"] > 0
    assert all(bool((after[name] >= gone).all()) for name, gone in before.items())
    old, new = weights(pruned), weights(recovered)
    names = [f"{name}.weight" for name in before]
    assert max(float((old[name] == new[name]).float().mean()) for name in names) < 0.95  # half of them are the zeros


def test_recovery_undoes_much_of_what_pruning_did_to_a_task_learnt():
    """A char-GPT that knows its texts, then loses 90 % of its weights."""
    dense = compress(char_gpt(hidden=32), Recover(texts=TEXTS, epochs=40, batch_size=8, learning_rate=5e-3))
    pruned = compress(dense, Magnitude(ratio=0.9))
    recovered = compress(pruned, Recover(texts=TEXTS, epochs=20, batch_size=8, learning_rate=5e-3))
    losses = [loss(model, TEXTS) for model in (dense, pruned, recovered)]
    assert losses[1] > losses[0] + 0.5
    assert losses[2] < losses[0] + 0.5 * (losses[1] - losses[0])
    noted = recovered.compression[-1]["train_loss"]
    assert len(noted) == 20
    assert noted[-1] < noted[0]


def test_recovery_teaches_a_factorised_classifier_its_labels():
    step = Recover(texts=LABELLED, epochs=30, batch_size=8, learning_rate=1e-2)
    recovered = compress(classifier(), [{"low_rank": {"rank": 4}}, step])
    right = [recovered.labels[i] for i in recovered.classify([t for t, _ in LABELLED]).argmax(1)]
    assert np.mean([a == b for a, (_, b) in zip(right, LABELLED, strict=True)]) > 0.9


@pytest.mark.slow
def test_a_private_recovery_keeps_a_ledger_and_states_what_it_cost(tmp_path):
    privacy = {"target_epsilon": 8, "delta": 1e-3, "max_grad_norm": 0.5, "out": str(tmp_path)}
    recovered = compress(char_gpt(), [HALF, Recover(texts=TEXTS, epochs=2, batch_size=6, privacy=privacy)])
    done = recovered.compression[-1]
    ledger = read_ledger(tmp_path / "ledger.json")
    assert done["privacy"]["ledger"] == str(tmp_path / "ledger.json")
    assert ledger.cost().epsilon == done["privacy"]["epsilon"]
    assert 4 < done["privacy"]["epsilon"] <= 8
    assert done["privacy"] | {"delta": 1e-3, "unit": "example", "units": 24} == done["privacy"]
    assert done["steps"] == 8
    assert "train_loss" not in done  # computed without noise
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["noise_policy"] != "seeded"
    assert record["max_grad_norm"] == 0.5


def test_noise_moves_a_private_recovery():
    """At the same seed, more noise ends elsewhere: the options reach the training."""
    pruned = compress(char_gpt(), HALF)
    runs = [
        compress(pruned, Recover(texts=TEXTS, batch_size=8, privacy=PRIVATE | {"noise_multiplier": noise}))
        for noise in (0.01, 0.01, 0.02)
    ]
    assert equal(runs[0], runs[1])
    assert not equal(runs[0], runs[2])


def test_a_layer_pruned_whole_stays_so_also_in_private():
    model = char_gpt(layers=2)
    nn.init.zeros_(model.module.blocks[1].attention.q.weight)
    recovered = compress(model, Recover(texts=TEXTS, batch_size=8, privacy=PRIVATE))
    assert not recovered.module.blocks[1].attention.q.weight.any()
    assert not torch.equal(recovered.module.blocks[0].attention.q.weight, model.module.blocks[0].attention.q.weight)
    assert all(p.requires_grad for p in recovered.module.parameters())


def test_padding_in_a_tied_table_is_not_pruned():
    """GPT-2's output layer is its embedding."""
    model = gpt2()
    with torch.no_grad():
        model.module.transformer.wte.weight[5] = 0
    recovered = compress(model, Recover(texts=TEXTS, learning_rate=1e-2))
    assert recovered.module.transformer.wte.weight[5].all()
    assert recovered.compression[-1]["zeros_kept"] == 0


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    pruned = compress(masked_bert(), HALF)
    step = Recover(texts=TEXTS, batch_size=8)
    assert equal(compress(pruned, step, seed=1), compress(pruned, step, seed=1))
    assert not equal(compress(pruned, step, seed=1), compress(pruned, step, seed=2))


def test_the_model_given_is_not_changed():
    pruned = compress(masked_bert(), HALF)
    before = weights(pruned)
    compress(pruned, Recover(texts=TEXTS))
    assert equal(before, weights(pruned))


def test_truncated_texts_are_counted():
    recovered = compress(char_gpt(), Recover(texts=["a nurse was tired. " * 4, "the doctor."]))
    assert recovered.notices["texts truncated to 32 characters"] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("texts.txt", "the nurse was old .\n\nthe doctor was good .\n"), ("texts.csv", 'text\n"a nurse"\n"a doctor"\n')],
)
def test_texts_from_a_file(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    done = compress(masked_bert(), {"recover": {"texts": str(tmp_path / name), "batch_size": 1}}).compression[0]
    assert done["steps"] == 2


@pytest.mark.parametrize("shape", [list, lambda pair: {"text": pair[0], "label": pair[1]}, None])
def test_labelled_texts_as_pairs_as_mappings_or_from_a_file(tmp_path, shape):
    """As YAML gives them; all three train alike."""
    rows = "".join(f"{text},{label}\n" for text, label in LABELLED)
    (tmp_path / "rows.csv").write_text(f"text,label\n{rows}")
    texts = str(tmp_path / "rows.csv") if shape is None else [shape(pair) for pair in LABELLED]
    assert equal(compress(classifier(), Recover(texts=texts)), compress(classifier(), Recover(texts=LABELLED)))


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(DataError, match="there is no text"):
        compress(masked_bert(), Recover(texts=str(tmp_path / "empty.txt")))


def test_a_classifier_needs_labels(tmp_path):
    (tmp_path / "rows.csv").write_text("text\na nurse\n")
    with pytest.raises(DataError, match="'label'"):
        compress(classifier(), Recover(texts=str(tmp_path / "rows.csv")))


def test_a_quantised_model_is_refused():
    model = masked_bert()
    model.module.bert.encoder.layer[0].register_buffer("packed", torch.zeros(2, dtype=torch.int8))
    with pytest.raises(InputError, match="quantised"):
        compress(model, Recover(texts=TEXTS))


def test_a_char_gpt_that_sees_the_future_is_refused():
    with pytest.raises(MissingCapability, match="causal mask"):
        compress(char_gpt(causal=False), Recover(texts=TEXTS))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"texts": []}, InputError, "no texts"),
        ({"texts": TEXTS, "epochs": 0}, InputError, "epochs 0"),
        ({"texts": TEXTS, "epochs": 1.5}, InputError, "epochs 1.5"),
        ({"texts": TEXTS, "batch_size": 0}, InputError, "batch_size 0"),
        ({"texts": TEXTS, "learning_rate": float("nan")}, InputError, "learning_rate nan"),
        ({"texts": TEXTS, "privacy": {}}, InputError, "privacy without options"),
        ({"texts": TEXTS, "privacy": {"epsilon": 8}}, UnknownName, "target_epsilon"),
        ({"texts": TEXTS, "privacy": {"target_epsilon": float("inf")}}, InputError, "leave privacy out"),
        ({"texts": TEXTS, "step": 3}, UnknownName, "option of recover"),
    ],
    ids=str,
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        steps_of({"recover": options})


def test_a_target_without_delta_is_refused():
    with pytest.raises(PrivacySettingError, match="no delta"):
        compress(char_gpt(), Recover(texts=TEXTS, privacy={"target_epsilon": 8}))


def test_label():
    assert label(Recover(texts=TEXTS)) == "recovery 1 epoch"
    assert (
        label(Recover(texts=TEXTS, epochs=3, privacy={"target_epsilon": 8, "delta": 1e-5}))
        == "recovery 3 epochs, epsilon 8"
    )
    assert label(Recover(texts=TEXTS, privacy={"noise_multiplier": 1.0, "delta": 1e-5})) == "recovery 1 epoch, private"
