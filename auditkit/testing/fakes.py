"""Tiny deterministic models in numpy, one for each capability; see `auditkit.testing`."""

from __future__ import annotations

import copy
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from auditkit.data.reading import load
from auditkit.errors import VocabularyError
from auditkit.models.protocols import (
    Encoded,
    Fill,
    Floats,
    MaskQuery,
    TokenScores,
    TokenStatistics,
    UnmaskedScores,
)

_COMMON = """a an the this that is was are were be been not very and or but because of to in on at with for from by as
he she they him her his hers their man woman men women boy girl father mother son daughter husband wife people person
doctor nurse engineer teacher secretary lawyer manager cook scientist artist good bad smart lazy kind rude rich poor
old young black white christian muslim jewish work job home family science math art said went has have likes"""
WORDS = tuple(_COMMON.split())
"""The words that every fake knows; others are spelled out."""
LETTERS = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WIDTH = 16
NEIGHBOURS = 3.0
"""By how much the logit of a token grows beside a neighbour that it has in a shipped sentence."""


def _log_total(logits: Floats) -> float:
    """Log of the sum of their exponentials."""
    return float(logits.max() + np.log(np.exp(logits - logits.max()).sum()))


class _Network:
    """Vocabulary, weights and identity shared by the fakes.

    The logit of a token is its bias, plus the product of its vector with the mean vector of the context, plus the
    planted `associations` {(context word, word): logit} of the words in the context. A language model among them also
    finds neighbours likelier that it knows from the shipped sentences, so that it prefers sentences to their words
    shuffled; see `auditkit.probes.competence`.
    """

    task = ""
    mask_token = "[MASK]"
    lower_cases = True

    def __init__(
        self, *, associations: Mapping[tuple[str, str], float] | None = None, seed: int = 0, context: int = 1024
    ) -> None:
        self.name = f"fake-{self.task}"
        self.notices: Counter[str] = Counter()
        self.seed = seed
        self.context = context
        self.associations = dict(associations or {})
        planted = sorted({w for pair in self.associations for w in pair})
        self.vocabulary = list(dict.fromkeys([*SPECIAL, *WORDS, *planted, *LETTERS, *(f"##{c}" for c in LETTERS)]))
        self.ids = {token: i for i, token in enumerate(self.vocabulary)}
        self.mask_id = self.ids[self.mask_token]
        self.bias, self.vectors_in, self.vectors_out = self._weights(seed)
        self.planted = np.zeros((len(self.vocabulary), len(self.vocabulary)))
        for (word, target), logit in self.associations.items():
            self.planted[self.ids[word], self.ids[target]] = logit
        self.reads = True

    @cached_property
    def neighbours(self) -> Floats:
        """(vocabulary, vocabulary) the logit that the second token gains behind the first."""
        found = np.zeros((len(self.vocabulary), len(self.vocabulary)))
        for sentence in load("builtin_sentences").items:
            for (first, *_, at), (second, *_, then) in pairwise(self._all_pieces(sentence)):
                found[first, second] = NEIGHBOURS * (at != then)
        return found

    def _weights(self, seed: int) -> tuple[Floats, Floats, Floats]:
        rng = np.random.default_rng(seed)
        size = len(self.vocabulary)
        return rng.normal(size=size), rng.normal(size=(size, WIDTH)), rng.normal(size=(size, WIDTH)) / WIDTH**0.5

    def describe(self) -> dict[str, Any]:
        """Identity, as every adapter gives it."""
        weights = (self.bias, self.vectors_in, self.vectors_out, self.planted)
        return {
            "name": self.name,
            "task": self.task,
            "architecture": type(self).__name__,
            "device": "cpu",
            "dtype": "float64",
            "parameters": sum(w.size for w in weights),
            "weights_sha256": hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest(),
            "context": self.context,
            "revision": None,
        }

    def randomized(self, seed: int) -> Self:
        """Fresh weights, and nothing planted."""
        twin = copy.copy(self)
        twin.name = f"{self.name} (random weights, seed {seed})"
        twin.notices = Counter()
        twin.bias, twin.vectors_in, twin.vectors_out = self._weights(10_000 + seed)
        twin.planted = np.zeros_like(self.planted)
        twin.reads = False
        return twin

    def _pieces(self, text: str) -> list[tuple[int, int, int, int]]:
        """(token id, start, end, word index) of each token of `text`, cut (and counted) at the context."""
        pieces, room = self._all_pieces(text), self.context - 2
        if len(pieces) > room:
            self.notices[f"texts truncated to {self.context} tokens"] += 1
        return pieces[:room]

    def _is_cut(self, text: str) -> bool:
        return len(self._all_pieces(text)) > self.context - 2

    def _all_pieces(self, text: str) -> list[tuple[int, int, int, int]]:
        pieces = []
        for index, match in enumerate(re.finditer(r"\[MASK\]|\w+|[^\w\s]", text)):
            word = match.group() if match.group() == self.mask_token else match.group().lower()
            if word in self.ids:
                pieces.append((self.ids[word], *match.span(), index))
                continue
            for i, letter in enumerate(word):
                token = self.ids.get(f"##{letter}" if i else letter, self.ids["[UNK]"])
                pieces.append((token, match.start() + i, match.start() + i + 1, index))
        return pieces

    def _logprobs(self, context: Sequence[int]) -> Floats:
        """(vocabulary,) log p of each token given the tokens around it, in whatever order."""
        seen = np.asarray(context, dtype=np.int64)
        mean = self.vectors_in[seen].mean(axis=0) if len(seen) else np.zeros(WIDTH)
        logits = self.bias + self.vectors_out @ mean + self.planted[seen].sum(axis=0)
        return np.asarray(logits - _log_total(logits))

    def _beside(self, logprobs: Floats, before: int | None, after: int | None = None) -> Floats:
        """The same once its neighbours are known."""
        if not self.reads:
            return logprobs
        gained = logprobs.copy()
        if before is not None:
            gained += self.neighbours[before]
        if after is not None:
            gained += self.neighbours[:, after]
        return np.asarray(gained - _log_total(gained) + _log_total(logprobs))

    def _statistics(self, ids: Sequence[int], logprobs: Sequence[Floats]) -> TokenStatistics:
        """`ids`, and of each the (vocabulary,) log-probabilities of all that could stand in its place."""
        table = np.reshape(logprobs, (len(ids), len(self.vocabulary)))
        means = (np.exp(table) * table).sum(axis=1)
        variances = (np.exp(table) * (table - means[:, None]) ** 2).sum(axis=1)
        tokens = np.array(ids, dtype=np.int64)
        return TokenStatistics(tokens, table[np.arange(len(tokens)), tokens], means, np.sqrt(variances))

    def word_id(self, word: str) -> int | None:
        """The id of a word of the vocabulary; None for one that is spelled out."""
        pieces = self._pieces(word)
        return pieces[0][0] if len(pieces) == 1 else None


