"""What each attention head looks at: entropy, simple roles, and how attention adds up over layers.

Attention is a description of what was mixed, not an explanation of the prediction (Jain & Wallace 2019, NAACL): see
`auditkit.explain.attention_gradients` for how far the two agree. Shapes: L layers, H heads, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from auditkit.errors import DataError, InputError
from auditkit.explain.layers import Array, Reading, Tokens, read, tokenize
from auditkit.measurement import Interval
from auditkit.models.protocols import Floats, Ints

ROLES = ("previous_token", "first_token", "same_token")
"""Voita et al. (2019, ACL) and Clark et al. (2019, BlackboxNLP) describe heads of the first kinds; "same token" is
attention to all places of the querying token's own id, itself included."""
HALF_WAY = 0.5  # a head has a role when its attention lies more than half way from even to exclusive
UNIT = 2**30  # max-flow wants integers: a capacity of 1, as large as int32 sums allow


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """The attention of one text: `weights[l, h, i, j]` is what token i takes from token j; rows sum to 1."""

    tokens: Tokens
    weights: Array


@dataclass(frozen=True, slots=True)
class HeadRoles:
    """How far each head attends to what each role names.

    Attributes:
        lift: (L, H, roles) mean over texts: 0 is even attention, 1 attention to the role's targets alone.
        low, high: (L, H, roles) ends of its interval; all of them hold together at 95 % (Bonferroni).
        n: how many independent texts (or clusters of texts) that rests on.
    """

    lift: Floats
    low: Floats
    high: Floats
    n: int

    @property
    def names(self) -> list[list[str]]:
        """[layer][head]: the role whose lift is surely above one half (the largest such), or "" where none is."""
        best = np.where(self.low > HALF_WAY, self.lift, -np.inf)
        chosen = np.where(np.isfinite(best.max(axis=2)), best.argmax(axis=2), len(ROLES))
        return [[(*ROLES, "")[c] for c in row] for row in chosen.tolist()]

    def count(self, role: str) -> tuple[int, Interval]:
        """How many heads have the role, and the numbers that are compatible with the intervals of all heads.

        A head whose whole interval lies above one half surely counts, one that straddles it may.
        """
        r = ROLES.index(role)
        value, low, high = (int((a[..., r] > HALF_WAY).sum()) for a in (self.lift, self.low, self.high))
        return value, Interval(low, high, 0.95, f"simultaneous t intervals of all heads (Bonferroni), {self.n} texts")


def attention_maps(model: Any, texts: Sequence[str]) -> list[AttentionMap]:
    """The attention weights of every layer and head, text by text; attention is computed eagerly only here.

    Args:
        model: an adapter of auditkit over a transformer; of an encoder-decoder, its encoder is read.
        texts: at least one word each.

    Raises:
        InputError: an empty text.
        MissingCapability: the model is no transformer, or gives out no attention.
    """
    found: dict[int, AttentionMap] = {}

    def take(i: int, reading: Reading) -> None:
        if reading.attention is not None:
            found[i] = AttentionMap(reading.tokens, reading.attention)

    read(model, tokenize(model, texts), take, attention=True)
    return [found[i] for i in range(len(texts))]


def visible(weights: Array) -> npt.NDArray[np.bool_]:
    """(T, T): which tokens each token can see at all; earlier ones only where no head ever looks ahead."""
    length = weights.shape[-1]
    causal = not np.triu(weights, 1).any()
    return np.tri(length, dtype=bool) if causal else np.ones((length, length), dtype=bool)


def entropy(weights: Array) -> Floats:
    """(L, H) mean entropy of the rows, as a share of what even attention has: 0 is on one token, 1 is even.

    Tokens that see only themselves have no choice and are left out.

    Raises:
        InputError: a text of a single token.
    """
    choices = visible(weights).sum(axis=1)
    if not (choices > 1).any():
        raise InputError("a text of one token has no attention to speak of; give longer texts")
    p = weights[..., choices > 1, :].astype(np.float64)
    nats = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)
    return np.asarray((nats / np.log(choices[choices > 1])).mean(axis=-1))


