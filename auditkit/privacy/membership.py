"""Membership inference from one model's likelihoods: is a text likelier than it should be, had it not been seen?

Every attack maps the statistics of a text to one number that is higher for a member. All read the same
`TokenStatistics`, so a model reads each text once however many attacks there are.

    loss             mean log p of the tokens                                  Yeom et al. (2018)
    zlib             the same per byte of the compressed text                  Carlini et al. (2021)
    reference        log p under the model minus log p under another, per token  Carlini et al. (2021)
    min_k            mean log p of the k % least likely tokens                 Shi et al. (2024)
    min_k_plus_plus  the same of log p standardised by the model's own         Zhang et al. (2024)
                     mean and deviation at each position

A classifier offers its loss on the true label (Yeom et al., 2018), and its difference from another classifier's.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from auditkit.errors import DataError, InputError
from auditkit.models.protocols import Classifies, Floats, PredictsTokens, TokenStatistics

ATTACKS = ("loss", "zlib", "reference", "min_k", "min_k_plus_plus")
"""Every attack; "reference" needs a second model, and a classifier allows "loss" and "reference" only."""

K = 0.2
SMALLEST_STD = 1e-6  # a model that is certain expects no deviation; rounding alone makes one of about 1e-7


def loss(statistics: Sequence[TokenStatistics]) -> Floats:
    """(n,) mean log p per token, in nats: the negative loss."""
    return np.array([s.logprobs.mean() for s in statistics])


def zlib_ratio(statistics: Sequence[TokenStatistics], texts: Sequence[str]) -> Floats:
    """(n,) mean log p per token divided by the bytes of the zlib-compressed text.

    A text that repeats itself is likely under any model; compression discounts that.
    """
    sizes = [len(zlib.compress(text.encode())) for text in texts]
    return loss(statistics) / np.array(sizes)


def reference_ratio(statistics: Sequence[TokenStatistics], reference: Sequence[TokenStatistics]) -> Floats:
    """(n,) log-likelihood ratio of the model and a reference model, in nats per token of the model.

    The ratio is of whole texts, so the two may have different tokenizers. The reference should be as good a model of
    such texts, without having seen the members.
    """
    pairs = zip(statistics, reference, strict=True)
    return np.array([(s.logprobs.sum() - r.logprobs.sum()) / len(s.logprobs) for s, r in pairs])


def min_k(statistics: Sequence[TokenStatistics], k: float = K) -> Floats:
    """(n,) mean log p of the share `k` of the tokens that are least likely; of one token at least."""
    return np.array([_mean_of_lowest(s.logprobs, k) for s in statistics])


def min_k_plus_plus(statistics: Sequence[TokenStatistics], k: float = K) -> Floats:
    """(n,) mean of the lowest share `k` of (log p - mean) / deviation; of one token at least.

    A member should lie near a mode of the model's distribution: likelier than the model itself would expect.
    """
    scores = [(s.logprobs - s.means) / np.maximum(s.stds, SMALLEST_STD) for s in statistics]
    return np.array([_mean_of_lowest(score, k) for score in scores])


def label_logprobs(model: Classifies, texts: Sequence[str], labels: Sequence[str]) -> Floats:
    """(n,) log p of each text's true label.

    Raises:
        InputError: a label that the model does not have.
    """
    if unknown := sorted(set(labels) - set(model.labels)):
        raise InputError(f"label {unknown[0]!r} is none of the model's: {', '.join(map(repr, model.labels))}")
    column = [model.labels.index(label) for label in labels]
    probabilities = model.classify(texts)[np.arange(len(texts)), column]
    return np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))


def likelihood_scores(
    model: PredictsTokens, texts: Sequence[str], *, reference: PredictsTokens | None = None, k: float = K
) -> dict[str, Floats]:
    """The (n,) scores of every attack on a language model, by name; "reference" only with a reference model.

    Raises:
        DataError: a text of which the model, or the reference, scores no token.
    """
    statistics = _read(model, texts)
    scores = {"loss": loss(statistics), "zlib": zlib_ratio(statistics, texts)}
    if reference is not None:
        scores["reference"] = reference_ratio(statistics, _read(reference, texts))
    return scores | {"min_k": min_k(statistics, k), "min_k_plus_plus": min_k_plus_plus(statistics, k)}


def label_scores(
    model: Classifies, texts: Sequence[str], labels: Sequence[str], *, reference: Classifies | None = None
) -> dict[str, Floats]:
    """The (n,) scores of every attack on a classifier, by name.

    Raises:
        InputError: a label that the model or the reference does not have.
    """
    scores = {"loss": label_logprobs(model, texts, labels)}
    if reference is not None:
        scores["reference"] = scores["loss"] - label_logprobs(reference, texts, labels)
    return scores


def _read(model: PredictsTokens, texts: Sequence[str]) -> list[TokenStatistics]:
    statistics = model.token_statistics(texts)
    empty = [i for i, s in enumerate(statistics) if not len(s.logprobs)]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(texts)} texts have no token that the model scores, the first {len(texts[empty[0]])} "
            "characters long; leave out texts of a single token"
        )
    return statistics


def _mean_of_lowest(values: Floats, k: float) -> float:
    count = max(1, int(k * len(values)))
    return float(np.partition(values, count - 1)[:count].mean())
