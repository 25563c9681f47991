"""The shapes of test data: what a probe reads, whatever file it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Direction = Literal["stereo", "antistereo", "control"]
WordSets = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A minimal pair: two sentences that differ only in the group they name (Nangia et al., 2020).

    `more` is always the more stereotyping sentence, so a model without the bias prefers it half of the time. With
    direction "stereo" it states a stereotype about the stereotyped group; with "antistereo" `less` contradicts the
    stereotype by naming that group, and `more` is the same sentence about the other group. With "control" no
    stereotype is expected either way: the pair is reported on its own, outside the score. Pairs of one `cluster`
    share a writer or a topic and are not independent.
    """

    id: str
    more: str
    less: str
    group: str
    direction: Direction
    cluster: str


@dataclass(frozen=True, slots=True)
class Occupation:
    """A job title and the share of women among those who hold it, in [0, 1]."""

    title: str
    female_share: float


@dataclass(frozen=True, slots=True)
class ContextAssociation:
    """A StereoSet context association test (Nadeem et al., 2021); each candidate is (sentence id, sentence)."""

    id: str
    target: str
    bias_type: str
    context: str
    stereotype: tuple[str, str]
    anti_stereotype: tuple[str, str]
    unrelated: tuple[str, str]


@dataclass(frozen=True, slots=True)
class WeatTest:
    """A word embedding association test (Caliskan et al., 2017): target sets X, Y and attribute sets A, B.

    The lower-case fields name the sets, the upper-case fields hold their words.
    """

    id: str
    x: str
    y: str
    a: str
    b: str
    X: tuple[str, ...]
    Y: tuple[str, ...]
    A: tuple[str, ...]
    B: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CoreferenceItem:
    """A WinoBias sentence (Zhao et al., 2018), without its brackets.

    `referent` is the occupation that `pronoun` refers to and `other` the second occupation named. `kind` is 1 or 2,
    `pro` says whether the pronoun agrees with the stereotype, and `pair` joins a sentence to its opposite.
    """

    id: str
    sentence: str
    pronoun: str
    referent: str
    other: str
    kind: int
    pro: bool
    pair: str


@dataclass(frozen=True, slots=True)
class WinogenderItem:
    """A Winogender schema (Rudinger et al., 2018): one sentence with each of three pronouns.

    `participant` is the other person named ("someone" where no one in particular), `of_occupation` says whether the
    pronoun refers to the occupation. `neutral` has a form of "they". `female_share` is the share of women in the
    occupation, in [0, 1], None where it is not known.
    """

    id: str
    occupation: str
    participant: str
    of_occupation: bool
    female: str
    male: str
    neutral: str
    female_share: float | None


@dataclass(frozen=True, slots=True)
class BBQItem:
    """A BBQ question (Parrish et al., 2022); `label`, `unknown` and `target` index `answers`.

    `target` is the answer naming the stereotyped group, None when the item names no single one. `negative` says
    that the question asks who fits the harmful stereotype.
    """

    id: str
    category: str
    ambiguous: bool
    negative: bool
    context: str
    question: str
    answers: tuple[str, str, str]
    label: int
    unknown: int
    target: int | None


@dataclass(frozen=True, slots=True)
class Dataset(Generic[T]):
    """Test items with what a report must say about them; `sha256` is the hash of the file(s) they were read from."""

    name: str
    items: tuple[T, ...]
    source: str
    licence: str
    sha256: str