def role_lifts(ids: Ints, weights: Array) -> Floats:
    """(L, H, roles): how far each head's attention lies from even (0) towards each role's targets alone (1).

    With share s of a row's attention on its targets, and share e for even attention, the lift is (s - e) / (1 - e),
    averaged over the querying tokens. The first two tokens do not query: for them, previous and first are the same.

    Raises:
        InputError: a text of fewer than three tokens.
    """
    length = len(ids)
    if length < 3:
        raise InputError(f"a text of {length} tokens shows no role; give texts of at least three")
    seen = visible(weights)
    targets = np.zeros((len(ROLES), length, length), dtype=bool)
    targets[0] = np.eye(length, k=-1, dtype=bool)
    targets[1, :, 0] = True
    targets[2] = ids[:, None] == ids[None, :]
    even = (targets & seen).sum(axis=2) / seen.sum(axis=1)  # (roles, T)
    share = np.einsum("lhij,rij->lhri", weights, targets, dtype=np.float64)
    asks = (np.arange(length) >= 2) & (even < 1)
    lift = np.where(asks, (share - even) / np.where(even < 1, 1 - even, 1.0), 0.0)
    return np.asarray(lift.sum(axis=-1) / np.maximum(asks.sum(axis=-1), 1))


def head_roles(maps: Sequence[AttentionMap], clusters: Sequence[str] | None = None) -> HeadRoles:
    """Test every head for every role.

    Args:
        maps: from `attention_maps`; texts of fewer than three tokens are refused.
        clusters: one label for each text: texts of one label (a template) count as one.

    Raises:
        DataError: fewer than two independent texts, or not as many clusters as texts.
    """
    from scipy import stats

    labels = np.unique(np.arange(len(maps)) if clusters is None else np.asarray(clusters), return_inverse=True)[1]
    if len(labels) != len(maps) or len(set(labels.tolist())) < 2:
        raise DataError(f"head_roles: {len(maps)} maps in {len(set(labels.tolist()))} clusters; expected at least two")
    lifts = np.stack([role_lifts(m.tokens.ids, m.weights) for m in maps])
    means = np.stack([lifts[labels == c].mean(axis=0) for c in range(labels.max() + 1)])  # (clusters, L, H, roles)
    n, lift = len(means), means.mean(axis=0)
    half = stats.t.ppf(1 - 0.025 / lift.size, n - 1) * means.std(axis=0, ddof=1) / np.sqrt(n)
    return HeadRoles(lift, lift - half, lift + half, n)


def _with_residual(weights: Array) -> Floats:
    """(L, T, T): attention averaged over heads, half of each row given to the token itself (the skip connection)."""
    mixed = weights.mean(axis=1, dtype=np.float64) + np.eye(weights.shape[-1])
    return np.asarray(mixed / mixed.sum(axis=-1, keepdims=True))


def rollout(weights: Array) -> Floats:
    """(L, T, T): how much of each input token arrives at each token after each layer, if attention were all.

    The product of the layers' attention, skip connections included (Abnar & Zuidema 2020, ACL); rows sum to 1.
    """
    layers = _with_residual(weights)
    for at in range(1, len(layers)):
        layers[at] = layers[at] @ layers[at - 1]
    return layers


def flow(weights: Array, queries: Sequence[int] | None = None) -> Floats:
    """(queries, T): the largest flow from each input token to each querying token of the last layer.

    Every attention weight, skip connections included, is the capacity of a pipe (Abnar & Zuidema 2020). A flow is at
    most 1; those of one row are found one at a time, so they do not sum to 1.

    Args:
        weights: (L, H, T, T) of one text.
        queries: positions of interest; all by default. Each costs T maximum-flow problems.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_flow

    layers = _with_residual(weights)
    depth, length = layers.shape[:2]
    level, above, below = np.nonzero(layers)
    capacity = np.rint(layers[level, above, below] * UNIT).astype(np.int32)
    # Node (level, token): level 0 holds the inputs; an edge leads down from a token to what it attends to.
    edges = ((level + 1) * length + above, level * length + below)
    size = (depth + 1) * length
    graph = coo_array((capacity, edges), shape=(size, size)).tocsr()
    asked = range(length) if queries is None else queries
    values = [[maximum_flow(graph, depth * length + q, j).flow_value for j in range(length)] for q in asked]
    return np.array(values, dtype=np.float64).reshape(-1, length) / UNIT
