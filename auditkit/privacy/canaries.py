"""Canaries: made-up secrets planted in a training set, so that what a model remembers of them can be measured.

Carlini et al. (2019), The secret sharer, https://arxiv.org/abs/1802.08232. A canary is drawn uniformly from a *space*
of candidates that is known in full. A model that has not seen it cannot tell it from the other candidates, so whatever
it prefers the canary by, it learned from the canary. A fair coin decides for each canary whether it is inserted; those
left out are the control.

    spaces = [chosen_format("###-##-####", context="my national id is ")]
    canaries = draw(spaces, 40, repetitions=10, seed=1)
    texts = insert(texts, canaries, seed=1)
    save(canaries, "canaries.json")            # the probes `exposure` and `extraction` read this file

    kind           candidates                                       size
    characters     random characters                                alphabet ^ length
    words          random words of a list                           words ^ count
    rare_words     random words among the rarest of some texts      words ^ count
    format         a pattern: "#" a digit, "@" a lower-case letter  10 ^ digits * 26 ^ letters
"""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from auditkit.errors import DataError, VocabularyError
from auditkit.integrity import canonical

SMALLEST_AUDIT = 20
SCHEMA = 1
PLACEHOLDERS = {"#": string.digits, "@": string.ascii_lowercase}


@dataclass(frozen=True, slots=True)
class CandidateSpace:
    """All that a secret could have been: one choice from each slot, written one after the other.

    Attributes:
        kind: its name in measurements: "characters", "words", "rare_words", "format", or another that you choose.
        slots: the choices at each place; a slot with a single choice is fixed text.
        context: what stands before the secret, and an attacker knows: "my national id is ".

    Raises:
        DataError: no choice at all, a choice twice in a slot, a kind with "/", or an empty context, which would leave
            the first token of the secret without anything to be predicted from.
    """

    kind: str
    slots: tuple[tuple[str, ...], ...]
    context: str

    def __post_init__(self) -> None:
        repeated = [choices for choices in self.slots if not choices or len(set(choices)) < len(choices)]
        problems = [
            (not self.kind or "/" in self.kind, f"kind {self.kind!r}; expected a name without '/'"),
            (bool(repeated), f"the slot {repeated[:1]}; expected different choices, at least one"),
            (self.size < 2, f"{self.size} candidate(s); expected at least 2 to tell apart"),
            (not self.context.strip(), "no context; expected what stands before the secret, such as 'my number is '"),
        ]
        found = [text for wrong, text in problems if wrong]
        if found:
            raise DataError(f"candidate space with {'; and '.join(found)}")

    @property
    def size(self) -> int:
        """|R|, the number of candidates."""
        return math.prod(map(len, self.slots))

    @property
    def bits(self) -> float:
        """log2 |R|: the largest exposure that there can be."""
        return sum(math.log2(len(choices)) for choices in self.slots)

    def __contains__(self, secret: str) -> bool:
        pattern = "".join(f"(?:{'|'.join(map(re.escape, choices))})" for choices in self.slots)
        return re.fullmatch(pattern, secret) is not None

    def candidates(self) -> Iterator[str]:
        """Every candidate once, in a fixed order."""
        return map("".join, product(*self.slots))

    def sample(self, n: int, rng: np.random.Generator) -> list[str]:
        """`n` candidates drawn uniformly, with replacement."""
        picks = [rng.integers(len(choices), size=n) for choices in self.slots]
        return ["".join(c[i] for c, i in zip(self.slots, row, strict=True)) for row in zip(*picks, strict=True)]


@dataclass(frozen=True, slots=True)
class Canary:
    """One secret.

    Attributes:
        id: "format-7"; says nothing about the secret.
        kind: the kind of its space.
        secret: the candidate that was drawn.
        inserted: what its coin decided.
        repetitions: how many texts it is inserted as, if it is.
    """

    id: str
    kind: str
    secret: str
    inserted: bool
    repetitions: int


