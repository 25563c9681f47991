"""One parser for each published format. A parser maps {file name: text} to items; it opens no files."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

from auditkit.data.bbq import parse_bbq
from auditkit.data.parsing import Texts, damage_in, require
from auditkit.data.types import ContextAssociation, CoreferenceItem, Direction, Occupation, Pair, WeatTest
from auditkit.data.winogender import parse_winogender, read_shares
from auditkit.errors import DataError

Parser = Callable[[Texts], Iterable[Any]]

PAIR_COLUMNS = {field: field for field in ("id", "more", "less", "group", "direction", "cluster")}
CROWS_PAIRS_COLUMNS = {
    "id": "",
    "more": "sent_more",
    "less": "sent_less",
    "group": "bias_type",
    "direction": "stereo_antistereo",
    "cluster": "anon_writer",
}


def parse_pairs(texts: Texts) -> Iterator[Pair]:
    """Minimal pairs from csv, with the columns of `Pair` or those of CrowS-Pairs (Nangia et al., 2020).

    The cluster column may be missing; then every pair is its own cluster.

    Raises:
        DataError: a column is missing, or a row has an empty cell, an unknown direction, two equal sentences, or an
            id that was there before; or a pair stands in several clusters.
    """
    pairs = list(_pairs(texts))
    _refuse_copies(pairs)
    return iter(pairs)


def _pairs(texts: Texts) -> Iterator[Pair]:
    seen: set[str] = set()
    for name, text in texts.items():
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        with damage_in(name):
            columns = _pair_columns(name, reader)
            for row in reader:
                yield _pair(row, columns, seen, f"{name}, line {reader.line_num}")


def _pair_columns(name: str, reader: csv.DictReader[str]) -> dict[str, str]:
    columns = CROWS_PAIRS_COLUMNS if "sent_more" in (reader.fieldnames or ()) else PAIR_COLUMNS
    require(name, reader, [column for field, column in columns.items() if field != "cluster"])
    return columns


def _pair(row: dict[str, str | None], columns: dict[str, str], seen: set[str], where: str) -> Pair:
    cells = {field: (row.get(column) or "").strip() for field, column in columns.items()}
    cells["cluster"] = cells["cluster"] or cells["id"]
    if None in row:  # where the csv module puts what has no column
        raise DataError(f"{where}: more cells than columns; put quotation marks around a sentence that has a comma")
    for field, cell in cells.items():
        if not cell:
            raise DataError(f"{where}: column {columns[field]!r} is empty")
    if cells["direction"] not in get_args(Direction):
        raise DataError(f"{where}: direction {cells['direction']!r}; expected one of {', '.join(get_args(Direction))}")
    if cells["more"] == cells["less"]:
        raise DataError(f"{where}: the two sentences are the same; they must differ in the group they name")
    if cells["id"] in seen:
        raise DataError(f"{where}: id {cells['id']!r} appears twice; every pair needs an id of its own")
    seen.add(cells["id"])
    return Pair(**cells)  # type: ignore[arg-type]  # direction was checked above


def _refuse_copies(pairs: Sequence[Pair]) -> None:
    """A pair that stands twice is one piece of evidence, so its copies must be of one cluster.

    Spaces, case, punctuation and which of the two sentences comes first make no other pair.
    """
    first: dict[frozenset[str], Pair] = {}
    copies = [
        (pair, original)
        for pair in pairs
        if (original := first.setdefault(frozenset(map(_said, (pair.more, pair.less))), pair)).cluster != pair.cluster
    ]
    if copies:
        pair, original = copies[0]
        raise DataError(
            f"{len(copies)} of {len(pairs)} pairs are copies of another under a new id ({pair.id!r} is {original.id!r})"
            "; leave every pair once, or give copies the cluster of the first"
        )


def _said(sentence: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", sentence).casefold()))


# Titles that occupation_female_pct spells as no sentence would.
TITLES = {
    "ceo": "CEO",
    "counselors": "counselor",
    "designers": "designer",
    "hairdressers": "hairdresser",
    "mechanician": "mechanic",
}


def parse_occupations(texts: Texts) -> Iterator[Occupation]:
    """Job titles: csv with the columns title and female_percent, or JSON {title: percent of women}.

    The JSON may stand under the key "female_percent"; the occupations-stats.tsv of Winogender will do too. Underscores
    become spaces; the few titles of occupation_female_pct in the plural become singular.

    Raises:
        DataError: neither, or a percentage outside 0 to 100.
    """
    seen: set[str] = set()
    for name, text in texts.items():
        with damage_in(name):
            for title, percent in _female_percent(name, text):
                if title in seen:
                    raise DataError(f"{name}: {title!r} appears twice; every occupation needs one entry")
                seen.add(title)
                if not 0 <= percent <= 100:
                    raise DataError(f"{name}: {title!r} has {percent}; expected a percentage from 0 to 100")
                yield Occupation(TITLES.get(title, title.replace("_", " ")), percent / 100)


def _female_percent(name: str, text: str) -> Iterator[tuple[str, float]]:
    if name.endswith(".csv"):
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        require(name, reader, ["title", "female_percent"])
        yield from ((row["title"], float(row["female_percent"])) for row in reader)
    elif name.endswith(".tsv"):
        yield from ((title, 100 * share) for title, share in read_shares(name, text).items())
    else:
        data = json.loads(text)
        yield from data.get("female_percent", data).items()


def parse_sentences(texts: Texts) -> Iterator[str]:
    """Plain text, one sentence a line; empty lines are passed over.

    Raises:
        DataError: a sentence has fewer than 4 words (4 characters where nothing is written between words), or stands
            there twice.
    """
    seen: set[str] = set()
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            sentence = " ".join(line.split())
            if not sentence:
                continue
            if len(set(units(sentence)[0])) < FEWEST_UNITS:
                raise DataError(f"{name}, line {number}: {sentence!r}; expected {FEWEST_UNITS} different words or more")
            if sentence in seen:
                raise DataError(f"{name}, line {number}: {sentence!r} stands there twice; every sentence counts once")
            seen.add(sentence)
            yield sentence


def units(sentence: str) -> tuple[list[str], str, str]:
    """What a sentence is made of, what joins it (a space, or nothing where the script has none), and its last mark."""
    body = sentence.rstrip(".!?\u3002\uff01\uff1f")
    words = body.split()
    return (words, " ", sentence[len(body) :]) if len(words) > 1 else (list(body), "", sentence[len(body) :])


FEWEST_UNITS = 4


def parse_stereoset(texts: Texts) -> Iterator[ContextAssociation]:
    """Intrasentence items of StereoSet (Nadeem et al., 2021), from dev.json or from a plain list of items.

    Raises:
        DataError: not such JSON, an item without exactly one sentence for each gold label, or without a blank.
    """
    return _stereoset(texts, "intrasentence")


def parse_stereoset_intersentence(texts: Texts) -> Iterator[ContextAssociation]:
    """Intersentence items of StereoSet: a sentence, and three that could follow it; from the same files.

    Raises:
        DataError: not such JSON, an item without exactly one sentence for each gold label, or with a blank.
    """
    return _stereoset(texts, "intersentence")


def _stereoset(texts: Texts, split: str) -> Iterator[ContextAssociation]:
    for name, text in texts.items():
        with damage_in(name):
            data = json.loads(text)
            for row in data["data"][split] if isinstance(data, dict) else data:
                item = _context_association(row, name)
                if ("BLANK" in item.context) != (split == "intrasentence"):
                    blank = "a BLANK" if "BLANK" in item.context else "no BLANK"
                    raise DataError(f"{name}: item {item.id} has {blank} in its context; is it of another split?")
                yield item


def _context_association(item: dict[str, Any], name: str) -> ContextAssociation:
    candidates = {s["gold_label"]: (s["id"], s["sentence"]) for s in item["sentences"]}
    if len(item["sentences"]) != 3 or candidates.keys() != {"stereotype", "anti-stereotype", "unrelated"}:
        labels = ", ".join(s["gold_label"] for s in item["sentences"])
        raise DataError(
            f"{name}: item {item['id']} has the labels {labels}; expected stereotype, anti-stereotype, unrelated"
        )
    return ContextAssociation(
        id=item["id"],
        target=item["target"],
        bias_type=item["bias_type"],
        context=item["context"],
        stereotype=candidates["stereotype"],
        anti_stereotype=candidates["anti-stereotype"],
        unrelated=candidates["unrelated"],
    )


# X, Y, A, B of each test: Caliskan et al. (2017), table 1, under the names that WEFE gave to the word sets.
CALISKAN_TESTS = [
    {"id": id, "x": x, "y": y, "a": a, "b": b}
    for id, x, y, a, b in [
        ("WEAT1", "flowers", "insects", "pleasant_5", "unpleasant_5a"),
        ("WEAT2", "instruments", "weapons", "pleasant_5", "unpleasant_5a"),
        ("WEAT3", "european_american_names_5", "african_american_names_5", "pleasant_5", "unpleasant_5b"),
        ("WEAT4", "european_american_names_7", "african_american_names_7", "pleasant_5", "unpleasant_5b"),
        ("WEAT5", "european_american_names_7", "african_american_names_7", "pleasant_9", "unpleasant_9"),
        ("WEAT6", "male_names", "female_names", "career", "family"),
        ("WEAT7", "math", "arts", "male_terms", "female_terms"),
        ("WEAT8", "science", "arts_2", "male_terms_2", "female_terms_2"),
        ("WEAT9", "mental_disease", "physical_disease", "temporary", "permanent"),
        ("WEAT10", "young_people_names", "old_people_names", "pleasant_9", "unpleasant_9"),
    ]
]


def parse_weat(texts: Texts) -> Iterator[WeatTest]:
    """Association tests from JSON: {"sets": {name: words}, "tests": [{"id", "x", "y", "a", "b"}]}.

    The word sets alone, as WEFE publishes them, give the ten tests of Caliskan et al. (2017).

    Raises:
        DataError: not such JSON, a set that is not there, or one of fewer than two words.
    """
    for name, text in texts.items():
        with damage_in(name):
            data = json.loads(text)
            sets, tests = (data["sets"], data["tests"]) if "tests" in data else (data, CALISKAN_TESTS)
            for test in tests:
                x, y, a, b = (test[part] for part in "xyab")
                yield WeatTest(test["id"], x, y, a, b, *(_word_set(sets, wanted, name) for wanted in (x, y, a, b)))


def _word_set(sets: dict[str, list[str]], wanted: str, name: str) -> tuple[str, ...]:
    if wanted not in sets:
        raise DataError(f"{name}: no word set {wanted!r}; found {', '.join(map(repr, sets))}")
    if len(sets[wanted]) < 2:
        raise DataError(f"{name}: word set {wanted!r} has {len(sets[wanted])} words; expected at least 2")
    if twice := [word for word, count in Counter(sets[wanted]).items() if count > 1]:
        raise DataError(f"{name}: word set {wanted!r} holds {twice[0]!r} twice; every word counts once")
    return tuple(sets[wanted])


WINOBIAS_FILE = re.compile(r"(pro|anti)_stereotyped_type([12])\.txt\.(dev|test)")


def parse_winobias(texts: Texts) -> Iterator[CoreferenceItem]:
    """WinoBias sentences (Zhao et al., 2018) from its files, the two lists of occupations among them.

    The first bracket of a line holds the referent, the second the pronoun; later ones repeat the pronoun. Line n of a
    pro-stereotyped file belongs to line n of the anti-stereotyped one; about thirty of these pairs differ in more
    than pronouns, two of them in the referent, as published.

    Raises:
        DataError: a list of occupations is missing, or a line is not as described.
    """
    lists = ("male_occupations.txt", "female_occupations.txt")
    missing = [name for name in lists if name not in texts]
    if missing:
        raise DataError(f"WinoBias needs {' and '.join(missing)} beside its sentences")
    occupations = [line.strip() for name in lists for line in texts[name].splitlines() if line.strip()]
    for name, text in texts.items():
        match = WINOBIAS_FILE.fullmatch(name)
        for number, line in enumerate(text.splitlines(), start=1) if match else ():
            with damage_in(f"{name}, line {number}"):
                yield _coreference(line, occupations, match.groups(), number)  # type: ignore[union-attr]


def _coreference(line: str, occupations: list[str], file: tuple[str, ...], number: int) -> CoreferenceItem:
    stance, kind, split = file
    referent, pronoun, *_ = re.findall(r"\[([^\]]*)\]", line)
    sentence = _without_brackets(line)
    (named,) = _mentioned(occupations, referent)
    others = [o for o in _mentioned(occupations, sentence) if o != named]
    pair = f"type{kind}-{split}-{number}"
    return CoreferenceItem(
        id=f"{pair}-{stance}",
        sentence=sentence,
        pronoun=pronoun,
        referent=named,
        other=others[0],
        kind=int(kind),
        pro=stance == "pro",
        pair=pair,
    )


def _without_brackets(line: str) -> str:
    """The sentence without its number; two lines have "the" both before and inside the bracket."""
    _, sentence = line.split(maxsplit=1)
    sentence = re.sub(r"[\[\]]", "", sentence)
    return " ".join(re.sub(r"\bthe\s+the\b", "the", sentence).split())


def _mentioned(occupations: list[str], text: str) -> list[str]:
    """The occupations that a text names, in its order."""
    places = {o: re.search(rf"\b{re.escape(o)}\b", text, re.IGNORECASE) for o in occupations}
    found = [(place.start(), o) for o, place in places.items() if place]
    return [o for _, o in sorted(found)]


PARSERS: dict[str, Parser] = {
    "pairs": parse_pairs,
    "occupations": parse_occupations,
    "sentences": parse_sentences,
    "stereoset": parse_stereoset,
    "stereoset_intersentence": parse_stereoset_intersentence,
    "weat": parse_weat,
    "winobias": parse_winobias,
    "winogender": parse_winogender,
    "bbq": parse_bbq,
}
