"""What a fresh model can tell of people's groups: nothing, everything, and what only a nonlinear one finds."""

import math

import numpy as np
import pytest

from auditkit.errors import DataError
from auditkit.mitigation import traces
from auditkit.mitigation.comparison import compare
from auditkit.mitigation.erasure import LEACE
from auditkit.mitigation.reweighing import Reweighing
from auditkit.mitigation.task import Split, Task

KINDS = list(traces.KINDS)


def groups_of(n, rng, names="AB", p=None):
    return rng.choice(list(names), n, p=p).astype(object)


def told(learn, judge, kind, seed=0):
    return traces.tell(learn, judge, kind, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_say_nothing_tell_nothing(kind, rng):
    learn, judge = ((rng.normal(size=(4000, 3)), groups_of(4000, rng)) for _ in range(2))
    found = told(learn, judge, kind).information(rng)
    assert found.value < 0.5
    assert found.interval.low < 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1)])
def test_features_that_name_the_group_tell_everything(kind, shares, rng):
    def people():
        groups = groups_of(3000, rng, p=shares)
        return np.column_stack([10.0 * (groups == "A"), rng.normal(size=3000)]), groups

    found = told(people(), people(), kind).information(rng)
    assert found.value > 98
    assert 97 < found.interval.low < found.interval.high <= 100


def test_the_share_is_that_of_the_bits_there_are_to_know(rng):
    """A binary symmetric channel: of 1 bit, the flipped feature tells 1 - H(flip)."""

    def people(n):
        groups = groups_of(n, rng)
        return ((groups == "A") ^ (rng.random(n) < 0.2))[:, None].astype(float), groups

    entropy = -(0.2 * math.log2(0.2) + 0.8 * math.log2(0.8))
    found = told(people(8000), people(20_000), "linear").information(rng)
    assert found.value == pytest.approx(100 * (1 - entropy), abs=1.5)
    assert 100 * (1 - entropy) in found.interval


def curved(n, seed):
    """Of the groups' four blobs no line tells anything (exclusive or), and a tree everything."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], size=(n, 2))
    groups = np.where(signs.prod(axis=1) > 0, "A", "B").astype(object)
    features = np.column_stack([signs + 0.2 * rng.normal(size=(n, 2)), (groups == "A") + 0.3 * rng.normal(size=n)])
    label = features[:, 0] + rng.normal(size=n) > 0
    return Split(features, label, {"group": groups}, None, np.arange(n).astype(object))


def test_leace_hides_from_linear_models_what_a_nonlinear_one_finds():
    task = Task("curved", curved(3000, 0), curved(3000, 1), ("x", "y", "z"), "made up")
    report = compare(task, [LEACE(), Reweighing()], sensitive="group")
    linear, nonlinear = (report[f"mitigation/leace/group_told_by_{kind}"] for kind in KINDS)
    assert abs(linear.value) < 0.1
    assert nonlinear.value > 90
    assert nonlinear.details["read_from"] == "representation"
    # Against the features that the model without mitigation decides by, not against its score.
    change = report["mitigation/leace/group_told_by_linear_change"]
    assert change.details["before_from"] == "features"
    assert change.details["before"] > 50
    assert change.value == pytest.approx(linear.value - change.details["before"])
    assert change.interval.high < -50
    assert abs(report["mitigation/leace/group_told_by_nonlinear_change"].value) < 10
    assert report["mitigation/reweighing/group_told_by_linear_change"].details["before_from"] == "score"
    before = report["mitigation/logistic_regression/group_told_by_linear"].value
    assert report["mitigation/reweighing/group_told_by_linear_change"].details["before"] == before


def test_the_change_is_paired_person_by_person(rng):
    learn, judge = ((g[:, None], groups) for g, groups in ((rng.normal(size=900), groups_of(900, rng)) for _ in "ab"))
    one = told(learn, judge, "linear")
    same = one.change(one, rng)
    assert (same.value, same.interval.low, same.interval.high) == (0, 0, 0)
    noisy = traces.Told(one.shares + rng.normal(1, 0.1, size=900))
    found = noisy.change(one, rng)
    assert found.interval.high - found.interval.low < 0.05  # far narrower than either alone


def test_three_groups_are_measured_against_the_bits_of_three(rng):
    def people():
        groups = groups_of(3000, rng, names="ABC", p=(0.5, 0.25, 0.25))
        return 8.0 * (groups == "A")[:, None] + rng.normal(size=(3000, 1)), groups

    # 1.5 bits, of which "A or not" is 1.
    assert told(people(), people(), "nonlinear").information(rng).value == pytest.approx(100 / 1.5, abs=3)


def test_a_sure_mistake_does_not_outweigh_everybody(rng):
    groups = groups_of(2000, rng)
    x = 100.0 * (groups == "A")[:, None]
    wrong = x.copy()
    wrong[0] = 100.0 - wrong[0]
    assert told((x, groups), (wrong, groups), "linear").information(rng).value > 95


def test_a_group_that_nobody_was_learned_from(rng):
    x = rng.normal(size=(100, 1))
    learn, judge = (x, groups_of(100, rng)), (x, groups_of(100, rng, names="ABC"))
    with pytest.raises(DataError, match=r"group 'C' is asked about, but nobody of the 100 people"):
        told(learn, judge, "linear")


def test_a_new_group_among_those_judged_by_costs_only_the_traces(made_up):
    task = Task("new group", made_up(600), made_up(600, seed=1, groups=("A", "B", "C")), ("x",) * 20, "made up")
    report = compare(task, ["reweighing"], sensitive="group")
    m = report["mitigation/reweighing/group_told_by_linear"]
    assert m.status == "undefined"
    assert "'C' is asked about" in m.details["reason"]
    assert report["mitigation/reweighing/selection_rate_difference"].status == "ok"


def test_nobody_knows_more_than_there_is_to_know(rng):
    assert traces.Told(rng.normal(99, 10, size=50)).information(rng).interval.high == 100


def test_the_interval_covers_the_share_of_unequal_groups():
    """The bits there are to know vary with who is asked; the interval counts that too."""
    flip, share, covered = 0.1, 0.8, 0

    def people(n, rng):
        groups = groups_of(n, rng, p=(share, 1 - share))
        return ((groups == "A") ^ (rng.random(n) < flip))[:, None].astype(float), groups

    def entropy(p):
        return -(p * math.log2(p) + (1 - p) * math.log2(1 - p))

    seen = share * (1 - flip) + (1 - share) * flip
    truth = 100 * (entropy(seen) - entropy(flip)) / entropy(share)
    learn = people(8000, np.random.default_rng(0))
    for seed in range(60):
        rng = np.random.default_rng([1, seed])
        covered += truth in told(learn, people(400, rng), "linear").information(rng).interval
    assert covered >= 52  # P(fewer than 52 of 60) < 1 % at 95 %
