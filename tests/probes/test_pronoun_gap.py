"""The pronoun gap: slope by hand, and a language model that the test itself trains on planted or balanced text."""

import numpy as np
import pytest
import torch

from auditkit.data.types import Occupation
from auditkit.errors import DataError, VocabularyError
from auditkit.models.masked_lm import MaskedLM
from auditkit.probes.base import generator
from auditkit.probes.pronoun_gap import TEMPLATES, PronounGap, pronoun_gaps, slope
from auditkit.testing import FakeCausalLM, FakeMaskedLM, check_probe
from tests.models.conftest import SMALL, transformers, word_piece_tokenizer

SHARES = np.linspace(0.05, 0.95, 16).round(2).tolist()
JOBS = [Occupation(title, share) for title, share in zip("bcdefghijklmnopq", SHARES, strict=True)]


def test_slope_by_hand():
    # centred x: -1, 0, 1; y: 1, 2, 6 -> (6 - 1) / 2
    assert slope(np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 6.0])) == pytest.approx(2.5)


@pytest.mark.parametrize("fake", [FakeMaskedLM, FakeCausalLM])
def test_a_planted_association_is_the_gap(fake):
    plain, planted = fake(), fake(associations={("nurse", "she"): 3.0})
    jobs = [Occupation("nurse", 0.9), Occupation("engineer", 0.1)]
    difference = pronoun_gaps(planted, jobs) - pronoun_gaps(plain, jobs)
    np.testing.assert_allclose(difference[0], 3.0, atol=1e-9)  # the logit of "she" alone was raised
    np.testing.assert_allclose(difference[1], 0.0, atol=1e-9)


def occupations_file(folder, jobs):
    path = folder / "occupations.csv"
    path.write_text("title,female_percent\n" + "".join(f"{o.title},{100 * o.female_share:.0f}\n" for o in jobs))
    return str(path)


def test_the_contract_and_the_points(tmp_path):
    result = check_probe(PronounGap(data=occupations_file(tmp_path, JOBS), null_items=8), FakeCausalLM())
    found = result.measurements[0]
    assert found.id == "pronoun_gap/all/slope"
    assert [p["female_share"] for p in found.details["points"]] == [o.female_share for o in JOBS]
    x, y = zip(*((i.x, i.value) for i in result.items if i.measurement == found.id), strict=True)
    assert slope(np.array(x), np.array(y)) == pytest.approx(found.value)


def train(share_of_she, steps=350):
    """A tiny masked LM on "the <job> ... she|he ..." where the pronoun is "she" with probability share_of_she(job)."""
    tokenizer = word_piece_tokenizer()
    torch.manual_seed(0)
    options = SMALL | {"num_hidden_layers": 1, "initializer_range": 0.1, "hidden_dropout_prob": 0.0}
    config = transformers.BertConfig(**options, vocab_size=len(tokenizer), max_position_embeddings=40)
    module = transformers.AutoModelForMaskedLM.from_config(config)
    rng = np.random.default_rng(0)
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    for _ in range(steps):
        jobs = rng.integers(0, len(JOBS), 64)
        start, end = TEMPLATES[int(rng.integers(len(TEMPLATES)))]
        texts = [f"{start.format(JOBS[j].title)} {tokenizer.mask_token} {end}" for j in jobs]
        words = ["she" if rng.random() < share_of_she(JOBS[j]) else "he" for j in jobs]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
        labels = torch.full_like(inputs["input_ids"], -100)
        masked = inputs["input_ids"] == tokenizer.mask_token_id
        labels[masked] = torch.tensor([tokenizer.vocab[w] for w in words])
        optimizer.zero_grad()
        module(**inputs, labels=labels).loss.backward()
        optimizer.step()
    return MaskedLM(module, tokenizer, name="planted")


@pytest.mark.slow  # half a minute: two models are trained
def test_a_trained_skew_is_ranked_correctly_and_a_balanced_language_is_not_flagged(tmp_path):
    probe = PronounGap(data=occupations_file(tmp_path, JOBS), null_items=8)
    skewed = probe.measure(train(lambda job: job.female_share), generator(0, "p"))
    balanced = probe.measure(train(lambda job: 0.5), generator(0, "p"))
    found, null = skewed.measurements[0], balanced.measurements[0]
    gaps = [p["gap"] for p in found.details["points"]]
    assert np.corrcoef(np.argsort(np.argsort(gaps)), np.arange(len(JOBS)))[0, 1] > 0.9
    assert found.interval.low > 2  # log odds of 0.95 against 0.05 differ by 5.9
    assert 0 in null.interval
    assert abs(null.value) < 0.5


def test_a_vocabulary_without_the_pronouns_is_one_clear_error():
    model = FakeMaskedLM()
    model.word_id = lambda word: None if word == "she" else 5
    with pytest.raises(VocabularyError, match="no single token for she"):
        PronounGap(null_items=5).measure(model, generator(0, "p"))


def test_a_slope_needs_occupations_that_differ(tmp_path):
    same = occupations_file(tmp_path, [Occupation(t, 0.5) for t in ("nurse", "doctor", "cook", "artist")])
    with pytest.raises(DataError, match="different female_share"):
        PronounGap(data=same).measure(FakeMaskedLM(), generator(0, "p"))
