"""The audit of a private training in one training run: how much epsilon it demonstrably spends, beside its claim.

Canaries are put into the training, each by a fair coin of its own; afterwards the auditor tells from what the training
gave away which coins fell how. Whoever guesses better than the claim allows has refuted the claim.

    audit = audit_training(model, texts, target_epsilon=4, delta=1e-5, epochs=1, logical_batch_size=64, seed=0)
    print(audit)                          # claimed, shown, and what could have been shown at most
    audit.save("audit.json")              # the probe `privacy` reads this file

    kind         canaries                       the auditor sees                   source of the score
    white_box    gradients of norm C            every released gradient            likelihood ratio of all steps
    black_box    texts of random characters     the final model alone              how much the text's loss fell

White box is the auditor that DP-SGD is proved against, and the one that finds broken implementations. Black box says
what somebody learns who gets the model alone. The audited training is one with canaries in it: throw its model away.

Source: Steinke, Nasr & Jagielski (2023), Privacy auditing with one (1) training run, arXiv:2305.08846.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.errors import DataError, InputError, UnknownName
from auditkit.integrity import canonical
from auditkit.privacy import canaries as planted
from auditkit.privacy import processes
from auditkit.privacy.accounting import PrivacyCost
from auditkit.privacy.bounds import EpsilonBound, OneRun, best_guesses_epsilon, f_dp_one_run_epsilon
from auditkit.privacy.canaries import SMALLEST_AUDIT, Canaries
from auditkit.privacy.gradient_canaries import DiracCanaries, Floats, IdleUnits, log_likelihood_ratios
from auditkit.privacy.objectives import objective_for
from auditkit.privacy.training import PrivateTrainingResult, train
from auditkit.report import write_atomically

KINDS = ("white_box", "black_box")
SCHEMA = 1
SECRET_LENGTH = 16
ROWS_AT_ONCE = 64
_STREAM = b"one-run audit"  # the coins share no random numbers with the training, whose seed is the same


@dataclass(frozen=True, slots=True, eq=False)
class OneRunAudit:
    """What one training run showed.

    Attributes:
        kind: "white_box" or "black_box".
        bound: epsilon is at least this, at 95 %, whatever the mechanism.
        f_dp_bound: the same if the training behaves like a Gaussian mechanism, which DP-SGD of many steps nearly does;
            a tighter estimate, not a proof. None without a delta.
        claimed: what the training says that it cost; None for one without privacy.
        scores: (m,) higher where a canary looks included.
        included: (m,) whether it was.
        guesses: the numbers of guesses that were tried.
        training: the training's record, without its seed.
        model: the model trained, with the canaries in it; None where the audit was loaded from a file.
    """

    kind: str
    bound: EpsilonBound
    f_dp_bound: EpsilonBound | None
    claimed: PrivacyCost | None
    scores: Floats
    included: NDArray[np.bool_]
    guesses: tuple[int, ...]
    training: Mapping[str, Any] = field(repr=False)
    model: Any = field(default=None, repr=False)

    @classmethod
    def of(
        cls, kind: str, run: OneRun, guesses: Sequence[int], claimed: PrivacyCost | None, training: Mapping[str, Any]
    ) -> OneRunAudit:
        """The bounds that follow from scores and coins, at the delta of the claim (0 where there is none)."""
        delta = 0.0 if claimed is None else claimed.delta
        gaussian = best_guesses_epsilon(run, guesses, delta=delta, bound=f_dp_one_run_epsilon) if delta else None
        bound = best_guesses_epsilon(run, guesses, delta=delta)
        kept = {key: value for key, value in training.items() if key not in ("seed", "validation")}
        return cls(kind, bound, gaussian, claimed, run.scores, run.included, tuple(guesses), kept)

    @property
    def ceiling(self) -> float:
        """What a perfect attacker would have shown with as many canaries and guesses."""
        return self.bound.ceiling

    @property
    def share_of_ceiling(self) -> float:
        """The bound as a share of the ceiling, 0 to 1."""
        return self.bound.epsilon / self.ceiling if self.ceiling else 0.0

    @property
    def refuted(self) -> bool:
        """Whether the claim is: the implementation is broken."""
        return self.claimed is not None and self.bound.epsilon > self.claimed.epsilon

    def __str__(self) -> str:
        claim = "no privacy claimed" if self.claimed is None else f"claimed epsilon {self.claimed.epsilon:.2f}"
        gaussian = "" if self.f_dp_bound is None else f", {self.f_dp_bound.epsilon:.2f} if it is Gaussian"
        verdict = "; the claim is REFUTED" if self.refuted else ""
        return (
            f"{claim}; at least {self.bound.epsilon:.2f} shown{gaussian} ({self.share_of_ceiling:.0%} of the ceiling "
            f"{self.ceiling:.2f}: {self.bound.power}){verdict}"
        )

    def save(self, path: str | Path) -> Path:
        """Write a JSON file that `load`, and the probe `privacy`, read. It holds no seed and no model.

        Raises:
            ReportError: the file cannot be written.
        """
        content = {
            "schema": SCHEMA,
            "kind": self.kind,
            "claimed": None if self.claimed is None else asdict(self.claimed),
            "guesses": list(self.guesses),
            "scores": self.scores.tolist(),
            "included": self.included.astype(int).tolist(),
            "training": dict(self.training),
        }
        write_atomically(Path(path), (json.dumps(content, allow_nan=False) + "\n").encode())
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> OneRunAudit:
        """Read what `save` wrote; the bounds are computed anew from the scores.

        Raises:
            DataError: the file cannot be read or is damaged.
        """
        try:
            data = canonical.parse(Path(path).read_text(encoding="utf-8"))
            if data["schema"] != SCHEMA:
                raise DataError(f"{path}: schema {data['schema']!r}; this version reads schema {SCHEMA}")
            claimed = None if data["claimed"] is None else _claim(data["claimed"])
            run = OneRun(np.array(data["scores"], dtype=np.float64), np.array(data["included"]))
            _refuse_unknown_kind(data["kind"])
            return cls.of(data["kind"], run, data["guesses"], claimed, dict(data["training"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, InputError) as e:
            if isinstance(e, DataError):
                raise
            raise DataError(f"{path} is not the file of an audit ({e}); OneRunAudit.save writes one") from e


def audit_training(
    model: Any,
    dataset: Sequence[Any],
    *,
    seed: int,
    canaries: int | Canaries = 1000,
    kind: str = "white_box",
    guesses: int | Sequence[int] | None = None,
    **training: Any,
) -> OneRunAudit:
    """Train once with canaries in it, and bound epsilon from below.

    The sampler always counts all m canaries as units of privacy, left-out ones as well: its rate gives no coin away.

    Args:
        model: as for `train`; it is not changed.
        dataset: as for `train`.
        seed: of coins, canaries and (unless secure) the training.
        canaries: m; in the black box also texts drawn by `canaries.draw`, each with 1 repetition. By default those are
            16 random letters behind "canary ".
        kind: "white_box" or "black_box".
        guesses: how many coins are guessed, chosen before looking; several are paid for (Bonferroni). By default two:
            m / 10, since the most certain tenth is near the best for a training that keeps a promise of 2 to 10; and
            m - 4 sqrt(m), which could refute one that is broken altogether. (Half of the guesses are "included": about
            all m they could not be right, unless exactly half of the coins fell so.)
        **training: all other arguments of `train`. A folder `out` must not hold a training yet.

    Raises:
        InputError: too few canaries, or an audit that cannot be valid; and whatever `train` raises.
        VocabularyError: the model cannot write the canaries.
    """
    _refuse_invalid(kind, canaries, training)
    m = canaries if isinstance(canaries, int) else len(canaries.canaries)
    tried = _guesses(guesses, m)
    rng = np.random.default_rng([seed, *_STREAM])
    training = {**training, "seed": None if training.get("secure") else seed}
    if kind == "white_box":
        included = rng.random(m) < 0.5
        result, scores = _white_box(model, dataset, included, rng, training)
    else:
        drawn = _texts(m, rng) if isinstance(canaries, int) else canaries
        included = np.array([c.inserted for c in drawn.canaries])
        result, scores = _black_box(model, dataset, drawn, training)
    claimed = result.cost if result.record["private"] else None
    audit = OneRunAudit.of(kind, OneRun(scores, included), tried, claimed, result.record)
    return replace(audit, model=result.model)


def _white_box(
    model: Any, dataset: Sequence[Any], included: NDArray[np.bool_], rng: np.random.Generator, training: dict[str, Any]
) -> tuple[PrivateTrainingResult, Floats]:
    """Every step's release, looked at in the directions of the canaries."""
    arguments = inspect.signature(train).bind(model, dataset, **training)
    arguments.apply_defaults()
    witness = DiracCanaries(
        included,
        max_grad_norm=arguments.arguments["max_grad_norm"],
        expected_batch_size=arguments.arguments["logical_batch_size"],
        rng=rng,
    )
    result = train(model, dataset, witness=witness, **training)
    record = result.record
    rate = record["logical_batch_size"] / record["units"]
    inner = np.stack(witness.inner)
    return result, log_likelihood_ratios(inner, rate=rate, noise_multiplier=record["noise_multiplier"])


