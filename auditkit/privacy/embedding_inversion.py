"""Text from a sentence embedding: how much of a text does its vector give away?

After Song & Raghunathan (2020), Information leakage in embedding models, https://arxiv.org/abs/2004.00053 (a decoder
from embeddings to the set of words), and Morris et al. (2023), Text embeddings reveal (almost) as much as text,
https://arxiv.org/abs/2310.06816 (candidates corrected by embedding them again). The attacker can embed texts of their
own, has public ones, and holds the embedding of a private one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError
from auditkit.measurement import Measurement
from auditkit.models.protocols import EmbedsText, Floats
from auditkit.privacy.recovery import in_any_order, recovery

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EmbeddingInverter:
    """A decoder from embeddings to words, trained on public texts; D dimensions, V words.

    Attributes:
        model: the encoder under attack, which may be asked as often as one likes.
        texts: the public texts.
        embeddings: (n, D) of the public texts.
        vocabulary: the V most frequent words of the public texts, most frequent first.
        weights: (D + 1, V + 1) ridge regression, the last row the intercept; the last column is the number of words.
    """

    model: EmbedsText
    texts: tuple[str, ...]
    embeddings: Vectors
    vocabulary: tuple[str, ...]
    weights: Floats

    @classmethod
    def fit(cls, model: EmbedsText, texts: Sequence[str], *, words: int = 2000, ridge: float = 1e-4) -> Self:
        """Learn which words an embedding speaks of.

        Args:
            model: the encoder.
            texts: public texts, at least 20.
            words: how many of their words to learn.
            ridge: strength of the penalty on the weights, per text.

        Raises:
            DataError: fewer than 20 texts.
        """
        if len(texts) < 20:
            raise DataError(f"{len(texts)} public texts; expected at least 20, and thousands for a strong attack")
        split = [tokens(text) for text in texts]
        vocabulary = tuple(word for word, _ in Counter(word for one in split for word in one).most_common(words))
        index = {word: i for i, word in enumerate(vocabulary)}
        targets = np.zeros((len(texts), len(vocabulary) + 1))
        for row, one in zip(targets, split, strict=True):
            row[[index[word] for word in one if word in index]] = 1
            row[-1] = len(one)
        embeddings = model.embed(texts)
        return cls(model, tuple(texts), embeddings, vocabulary, _ridge(embeddings, targets, ridge * len(texts)))

    def words(self, embeddings: Vectors) -> list[list[str]]:
        """For each of the (n, D) embeddings as many words as it seems to have, the surest first."""
        scores = self._decode(embeddings)
        lengths = np.clip(np.rint(scores[:, -1]), 1, len(self.vocabulary)).astype(int)
        order = np.argsort(-scores[:, :-1], axis=1)
        return [[self.vocabulary[i] for i in row[:length].tolist()] for row, length in zip(order, lengths, strict=True)]

    def text(self, embedding: Vectors, *, candidates: int = 20, rounds: int = 8) -> str:
        """A text whose embedding is near `embedding` (D,): the nearest public text, improved one word at a time.

        Each round tries every replacement and insertion by one of the words that the embedding makes likelier than they
        are anyway, and every deletion, and keeps the best; it ends when none is nearer.

        Args:
            embedding: of the private text.
            candidates: how many of these words are tried at each place.
            rounds: at most so many words are changed.
        """
        here, anywhere = self._decode(np.stack([embedding, self.embeddings.mean(axis=0)]))[:, :-1]
        likelier = [self.vocabulary[i] for i in np.argsort(anywhere - here)[:candidates].tolist()]
        similarities = self.embeddings @ embedding
        nearest = int(similarities.argmax())
        best, nearness = tokens(self.texts[nearest]), float(similarities[nearest])
        for _ in range(rounds):
            tried = list(_neighbours(best, likelier))
            near = self.model.embed([" ".join(t) for t in tried]) @ embedding
            if near.max() <= nearness + 1e-6:
                break
            best, nearness = tried[int(near.argmax())], float(near.max())
        return " ".join(best)

    def no_access(self) -> list[str]:
        """What one would guess without the embedding: the most frequent words, as many as a public text has."""
        typical = round(float(np.mean([len(tokens(text)) for text in self.texts])))
        return list(self.vocabulary[: max(1, typical)])

    def _decode(self, embeddings: Vectors) -> Floats:
        return np.asarray(embeddings @ self.weights[:-1] + self.weights[-1], dtype=np.float64)


def invert_embeddings(
    inverter: EmbeddingInverter, private: Sequence[str], embeddings: Vectors, *, rng: np.random.Generator
) -> list[Measurement]:
    """Recover private texts from their embeddings, and measure the share of their words that is right.

    Args:
        inverter: trained on public texts only.
        private: the truth.
        embeddings: (n, D) of the private texts; all that the attacker sees of them.
        rng: draws the bootstrap samples.

    Returns:
        `inversion/words/...` by the decoder alone, and `inversion/text/...` after the search; in percent. "tokens"
        counts words in any order, "exact" whole texts, which the decoder alone, knowing no order, cannot recover.

    Raises:
        DataError: a private text is among the public ones.
    """
    public = {" ".join(tokens(text)) for text in inverter.texts}
    if known := [text for text in private if " ".join(tokens(text)) in public]:
        raise DataError(f"{len(known)} of the private texts are among the public ones; remove them from the latter")
    truths = [tokens(text) for text in private]
    baseline = [inverter.no_access()] * len(private)
    budget = {"public_texts": len(inverter.texts), "vocabulary": len(inverter.vocabulary)}
    decoded = recovery(
        "inversion/words", truths, inverter.words(embeddings), baseline, overlap=in_any_order, rng=rng,
        method="ridge regression of the words on the embedding, trained on public texts",
        source="Song & Raghunathan (2020), https://arxiv.org/abs/2004.00053", details=budget,
    )  # fmt: skip
    searched = recovery(
        "inversion/text", truths, [tokens(inverter.text(e)) for e in embeddings], baseline, overlap=in_any_order,
        rng=rng, method="nearest public text, improved word by word towards the embedding",
        source="Morris et al. (2023), https://arxiv.org/abs/2310.06816", details=budget,
    )  # fmt: skip
    return decoded + searched


def tokens(text: str) -> list[str]:
    """The words of a text: lower case, without punctuation at their ends."""
    return [word for raw in text.lower().split() if (word := raw.strip(".,;:!?\"'()[]"))]


def _ridge(x: Vectors, y: Floats, penalty: float) -> Floats:
    """(D + 1, k) coefficients of y (n, k) on x (n, D), the intercept last and not penalised."""
    centre, mean = x.mean(0, dtype=np.float64), y.mean(0)
    inputs = x - centre
    slopes = np.linalg.solve(inputs.T @ inputs + penalty * np.eye(x.shape[1]), inputs.T @ (y - mean))
    return np.vstack([slopes, mean - centre @ slopes])


def _neighbours(words: list[str], new: Sequence[str]) -> Iterator[list[str]]:
    """Every text that differs by one word, replaced or inserted from `new`, or deleted."""
    for i in range(len(words) + 1):
        for word in new:
            yield [*words[:i], word, *words[i:]]
            if i < len(words):
                yield [*words[:i], word, *words[i + 1 :]]
        if i < len(words) > 1:
            yield [*words[:i], *words[i + 1 :]]
