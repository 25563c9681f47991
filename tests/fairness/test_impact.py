"""Two rules on disparate impact, each by its own text."""

import numpy as np
import pandas as pd
import pytest

from auditkit.errors import DataError
from auditkit.fairness import measure_groups
from auditkit.fairness.impact import four_fifths, local_law_144
from auditkit.fairness.people import cross, read_people


def selection(groups, metric="selection_rate"):
    """{name: (people, selected)} as a measured selection rate."""
    rows = [(name, int(i < k)) for name, (n, k) in groups.items() for i in range(n)]
    table = pd.DataFrame(rows, columns=["group", "prediction"]).assign(label=1)
    table["group"] = table["group"].replace("?", None)
    people = read_people(table, ["group"])
    (partition,) = cross(people.sensitive)
    rng = np.random.default_rng(0)
    (found,) = measure_groups(partition, people.label, people.prediction, rng=rng, chosen=[metric])
    return found


def test_the_example_of_the_uniform_guidelines():
    # Questions and answers on the Uniform Guidelines, question 12: 48 of 80 white and 12 of 40 black applicants hired.
    white, black = reversed(four_fifths(selection({"white": (80, 48), "black": (40, 12)})))
    assert (white.ratio, white.interval, white.below, white.sure) == (1.0, None, False, True)
    assert black.ratio == pytest.approx(0.5)
    assert (black.below, black.sure) == (True, False)  # 120 applicants: the interval reaches to 0.803
    black, _ = four_fifths(selection({"white": (160, 96), "black": (80, 24)}))
    assert (black.below, black.sure) == (True, True)


def test_few_people_make_the_four_fifths_rule_unsure():
    a, b = four_fifths(selection({"a": (40, 20), "b": (40, 15)}))
    assert b.ratio == pytest.approx(0.75)
    assert [(r.below, r.sure) for r in (a, b)] == [(False, True), (True, False)]


def test_a_group_of_three_is_shown_and_not_judged():
    rows = {r.group: r for r in four_fifths(selection({"a": (200, 100), "b": (200, 90), "c": (3, 3)}))}
    assert (rows["group=c"].people, rows["group=c"].selected, rows["group=c"].ratio) == (3, 3, None)
    assert rows["group=c"].remark == "fewer than 30 people"
    assert (rows["group=c"].below, rows["group=c"].sure) == (None, None)
    assert rows["group=a"].ratio == 1  # not c, though all three were selected


def test_the_published_example_of_local_law_144():
    # NYC Department of Consumer and Worker Protection, final rule of April 2023: sex categories.
    female, male = local_law_144(selection({"Male": (1390, 667), "Female": (1181, 555)}))
    assert (round(male.ratio, 3), round(female.ratio, 3)) == (1.0, 0.979)
    assert {female.below, male.below} == {None}  # the law sets no threshold


def test_categories_under_two_percent_and_unknown_ones_are_shown_and_not_compared():
    rows = {
        r.group: r for r in local_law_144(selection({"a": (500, 250), "b": (470, 200), "c": (9, 9), "?": (21, 20)}))
    }
    assert rows["group=c"].remark == "under 2 % of the people"
    assert rows["group=(missing)"].remark == "unknown"
    assert [rows[g].ratio for g in ("group=c", "group=(missing)")] == [None, None]
    assert (rows["group=c"].people, rows["group=c"].selected) == (9, 9)
    assert rows["group=a"].ratio == 1


def test_the_two_rules_differ_on_small_groups():
    found = selection({"a": (60, 30), "b": (25, 20)})  # b: under 30 people, but far over 2 %
    assert [r.ratio for r in four_fifths(found)] == [1.0, None]
    assert [r.ratio for r in local_law_144(found)] == [pytest.approx(0.5 / 0.8), 1.0]


def test_nobody_selected_gives_no_ratio():
    assert {r.remark for r in local_law_144(selection({"a": (50, 0), "b": (50, 0)}))} == {"nobody was selected"}


def test_impact_ratios_are_of_selection_rates():
    with pytest.raises(DataError, match="given 'accuracy'"):
        four_fifths(selection({"a": (50, 10), "b": (50, 10)}, metric="accuracy"))
