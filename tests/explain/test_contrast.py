"""Which shared words carry a preference: a planted association is found, words without one are not."""

import numpy as np
import pytest

from auditkit.data.types import Pair
from auditkit.errors import DataError, InputError, MissingCapability
from auditkit.explain import Filler, attribute
from auditkit.explain.contrast import ask_pairs, contrast_pairs, drivers
from auditkit.models.protocols import MaskQuery
from auditkit.probes.pair_scores import score_causal
from tests.explain.explained_models import biased_bag
from tests.explain.test_attribution import sharpened
from tests.privacy import tiny_models

ENDINGS = ("smart", "old", "good", "bad", "at work", "like people", "like women", "like men")


def pair(i, more, less):
    return Pair(f"p{i}", more, less, "gender", "stereo", f"c{i}")


PAIRS = [pair(i, f"she was tired and {end} .", f"he was tired and {end} .") for i, end in enumerate(ENDINGS)]


def rng():
    return np.random.default_rng(0)


def test_the_planted_association_drives_the_gap_and_nothing_else():
    found = contrast_pairs(biased_bag({"tired": 1.5}), PAIRS)
    assert all(item.value == pytest.approx(1.5, abs=1e-5) for item in found)
    for item in found:
        assert dict(zip(item.words, item.values, strict=True))["tired"] == pytest.approx(1.5, abs=1e-5)
    first, *others = drivers(found, rng=rng())
    assert (first.word, first.n) == ("tired", 8)
    assert first.share_of_gap == pytest.approx(1.0, abs=1e-5)
    assert first.p_value == pytest.approx(2 / 2**8)
    assert first.p_value_holm < 0.05
    assert others
    assert all(d.p_value_holm > 0.99 for d in others)


def test_an_association_that_is_not_the_same_everywhere_is_no_driver():
    mixed = [PAIRS[i] if i % 2 else pair(i, PAIRS[i].less, PAIRS[i].more) for i in range(8)]
    found = contrast_pairs(biased_bag({"tired": 1.5}), mixed)
    tired = next(d for d in drivers(found, rng=rng()) if d.word == "tired")
    assert tired.mean == pytest.approx(0, abs=1e-5)
    assert tired.p_value_holm > 0.5
    assert tired.interval.low < 0 < tired.interval.high


def test_words_of_one_cluster_count_once():
    found = contrast_pairs(biased_bag({"tired": 1.5}), PAIRS)
    assert drivers(found, rng=rng(), clusters=["a"] * 4 + ["b"] * 4) == []
    with pytest.raises(DataError, match="2 clusters for 8 texts"):
        drivers(found, rng=rng(), clusters=["a", "b"])


def test_a_pronoun_choice_can_be_driven_too():
    model = biased_bag({"nurse": 2.0, "doctor": -1.0})
    texts = [f"the {noun} said [MASK] was {end}" for noun in ("nurse", "doctor") for end in ENDINGS]
    found = drivers(attribute(model, texts, target=Filler("she", versus="he")), rng=rng())
    assert [d.word for d in found[:2]] == ["nurse", "doctor"]
    assert [d.mean for d in found[:2]] == pytest.approx([2.0, -1.0], abs=1e-5)


def test_the_masked_contrast_is_the_log_odds_of_the_differing_words():
    model = sharpened(tiny_models.masked_bert())
    pairs = [pair(0, "the nurse was tired", "the doctor was tired")]
    [item] = contrast_pairs(model, pairs)
    ids = tuple(model.encode(["the [MASK] was tired"])[0].ids.tolist())
    a, b = model.masked_logprobs([MaskQuery(ids, 2, (model.word_id("nurse"), model.word_id("doctor")))])[0]
    assert item.value == pytest.approx(a - b, abs=1e-5)
    assert item.words == ("the", "was", "tired")
    assert len(ask_pairs(model, pairs)[0][0].branches) == 1  # both sentences are the same once masked


def test_differing_words_of_several_pieces_are_masked_whole():
    model = sharpened(tiny_models.masked_bert())
    [question], _ = ask_pairs(model, [pair(0, "the nurses are old", "the men are old")])
    more, less = question.branches
    assert (more.ids == model.mask_id).sum() == 2  # nurse ##s
    assert (less.ids == model.mask_id).sum() == 1
    assert question.words == ("the", "are", "old")


def test_the_causal_contrast_is_the_difference_of_the_sentences():
    model = sharpened(tiny_models.gpt2())
    pairs = [pair(0, "the nurse was tired .", "the doctor was tired ."), pair(1, "women are bad", "men are bad")]
    totals = score_causal(model, pairs, ["total"])["total"].difference
    found = contrast_pairs(model, pairs, method="occlusion")
    assert [item.value for item in found] == pytest.approx(totals, abs=1e-3)
    assert found[0].words == ("the", "was", "tired", ".")


def test_the_classifiers_contrast_is_the_difference_of_the_logits():
    model = sharpened(tiny_models.classifier())
    pairs = [pair(0, "the nurse was tired", "the doctor was tired")]
    odds = np.log(model.classify([pairs[0].more, pairs[0].less]))
    label = int(odds[0].argmax())
    [item] = contrast_pairs(model, pairs)
    assert item.asks == f"logit of {model.labels[label]!r}: more - less"
    assert np.sign(item.value) == np.sign(odds[0, label] - odds[1, label])
    assert item.error < 0.01


def test_char_models_and_encoders_have_a_contrast_too():
    char = contrast_pairs(tiny_models.char_gpt(), [pair(0, "she is", "he is")], method="occlusion")
    assert [w for w in char[0].words if w.strip()] == ["is"]
    encoder = contrast_pairs(tiny_models.sentence_encoder(), [pair(0, "the nurse", "the doctor")], method="occlusion")
    assert encoder[0].asks == "cosine of the two texts"


def test_what_cannot_be_contrasted_is_left_out_and_counted():
    model = biased_bag({"tired": 1.0})
    odd = [pair(8, "she was very tired", "she was tired"), pair(9, "women", "men")]
    questions, kept = ask_pairs(model, [*PAIRS[:2], *odd])
    assert [p.id for p in kept] == ["p0", "p1"]
    assert len(questions) == 2
    assert model.notices["pairs without shared or without differing words left out of the explanation"] == 2
    with pytest.raises(InputError, match="give minimal pairs"):
        ask_pairs(model, odd)


def test_a_translator_has_no_contrast():
    with pytest.raises(MissingCapability, match="explain single texts"):
        contrast_pairs(tiny_models.t5(), PAIRS)
