"""A text classifier on a frozen encoder: embeddings, and a logistic head on top of them.

    head = TextHead.fit(load_model("minilm"), texts, labels)            # a sentence encoder
    head = TextHead.fit(MeanPooled(load_model("char-gpt")), texts, labels)
    ak.audit(head, [GroupFairness(...), CounterfactualFlips(data="people.csv")])

Only the head learns, which takes seconds; a linear head on frozen embeddings is the usual "linear probe".
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from auditkit import extras
from auditkit.errors import DataError
from auditkit.models.protocols import EmbedsText, Floats

if TYPE_CHECKING:
    from auditkit.models.char_gpt import CharModel

CACHED_SETS = 4  # an audit asks for the same texts again and again: once a probe


class TextHead:
    """A logistic head on the embeddings of a frozen encoder; implements Classifies.

    Args:
        encoder: an adapter that embeds texts.
        weights: (labels, d) of the head.
        biases: (labels,) of the head.
        labels: what the head chooses between.
        name: what the report calls it.
    """

    task = "classifier"

    def __init__(self, encoder: Any, weights: Floats, biases: Floats, labels: Sequence[str], *, name: str) -> None:
        self.encoder = encoder
        self.weights, self.biases = weights, biases
        self.labels = tuple(labels)
        self.name = name
        self._embedded: dict[str, Floats] = {}

    @classmethod
    @extras.explained()
    def fit(
        cls,
        encoder: EmbedsText,
        texts: Sequence[str],
        labels: Sequence[str] | npt.NDArray[np.object_],
        *,
        name: str = "",
        regularization: float = 0.1,
    ) -> Self:
        """Learn the head by logistic regression.

        Args:
            encoder: embeds the texts; stays as it is.
            texts: at least one of each label.
            labels: the label of each text.
            name: what the report calls it; "" names it after the encoder.
            regularization: 1/C of the L2 penalty on the weights.

        Raises:
            DataError: not as many labels as texts, or fewer than two different ones.
        """
        from sklearn.linear_model import LogisticRegression

        found = [str(label) for label in labels]
        if len(found) != len(texts) or len(set(found)) < 2:
            raise DataError(
                f"{len(texts)} texts with {len(found)} labels, {len(set(found))} of them different; expected a label "
                "for each text, and two different ones or more"
            )
        embedded = np.asarray(encoder.embed(texts), dtype=np.float64)
        learned = LogisticRegression(C=1 / regularization, max_iter=1_000).fit(embedded, found)
        weights, biases = learned.coef_, learned.intercept_
        if len(weights) == 1:  # two labels: sklearn keeps the log-odds of the second
            weights, biases = np.vstack([0 * weights, weights]), np.array([0.0, biases[0]])
        title = name or f"{getattr(encoder, 'name', 'encoder')} with a logistic head"
        return cls(encoder, weights, biases, learned.classes_.tolist(), name=title)

    @property
    def notices(self) -> Counter[str]:
        """Those of the encoder: a head adds none."""
        notices: Counter[str] = self.encoder.notices
        return notices

    def classify(self, texts: Sequence[str]) -> Floats:
        """(n, len(labels)) softmax probabilities."""
        logits = self._embed(texts) @ self.weights.T + self.biases
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def _embed(self, texts: Sequence[str]) -> Floats:
        """Embeddings, kept for the last few sets of texts."""
        key = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
        if key not in self._embedded:
            while len(self._embedded) >= CACHED_SETS:
                del self._embedded[next(iter(self._embedded))]
            self._embedded[key] = np.asarray(self.encoder.embed(texts), dtype=np.float64)
        return self._embedded[key]

    def describe(self) -> dict[str, Any]:
        """Identity of the encoder and the head together."""
        below = self.encoder.describe()
        head = hashlib.sha256(self.weights.tobytes() + self.biases.tobytes()).hexdigest()
        both = hashlib.sha256(f"{below['weights_sha256']}{head}".encode()).hexdigest()
        return {
            **below,
            "name": self.name,
            "task": self.task,
            "architecture": f"{below['architecture']} (frozen) with a logistic head",
            "parameters": (below["parameters"] or 0) + self.weights.size + self.biases.size,
            "weights_sha256": both,
        }

    def randomized(self, seed: int) -> Self:
        """A fresh encoder, and a head drawn with the spread of the fitted one."""
        rng = np.random.default_rng(seed)
        weights = rng.normal(0, self.weights.std(), self.weights.shape)
        title = f"{self.name} (random weights, seed {seed})"
        return type(self)(self.encoder.randomized(seed), weights, 0 * self.biases, self.labels, name=title)


class MeanPooled:
    """A char-GPT as a sentence encoder: the mean of its last hidden states; implements EmbedsText.

    A text longer than the context is read in pieces, each from a fresh start.
    """

    task = "sentence-encoder"

    def __init__(self, model: CharModel) -> None:
        self.model = model
        self.name = f"{model.name} (mean of hidden states)"

    @property
    def notices(self) -> Counter[str]:
        """Those of the char-GPT."""
        return self.model.notices

    @property
    def module(self) -> Any:
        """The network itself, not a copy."""
        return self.model.module

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, d) unit vectors.

        Raises:
            DataError: an empty text.
        """
        if not all(texts):
            raise DataError("an empty text has no hidden states to average; leave it out")
        context = self.model.config.context
        pieces = [(i, text[a : a + context]) for i, text in enumerate(texts) for a in range(0, len(text), context)]
        sums = np.zeros((len(texts), self.model.config.hidden))
        for (i, _), states in zip(pieces, self._summed_states([piece for _, piece in pieces]), strict=True):
            sums[i] += states
        return (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)

    def _summed_states(self, pieces: Sequence[str]) -> Floats:
        """(pieces, d) the sum over the characters of each; what is padded comes after them and is not seen."""
        import torch

        from auditkit.models.batching import Batcher, pad

        encoded = [self.model.tokenizer.encode(piece) for piece in pieces]
        if replaced := sum(n for _, n in encoded):
            self.notices[f"characters outside the vocabulary read as {self.model.tokenizer.fallback!r}"] += replaced
        ids = [found for found, _ in encoded]
        out = np.zeros((len(pieces), self.model.config.hidden))
        seen: list[torch.Tensor] = []
        hook = self.module.norm.register_forward_hook(lambda module, given, states: seen.append(states))

        def forward(rows: npt.NDArray[np.int64]) -> None:
            seen.clear()
            with torch.inference_mode():
                self.module(pad([ids[r] for r in rows], 0).to(self.model.device))
            for row, states in zip(rows.tolist(), seen[0].double().cpu(), strict=True):
                out[row] = states[: len(ids[row])].sum(dim=0).numpy()

        try:
            Batcher(8192, self.notices, self.module).run([len(i) for i in ids], forward)
        finally:
            hook.remove()
        return out

    def describe(self) -> dict[str, Any]:
        """Identity of the network."""
        return {**self.model.describe(), "name": self.name, "task": self.task}

    def randomized(self, seed: int) -> MeanPooled:
        """The same network, freshly initialised."""
        return MeanPooled(self.model.randomized(seed))
