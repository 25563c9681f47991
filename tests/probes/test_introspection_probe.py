"""The probe reports what was planted, layer by layer, for every kind of model that can be looked into."""

import numpy as np
import pytest
import transformers

from auditkit import data
from auditkit.errors import DataError
from auditkit.explain.attention import ROLES
from auditkit.explain.group_texts import FRAMES, GROUPS, group_texts
from auditkit.explain.logit_lens import LayerPredictions
from auditkit.models.masked_lm import MaskedLM
from auditkit.probes.introspection import Introspection
from auditkit.testing import check_probe
from tests.explain.test_attention import char_gpt
from tests.models.conftest import SMALL, build, word_piece_tokenizer
from tests.privacy.tiny_models import classifier, gpt2, sentence_encoder

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ -,.'\n0123456789"


def bert():
    """A tiny BERT that can read whole sentences letter by letter."""
    tokenizer = word_piece_tokenizer()
    tokenizer.model_max_length = 200
    config = transformers.BertConfig(**SMALL, max_position_embeddings=200, vocab_size=len(tokenizer))
    return MaskedLM(build(transformers.AutoModelForMaskedLM, config), tokenizer, name="tiny-bert")


def measured(model, **options):
    result = Introspection(max_texts=5, **options).measure(model, np.random.default_rng(0))
    return {m.id.removeprefix("introspection/"): m for m in result.measurements}


@pytest.mark.slow
@pytest.mark.parametrize("make", [bert, gpt2, classifier, sentence_encoder, char_gpt], ids=lambda f: f.__name__)
def test_every_kind_of_model_conforms(make):
    model = make()
    check_probe(Introspection(max_texts=5), model)


def test_what_a_masked_model_shows():
    model = bert()
    before = model.module.config._attn_implementation
    found = measured(model)
    assert model.module.config._attn_implementation == before
    metrics = {id.rsplit("/", 1)[1] for id in found}
    assert metrics == {
        *("entropy", "heads", "gradient_agreement", "accuracy_on_new_words", "accuracy", "selectivity", "pronoun_slope")
    }
    assert all(m.status == "ok" and m.interval is not None for m in found.values())
    assert {id for id in found if id.endswith("/heads")} == {f"{r}/heads" for r in ROLES}
    assert sum(id.startswith("gender/layer_") for id in found) == 3 * 3  # what enters, and two blocks; three metrics
    null = found["gender/layer_1/accuracy_on_new_words"].details["validity"]["null"]
    assert len(null["values"]) == 3
    grid = found["layer_1/entropy"].details["head_grid"]
    assert np.shape(grid["entropy"]) == np.shape(grid["roles"]) == (2, 4)


def test_a_model_without_predictions_says_why_it_has_no_agreement():
    found = measured(sentence_encoder())
    for id in ("attention/gradient_agreement", "all/pronoun_slope"):
        assert found[id].status == "skipped"
        assert found[id].details["reason"]
    assert found["gender/layer_0/accuracy"].status == "ok"


def test_a_planted_group_is_reported_in_its_layer_alone(monkeypatch):
    rng = np.random.default_rng(0)

    def planted(model, texts, spans):
        group = np.array([r.group == "a" for g in GROUPS for r in group_texts(g) if r.text in set(texts)])[: len(texts)]
        vectors = rng.normal(size=(3, len(texts), 12))
        if model.name == "tiny-bert":  # not in the random-weights twins
            vectors[1, :, 0] += 8.0 * group
        return vectors

    monkeypatch.setattr("auditkit.explain.introspection.layer_vectors", planted)
    found = measured(bert())
    for groups in GROUPS:
        shares = [found[f"{groups.name}/layer_{k}/accuracy_on_new_words"] for k in range(3)]
        assert shares[1].value > 95
        assert shares[1].details["p_value_any_layer"] == pytest.approx(0.01)
        assert abs(shares[1].details["validity"]["null"]["mean"] - 50) < 15
        for other in (shares[0], shares[2]):
            assert other.value < 75
            assert other.details["p_value_any_layer"] > 0.05
        gains = [found[f"{groups.name}/layer_{k}/selectivity"] for k in range(3)]
        assert gains[1].interval.low > 20
        assert 0 in gains[0].interval


def test_a_planted_slope_is_reported_in_its_layer(monkeypatch):
    shares = {o.title: o.female_share for o in data.load("builtin_occupations").items}
    rng = np.random.default_rng(0)

    def planted(model, texts, words):
        noise = rng.normal(scale=0.1, size=(len(texts), 3))
        rising = np.array([next(s for t, s in shares.items() if f" {t} " in f"{text} ") for text in texts])
        she = noise + (2.0 * rising[:, None] * np.arange(3) if model.name == "tiny-bert" else 0)
        return LayerPredictions(tuple(words), np.stack([she, np.zeros_like(she)], axis=2), [])

    monkeypatch.setattr("auditkit.explain.logit_lens.logit_lens", planted)
    found = measured(bert())
    for layer, slope in enumerate((0, 2, 4)):
        m = found[f"layer_{layer}/pronoun_slope"]
        assert m.value == pytest.approx(slope, abs=0.2)
        assert slope in m.interval
        assert m.details["validity"]["null"]["mean"] == pytest.approx(0, abs=0.2)


def test_frames_and_words_are_crossed_and_name_no_group_themselves():
    for groups in GROUPS:
        rows = group_texts(groups)
        assert len(rows) == len(FRAMES) * (len(groups.a) + len(groups.b))
        assert len(groups.a) == len(groups.b) == len(set(groups.a)) == len(set(groups.b))
        for row in rows:
            assert row.text[slice(*row.span)] == row.word
            assert row.text[: row.span[0]] + "{}" + row.text[row.span[1] :] == row.frame
    gendered = {"he", "she", "his", "her", "him", "himself", "herself", "man", "woman"}
    assert not gendered & {word.strip(".").lower() for frame in FRAMES for word in frame.split()}


def test_bad_options_are_named(tmp_path):
    with pytest.raises(DataError, match="max_texts = 3; expected at least 4"):
        Introspection(max_texts=3)
