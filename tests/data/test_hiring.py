"""The shipped applicants: what is planted is there, of the size that is documented, and nothing else is."""

import dataclasses

import numpy as np
import pytest

from auditkit import data
from auditkit.data.hiring import SENSITIVE, Draws, applicants, chance_of_invitation
from auditkit.errors import InputError
from auditkit.fairness.groups import measure_groups
from auditkit.fairness.people import cross, read_people

ATTRIBUTES = (*SENSITIVE, "age_group+children", "age_group+residence")
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")
PLANTED = {
    ("sex", "selection_rate"): 0.16,
    ("sex", "true_positive_rate"): 0.16,
    ("sex", "false_positive_rate"): 0.16,
    ("origin", "true_positive_rate"): 0.12,
    ("origin", "false_positive_rate"): 0.12,
    ("age_group+children", "selection_rate"): 0.18,
    ("age_group+children", "true_positive_rate"): 0.18,
    ("age_group+children", "false_positive_rate"): 0.18,
}


def differences(table):
    """{(attribute, metric): difference, with its interval} of the rates, as the probe group_fairness has them."""
    people, rng = read_people(table, list(SENSITIVE)), np.random.default_rng(0)
    return {
        (p.name, m.metric): m.difference
        for p in cross(people.sensitive, 2)
        if p.name in ATTRIBUTES
        for m in measure_groups(p, people.label, people.prediction, rng=rng, chosen=RATES)
    }


@pytest.fixture(scope="module")
def by_seed():
    return {seed: differences(applicants(seed=seed)) for seed in range(6)}


def test_the_file_is_what_the_generator_makes():
    shipped = (data.locate("hiring") / "hiring.csv").read_bytes()
    assert applicants().to_csv(index=False, lineterminator="\n").encode() == shipped
    assert shipped.count(b"\n") == 5_001


def test_the_numbers_drawn_are_those_of_the_bit_generator():
    # PCG64 of seed 0 starts with 11749869230777074271, 4976686463289251617, 755828109848996024: upper halves, modulo 7.
    assert Draws(np.random.PCG64(0), 3).below(7).tolist() == [
        (x >> 32) % 7 for x in (11749869230777074271, 4976686463289251617, 755828109848996024)
    ]


@pytest.mark.parametrize(
    ("person", "chance"),  # woman, of the hills, under 40, with children, would perform well
    [
        ((0, 0, 0, 1, 1), 60 + 8 + 9),
        ((1, 1, 1, 1, 1), 60 - 8 - 12 - 9),
        ((1, 1, 1, 1, 0), 30 - 8 + 12 - 9),
        ((0, 1, 0, 0, 0), 30 + 8 + 12 - 9),
        ((1, 0, 1, 0, 0), 30 - 8 + 9),
    ],
)
def test_the_chances_are_the_documented_ones(person, chance):
    assert chance_of_invitation(*(np.array([value]) for value in person)).tolist() == [chance]


@pytest.mark.slow
def test_over_many_people_every_difference_is_the_one_that_was_planted():
    found = differences(applicants(400_000, seed=1))
    assert found.keys() > PLANTED.keys()
    for key, difference in found.items():
        assert difference.value == pytest.approx(PLANTED.get(key, 0.0), abs=0.01), key


@pytest.mark.parametrize("key", PLANTED, ids="/".join)
def test_what_is_planted_is_found_in_every_table(by_seed, key):
    assert all(found[key].interval.low > 0.03 for found in by_seed.values())


@pytest.mark.parametrize("key", [(a, m) for a in ATTRIBUTES for m in RATES if (a, m) not in PLANTED], ids="/".join)
def test_what_is_not_planted_is_not_found(by_seed, key):
    found = [seed for seed, each in by_seed.items() if each[key].interval.low > 0]
    assert len(found) <= 1, found  # at 95 %, two of six or more are found in 3 of 100 such tests
    assert all(each[key].interval.high < 0.16 for each in by_seed.values())


def test_where_people_live_is_flagged_in_no_table(by_seed):
    assert all(found["residence", metric].interval.low == 0 for found in by_seed.values() for metric in RATES)


def test_the_score_agrees_with_the_decision_and_is_a_probability():
    table = applicants()
    assert ((table["score"] > 0.5) == (table["prediction"] == 1)).all()
    assert table["score"].between(0, 1).all()
    assert table["id"].is_unique


@pytest.mark.parametrize("options", [{"n": 0}, {"seed": -1}])
def test_a_table_of_nobody_is_refused(options):
    with pytest.raises(InputError, match="at least one person"):
        applicants(**options)


def test_another_seed_is_another_table_of_the_same_make():
    one, other = applicants(50), applicants(50, seed=1)
    assert list(one) == list(other)
    assert not one.equals(other)
    assert applicants(50).equals(one)


def test_the_catalogue_names_it_as_free_to_use():
    entry = data.find("hiring")
    assert (entry.licence, entry.kind) == ("CC0-1.0", "table")
    assert dataclasses.replace(entry, base=None) == entry  # ships: there is nothing to fetch
    assert data.fetch("hiring") == data.locate("hiring")
