"""Harm behind an unchanged average: planted it is found, absent it is not; and what follows has three values."""

import numpy as np
import pytest

from auditkit.compression.findings import Findings
from auditkit.compression.hidden_harm import judge
from auditkit.compression.paired_points import add_worsenings
from auditkit.compression.pareto import Point, front, recommend
from auditkit.compression.quality import Equivalence, add_change
from auditkit.compression.sweeps import sweep
from auditkit.measurement import Interval, Measurement
from auditkit.probes.base import ItemScore, ProbeResult
from tests.compression.fragile import fragile_classifier, prune_all_but_the_large, texts
from tests.compression.test_quality import invented

OPTIONS = {"costs": False}
ID = "compression/magnitude"


def judged(exam, dense, point, group_margin=2.0, **about):
    findings = Findings("c/p", 0)
    overall = add_change(findings, exam, dense, point)
    for group in exam.texts.members():
        add_change(findings, exam, dense, point, group=group)
    judge(findings, overall, group_margin, about)
    return {m.id.removeprefix("c/p/"): m for m in findings.measurements}


@pytest.fixture(scope="module")
def planted():
    model = fragile_classifier()
    lines, labels, groups = texts()
    spec = prune_all_but_the_large(model)
    return sweep(model, [spec], texts=lines, labels=labels, groups=groups, **OPTIONS)


def of_point(report, name):
    return next(m for m in report.measurements if m.id.startswith(ID) and m.id.endswith(f"/{name}"))


def test_a_rare_group_that_hangs_on_small_weights_is_found(planted):
    assert planted["compression/dense/accuracy"].value == 100
    change = of_point(planted, "quality_loss")
    assert change.value == pytest.approx(1.0)
    assert change.details["verdict"] == "equivalent"
    assert of_point(planted, "group=few/accuracy").value == 0
    harms = of_point(planted, "hidden_harms")
    assert harms.value == 1
    (harm,) = harms.details["harms"]
    assert (harm["what"], harm["value"]) == ("few", 100.0)
    assert harm["low"] > 0
    assert harm["p_value_holm"] < 0.05
    assert of_point(planted, "group=few/quality_loss").details["comparisons"] == 2


def test_then_no_point_is_safe_and_the_text_says_who_is_harmed(planted):
    safe, recommendation = of_point(planted, "safe"), planted["compression/all/recommendation"]
    assert safe.value == 0
    assert recommendation.value == 0
    assert recommendation.details["point"] is None
    assert "few" in recommendation.details["text"]
    assert of_point(planted, "group=few/exemplar_ratio").interval.low > 1


def test_the_same_loss_dealt_out_at_random_is_no_harm():
    lines, labels, groups = texts()
    model = fragile_classifier()
    dealt = np.random.default_rng(3).permutation(groups).tolist()
    report = sweep(model, [prune_all_but_the_large(model)], texts=lines, labels=labels, groups=dealt, **OPTIONS)
    assert of_point(report, "quality_loss").value == pytest.approx(1.0)
    assert of_point(report, "hidden_harms").value == 0
    assert of_point(report, "safe").value == 1


