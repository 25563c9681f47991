"""Tasks: hiring (shipped), income (Adult) and credit (German Credit), as columns of a table or as short texts.

    task = hiring_task()                                        # needs no data that do not ship
    task = adult_task()                                         # standardised numbers and one-hot columns
    task = adult_task(features="text", limit=2_000)             # sentence embeddings of short texts

What says outright who somebody is stays out of the columns by default; what merely tells of it (an occupation, being a
husband) stays in, as it does where such models are built. A text names the group: swaps and erasure work on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from auditkit import extras
from auditkit.errors import InputError, ModelError, UnknownName
from auditkit.fairness.serialise import describe_adult, describe_german_credit
from auditkit.fairness.tables import PeopleTable, read_adult, read_german_credit, read_hiring
from auditkit.mitigation.task import Floats, Split, Task

if TYPE_CHECKING:
    from auditkit.models.protocols import EmbedsText

Features = Literal["tabular", "text"]
ADULT_UNUSED = ("fnlwgt", "education")  # a census weight; and in words what education_years counts
TEST_SHARE = 0.3


def hiring_task(*, limit: int | None = None, seed: int = 0, include_sensitive: bool = False) -> Task:
    """Whom to invite, learned from unfair invitations of the past, and judged by who would perform well.

    3,500 fictional applicants to learn from and 1,500 to judge by; `auditkit.data.hiring` says what is planted.
    Since the labels to judge by are fair, a mitigation may gain in accuracy (Wick, Panda & Tristan, 2019, NeurIPS).

    Sensitive attributes: sex, origin, age_group (under 40, 40 or over), children, residence.

    Args:
        limit: at most so many people in each of the two parts, drawn at random.
        seed: draws the people.
        include_sensitive: keep the columns of the sensitive attributes among the features.

    Raises:
        InputError: a limit below 1.
    """
    rng = np.random.default_rng(seed)
    past, new = (_at_most(part, limit, rng) for part in read_hiring())
    return _tabular_task("hiring, tabular", past, new, include_sensitive)


def adult_task(
    root: str | Path | None = None,
    *,
    features: Features = "tabular",
    encoder: EmbedsText | None = None,
    limit: int | None = None,
    seed: int = 0,
    include_sensitive: bool = False,
) -> Task:
    """Does somebody's income exceed 50,000 dollars? 32,561 people to learn from and 16,281 to judge by, as published.

    Sensitive attributes: sex, race, age_group (25 or under, 26 to 45, 46 to 65, over 65).

    Args:
        root: the folder of datasets that contains adult/; None finds it as `auditkit.data.locate` does.
        features: "tabular" for standardised numbers and one-hot columns, fitted on the people to learn from;
            "text" for each person described in words (`Split.texts`) and embedded.
        encoder: embeds the texts; None takes the encoder "minilm".
        limit: at most so many people in each of the two parts, drawn at random.
        seed: draws the people, and how each is described.
        include_sensitive: keep the columns sex, race and age among the tabular features.

    Raises:
        DataError: the data are not on this machine (says how to get them), or damaged.
        UnknownName: no such features.
        InputError: an encoder without texts, or a limit below 1.
    """
    in_words, rng = _of_texts(features, encoder), np.random.default_rng(seed)
    train, test = (_at_most(part, limit, rng) for part in read_adult(root))
    if in_words:
        texts = (describe_adult(train.rows, rng), describe_adult(test.rows, rng))
        return _text_task("adult, text", train, test, texts, encoder)
    return _tabular_task("adult, tabular", train, test, include_sensitive, unused=ADULT_UNUSED)


def german_credit_task(
    root: str | Path | None = None,
    *,
    features: Features = "tabular",
    encoder: EmbedsText | None = None,
    limit: int | None = None,
    seed: int = 0,
    include_sensitive: bool = False,
) -> Task:
    """Is somebody a good credit risk? 700 people to learn from, 300 to judge by, drawn by outcome and sex.

    Sensitive attributes: sex, age_group (25 or under, over 25), foreign_worker (yes, no). The column status_sex holds
    both marital status and sex, so that it counts as saying the sex outright.

    Args, and what is raised: as for `adult_task`, with the columns status_sex, age and foreign_worker.
    """
    in_words, rng = _of_texts(features, encoder), np.random.default_rng(seed)
    table = read_german_credit(root)
    train, test = (_at_most(part, limit, rng) for part in _divide(table, rng))
    if in_words:
        texts = (describe_german_credit(train.rows, rng), describe_german_credit(test.rows, rng))
        return _text_task("german credit, text", train, test, texts, encoder)
    return _tabular_task("german credit, tabular", train, test, include_sensitive)


def _of_texts(features: Features, encoder: EmbedsText | None) -> bool:
    if features not in ("tabular", "text"):
        raise UnknownName("kind of features", features, ("tabular", "text"))
    if encoder is not None and features == "tabular":
        raise InputError("an encoder embeds texts; give features='text', or leave the encoder out")
    return features == "text"


def _at_most(table: PeopleTable, limit: int | None, rng: np.random.Generator) -> PeopleTable:
    """At most `limit` people, drawn at random, in the order of the file."""
    if limit is not None and limit < 1:
        raise InputError(f"limit={limit}; expected 1 or more, or None for everybody")
    if limit is None or limit >= len(table):
        return table
    return table.take(np.sort(rng.choice(len(table), size=limit, replace=False)))


def _divide(table: PeopleTable, rng: np.random.Generator) -> tuple[PeopleTable, PeopleTable]:
    """People to learn from and to judge by; each outcome of each sex is divided in the same proportion."""
    strata = np.array([f"{sex}/{label}" for sex, label in zip(table.sensitive["sex"], table.label, strict=True)])
    judged = np.zeros(len(table), dtype=bool)
    for stratum in sorted(set(strata.tolist())):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        judged[members[: round(TEST_SHARE * len(members))]] = True
    return table.take(np.flatnonzero(~judged)), table.take(np.flatnonzero(judged))


@extras.explained()
def _tabular_task(
    name: str, train: PeopleTable, test: PeopleTable, include_sensitive: bool, unused: Sequence[str] = ()
) -> Task:
    """Standardised numbers and one-hot columns; a value that nobody to learn from has is zero in all its columns."""
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    left_out = {*unused, *(() if include_sensitive else train.revealing)}
    kept = train.rows[[c for c in train.rows if c not in left_out]]
    numeric = [str(c) for c in kept if kept[c].dtype.kind == "f"]
    texts = [str(c) for c in kept if str(c) not in numeric]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    coder = ColumnTransformer([("number", StandardScaler(), numeric), ("value", one_hot, texts)], sparse_threshold=0)
    learned, judged = coder.fit_transform(kept), coder.transform(test.rows[list(kept)])
    columns = [*numeric, *_one_hot_names(coder.named_transformers_["value"].categories_, texts)]
    return Task(name, _split(train, learned), _split(test, judged), tuple(columns), train.source)


def _one_hot_names(categories: list[npt.NDArray[np.object_]], columns: list[str]) -> list[str]:
    """As in "occupation=Sales"."""
    return [f"{c}={value}" for c, values in zip(columns, categories, strict=True) for value in values]


def _text_task(
    name: str,
    train: PeopleTable,
    test: PeopleTable,
    texts: tuple[tuple[str, ...], tuple[str, ...]],
    encoder: EmbedsText | None,
) -> Task:
    encoder = encoder or _default_encoder()
    learned, judged = (np.asarray(encoder.embed(part), dtype=np.float64) for part in texts)
    columns = tuple(f"embedding {i}" for i in range(learned.shape[1]))
    return Task(name, _split(train, learned, texts[0]), _split(test, judged, texts[1]), columns, train.source)


def _default_encoder() -> EmbedsText:
    from auditkit.models.loading import load_model
    from auditkit.models.protocols import EmbedsText

    model = load_model("minilm")
    if not isinstance(model, EmbedsText):
        raise ModelError("the alias minilm no longer stands for an encoder; give one with encoder=")
    return model


def _split(table: PeopleTable, features: Floats, texts: tuple[str, ...] | None = None) -> Split:
    return Split(features=features, label=table.label, sensitive=table.sensitive, texts=texts, ids=table.ids)