def _black_box(
    model: Any, dataset: Sequence[Any], canaries: Canaries, training: dict[str, Any]
) -> tuple[PrivateTrainingResult, Floats]:
    """How much the loss of each canary fell from the initial model to the final one."""
    planted.refuse_inexpressible(canaries, model)
    texts = [canaries.text(c) for c in canaries.canaries]
    inserted = [text for text, c in zip(texts, canaries.canaries, strict=True) if c.inserted]
    if training.get("owners") is not None:
        training = {**training, "owners": [*training["owners"], *(("canary", i) for i in range(len(inserted)))]}
    left_out = IdleUnits(len(texts) - len(inserted))
    before = _losses(model, texts)
    result = train(model, [*dataset, *inserted], witness=left_out, **training)
    return result, before - _losses(result.model, texts)


@torch.no_grad()
def _losses(model: Any, texts: Sequence[str]) -> Floats:
    """(m,) the loss of every text, without dropout."""
    objective = objective_for(model, texts)
    was_training = model.module.training
    model.module.eval()
    parts = []
    for start in range(0, len(texts), ROWS_AT_ONCE):
        rows = range(start, min(start + ROWS_AT_ONCE, len(texts)))
        batch = objective.batch(rows, np.random.default_rng(0))  # the same masks before and after
        parts.append(objective.losses(model.module, batch).double().cpu().numpy())
    model.module.train(was_training)
    return np.concatenate(parts)


