"""DP-SGD as a decision maker, and what its privacy costs each group of people.

Clipping and noise drown first what few people's gradients say, so that a small group loses more accuracy than a large
one (Bagdasaryan, Poursaeed & Shmatikov 2019, Differential privacy has disparate impact on model accuracy).

    accuracy_by_group(task, sensitive="race", rng=rng)      # each group, at epsilon 8, 2, 0.5, against no privacy
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from auditkit.errors import DataError, InputError
from auditkit.fairness.groups import Gap
from auditkit.measurement import Interval
from auditkit.mitigation.baseline import check_train, known_features, refuse_weights
from auditkit.mitigation.network import network
from auditkit.mitigation.task import Bools, Floats, Split, Task
from auditkit.models.weights import pick_device
from auditkit.privacy.engine import PrivacyEngine

EPSILONS = (8.0, 2.0, 0.5)
LARGEST_FEATURE = 1000.0  # beyond it one column takes all of a clipped gradient
RATES = ("accuracy", "selection_rate", "true_positive_rate", "false_positive_rate")


@dataclass(frozen=True, slots=True)
class PrivateDecider:
    """A network trained with DP-SGD; it decides for the favourable outcome at a probability of 0.5 or more.

    Attributes:
        module: (n, d) features -> (n, 1) log odds of the favourable outcome.
        columns: d.
        epsilon: what the ledger says was spent, at `delta`; infinity without privacy.
        delta: the same.
    """

    module: nn.Module
    columns: int
    epsilon: float
    delta: float

    def scores(self, people: Split) -> Floats:
        """(n,) probability of the favourable outcome.

        Raises:
            DataError: other columns than in training, or values that are no finite numbers.
        """
        with torch.no_grad():
            logits = self.module(_tensor(known_features(people, self.columns), self.module)).squeeze(1)
        return np.asarray(torch.sigmoid(logits.cpu().double()).numpy())

    def decide(self, people: Split) -> Bools:
        """(n,) whether the favourable outcome is at least as probable as not."""
        return np.asarray(self.scores(people) >= 0.5)


@dataclass(frozen=True, kw_only=True)
class PrivateClassifier:
    """A network trained with DP-SGD on people, each of them a unit of privacy.

    The features are taken as they are: what was computed from the people to make them, such as the means of a
    standardisation, is not covered by epsilon. Nothing is held out and nothing is searched, since that would cost
    budget too. Batches and noise follow from `rng`, so that a measurement can be repeated; a model to be released is
    trained with `auditkit.privacy.engine.PrivacyEngine(secure=True)` instead.

    Attributes:
        epsilon: the budget; infinity trains the same network without clipping and noise.
        delta: below one over the number of people.
        hidden: the width of each hidden layer; () is a logistic regression.
        epochs: passes through the people.
        batch_size: expected size of a Poisson batch; at most an eighth of the people is used.
        learning_rate: of Adam.
        max_grad_norm: what every person's gradient is clipped to.
        ledger: a new file for what is spent; None keeps it only while training.
        device: "auto" (CUDA, else MPS, else CPU) or a torch device.
    """

    name: ClassVar[str] = "dp-sgd"
    stage: ClassVar[Literal["during"]] = "during"
    source: ClassVar[str] = "Abadi et al. (2016), CCS; Bagdasaryan, Poursaeed & Shmatikov (2019), NeurIPS"

    epsilon: float = 2.0
    delta: float = 1e-5
    hidden: tuple[int, ...] = ()
    epochs: int = 10
    batch_size: int = 512
    learning_rate: float = 0.02
    max_grad_norm: float = 1.0
    ledger: Path | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.epsilon > 0 or min((*self.hidden, self.epochs, self.batch_size)) < 1 or self.learning_rate <= 0:
            raise InputError(f"{self}: expected an epsilon and a learning_rate above 0, and sizes of 1 or more")
        # Several epsilons stand side by side in a report, so an instance is named more exactly than its class.
        object.__setattr__(self, "name", f"dp-sgd (epsilon {self.epsilon:g})")

    def fit(self, train: Split, *, sensitive: str, rng: np.random.Generator) -> PrivateDecider:
        """Learn from `train`; the groups are checked and not used.

        Raises:
            DataError: as every mitigation, or a feature that is too large.
            PrivacySettingError: too few people for a batch or for delta, or an epsilon out of reach.
        """
        check_train(train, sensitive)
        refuse_weights(self.name, train)
        _refuse_large(train.features)
        seed, device = int(rng.integers(2**31)), pick_device(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = network(train.features.shape[1], self.hidden).to(device)
            label = torch.tensor(train.label[:, None], dtype=torch.float32, device=device)
            size = max(1, min(self.batch_size, len(train) // 8))
            data = TensorDataset(_tensor(train.features, module), label)
            loader = DataLoader(data, batch_size=size, shuffle=True)
            spent = self._learn(module, loader, seed)
        return PrivateDecider(module, train.features.shape[1], spent, self.delta)

    def _learn(self, module: nn.Module, loader: Any, seed: int) -> float:
        """Train in place; the epsilon that it cost."""
        optimizer = torch.optim.Adam(module.parameters(), lr=self.learning_rate)
        criterion = nn.BCEWithLogitsLoss()
        if math.isinf(self.epsilon):
            _epochs(module, optimizer, criterion, loader, self.epochs)
            return math.inf
        with tempfile.TemporaryDirectory() as folder:
            engine = PrivacyEngine(seed=seed, ledger=self.ledger or Path(folder) / "ledger.json")
            private = engine.make_private_with_epsilon(
                module=module,
                optimizer=optimizer,
                criterion=criterion,
                data_loader=loader,
                target_epsilon=self.epsilon,
                target_delta=self.delta,
                epochs=self.epochs,
                max_grad_norm=self.max_grad_norm,
            )
            _epochs(*private, self.epochs)
            return engine.get_epsilon()


def _epochs(model: Any, optimizer: Any, criterion: Callable[..., Any], loader: Any, epochs: int) -> None:
    for _ in range(epochs):
        for features, label in loader:
            optimizer.zero_grad()
            criterion(model(features), label).backward()
            optimizer.step()


def _tensor(features: Floats, module: nn.Module) -> Tensor:
    return torch.tensor(features, dtype=torch.float32, device=next(module.parameters()).device)


def _refuse_large(features: Floats) -> None:
    largest = np.abs(features).max(axis=0)
    if largest.max() > LARGEST_FEATURE:
        raise DataError(
            f"column {largest.argmax() + 1} of the features reaches {largest.max():g}; a clipped gradient would hold "
            "little else: bring the columns to about 1, by bounds that are known without looking at the people"
        )


@dataclass(frozen=True, slots=True)
class GroupEffect:
    """What privacy did to one rate of one group.

    Attributes:
        epsilon: the budget.
        rate: one of `RATES`.
        group: its name.
        n: how many people the rate is over.
        before: the rate without privacy, mean over the runs.
        after: the rate with it.
        change: after - before, paired person by person and run by run.
        excess: that change less the change of everybody else: what this group loses or gains more than the others.
    """

    epsilon: float
    rate: str
    group: str
    n: int
    before: float
    after: float
    change: Gap
    excess: Gap


def accuracy_by_group(
    task: Task,
    *,
    sensitive: str,
    rng: np.random.Generator,
    epsilons: Sequence[float] = EPSILONS,
    runs: int = 5,
    **options: Any,
) -> list[GroupEffect]:
    """Accuracy, selection rate, true and false positive rate of every group under DP-SGD, against no privacy.

    One private model says little, since its noise is drawn once. Several are trained at each epsilon, and as many
    without privacy from the same weights; the intervals cover both the people judged by and the runs.

    Args:
        task: the people.
        sensitive: an attribute, or several crossed ("sex+race").
        rng: seeds the runs.
        epsilons: the budgets.
        runs: how many models are trained at each, 2 or more.
        options: of `PrivateClassifier`.

    Returns:
        One effect for each epsilon, rate and group; groups without anybody whom a rate is over are left out.

    Raises:
        DataError: as `PrivateClassifier.fit`.
        InputError: fewer than two runs.
    """
    if runs < 2:
        raise InputError(f"runs={runs}; expected 2 or more, or nothing is known of how much they vary")
    seeds = [int(s) for s in rng.integers(2**62, size=runs)]

    def decisions(epsilon: float) -> Bools:
        """(runs, n) about the people to judge by."""
        method = PrivateClassifier(epsilon=epsilon, **options)
        fitted = (method.fit(task.train, sensitive=sensitive, rng=np.random.default_rng(seed)) for seed in seeds)
        return np.stack([decider.decide(task.test) for decider in fitted])

    groups, plain = task.test.groups(sensitive), decisions(math.inf)
    return [e for x in epsilons for e in _effects(x, groups, task.test.label, plain, decisions(x))]


def _effects(
    epsilon: float, groups: npt.NDArray[Any], label: Bools, plain: Bools, private: Bools
) -> Iterator[GroupEffect]:
    """Of every rate of every group at one epsilon; decisions are (runs, n)."""
    concerned = dict(zip(RATES, (np.ones_like(label), np.ones_like(label), label, ~label), strict=True))
    for rate, among in concerned.items():
        counted = [(d == label if rate == "accuracy" else d).astype(float) for d in (plain, private)]
        changes = counted[1] - counted[0]
        for group in sorted(set(groups)):
            inside, outside = among & (groups == group), among & (groups != group)
            if not inside.any() or not outside.any():
                continue
            before, after = (float(c[:, inside].mean()) for c in counted)
            change = _mean(changes[:, inside])
            excess = _mean(changes[:, inside], changes[:, outside])
            yield GroupEffect(epsilon, rate, str(group), int(inside.sum()), before, after, change, excess)


def _mean(changes: Floats, others: Floats | None = None) -> Gap:
    """The mean of (runs, n) changes, less that of others where given, with an interval over people and runs.

    The two sources of variance add up; the t distribution has as many degrees of freedom as Welch (1947) gives them.
    """
    from scipy.stats import t

    sides = [changes] if others is None else [changes, others]
    by_run = sides[0].mean(axis=1) if others is None else sides[0].mean(axis=1) - sides[1].mean(axis=1)
    terms = [(by_run.var(ddof=1) / len(by_run), len(by_run) - 1)]
    for side in sides:
        people = side.shape[1]
        # At least the variance of one person in whom both models differ: no group is known exactly.
        variance = max(side.mean(axis=0).var() * people / max(people - 1, 1), 1 / people)
        terms.append((variance / people, max(people - 1, 1)))
    total = sum(v for v, _ in terms)
    freedom = total**2 / sum(v**2 / df for v, df in terms)
    value, reach = float(by_run.mean()), float(t.ppf(0.975, freedom)) * math.sqrt(total)
    method = f"Welch t interval over {sum(s.shape[1] for s in sides)} people and {len(by_run)} pairs of runs"
    return Gap(value, Interval(value - reach, value + reach, method=method))
