"""The model-randomisation check: an explanation that stays when the model's weights are random explains no model.

Adebayo et al. (2018), "Sanity Checks for Saliency Maps", NeurIPS. Weights are replaced from the output downwards, block
by block, by those of a freshly initialised model of the same architecture. The last stage but one, in which all has
been replaced but the embeddings, is the telling one: what reads off the embeddings alone still looks the same there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from auditkit.explain.readers import reader_of
from auditkit.privacy.adapters import copy_of

BLOCK = re.compile(r"(.*?[A-Za-z_]\w*\.\d+)\.")
EMBEDDINGS, HEAD = "embeddings", "head"


def parameter_groups(model: Any) -> dict[str, list[str]]:
    """The names of all parameters, by what they belong to, from the embeddings up to the head.

    What stands between two blocks belongs to the lower one; without blocks there are embeddings and a head.
    """
    names = [name for name, _ in model.module.named_parameters()]
    blocks = [m.group(1) if (m := BLOCK.match(name)) else "" for name in names]
    numbered = [i for i, block in enumerate(blocks) if block]
    if not numbered:
        embedding: Any = reader_of(model).embedding
        own = {id(p) for p in embedding.parameters()}
        lowest = [name for name, p in model.module.named_parameters() if id(p) in own]
        return {EMBEDDINGS: lowest, HEAD: [name for name in names if name not in lowest]}
    groups: dict[str, list[str]] = {EMBEDDINGS: []}
    current = EMBEDDINGS
    for i, name in enumerate(names):
        current = blocks[i] or (HEAD if i > numbered[-1] else current)
        groups.setdefault(current, []).append(name)
    return groups


def randomized_from_the_top(model: Any, seed: int, stages: int) -> Iterator[tuple[str, Any]]:
    """A copy of the model with more and more random weights: (the lowest group replaced so far, the copy).

    Args:
        model: the adapter; it stays as it is.
        seed: of the random weights.
        stages: at most so many copies are handed out, spread evenly; always the last two: all but the embeddings,
            and everything.
    """
    groups = [(name, names) for name, names in reversed(parameter_groups(model).items()) if names]
    wanted = {len(groups) - 1, *np.linspace(0, len(groups) - 2, max(1, stages - 1)).round().astype(int).tolist()}
    copied, fresh = copy_of(model), dict(model.randomized(seed).module.named_parameters())
    parameters = dict(copied.module.named_parameters())
    for i, (group, names) in enumerate(groups):
        with torch.no_grad():
            for name in names:
                parameters[name].copy_(fresh[name])
        if i in wanted:
            yield group, copied