def _texts(m: int, rng: np.random.Generator) -> Canaries:
    space = planted.characters(SECRET_LENGTH, context="canary ")
    return planted.draw([space], m, seed=int(rng.integers(2**63)))


def _guesses(guesses: int | Sequence[int] | None, m: int) -> tuple[int, ...]:
    if guesses is None:
        guesses = (m // 10, m - 4 * math.isqrt(m))
    tried = (guesses,) if isinstance(guesses, int) else tuple(guesses)
    if not tried or not all(1 <= r <= m for r in tried):
        raise InputError(f"guesses = {guesses} about {m} canaries; expected numbers from 1 to {m}")
    return tried


def _refuse_invalid(kind: str, canaries: int | Canaries, training: Mapping[str, Any]) -> None:
    """Raise where the bound would not be one."""
    _refuse_unknown_kind(kind)
    out = training.get("out")
    m = canaries if isinstance(canaries, int) else len(canaries.canaries)
    problems = [
        (m < SMALLEST_AUDIT, f"{m} canaries; expected at least {SMALLEST_AUDIT}, and 1000 to learn much"),
        (
            kind == "white_box" and not isinstance(canaries, int),
            "texts as canaries of a white-box audit, whose canaries are gradients; give their number, or "
            "kind='black_box'",
        ),
        (
            kind == "white_box" and training.get("target_epsilon") == math.inf,
            "a white-box audit of a training without noise: every canary stands in its gradients as it is; "
            "use kind='black_box'",
        ),
        (
            not isinstance(canaries, int) and any(c.repetitions != 1 for c in canaries.canaries),
            "canaries that are inserted several times: a unit of privacy is one text; draw them with repetitions=1",
        ),
        (
            out is not None and (Path(out) / "ledger.json").exists(),
            f"{out} holds a training already, and an audit must see all steps; give it a folder of its own",
        ),
        (processes.world() > 1, f"{processes.world()} processes; run an audit in one"),
    ]
    found = [text for wrong, text in problems if wrong]
    if found:
        raise InputError("; ".join(found))


def _refuse_unknown_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownName("kind of audit", str(kind), KINDS)


def _claim(data: Mapping[str, Any]) -> PrivacyCost:
    claimed = PrivacyCost(**data)
    if not (math.isfinite(claimed.epsilon) and claimed.epsilon >= 0 and 0 < claimed.delta < 1):
        raise ValueError(f"epsilon {claimed.epsilon} at delta {claimed.delta}")
    return claimed
