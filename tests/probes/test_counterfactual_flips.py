"""A classifier that looks at group words is found; one that does not has exactly 0."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from auditkit.errors import DataError, InputError, MissingCapability, UnknownName
from auditkit.probes.base import generator
from auditkit.probes.counterfactual_flips import CounterfactualFlips
from auditkit.testing import check_probe
from tests.explain.explained_models import linear_bag


class BagOfWords:
    """Adds the weight of each word of a text to the log-odds of "yes"."""

    task, labels, name = "classifier", ("no", "yes"), "bag of words"

    def __init__(self, **weights):
        self.weights, self.notices = weights, Counter()

    def classify(self, texts):
        odds = [sum(self.weights.get(w.strip(".").lower(), 0.0) for w in t.split()) for t in texts]
        yes = 1 / (1 + np.exp(-np.array(odds, dtype=float).reshape(-1)))
        return np.stack([1 - yes, yes], axis=1)

    def describe(self):
        rest = dict.fromkeys(("device", "dtype", "parameters", "context", "revision"))
        return {
            "name": self.name,
            "task": self.task,
            "architecture": "words",
            "weights_sha256": str(self.weights),
            **rest,
        }

    def randomized(self, seed):
        rng = np.random.default_rng(seed)
        return BagOfWords(**{w: float(rng.normal()) for w in ("she", "he", "cook", "doctor", "very")})


WOMEN = [f"She is a {'very ' * i}good {job}." for i in range(10) for job in ("cook", "doctor")]
MEN = [f"He is a {'very ' * i}bad {job}." for i in range(10) for job in ("cook", "doctor")]
NOBODY = ["It rains.", "The train is late.", "Snow."]


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.csv"
    pd.DataFrame({"text": [*WOMEN, *MEN, *NOBODY]}).to_csv(path, index=False)
    return str(path)


def measured(model, data, **options):
    result = check_probe(CounterfactualFlips(data=data, **options), model)
    return {m.id.removeprefix("counterfactual_flips/"): m for m in result.measurements}


def test_weight_on_she_is_found(texts):
    # Without "she" every text has odds of exactly 1 : e^1 or e^-1 by occupation; "she" turns the doctors only.
    model = BagOfWords(she=-2.0, doctor=1.0, cook=-1.0)
    found = measured(model, texts)
    rate = found["gender/flip_rate"]
    assert (rate.value, rate.n) == (50.0, 40)  # every doctor, no cook
    assert rate.value in rate.interval
    assert found["gender/decision_gap"].value == -50.0
    assert found["gender/decision_gap"].details["only_second"] == 20
    assert found["gender/decision_gap"].details["p_value"] == pytest.approx(2 * 0.5**20)
    change = 100 * np.mean([sigmoid(-1) - sigmoid(1), sigmoid(-3) - sigmoid(-1)])
    assert found["gender/probability_gap"].value == pytest.approx(change)
    assert found["gender/probability_gap"].interval.high < 0
    for direction in ("women_to_men", "men_to_women"):
        assert (found[f"gender/flip_rate_{direction}"].value, found[f"gender/flip_rate_{direction}"].n) == (50.0, 20)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_no_weight_on_group_words_is_exactly_zero(texts):
    found = measured(BagOfWords(doctor=1.0, cook=-1.0, very=0.5), texts)
    assert {m.value for m in found.values()} == {0.0}
    assert found["gender/flip_rate"].interval.low == 0
    assert 0 < found["gender/flip_rate"].interval.high < 15
    assert found["gender/decision_gap"].details["p_value"] == 1


def test_directions_differ_where_only_women_are_turned(tmp_path):
    path = tmp_path / "texts.csv"
    pd.DataFrame({"text": [*(t for t in WOMEN if "doctor" in t), *(t for t in MEN if "cook" in t)]}).to_csv(path)
    found = measured(BagOfWords(she=-2.0, doctor=1.0, cook=-1.0), str(path))
    assert found["gender/flip_rate_women_to_men"].value == 100
    assert found["gender/flip_rate_men_to_women"].value == 0


def test_what_was_not_swapped_is_counted(texts):
    model = BagOfWords(she=1.0)
    CounterfactualFlips(data=texts).measure(model, generator(0, "p"))
    assert model.notices["texts without a word to swap (gender)"] == 3
    model = BagOfWords(she=1.0)
    result = CounterfactualFlips(data=texts, limit=10).measure(model, generator(0, "p"))
    assert model.notices["texts left out by limit=10"] == 33
    assert result.measurements[0].n <= 10


def test_pronouns_decided_by_rule_are_counted(tmp_path):
    path = tmp_path / "texts.csv"
    pd.DataFrame({"text": ["She lost her keys.", "I saw him."]}).to_csv(path)
    model = BagOfWords(she=1.0)
    result = CounterfactualFlips(data=str(path)).measure(model, generator(0, "p"))
    assert result.measurements[0].details["rule_decided"] == 1
    assert result.measurements[0].details["words"] == 3
    assert model.notices["pronouns (her, his) swapped by rule (gender)"] == 1


def test_texts_whose_swap_is_unsure_are_left_out_and_counted(tmp_path):
    path = tmp_path / "texts.csv"
    unsure = [f"She is a {'very ' * i}good cook. I saw her duck." for i in range(5)]
    pd.DataFrame({"text": [*WOMEN, *unsure, *NOBODY]}).to_csv(path, index=False)
    model = BagOfWords(she=-2.0, doctor=1.0, cook=-1.0)
    found = measured(model, str(path))
    assert (found["gender/left_unsure"].value, found["gender/left_unsure"].n) == (20.0, 25)
    assert 20.0 in found["gender/left_unsure"].interval
    assert (found["gender/flip_rate"].value, found["gender/flip_rate"].n) == (50.0, 20)
    assert found["gender/flip_rate"].details["left_unsure"] == 5
    assert model.notices["texts left out, since the swap of a sentence is unsure (gender)"] >= 5
    pd.DataFrame({"text": unsure}).to_csv(path, index=False)
    found = measured(model, str(path))
    assert found["gender/flip_rate"].status == "undefined"
    assert "surely exchanges (5 hold one whose swap is unsure)" in found["gender/flip_rate"].details["reason"]


def test_no_text_of_a_kind_is_undefined_and_says_why(texts):
    found = measured(BagOfWords(she=1.0), texts, kinds=("gender", "religion"))
    assert found["religion/flip_rate"].status == "undefined"
    assert "none of the 43 texts" in found["religion/flip_rate"].details["reason"]
    assert found["gender/flip_rate"].status == "ok"


def test_texts_are_shown_on_request_only(texts):
    rows = measured(BagOfWords(she=-2.0), texts)["gender/flip_rate"].details["extremes"]
    assert not any("good" in r["a"] for r in rows)
    assert {r["a"].split(" in ")[0] for r in rows} <= {"She", "He"}
    rows = measured(BagOfWords(she=-2.0), texts, redact=False)["gender/flip_rate"].details["extremes"]
    assert any(r["a"] in WOMEN + MEN and r["b"] != r["a"] for r in rows)


def test_the_null_comes_from_random_weights(texts):
    null = measured(BagOfWords(doctor=1.0), texts)["gender/flip_rate"].details["validity"]["null"]
    assert null["seeds"] == [0, 1, 2]
    assert max(null["values"]) > 0


def linear(**weights):
    """A classifier with weights: the log-odds of "good" are the sum of those of its words."""
    model = linear_bag()
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.zero_()
        model.module.head.weight[1, 0] = 1
        for word, weight in weights.items():
            model.module.words.weight[model.tokenizer.convert_tokens_to_ids(word), 0] = weight
    return model


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.csv"
    lines = [f"the {job} said that {who} was tired ." for job in ("doctor", "nurse") for who in ("she", "he")]
    pd.DataFrame({"text": lines}).to_csv(path, index=False)
    return str(path)


def test_of_changed_decisions_the_share_of_the_exchanged_words_is_exact_where_it_is_known(people):
    share = measured(linear(she=3.0, he=-3.0, doctor=1.0), people)["gender/attribution_share"]
    assert share.n == 4  # every decision changes
    assert share.value == pytest.approx((75 + 75 + 100 + 100) / 4)
    assert share.details["words"] == {"he": 87.5, "she": 87.5}
    assert share.details["even_share"] == pytest.approx(100 / 8)  # one of eight words, the full stop among them


def test_a_decision_that_hangs_on_other_words_gives_the_exchanged_ones_little(people):
    share = measured(linear(she=0.1, he=-0.1, doctor=5.0, said=-5.0), people)["gender/attribution_share"]
    assert share.n == 2  # the doctors', where the rest is even
    assert share.value == pytest.approx(100 * 0.1 / 10.1)


def test_without_a_changed_decision_there_is_none_to_explain(people):
    share = measured(linear(doctor=1.0, nurse=-1.0), people)["gender/attribution_share"]
    assert share.status == "undefined"
    assert "none of 4 decisions changed" in share.details["reason"]
    assert "gender/attribution_share" not in measured(linear(she=3.0), people, explained=0)


def test_a_model_without_gradients_says_so(people, monkeypatch):
    def refuse(*args, **options):
        raise MissingCapability("no gradients")

    monkeypatch.setattr("auditkit.explain.attribute", refuse)
    share = measured(linear(she=3.0, he=-3.0), people)["gender/attribution_share"]
    assert (share.status, share.details["reason"]) == ("undefined", "no gradients")


def test_a_classifier_without_weights_is_not_explained(texts):
    assert "gender/attribution_share" not in measured(BagOfWords(she=-2.0), texts)


@pytest.mark.parametrize(
    ("table", "options", "error", "message"),
    [
        ({"words": ["She left."]}, {}, DataError, "'text'"),
        ({"text": [None, "She left."]}, {}, DataError, "empty cell"),
        ({"text": ["She left.", "He left."], "id": [1, 1]}, {}, DataError, "id 1 appears twice"),
        ({"text": ["She left."]}, {"positive": "maybe"}, UnknownName, "yes"),
    ],
)
def test_bad_tables(tmp_path, table, options, error, message):
    path = tmp_path / "t.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    with pytest.raises(error, match=message):
        CounterfactualFlips(data=str(path), **options).measure(BagOfWords(), generator(0, "p"))


def test_bad_options():
    with pytest.raises(UnknownName, match="gender"):
        CounterfactualFlips(kinds=("sex",))
    with pytest.raises(InputError, match="limit=0"):
        CounterfactualFlips(limit=0)
    with pytest.raises(DataError, match="needs texts"):
        CounterfactualFlips().measure(BagOfWords(), generator(0, "p"))
