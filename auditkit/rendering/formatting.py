"""Numbers and texts as a reader sees them; the same in html, markdown and junit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from auditkit.measurement import Interval, Measurement

MINUS = "\N{MINUS SIGN}"
ABSENT = "\N{EM DASH}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
LABELS = {
    "p_value": "p",
    "p_value_holm": "p (Holm)",
    "minimum_detectable_effect": "detectable effect",
    "weights_sha256": "weights, SHA-256",
    "tokenizer_sha256": "tokenizer, SHA-256",
    "config_sha256": "configuration, SHA-256",
    "subject_sha256": "all that was audited, SHA-256",
}
ACRONYMS = frozenset({"aul", "aula", "pll", "icat", "auc", "tpr", "fpr", "mac", "rnd", "ripa", "id"})

LONGEST = 2_000
"""Characters of one text in a table or list. A model may answer with a megabyte; all of it is in the report's JSON."""

# What XML 1.0 cannot hold; lone surrogates, which UTF-8 cannot; what steers a terminal; and what turns the order of the
# characters after it round (the embeddings, overrides and isolates of the bidirectional algorithm): a model's output
# may contain any of them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")


def printable(text: str) -> str:
    """`text` with every character that a file format would refuse or a screen would obey replaced by U+FFFD."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str, limit: int = LONGEST) -> str:
    """`text` as one printable line of at most `limit` characters."""
    return printable(_BREAKS.sub(" ", shortened(text, limit)))


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of `text`; an ellipsis says that there was more."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def plain(name: str) -> str:
    """A name as words: "within_word_pll" reads "within word PLL"."""
    if name in LABELS:
        return LABELS[name]
    return " ".join(word.upper() if word in ACRONYMS else word for word in name.split("_"))


def sentence_case(text: str) -> str:
    """`text` with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def number(value: float | None) -> str:
    """Two decimals from 1 upwards, three below; powers of ten for the very small and large; whole numbers stay whole.

    >>> [number(x) for x in (61.447, 0.0312, 1508, 7.77e-05, None)]
    ['61.45', '0.031', '1,508', '7.8e-05', '—']
    """
    if value is None:
        return ABSENT
    size = abs(value)
    if isinstance(value, int) or (size >= 1000 and float(value).is_integer()):
        text = f"{size:,.0f}"
    elif size >= 1e6 or 0 < size < 0.0005:
        text = f"{size:.1e}"
    else:
        text = f"{size:,.{_decimals(size)}f}" if size else "0"
    return MINUS + text if value < 0 else text


def _decimals(size: float) -> int:
    return 2 if size >= 0.9995 else 3


def together(*values: float) -> list[str]:
    """Numbers that are read together, with the decimals that the largest of them gets.

    >>> together(0.95, 1.2)
    ['0.95', '1.20']
    """
    size = max(abs(v) for v in values)
    if not 0.0005 <= size < 1000:
        return [number(v) for v in values]
    texts = [f"{abs(v):.{_decimals(size)}f}" for v in values]
    return [MINUS + text if v < 0 and float(text) else text for v, text in zip(values, texts, strict=True)]


def quantity(value: float | None, unit: str) -> str:
    """A number with its unit, a narrow no-break space between them."""
    text = number(value)
    return f"{text}{NARROW}{unit}" if unit and value is not None else text


def interval(given: Interval | None) -> str:
    """As in "58.02 to 64.87"; "exact" for zero width, a dash where there is none; a level other than 95 % is said."""
    if given is None:
        return ABSENT
    if given.low == given.high:
        return "exact"
    text = " to ".join(together(given.low, given.high))
    return text if given.level == 0.95 else f"{text} ({given.level * 100:.4g} %)"


def limit(text: str) -> str:
    """A rule's criterion with the signs of a printed page."""
    return text.replace("<= ", f"≤{NARROW}").replace(">= ", f"≥{NARROW}")


def parts(m: Measurement) -> tuple[str, str]:
    """The (group, metric) of a measurement id `probe/group/metric`; a missing part is "all"."""
    _, *rest = m.id.split("/")
    if not rest:
        return "all", m.id
    *group, metric = rest
    return "/".join(group) or "all", metric


def flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as (dotted key, text) rows, in order; an empty value reads as a dash."""
    rows: list[tuple[str, str]] = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", scalar(value)))
    return rows


def scalar(value: Any) -> str:
    """Any JSON value as one line of text."""
    if value is None or value == "" or value == []:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(scalar(v) for v in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {scalar(v)}" for key, v in value.items())
    return str(value)