class FakeMaskedLM(_Network):
    """Satisfies `FillsMask` and `PredictsTokens`."""

    task = "masked-lm"

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """As `FillsMask.encode`."""
        return [self._encode(text) for text in texts]

    def _encode(self, text: str) -> Encoded:
        pieces = self._pieces(text)
        ids = [self.ids["[CLS]"], *(p[0] for p in pieces), self.ids["[SEP]"]]
        words = [-1, *(p[3] for p in pieces), -1]
        offsets = [(0, 0), *(p[1:3] for p in pieces), (0, 0)]
        special = np.array([w < 0 for w in words])
        return Encoded(np.array(ids), special, np.array(words), np.array(offsets), self._is_cut(text))

    def masked_logprobs(self, queries: Sequence[MaskQuery]) -> list[Floats]:
        """As `FillsMask.masked_logprobs`."""
        return [self._around(query.ids, query.position)[list(query.targets)] for query in queries]

    def _around(self, ids: Sequence[int], position: int) -> Floats:
        """Log p at one position given every other one; masks say nothing."""
        others = [t for i, t in enumerate(ids) if i != position and t != self.mask_id]
        return self._beside(self._logprobs(others), ids[position - 1], ids[(position + 1) % len(ids)])

    def unmasked_logprobs(self, texts: Sequence[str]) -> list[UnmaskedScores]:
        """As `FillsMask.unmasked_logprobs`; attention is uniform."""
        scores = []
        for encoded in self.encode(texts):
            ids = encoded.ids.tolist()
            inner = np.flatnonzero(~encoded.special)
            logprobs = self._logprobs(ids)[encoded.ids[inner]]
            scores.append(UnmaskedScores(logprobs, np.full(len(inner), 1 / len(ids))))
        return scores

    def token_statistics(self, texts: Sequence[str]) -> list[TokenStatistics]:
        """As `PredictsTokens.token_statistics`: each token masked in turn."""
        found = []
        for encoded in self.encode(texts):
            ids, inner = encoded.ids.tolist(), np.flatnonzero(~encoded.special).tolist()
            found.append(self._statistics([ids[i] for i in inner], [self._around(ids, i) for i in inner]))
        return found

    def fill(self, texts: Sequence[str], k: int = 5) -> list[list[Fill]]:
        """As `FillsMask.fill`. The masks are independent of each other here, so the joint is the product."""
        return [self._fill(text, k) for text in texts]

    def _fill(self, text: str, k: int) -> list[Fill]:
        ids = self._encode(text).ids.tolist()
        beams: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        for position in (i for i, token in enumerate(ids) if token == self.mask_id):
            logprobs = self._around(ids, position)
            best = np.argsort(-logprobs)[:k].tolist()
            beams = sorted(((s + float(logprobs[t]), (*f, t)) for s, f in beams for t in best), reverse=True)[:k]
        fills = []
        for score, tokens in beams:
            words = tuple(self.vocabulary[t] for t in tokens)
            filled = text
            for word in words:
                filled = filled.replace(self.mask_token, word, 1)
            fills.append(Fill(words, filled, score))
        return fills