@pytest.mark.slow
def test_random_groups_are_called_harmed_in_at_most_a_twentieth_of_the_sweeps():
    """As many answers are lost as won, 8 % each, whatever the group; every group's loss may be ever so small."""
    rng, found, runs = np.random.default_rng(11), 0, 150
    for _ in range(runs):
        right = np.arange(400) < 200
        point = right ^ (rng.random(400) < 0.08)
        exam, dense, after = invented(right, point, rng.choice(list("abcd"), 400).tolist(), margin=50.0)
        found += judged(exam, dense, after, group_margin=0.0)["hidden_harms"].value > 0
    assert found / runs <= 0.05 + 2 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.parametrize(
    ("lost", "n", "safe", "hidden"),
    [(0, 400, "yes", 0.0), (0, 60, "open", 0.0), (40, 400, "no", 0.0)],
)  # fmt: skip
def test_three_values(lost, n, safe, hidden):
    found = judged(*invented([1] * n, [0] * lost + [1] * (n - lost), ["a", "b"] * (n // 2)))
    assert found["safe"].details["safe"] == safe
    assert found["safe"].value == {"yes": 1.0, "no": 0.0, "open": None}[safe]
    assert found["hidden_harms"].value == hidden


def test_a_harm_behind_an_open_average_is_open_too_and_never_safe():
    exam, dense, point = invented([1] * 90, [0] * 8 + [1] * 82, ["few"] * 8 + ["many"] * 82, margin=10.0)
    found = judged(exam, dense, point)
    assert found["quality_loss"].details["verdict"] in ("inconclusive", "worse")
    assert found["safe"].value == 0
    assert [h["what"] for h in found["hidden_harms"].details["harms"]] == ["few"]


def test_a_probe_that_failed_at_the_point_leaves_it_open():
    exam, dense, _ = invented([1] * 9, [1] * 9)
    failed = [{"probe": "membership", "status": "error", "reason": "crash", "notices": {}}]
    found = judged(exam, dense, dense, probes=failed)
    assert found["safe"].value is None
    assert "failed at this point: membership" in found["safe"].details["reason"]


def test_what_was_measured_of_the_dense_model_and_not_at_the_point_leaves_it_open():
    def leak(value):
        items = [ItemScore("leak/auc", str(i), v) for i, v in enumerate([value] * 9)] if value else []
        about = {"interval": Interval(0, 1), "n": 9} if value else {"status": "undefined", "details": {"reason": "NaN"}}
        return ProbeResult([Measurement(id="leak/auc", value=value, ideal=0.5, method="m", source="s", **about)], items)

    for dense, point, safe in ((0.7, None, "open"), (None, None, "yes"), (0.7, 0.7, "yes")):
        findings = Findings("c/p", 0)
        add_worsenings(findings, leak(dense), leak(point), same_model=False)
        judge(findings, Equivalence("equivalent", 0.0, "told"), 2.0, {})
        found = findings.measurements[-1]
        assert found.details["safe"] == safe
        assert ("without a value at this point: leak/auc" in found.details["reason"]) == (safe == "open")


def test_groups_too_small_to_tell_are_named():
    groups = ["few"] * 3 + ["many"] * 597
    exam, dense, point = invented([1] * 600, [1] * 300 + [0] + [1] * 299, groups)
    for changed in ([], [0]):  # of three people, none judged otherwise shows as little as one
        point.top[changed] = 0
        found = judged(exam, dense, point)
        assert found["hidden_harms"].details["unresolved"] == ["c/p/group=few/quality_loss"]
        assert "1 group(s) are too small" in found["safe"].details["reason"]
        assert (found["safe"].value, found["safe"].details["safe"]) == (None, "open")


def test_with_groups_large_enough_to_tell_a_point_is_safe():
    exam, dense, point = invented([1] * 1200, [1] * 300 + [0] + [1] * 899, ["one", "other"] * 600)
    found = judged(exam, dense, point)
    assert found["hidden_harms"].details["unresolved"] == []
    assert (found["safe"].value, found["safe"].details["safe"]) == (1, "yes")


def test_a_bias_measurement_that_gets_worse_is_a_harm_whatever_its_size():
    findings = Findings("c/p", 0)
    for name, low in (("leak", 0.01), ("bias", -0.01)):
        findings.add(
            f"{name}/worsening", 0.05, interval=Interval(low, 0.09), n=9, ideal=0.0, method="m", source="s",
            details={"candidate": "probe", "of": name, "p_value": 0.01 if low > 0 else 0.2},
        )  # fmt: skip
    judge(findings, Equivalence("equivalent", 0.0, "told"), 2.0, {})
    harms = findings.measurements[-2].details["harms"]
    assert [h["what"] for h in harms] == ["leak"]


# --- the front --------------------------------------------------------------------------------------------------


def point(slug, size, loss, *, safe="yes", **intervals):
    values = {"bytes_in_memory": size, "quality_loss": loss}
    found = {
        name: Measurement(id=f"c/{slug}/{name}", value=v, n=1, status="undefined" if v is None else "ok", method="m")
        for name, v in values.items()
    }
    found["bytes_on_disk"] = found["bytes_in_memory"]
    found["safe"] = Measurement(id="c/s", value=1.0, n=1, details={"safe": safe, "reason": f"told {safe}"})
    return Point(slug, slug, found)


AXES = ("bytes_in_memory", "quality_loss")


def test_the_front_is_of_points_that_nothing_beats():
    points = [
        point("dense", 100.0, 0.0), point("good", 25.0, 0.1), point("beaten", 30.0, 0.2), point("nan", 10.0, None),
        point("tiny", 12.0, 0.9), point("twin", 25.0, 0.1),
    ]  # fmt: skip
    assert front(points, AXES) == [True, True, False, False, True, True]


def accurate(slug, size, accuracy):
    return Point(
        slug,
        slug,
        point(slug, size, 0.0).measurements | {"accuracy": Measurement(id="c/accuracy", value=accuracy, n=1)},
    )


def test_on_an_axis_where_more_is_better_the_front_and_the_choice_are_of_the_highest():
    points = [accurate("dense", 100.0, 90.0), accurate("good", 50.0, 89.0), accurate("beaten", 60.0, 80.0)]
    assert front(points, ("bytes_in_memory", "accuracy")) == [True, True, False]
    assert recommend(points, ("accuracy", "bytes_in_memory"))[0].slug == "good"


def test_the_smallest_safe_point_is_recommended_and_a_smaller_open_one_is_not():
    points = [
        point("dense", 100.0, 0.0),
        point("a", 50.0, 0.0),
        point("b", 25.0, 0.1, safe="open"),
        point("c", 70.0, 0),
    ]
    chosen, text = recommend(points, AXES)
    assert chosen is points[1]
    assert "0.50x bytes in memory" in text


def test_a_safe_point_that_gains_nothing_is_not_recommended():
    chosen, text = recommend([point("dense", 100.0, 0.0), point("same", 100.0, 0.0)], AXES)
    assert chosen is None
    assert "neither smaller nor faster" in text
    chosen, text = recommend([point("dense", 100.0, 0.0), point("bad", 9.0, 3.0, safe="no")], AXES)
    assert chosen is None
    assert text == "no point is shown to be safe. bad: told no"
