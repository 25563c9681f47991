"""A planted rule is read off the report's rules and anchors; a model that says the same of every text has none."""

import json

import pytest

from auditkit.errors import DataError, InputError
from auditkit.probes.base import generator
from auditkit.probes.surrogate import RuleSurrogate
from auditkit.testing import FakeClassifier, check_probe
from tests.explain.test_surrogate import ByRule, good_but_not_boring, reviews

REVIEWS = tuple(reviews())


def measured(model, **options):
    probe = RuleSurrogate(**options)
    found = probe.measure(model, generator(0, probe.id)).measurements
    return {m.id.removeprefix("surrogate/"): m for m in found}


def test_a_planted_rule_is_found_and_true_of_held_out_texts():
    found = measured(ByRule(good_but_not_boring), texts=REVIEWS, anchored=6)
    assert (found["tree/fidelity"].value, found["tree/gain"].unit) == (100, "points")
    assert found["tree/gain"].interval.low > 0
    rules = [r["rule"] for r in found["tree/fidelity"].details["rules"]]
    assert "texts with 'good' and without 'boring': positive" in rules
    assert found["tree/fidelity"].n == sum(r["texts"] for r in found["tree/fidelity"].details["rules"])
    anchors = found["anchors/found"].details["anchors"]
    assert len(anchors) == found["anchors/found"].n == 6
    positive = [a for a in anchors if a["label"] == "positive" and a["sure"]]
    assert all("good" in a["words"] for a in positive)


def test_only_sure_anchors_are_counted():
    """Of a label that hangs on the number of words, no four words are an anchor."""
    found = measured(ByRule(lambda words: len(words) % 2 == 0), texts=REVIEWS, anchored=6)["anchors/found"]
    sure = [a["sure"] for a in found.details["anchors"]]
    assert found.value == 100 * sum(sure) / 6
    assert not all(sure)


def test_of_noise_the_rules_say_nothing():
    found = measured(ByRule(good_but_not_boring, noise=0.5), texts=REVIEWS, anchored=0)
    interval = found["tree/gain"].interval
    assert interval.low <= 0 <= interval.high or found["tree/gain"].value < 5
    assert "anchors/found" not in found


def test_a_model_that_says_the_same_of_every_text_has_no_rules():
    found = measured(ByRule(lambda words: True), texts=REVIEWS)
    assert [m.status for m in found.values()] == ["undefined", "undefined"]
    assert "tells apart" in found["tree/fidelity"].details["reason"]


def test_texts_come_from_a_file_or_from_pairs(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(REVIEWS) + "\n\n")
    model = ByRule(good_but_not_boring)
    from_file = measured(model, texts=str(path), anchored=0)
    assert from_file == measured(model, texts=REVIEWS, anchored=0)
    assert measured(ByRule(lambda words: "he" in words), anchored=0)["tree/fidelity"].value > 90


def test_the_probe_keeps_the_contract():
    check_probe(RuleSurrogate(texts=REVIEWS, anchored=2), FakeClassifier())
    json.dumps([m.to_json() for m in measured(ByRule(good_but_not_boring), texts=REVIEWS, anchored=2).values()])


def test_bad_input():
    with pytest.raises(InputError, match="depth=0"):
        RuleSurrogate(depth=0)
    with pytest.raises(InputError, match=r"cannot read 'nowhere\.txt'"):
        measured(ByRule(good_but_not_boring), texts="nowhere.txt")
    with pytest.raises(DataError, match="3 distinct texts"):
        measured(ByRule(good_but_not_boring), texts=("a good one", "b", "c"))
