"""Log-probability of a token, and what its distribution made one expect of it: one pass over the logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from auditkit.models.protocols import Floats, Ints, TokenStatistics

# Rows are taken in blocks of this many logits, so that on a CPU the five passes over a block find it in the cache.
CELLS = {"cpu": 2**19, "accelerator": 2**26}


def statistics(logits: torch.Tensor, tokens: torch.Tensor) -> Floats:
    """(n, 3): log p of each token, and mean and standard deviation of log p under the model's own distribution.

    The mean is the negative entropy of the distribution, in nats. Computed in float32, or in the logits' own format
    where that is float64.

    Args:
        logits: (n, V), or log-probabilities.
        tokens: (n,) the token ids that really stood there.
    """
    cells = CELLS["cpu" if logits.device.type == "cpu" else "accelerator"]
    rows = max(1, cells // logits.shape[-1])
    blocks = [_block(*block) for block in zip(logits.split(rows), tokens.split(rows), strict=True)]
    return np.concatenate(blocks) if blocks else np.zeros((0, 3))


def _block(logits: torch.Tensor, tokens: torch.Tensor) -> Floats:
    exact = logits if logits.dtype == torch.float64 else logits.float()
    logp = exact.log_softmax(-1)
    chosen = logp.gather(1, tokens[:, None])[:, 0]
    p = logp.exp()
    mean = torch.linalg.vecdot(p, logp)
    # The squares are of deviations from the mean: a difference of two large moments would lose a small variance.
    variance = torch.linalg.vecdot(p, logp.sub_(mean[:, None]).square_())
    return torch.stack([chosen, mean, variance.sqrt()], dim=1).cpu().double().numpy()


def as_token_statistics(ids: Sequence[int] | Ints, table: Floats) -> TokenStatistics:
    """The (T, 3) table of `statistics` as a record, with the ids that it belongs to."""
    return TokenStatistics(np.asarray(ids, dtype=np.int64), *table.T)
