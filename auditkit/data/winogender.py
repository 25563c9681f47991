"""Winogender schemas (Rudinger et al., 2018), as published at github.com/rudinger/winogender-schemas, in data/.

all_sentences.tsv       sentid (OCCUPATION.PARTICIPANT.ANSWER.GENDER.txt), sentence
templates.tsv           what they were made of; read where the sentences are not there
occupations-stats.tsv   occupation, bls_pct_female: the share of women, US, in per cent

The schemas are told apart from other files by their columns, so that the folder may be given as it is.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from auditkit.data.parsing import Texts, damage_in, require
from auditkit.data.types import WinogenderItem
from auditkit.errors import DataError

SENTENCE_COLUMNS = ("sentid", "sentence")
TEMPLATE_COLUMNS = ("occupation(0)", "other-participant(1)", "answer", "sentence")
SHARE_COLUMNS = ("occupation", "bls_pct_female")
SENTENCE_ID = re.compile(r"(?P<schema>(?P<occupation>.+)\.(?P<participant>.+)\.(?P<answer>[01]))\.(?P<gender>\w+)\.txt")
PRONOUNS = {
    "female": {"$NOM_PRONOUN": "she", "$POSS_PRONOUN": "her", "$ACC_PRONOUN": "her"},
    "male": {"$NOM_PRONOUN": "he", "$POSS_PRONOUN": "his", "$ACC_PRONOUN": "him"},
    "neutral": {"$NOM_PRONOUN": "they", "$POSS_PRONOUN": "their", "$ACC_PRONOUN": "them"},
}


class _Sentence(NamedTuple):
    schema: str
    occupation: str
    participant: str
    of_occupation: bool
    gender: str
    text: str


def parse_winogender(texts: Texts) -> Iterator[WinogenderItem]:
    """Winogender schemas from its files, told apart by their columns.

    Raises:
        DataError: neither sentences nor templates, a row that is not as described, a schema without one of its three
            genders, or whose sentences of women and men are the same.
    """
    tables = {name: (text.split("\n", 1)[0].rstrip("\r").split("\t"), text) for name, text in texts.items()}
    sentences = [s for name, (head, text) in tables.items() if _is(head, SENTENCE_COLUMNS) for s in _read(name, text)]
    if not sentences:
        of_templates = ((n, text) for n, (head, text) in tables.items() if _is(head, TEMPLATE_COLUMNS))
        sentences = [s for name, text in of_templates for s in _written(name, text)]
    if not sentences:
        raise DataError(
            "no Winogender sentences: expected a table with the columns sentid, sentence (all_sentences.tsv) or "
            f"occupation(0), ... (templates.tsv), separated by tabs; found {', '.join(tables) or 'no file'}"
        )
    shares: dict[str, float] = {}
    for name, (head, text) in tables.items():
        if _is(head, SHARE_COLUMNS):
            shares |= read_shares(name, text)
    return iter(_schemas(sentences, shares))


def _is(head: list[str], columns: tuple[str, ...]) -> bool:
    return set(columns) <= set(head)


def read_shares(name: str, text: str) -> dict[str, float]:
    """Occupation -> share of women in [0, 1], from occupations-stats.tsv.

    Raises:
        DataError: a column is missing, or a share is no percentage.
    """
    shares: dict[str, float] = {}
    for row in _rows(name, text, SHARE_COLUMNS):
        with damage_in(f"{name}, {row['occupation']}"):
            percent = float(row["bls_pct_female"])
        if not 0 <= percent <= 100:
            raise DataError(f"{name}: {row['occupation']!r} has {percent}; expected a percentage from 0 to 100")
        shares[row["occupation"]] = percent / 100
    return shares


def _rows(name: str, text: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    with damage_in(name):
        require(name, reader, columns, separator="tabs")
    for row in reader:
        with damage_in(f"{name}, line {reader.line_num}"):
            yield {column: row[column].strip() for column in columns}


def _read(name: str, text: str) -> Iterator[_Sentence]:
    for row in _rows(name, text, SENTENCE_COLUMNS):
        found = SENTENCE_ID.fullmatch(row["sentid"])
        if not found or found["gender"] not in PRONOUNS:
            raise DataError(
                f"{name}: sentid {row['sentid']!r}; expected OCCUPATION.PARTICIPANT.ANSWER.GENDER.txt, the answer 0 "
                f"or 1, the gender one of {', '.join(PRONOUNS)}"
            )
        of_occupation = found["answer"] == "0"
        yield _Sentence(
            found["schema"], found["occupation"], found["participant"], of_occupation, found["gender"], row["sentence"]
        )


def _written(name: str, text: str) -> Iterator[_Sentence]:
    """The sentences that the published script makes of the templates, in its order."""
    for row in _rows(name, text, TEMPLATE_COLUMNS):
        occupation, other, answer, template = (row[column] for column in TEMPLATE_COLUMNS)
        if answer not in ("0", "1") or not {"$OCCUPATION", "$PARTICIPANT"} <= set(template.split(" ")):
            raise DataError(f"{name}: {row}; expected the answer 0 or 1, and $OCCUPATION and $PARTICIPANT as words")
        for participant in (other, "someone"):
            words = _with_people(template.split(" "), occupation, participant)
            for gender, pronouns in PRONOUNS.items():
                sentence = " ".join(pronouns.get(word, word) for word in words)
                if gender == "neutral":
                    sentence = re.sub(r"\b([Tt]hey) was", r"\1 were", sentence)
                schema = f"{occupation}.{participant}.{answer}"
                yield _Sentence(schema, occupation, participant, answer == "0", gender, sentence)


def _with_people(words: list[str], occupation: str, participant: str) -> list[str]:
    """The words with both people named; "someone" takes the place of the article too."""
    words = [occupation if word == "$OCCUPATION" else word for word in words]
    at = words.index("$PARTICIPANT")
    if participant == "someone":
        return [*words[: max(at - 1, 0)], "someone" if at > 1 else "Someone", *words[at + 1 :]]
    return [*words[:at], participant, *words[at + 1 :]]


def _schemas(sentences: list[_Sentence], shares: dict[str, float]) -> Iterator[WinogenderItem]:
    by_schema: dict[str, dict[str, _Sentence]] = defaultdict(dict)
    for sentence in sentences:
        if sentence.gender in by_schema[sentence.schema]:
            raise DataError(f"{sentence.schema}.{sentence.gender} appears twice; every sentence needs an id of its own")
        by_schema[sentence.schema][sentence.gender] = sentence
    for schema, genders in by_schema.items():
        if missing := [gender for gender in PRONOUNS if gender not in genders]:
            raise DataError(f"{schema} has no {' and no '.join(missing)} sentence; expected one of each gender")
        if genders["female"].text == genders["male"].text:
            raise DataError(f"{schema}: the sentences of women and men are the same; they must differ in the pronoun")
        one = genders["female"]
        texts = {gender: sentence.text for gender, sentence in genders.items()}
        share = shares.get(one.occupation)
        yield WinogenderItem(schema, one.occupation, one.participant, one.of_occupation, **texts, female_share=share)
