"""Counterfactual augmentation: a swapped text is judged like the text itself."""

import dataclasses

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.mitigation.augmentation import CounterfactualAugmentation, swapped_texts
from auditkit.mitigation.baseline import LogisticBaseline, fit_logistic
from auditkit.mitigation.network import Training
from auditkit.mitigation.regularizer import PAIRING, FairnessRegularizer
from auditkit.mitigation.swaps import Swapper


class ReadsMerit:
    """An encoder that sees three things in a text: she, he, and a number."""

    def embed(self, texts):
        rows = [["She" in t.split(), "He" in t.split(), float((t.split() or ["0"])[-1])] for t in texts]
        return np.array(rows, dtype=np.float32).reshape(-1, 3)


@pytest.fixture
def told(made_up):
    """People described in words, with an encoder and a swapper."""

    def make(n, *, seed=0):
        people, encoder = made_up(n, seed=seed), ReadsMerit()
        who = {"A": "He", "B": "She"}
        merits = people.features[:, 0]
        texts = [f"{who[g]} has a merit of {m:.3f}" for g, m in zip(people.groups("group"), merits, strict=True)]
        features = np.asarray(encoder.embed(texts), dtype=np.float64)
        return dataclasses.replace(people, texts=tuple(texts), features=features), encoder, Swapper()

    return make


def flipped(decider, people, encoder, swapper):
    """The share of people about whom the decision turns when their text is swapped."""
    twins = dataclasses.replace(people, features=encoder.embed(swapped_texts(people, swapper)[0]))
    return (decider.decide(people) != decider.decide(twins)).mean()


def test_decisions_no_longer_turn_when_the_text_is_swapped(told, gap, rng):
    train, encoder, swapper = told(1500)
    test = told(1500, seed=1)[0]
    before = LogisticBaseline().fit(train, sensitive="group", rng=rng)
    method = CounterfactualAugmentation(encoder=encoder, swapper=swapper)
    after = method.fit(train, sensitive="group", rng=rng)
    assert flipped(before, test, encoder, swapper) > 0.3
    assert flipped(after, test, encoder, swapper) < 0.05
    assert gap(after.decide(test), test) < 0.3 * gap(before.decide(test), test)
    assert (after.decide(test) == test.label).mean() > 0.6  # what the texts say of merit still counts


def test_everybody_counts_once_in_all(told, rng):
    people, encoder, swapper = told(300)
    texts = tuple(t if i % 2 else t.replace("She", "Kim").replace("He", "Kim") for i, t in enumerate(people.texts))
    people = dataclasses.replace(people, texts=texts, features=encoder.embed(texts))
    found = CounterfactualAugmentation(encoder=encoder, swapper=swapper).fit(people, sensitive="group", rng=rng)
    # The same by hand: both texts of everybody with one half each, whether they differ or not.
    twins = encoder.embed([swapper.swap(t).text for t in texts])
    both, half = np.concatenate([people.features, twins]), np.full(600, 0.5)
    expected = fit_logistic(both, np.concatenate([people.label, people.label]), half)
    again = found.classifier.predict_proba(people.features)
    # They differ only in how features are standardised, which the weak penalty hardly notices.
    np.testing.assert_allclose(again, expected.predict_proba(people.features), atol=0.01)


def test_texts_that_are_missing_or_say_nothing_of_the_group(told, made_up, rng):
    people, encoder, swapper = told(100)
    method = CounterfactualAugmentation(encoder=encoder, swapper=swapper)
    with pytest.raises(DataError, match="features='text'"):
        method.fit(made_up(500), sensitive="group", rng=rng)
    silent = dataclasses.replace(people, texts=tuple("Somebody has a merit of 1.0" for _ in people.texts))
    with pytest.raises(DataError, match="none of 100 texts is changed"):
        method.fit(silent, sensitive="group", rng=rng)


def test_an_encoder_that_is_not_theirs(told, rng):
    people, encoder, swapper = told(100)
    other = dataclasses.replace(people, features=people.features + 0.1)
    with pytest.raises(DataError, match="the encoder that the task was made with"):
        CounterfactualAugmentation(encoder=encoder, swapper=swapper).fit(other, sensitive="group", rng=rng)


def test_people_it_cannot_learn_from(spoiled, told, rng):
    people, message = spoiled
    _, encoder, swapper = told(10)
    with pytest.raises(DataError, match=message):
        CounterfactualAugmentation(encoder=encoder, swapper=swapper).fit(people, sensitive="group", rng=rng)


def test_logit_pairing_of_texts_uses_the_swapped_texts(told):
    people, encoder, swapper = told(1000)
    swapped = dataclasses.replace(people, features=encoder.embed(swapped_texts(people, swapper)[0]))
    options = {"penalty": PAIRING, "encoder": encoder, "swapper": swapper, "training": Training(hidden=(), epochs=12)}
    moved = []
    for strength in (0.0, 10.0):
        method = FairnessRegularizer(strength=strength, **options)
        found = method.fit(people, sensitive="group", rng=np.random.default_rng(0))
        moved.append(np.abs(found.scores(people) - found.scores(swapped)).mean())
    assert moved[0] > 0.2
    assert moved[1] < 0.1 * moved[0]


def test_who_is_described_in_words_that_can_be_read_in_two_ways_has_no_twin(told, rng):
    people, encoder, swapper = told(200)
    texts = tuple(f"I saw her duck. {t}" if i < 30 else t for i, t in enumerate(people.texts))
    people = dataclasses.replace(people, texts=texts, features=np.asarray(encoder.embed(texts), dtype=np.float64))
    twins, unsure = swapped_texts(people, swapper)
    assert unsure == 30
    assert twins[:30] == texts[:30]
    assert all(twin != text for twin, text in zip(twins[30:], texts[30:], strict=True))
    decider = CounterfactualAugmentation(encoder=encoder, swapper=swapper).fit(people, sensitive="group", rng=rng)
    assert decider.about == {"texts_swapped": 170, "texts_left_unsure": 30}