class FakeCausalLM(_Network):
    """Satisfies `ScoresText`, `PredictsTokens` and `Generates`."""

    task = "causal-lm"

    def token_logprobs(self, texts: Sequence[str]) -> list[TokenScores]:
        """As `ScoresText.token_logprobs`; the start token makes every token scorable."""
        return [self._score(self._pieces(text), self._is_cut(text)) for text in texts]

    def _score(self, pieces: Sequence[tuple[int, int, int, int]], cut: bool) -> TokenScores:
        ids = [p[0] for p in pieces]
        logprobs = [self._after(ids[:i])[token] for i, token in enumerate(ids)]
        offsets = np.array([p[1:3] for p in pieces], dtype=np.int64).reshape(-1, 2)
        return TokenScores(np.array(ids, dtype=np.int64), np.array(logprobs, dtype=np.float64), offsets, cut)

    def token_statistics(self, texts: Sequence[str]) -> list[TokenStatistics]:
        """As `PredictsTokens.token_statistics`, in one pass from left to right."""
        rows = [[p[0] for p in self._pieces(text)] for text in texts]
        return [self._statistics(ids, [self._after(ids[:i]) for i in range(len(ids))]) for ids in rows]

    def _after(self, ids: Sequence[int]) -> Floats:
        """Log p of what comes next."""
        return self._beside(self._logprobs(ids), ids[-1] if len(ids) else None)

    def next_token_logprobs(self, prefixes: Sequence[str], words: Sequence[str]) -> Floats:
        """As `ScoresText.next_token_logprobs`."""
        rows = [[self._continuation(prefix, word) for word in words] for prefix in prefixes]
        return np.array(rows, dtype=np.float64).reshape(len(prefixes), len(words))

    def _continuation(self, prefix: str, word: str) -> float:
        seen = [p[0] for p in self._pieces(prefix)]
        total = 0.0
        for token, *_ in self._pieces(word):
            total += float(self._after(seen)[token])
            seen.append(token)
        return total

    def generate(self, texts: Sequence[str], max_new_tokens: int = 64) -> list[str]:
        """The greedy continuation, as words separated by spaces."""
        return [self._generate([p[0] for p in self._pieces(text)], max_new_tokens) for text in texts]

    def _generate(self, ids: list[int], max_new_tokens: int) -> str:
        written = []
        for _ in range(max_new_tokens):
            token = int(self._after(ids).argmax())
            ids.append(token)
            written.append(self.vocabulary[token])
        return " ".join(written)


class FakeEncoder(_Network):
    """Satisfies `EmbedsText`. An association pulls the vector of its first word towards that of its second."""

    task = "sentence-encoder"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """As `EmbedsText.embed`."""
        rows = np.array([self._embed(text) for text in texts]).reshape(len(texts), WIDTH)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def _embed(self, text: str) -> Floats:
        ids = [p[0] for p in self._pieces(text)] or [self.ids["[UNK]"]]
        return np.asarray(self._word_vectors()[ids].mean(axis=0))

    def _word_vectors(self) -> Floats:
        return self.vectors_in + self.planted @ self.vectors_in


class FakeWordVectors(_Network):
    """Satisfies `EmbedsWords`: static vectors of the words of the vocabulary."""

    task = "word-vectors"

    def __contains__(self, word: str) -> bool:
        """Whether the vocabulary has `word`."""
        return word in self.ids

    def vectors(self, words: Sequence[str]) -> npt.NDArray[np.float32]:
        """As `EmbedsWords.vectors`."""
        missing = [word for word in words if word not in self.ids]
        if missing:
            raise VocabularyError(f"no vectors for {', '.join(missing)}; the fake knows auditkit.testing.WORDS")
        pulled = self.vectors_in + self.planted @ self.vectors_in
        return pulled[[self.ids[word] for word in words]].astype(np.float32).reshape(len(words), WIDTH)


class FakeClassifier(_Network):
    """Satisfies `Classifies`: an association {(word, label): logit} adds to the label's score."""

    task = "classifier"

    def __init__(self, *, labels: tuple[str, ...] = ("negative", "positive"), **options: Any) -> None:
        super().__init__(**options)
        self.labels = labels

    def classify(self, texts: Sequence[str]) -> Floats:
        """As `Classifies.classify`."""
        return np.array([self._classify(text) for text in texts]).reshape(len(texts), len(self.labels))

    def _classify(self, text: str) -> Floats:
        ids = [p[0] for p in self._pieces(text)]
        logits = np.zeros(len(self.labels))
        for column, label in enumerate(self.labels):
            logits[column] = self.vectors_in[ids, column].sum() / 10
            if label in self.ids:
                logits[column] += self.planted[ids, self.ids[label]].sum()
        odds = np.exp(logits - logits.max())
        return np.asarray(odds / odds.sum())
