"""Texts about people hold what the row holds, and swapping their sex gives the text of the other sex."""

import numpy as np
import pandas as pd
import pytest

from auditkit.fairness.serialise import describe_adult, describe_german_credit
from auditkit.fairness.tables import read_adult, read_german_credit
from auditkit.mitigation.swap_words import FIRST_NAMES
from auditkit.mitigation.swaps import Swapper

ROW = {
    "age": 18.0, "workclass": "Self-emp-inc", "fnlwgt": 1.0, "education": "11th", "education_years": 7.0,
    "marital_status": "Married-civ-spouse", "occupation": "Sales", "relationship": "Wife", "race": "Black",
    "sex": "Female", "capital_gain": 2174.0, "capital_loss": 0.0, "hours_per_week": 40.0, "native_country": "Hong",
}  # fmt: skip


def of(seed=0, names=False, **changes):
    return describe_adult(pd.DataFrame([ROW | changes]), np.random.default_rng(seed), names=names)[0]


def sentences(text):
    return sorted(text.rstrip(".").split(". "))


def test_what_a_text_says():
    assert sentences(of()) == [
        "Her education ended with the 11th grade",
        "She comes from Hong Kong",
        "She had a capital gain of 2,174 dollars",
        "She is an 18-year-old Black woman",
        "She is married and lives with her husband",
        "She works in sales in a company of her own, 40 hours a week",
    ]


def test_order_is_drawn_and_repeatable():
    assert of(0) == of(0)
    assert len({of(seed) for seed in range(20)}) > 10
    assert len({tuple(sentences(of(seed))) for seed in range(20)}) == 1


@pytest.mark.parametrize("names", [False, True])
def test_the_swap_of_a_womans_text_is_the_mans(names):
    woman, man = of(names=names), of(names=names, sex="Male", relationship="Husband")
    assert Swapper().swap(woman).text == man
    assert Swapper().swap(man).text == woman
    assert (woman.split()[0] in {pair[0] for pair in FIRST_NAMES}) == names


@pytest.mark.data
@pytest.mark.parametrize("read", [lambda: read_adult()[1], read_german_credit])
def test_swaps_undo_themselves_on_every_published_row(read):
    table = read()
    describe = describe_german_credit if "status" in table.rows else describe_adult
    texts = describe(table.rows.head(1_000), np.random.default_rng(0))
    swapper = Swapper()
    for text in texts:
        swapped = swapper.swap(text)
        assert swapped.changes
        assert swapper.swap(swapped.text).text == text