@dataclass(frozen=True, slots=True)
class Canaries:
    """Canaries with the spaces that they were drawn from, and the seed that draws them again."""

    spaces: tuple[CandidateSpace, ...]
    canaries: tuple[Canary, ...]
    seed: int

    def space(self, kind: str) -> CandidateSpace:
        """The space of this kind."""
        return next(space for space in self.spaces if space.kind == kind)

    def of_kind(self, kind: str) -> list[Canary]:
        """The canaries of this kind, in order."""
        return [canary for canary in self.canaries if canary.kind == kind]

    def text(self, canary: Canary) -> str:
        """The canary as it stands in the training set: context and secret."""
        return self.space(canary.kind).context + canary.secret


def characters(length: int, *, context: str, alphabet: str = string.ascii_lowercase) -> CandidateSpace:
    """`length` random characters of `alphabet`."""
    return CandidateSpace("characters", (tuple(alphabet),) * length, context)


def words(count: int, vocabulary: Sequence[str], *, context: str) -> CandidateSpace:
    """`count` random words of `vocabulary`, a space between them."""
    return CandidateSpace("words", _spaced(count, vocabulary), context)


def rare_words(count: int, texts: Sequence[str], *, context: str, rarest: int = 1000) -> CandidateSpace:
    """`count` random words among the `rarest` that occur least often in `texts`: what little else teaches."""
    frequency = Counter(word for text in texts for word in text.split() if word.isalpha())
    chosen = sorted(frequency, key=lambda word: (frequency[word], word))[:rarest]
    return CandidateSpace("rare_words", _spaced(count, chosen), context)


def chosen_format(pattern: str, *, context: str, kind: str = "format") -> CandidateSpace:
    """A pattern in which "#" is any digit and "@" any lower-case letter: "###-##-####"."""
    return CandidateSpace(kind, tuple(tuple(PLACEHOLDERS.get(symbol, symbol)) for symbol in pattern), context)


def draw(spaces: Sequence[CandidateSpace], n: int, *, repetitions: int = 1, seed: int) -> Canaries:
    """Draw `n` different canaries from each space, and toss a fair coin for each.

    Args:
        spaces: each of another kind.
        n: canaries per space, about half of which will be inserted.
        repetitions: how many texts an inserted canary becomes.
        seed: whoever knows it knows the canaries.

    Raises:
        DataError: fewer than 20 canaries in all, more than a space has candidates, or two spaces of one kind.
    """
    kinds = [space.kind for space in spaces]
    if len(set(kinds)) < len(kinds):
        raise DataError(f"candidate spaces of the kinds {', '.join(kinds)}; give each a kind of its own")
    if repetitions < 1:
        raise DataError(f"repetitions {repetitions}; expected at least 1")
    rng = np.random.default_rng(seed)
    drawn = []
    for space in spaces:
        secrets, coins = _different(space, n, rng), rng.integers(2, size=n).astype(bool).tolist()
        drawn += [
            Canary(f"{space.kind}-{i}", space.kind, secret, coin, repetitions)
            for i, (secret, coin) in enumerate(zip(secrets, coins, strict=True))
        ]
    canaries = Canaries(tuple(spaces), tuple(drawn), seed)
    refuse_few(canaries)
    return canaries


def refuse_few(canaries: Canaries) -> None:
    """Raise DataError where there are fewer than 20 canaries: no audit can conclude anything from so few."""
    if len(canaries.canaries) < SMALLEST_AUDIT:
        raise DataError(
            f"{len(canaries.canaries)} canaries; expected at least {SMALLEST_AUDIT}: from fewer an audit cannot tell "
            "memory from luck"
        )


def insert(texts: Sequence[str], canaries: Canaries, *, seed: int) -> list[str]:
    """The training texts with every inserted canary among them, as often as it is repeated, at random places.

    The order of `texts` themselves is kept.
    """
    planted = [canaries.text(c) for c in canaries.canaries if c.inserted for _ in range(c.repetitions)]
    total = len(texts) + len(planted)
    rng = np.random.default_rng(seed)
    places = rng.choice(total, size=len(planted), replace=False).tolist()  # in random order
    at = dict(zip(places, planted, strict=True))
    others = iter(texts)
    return [at[i] if i in at else next(others) for i in range(total)]


