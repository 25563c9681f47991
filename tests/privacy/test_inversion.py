"""Record inversion: the beam search is a search, memorised secrets come back, unseen ones do not."""

import string
from itertools import product

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_gpt_data import Samples
from auditkit.models.char_gpt_training import train
from auditkit.models.char_tokenizer import CharTokenizer
from auditkit.models.char_transformer import CharGPTConfig
from auditkit.privacy.inversion import Target, beam_search, invert_records
from auditkit.testing import FakeCausalLM

NAMES = ("ada", "bob", "eve", "ian", "joe", "kim", "lea", "max", "ned", "ola", "pia", "ray")
DIGITS = (tuple(string.digits),) * 5


def target(name, secret, slots=DIGITS):
    return Target(f"pin of {name}: ", slots, tuple(secret))


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(0)
    return [target(name, "".join(rng.choice(list(string.digits), 5))) for name in NAMES]


@pytest.fixture(scope="module")
def model(records):
    """A tiny char-GPT that has read every record many times."""
    config = CharGPTConfig(
        vocabulary="\n :" + string.ascii_lowercase + string.digits, hidden=48, layers=2, heads=2, context=24,
        causal=True, positions=True, scaled=True, pre_norm=True,
    )  # fmt: skip
    lines = [f"\n{r.prefix}{''.join(r.secret)}".ljust(25, "\n") for r in records] * 20
    rows = np.array([CharTokenizer(config.vocabulary).encode(line)[0] for line in lines])
    return train(Samples(rows[:, :-1], rows[:, 1:]), config, epochs=10, batch_size=16, lr=4e-3, validation=0).model


@pytest.mark.parametrize("prefix", ["the nurse", "my doctor"])
def test_a_wide_beam_finds_what_enumeration_finds(prefix):
    model, slots = FakeCausalLM(), ((" is", " was"), (" a",), (" good", " bad", " old"), (" man", " woman"))
    texts = ["".join(c) for c in product(*slots)]
    scores = {t: s.total for t, s in zip(texts, model.token_logprobs([prefix + t for t in texts]), strict=True)}
    found = beam_search(model, prefix, slots, width=len(texts))
    assert ["".join(h.choices) for h in found] == sorted(texts, key=lambda t: -scores[t])
    assert [h.logprob for h in found] == pytest.approx(sorted(scores.values(), reverse=True))
    assert len(beam_search(model, prefix, slots, width=3)) == 3


def test_memorised_records_are_reconstructed(model, records):
    exact, tokens = invert_records(model, model.randomized(0), records, rng=np.random.default_rng(0), width=8)
    assert exact.id == "inversion/record/exact"
    assert exact.value == tokens.value == 100
    assert exact.ideal == 0
    assert exact.interval.low > 70
    assert exact.details["p_value"] < 0.001
    assert tokens.details["no_access"] < 30
    assert tokens.details["gain_low"] > 50
    assert exact.details["attack_budget"] == f"at most {8 * 10 * 5 * 12} texts scored"


def test_records_that_the_model_never_saw_are_not(model):
    rng = np.random.default_rng(5)
    unseen = [target(name, "".join(rng.choice(list(string.digits), 5))) for name in ("tom", "uma", "vic", "wes") * 5]
    exact, tokens = invert_records(model, model.randomized(0), unseen, rng=rng, width=4)
    assert exact.value == 0
    assert tokens.details["gain_low"] < 0 < tokens.details["gain_high"]


def test_known_attributes_guide_the_search_and_do_not_count(model, records):
    first = records[0]
    guided = target("ada", first.secret, (*((c,) for c in first.secret[:3]), *DIGITS[3:]))
    _, tokens = invert_records(model, model.randomized(0), [guided], rng=np.random.default_rng(0), width=8)
    assert tokens.value == 100
    assert tokens.details["no_access"] in (0, 50, 100)  # of the two places that were not known
    wrong = target("ada", first.secret, ((str((int(first.secret[0]) + 1) % 10),), *DIGITS[1:]))
    assert beam_search(model, wrong.prefix, wrong.slots, width=4)[0].choices[0] != first.secret[0]


def test_any_batch_size_gives_the_same(model, records):
    found = [
        beam_search(CharGPT(model.module, batch_tokens=tokens), records[0].prefix, DIGITS, width=5)
        for tokens in (16, 512, 100_000)
    ]
    assert [h.choices for h in found[0]] == [h.choices for h in found[1]] == [h.choices for h in found[2]]


def test_bad_input_is_refused(model):
    with pytest.raises(DataError, match="3 slots and a secret of 2 places"):
        Target("x: ", DIGITS[:3], ("1", "2"))
    with pytest.raises(DataError, match="and a prefix"):
        Target(" ", DIGITS[:2], ("1", "2"))
    with pytest.raises(DataError, match="is known already"):
        invert_records(model, model, [Target("x: ", (("1",),), ("1",))], rng=np.random.default_rng(0))
