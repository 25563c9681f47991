"""Rows of Adult and German Credit as short English texts, in which the group of the person appears in words.

    "She is a 39-year-old White woman. She works in clerical administration for a state government, ..."

Every value that a model may use is said, in the same words for everybody; the order of the sentences after the first is
drawn, so that a model cannot go by position. Pronouns agree with the recorded sex.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from auditkit.mitigation.swap_words import FIRST_NAMES

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]

WOMAN = {"He": "She", "he": "she", "His": "Her", "his": "her", "man": "woman", "spouse": "husband"}
MAN = {"He": "He", "he": "he", "His": "His", "his": "his", "man": "man", "spouse": "wife"}

RACE = {"White": " White", "Black": " Black", "Asian-Pac-Islander": " Asian", "Amer-Indian-Eskimo": " Native American"}
OCCUPATION = {
    "?": "in an occupation that is not recorded",
    "Adm-clerical": "in clerical administration",
    "Armed-Forces": "in the armed forces",
    "Craft-repair": "in a craft or in repairs",
    "Exec-managerial": "in management",
    "Farming-fishing": "in farming or fishing",
    "Handlers-cleaners": "in handling or cleaning",
    "Machine-op-inspct": "in machine operation or inspection",
    "Other-service": "in services",
    "Priv-house-serv": "in a private household",
    "Prof-specialty": "in a profession",
    "Protective-serv": "in protective services",
    "Sales": "in sales",
    "Tech-support": "in technical support",
    "Transport-moving": "in transport",
}
EMPLOYER = {
    "?": "for an employer that is not recorded",
    "Federal-gov": "for the federal government",
    "Local-gov": "for a local government",
    "Never-worked": "for nobody so far",
    "Private": "for a private employer",
    "Self-emp-inc": "in a company of {his} own",
    "Self-emp-not-inc": "on {his} own account",
    "State-gov": "for a state government",
    "Without-pay": "without pay",
}
EDUCATION = {
    "Preschool": "ended before school",
    "HS-grad": "ended with high school",
    "Some-college": "includes some college",
    "Assoc-voc": "ended with a vocational associate degree",
    "Assoc-acdm": "ended with an academic associate degree",
    "Bachelors": "ended with a bachelor's degree",
    "Masters": "ended with a master's degree",
    "Prof-school": "ended with a professional school",
    "Doctorate": "ended with a doctorate",
}
MARITAL = {
    "Divorced": "is divorced",
    "Married-AF-spouse": "is married to a member of the armed forces",
    "Married-civ-spouse": "is married",
    "Married-spouse-absent": "is married but lives apart",
    "Never-married": "has never married",
    "Separated": "is separated",
    "Widowed": "is widowed",
}
HOUSEHOLD = {
    "Husband": "lives with {his} {spouse}",
    "Wife": "lives with {his} {spouse}",
    "Not-in-family": "lives outside a family",
    "Other-relative": "lives with relatives",
    "Own-child": "lives with {his} parents",
    "Unmarried": "lives with family but without a partner",
}
COUNTRY = {
    "?": "a country that is not recorded",
    "Columbia": "Colombia",
    "Dominican-Republic": "the Dominican Republic",
    "Holand-Netherlands": "the Netherlands",
    "Hong": "Hong Kong",
    "Outlying-US(Guam-USVI-etc)": "an outlying territory of the United States",
    "Philippines": "the Philippines",
    "South": "South Korea",  # the file has the first word only
    "Trinadad&Tobago": "Trinidad and Tobago",
    "United-States": "the United States",
}

CIVIL_STATUS = {  # of German Credit, with the sex taken out
    "divorced/separated": "divorced or separated",
    "divorced/separated/married": "divorced, separated or married",
    "single": "single",
    "married/widowed": "married or widowed",
}
PURPOSE = {
    "car (new)": "a new car",
    "car (used)": "a used car",
    "furniture/equipment": "furniture or equipment",
    "radio/television": "a radio or television",
    "domestic appliances": "domestic appliances",
    "repairs": "repairs",
    "education": "education",
    "retraining": "retraining",
    "business": "business",
    "others": "another purpose",
}
ACCOUNT = {
    "... < 0 DM": "an overdrawn account",
    "0 <= ... < 200 DM": "an account with less than 200 marks",
    "... >= 200 DM / salary assignments for at least 1 year": "an account with 200 marks or more",
    "no checking account": "no account",
}
SAVINGS = {
    "... < 100 DM": "savings below 100 marks",
    "100 <= ... < 500 DM": "savings of 100 to 500 marks",
    "500 <= ... < 1000 DM": "savings of 500 to 1,000 marks",
    ".. >= 1000 DM": "savings of 1,000 marks or more",
    "unknown/ no savings account": "no known savings",
}
EMPLOYED = {
    "unemployed": "is out of work",
    "... < 1 year": "has held the present job for less than a year",
    "1 <= ... < 4 years": "has held the present job for one to four years",
    "4 <= ... < 7 years": "has held the present job for four to seven years",
    ".. >= 7 years": "has held the present job for seven years or more",
}
HISTORY = {
    "no credits taken/ all credits paid back duly": "has no earlier credit, or paid all back duly",
    "all credits at this bank paid back duly": "paid back all credits at this bank duly",
    "existing credits paid back duly till now": "has paid back existing credits duly till now",
    "delay in paying off in the past": "was late in paying off in the past",
    "critical account/ other credits existing (not at this bank)": "has a critical account or credits at other banks",
}
JOB = {
    "unemployed/ unskilled - non-resident": "unskilled and not resident",
    "unskilled - resident": "unskilled and resident",
    "skilled employee/ official": "that of a skilled employee or official",
    "management/ self-employed/ highly qualified employee/ officer": "one in management or highly qualified",
}
PROPERTY = {
    "real estate": "real estate",
    "building society savings agreement / life insurance": "a savings agreement or life insurance",
    "car or other": "a car or other goods",
    "unknown / no property": "no known property",
}
HOUSING = {"rent": "rents a home", "own": "owns a home", "for free": "lives rent-free"}
DEBTORS = {"none": "Nobody", "co-applicant": "A co-applicant", "guarantor": "A guarantor"}
PLANS = {"bank": "a bank", "stores": "stores", "none": "nobody else"}


def describe_adult(rows: pd.DataFrame, rng: np.random.Generator, *, names: bool = False) -> tuple[str, ...]:
    """A text for each row of `read_adult`.

    Args:
        rows: (n, ...) people.
        rng: draws the order of the sentences, and the names.
        names: call each person by a first name, drawn from `FIRST_NAMES` by sex, in the first sentence.
    """
    return tuple(_describe(row, row["sex"] == "Female", _adult_sentences, rng, names) for row in _records(rows))


def describe_german_credit(rows: pd.DataFrame, rng: np.random.Generator, *, names: bool = False) -> tuple[str, ...]:
    """A text for each row of `read_german_credit`; arguments as for `describe_adult`."""
    return tuple(
        _describe(row, row["status_sex"].startswith("female"), _german_sentences, rng, names) for row in _records(rows)
    )


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return rows.to_dict("records")  # type: ignore[return-value]  # column names are texts


def _describe(
    row: Row, female: bool, sentences: Callable[[Row], list[str]], rng: np.random.Generator, names: bool
) -> str:
    first, *others = sentences(row)
    words = WOMAN if female else MAN
    pair = FIRST_NAMES[rng.integers(len(FIRST_NAMES))] if names else None
    name = words["He"] if pair is None else pair[0 if female else 1]
    ordered = [others[i] for i in rng.permutation(len(others))]
    return " ".join([f"{name} {first.format(**words)}", *(s.format(**words) for s in ordered)])


def _adult_sentences(row: Row) -> list[str]:
    """What is known of a person; the first sentence lacks its subject."""
    hours, country = int(row["hours_per_week"]), row["native_country"]
    schooling = EDUCATION.get(row["education"]) or f"ended with the {row['education']} grade"
    found = [
        f"is {_aged(row['age'])}{RACE.get(row['race'], '')} {{man}}.",
        f"{{He}} works {OCCUPATION[row['occupation']]} {EMPLOYER[row['workclass']]}, {hours} hours a week.",
        f"{{His}} education {schooling}.",
        f"{{He}} {MARITAL[row['marital_status']]} and {HOUSEHOLD[row['relationship']]}.",
        f"{{He}} comes from {COUNTRY.get(country, country.replace('-', ' '))}.",
    ]
    for column, what in (("capital_gain", "a capital gain"), ("capital_loss", "a capital loss")):
        if row[column]:
            found.append(f"{{He}} had {what} of {int(row[column]):,} dollars.")
    return found


def _german_sentences(row: Row) -> list[str]:
    """What is known of an applicant; the first sentence lacks its subject."""
    status = CIVIL_STATUS[row["status_sex"].split(":")[1].strip()]
    foreign = "a" if row["foreign_worker"] == "True" else "no"
    telephone = "a" if row["telephone"] == "True" else "no"
    months, others = int(row["duration"]), "1 person" if row["dependents"] == 1 else "2 people"
    return [
        f"is {_aged(row['age'])} {{man}}, {status}.",
        f"{{He}} asks for {int(row['amount']):,} marks over {months} months for {PURPOSE[row['purpose']]}; "
        f"the instalments are in class {int(row['installment_rate'])} of 4 of {{his}} income.",
        f"{{He}} has {ACCOUNT[row['status']]} and {SAVINGS[row['savings']]}.",
        f"{{He}} {HISTORY[row['credit_history']]}, and has {int(row['number_of_credits'])} at this bank.",
        f"{{He}} {EMPLOYED[row['present_employment']]}; {{his}} work is {JOB[row['job']]}.",
        f"{{He}} {HOUSING[row['housing']]}, at the same address for {int(row['residence_since'])} years, and has "
        f"{PROPERTY[row['property']]}.",
        f"{DEBTORS[row['other_debtors']]} stands in for {{his}} debt, and {{he}} pays instalments to "
        f"{PLANS[row['installment_plans']]}.",
        f"{{He}} keeps {others}, has {telephone} telephone and is {foreign} foreign worker.",
    ]


def _aged(age: float) -> str:
    """As in "an 18-year-old"."""
    years = str(int(age))
    return f"{'an' if years[0] == '8' or years in ('11', '18') else 'a'} {years}-year-old"