def refuse_inexpressible(canaries: Canaries, model: Any) -> None:
    """Raise where the model's vocabulary cannot write a context, or cannot tell two choices of a slot apart.

    Such a canary is never learned as itself, and its exposure would be small for the wrong reason. A model without a
    `tokenizer` is taken at its word.

    Raises:
        VocabularyError: names the kind, and the symbols or words.
    """
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        return
    for space in canaries.spaces:
        slots = [*dict.fromkeys(space.slots), *((word,) for word in space.context.split())]
        bad = sorted({choice for choices in slots for choice in _inexpressible(tokenizer, choices)})
        if bad:
            raise VocabularyError(
                f"canaries of kind {space.kind!r}: the vocabulary of {model.name} cannot express "
                f"{', '.join(map(repr, bad[:10]))}, or not as something different; use an alphabet, words or a format "
                "made of what the model can write"
            )


def save(canaries: Canaries, path: str | Path) -> Path:
    """Write a JSON file that `load` reads. It holds the secrets: keep it as you would keep them.

    Raises:
        ReportError: the file cannot be written.
    """
    from auditkit.report import write_atomically

    path = Path(path)
    text = json.dumps({"schema": SCHEMA, **asdict(canaries)}, ensure_ascii=False)
    write_atomically(path, f"{text}\n".encode())
    return path


def load(path: str | Path) -> Canaries:
    """Read what `save` wrote.

    Raises:
        DataError: the file cannot be read or is damaged, or holds fewer than 20 canaries.
    """
    path = Path(path)
    try:
        data = canonical.parse(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise DataError(f"{path}: schema {data['schema']!r}; this version reads schema {SCHEMA}")
        canaries = _from_json(data)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, StopIteration) as e:
        raise DataError(f"{path} is not a file of canaries ({type(e).__name__}: {e}); canaries.save writes one") from e
    refuse_few(canaries)
    return canaries


def _from_json(data: dict[str, Any]) -> Canaries:
    spaces = tuple(
        CandidateSpace(s["kind"], tuple(tuple(choices) for choices in s["slots"]), s["context"]) for s in data["spaces"]
    )
    canaries = Canaries(spaces, tuple(Canary(**c) for c in data["canaries"]), data["seed"])
    for canary in canaries.canaries:
        if canary.secret not in canaries.space(canary.kind):  # StopIteration where there is no such space
            raise ValueError(f"the secret of {canary.id} is none of its candidates")
    return canaries


def _spaced(count: int, vocabulary: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """`count` slots of words with fixed spaces between them."""
    broken = [word for word in vocabulary if word.split() != [word]]
    if broken:
        raise DataError(f"word {broken[0]!r}; expected words without spaces: they would make two candidates alike")
    slot = tuple(dict.fromkeys(vocabulary))
    return (slot, *((" ",), slot) * (count - 1))


def _different(space: CandidateSpace, n: int, rng: np.random.Generator) -> list[str]:
    """`n` different candidates, drawn uniformly."""
    if not 1 <= n <= space.size:
        raise DataError(f"{n} canaries of kind {space.kind!r}, which has {space.size} candidates; ask for 1 to as many")
    found: dict[str, None] = {}  # a dict keeps the order of drawing
    while len(found) < n:
        found.update(dict.fromkeys(space.sample(n - len(found), rng)))
    return list(found)


def _inexpressible(tokenizer: Any, choices: Sequence[str]) -> list[str]:
    """Those choices that the tokenizer does not know, or reads as another of them."""
    from auditkit.models.char_tokenizer import CharTokenizer

    if isinstance(tokenizer, CharTokenizer):
        return [choice for choice in choices if any(symbol not in tokenizer for symbol in choice)]
    visible = [choice for choice in choices if choice.strip()]
    ids = [tuple(tokenizer(choice, add_special_tokens=False)["input_ids"]) for choice in visible]
    times = Counter(ids)
    unknown = tokenizer.unk_token_id
    return [choice for choice, i in zip(visible, ids, strict=True) if not i or unknown in i or times[i] > 1]
