"""Model inversion: reconstruct a training record from what is known of it, by asking the model what is likeliest.

After Fredrikson et al. (2015), Model inversion attacks that exploit confidence information, and, for language models,
Carlini et al. (2021), https://arxiv.org/abs/2012.07805. The attacker knows what stands before the secret and which
choices there are at each of its places: all characters, or fewer where attributes of the person are known. A beam
search keeps the likeliest beginnings. The same search in a model that was not trained on the record shows what can be
guessed without access.

`auditkit.privacy.embedding_inversion` is the same for sentence embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from auditkit.errors import DataError
from auditkit.measurement import Measurement
from auditkit.models.protocols import ScoresText
from auditkit.privacy.recovery import in_place, recovery
from auditkit.probes.likelihood import sentence_logprobs

WIDTH = 32


@dataclass(frozen=True, slots=True)
class Target:
    """One secret, and what the attacker knows of it.

    Attributes:
        prefix: what stands before it; not empty.
        slots: the choices at each of its places; one choice where an attribute is known.
        secret: the truth, one choice of each slot; the search does not look at it.
    """

    prefix: str
    slots: tuple[tuple[str, ...], ...]
    secret: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.prefix.strip() or len(self.slots) != len(self.secret) or not all(self.slots):
            raise DataError(
                f"a target with {len(self.slots)} slots and a secret of {len(self.secret)} places; expected as many, "
                "a choice in each, and a prefix"
            )


class Hypothesis(NamedTuple):
    """A beginning of the secret, choice by choice, and the log-likelihood of the text up to there, in nats."""

    choices: tuple[str, ...]
    logprob: float


def beam_search(
    model: ScoresText, prefix: str, slots: Sequence[Sequence[str]], *, width: int = WIDTH
) -> list[Hypothesis]:
    """The likeliest ways to fill the slots after `prefix`, best first.

    Args:
        model: scores the texts.
        prefix: what stands before the slots.
        slots: the choices at each place.
        width: how many hypotheses are kept after each place. With as many as there are candidates it finds the best.

    Returns:
        At most `width` hypotheses. Equally likely ones are in alphabetical order.
    """
    beam = [Hypothesis((), 0.0)]
    for choices in slots:
        grown = [(*h.choices, choice) for h in beam for choice in choices]
        scores = sentence_logprobs(model, [prefix + "".join(g) for g in grown]).tolist()
        ranked = sorted(map(Hypothesis, grown, scores), key=lambda h: (-h.logprob, h.choices))
        beam = ranked[:width]
    return beam


def invert_records(
    model: ScoresText,
    no_access: ScoresText,
    targets: Sequence[Target],
    *,
    rng: np.random.Generator,
    width: int = WIDTH,
) -> list[Measurement]:
    """Recover every target by beam search, and measure what share of the secrets and of their places is right.

    Args:
        model: the attacked model.
        no_access: a model that was not trained on the records: the same one trained without them, or
            `model.randomized(seed)`.
        targets: the secrets. Places with a single choice are known, and do not count as recovered.
        rng: draws the bootstrap samples.
        width: of the beam.

    Returns:
        `inversion/record/exact` and `inversion/record/tokens`, in percent; the ideal is what no access recovers.

    Raises:
        DataError: no targets, or one without anything to find.
    """
    if any(all(len(choices) == 1 for choices in t.slots) for t in targets):
        raise DataError("a target whose slots have one choice each is known already; leave it out")
    guesses, baseline = (
        [_unknown(t, beam_search(m, t.prefix, t.slots, width=width)[0].choices) for t in targets]
        for m in (model, no_access)
    )
    tried = sum(width * len(choices) for t in targets for choices in t.slots)
    return recovery(
        "inversion/record", [_unknown(t, t.secret) for t in targets], guesses, baseline, overlap=in_place, rng=rng,
        method=f"beam search of width {width} over the choices at each place, the likeliest text taken",
        source="Fredrikson et al. (2015), CCS; Carlini et al. (2021), https://arxiv.org/abs/2012.07805",
        details={"attack_budget": f"at most {tried} texts scored"},
    )  # fmt: skip


def _unknown(target: Target, choices: tuple[str, ...]) -> list[str]:
    """The choices at those places that the attacker did not know."""
    return [c for c, slot in zip(choices, target.slots, strict=True) if len(slot) > 1]
