"""Mitigation: fairer decisions and language models, and what each cost. Names are imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.fairness.tasks import adult_task, german_credit_task
    from auditkit.mitigation.adversarial import AdversarialDebiasing
    from auditkit.mitigation.augmentation import CounterfactualAugmentation
    from auditkit.mitigation.baseline import GradientBoosting, LogisticBaseline
    from auditkit.mitigation.comparison import compare
    from auditkit.mitigation.equalizing import EqualizedFineTuning
    from auditkit.mitigation.erasure import LEACE, LeaceEraser
    from auditkit.mitigation.fine_tuning import AugmentedFineTuning, DropoutFineTuning
    from auditkit.mitigation.hidden_projection import HiddenStateProjection
    from auditkit.mitigation.inlp import INLP
    from auditkit.mitigation.language_models import LanguageModelMitigation
    from auditkit.mitigation.model_comparison import compare_models
    from auditkit.mitigation.postprocess import GroupCalibration, GroupThresholds
    from auditkit.mitigation.private import GroupEffect, PrivateClassifier, accuracy_by_group
    from auditkit.mitigation.reductions import ExponentiatedGradientReduction
    from auditkit.mitigation.registry import METHODS, mitigation
    from auditkit.mitigation.regularizer import FairnessRegularizer
    from auditkit.mitigation.reweighing import Reweighing
    from auditkit.mitigation.sentence_debias import DebiasedEncoder, SentenceDebias
    from auditkit.mitigation.swaps import Swapper
    from auditkit.mitigation.task import Decider, Mitigation, Split, Task, predictions

_HOMES = {
    "fairness.tasks": ("adult_task", "german_credit_task"),
    "mitigation.adversarial": ("AdversarialDebiasing",),
    "mitigation.augmentation": ("CounterfactualAugmentation",),
    "mitigation.baseline": ("GradientBoosting", "LogisticBaseline"),
    "mitigation.comparison": ("compare",),
    "mitigation.equalizing": ("EqualizedFineTuning",),
    "mitigation.erasure": ("LEACE", "LeaceEraser"),
    "mitigation.fine_tuning": ("AugmentedFineTuning", "DropoutFineTuning"),
    "mitigation.hidden_projection": ("HiddenStateProjection",),
    "mitigation.inlp": ("INLP",),
    "mitigation.language_models": ("LanguageModelMitigation",),
    "mitigation.model_comparison": ("compare_models",),
    "mitigation.postprocess": ("GroupCalibration", "GroupThresholds"),
    "mitigation.private": ("GroupEffect", "PrivateClassifier", "accuracy_by_group"),
    "mitigation.reductions": ("ExponentiatedGradientReduction",),
    "mitigation.registry": ("METHODS", "mitigation"),
    "mitigation.regularizer": ("FairnessRegularizer",),
    "mitigation.reweighing": ("Reweighing",),
    "mitigation.sentence_debias": ("DebiasedEncoder", "SentenceDebias"),
    "mitigation.swaps": ("Swapper",),
    "mitigation.task": ("Decider", "Mitigation", "Split", "Task", "predictions"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "INLP",
    "LEACE",
    "METHODS",
    "AdversarialDebiasing",
    "AugmentedFineTuning",
    "CounterfactualAugmentation",
    "DebiasedEncoder",
    "Decider",
    "DropoutFineTuning",
    "EqualizedFineTuning",
    "ExponentiatedGradientReduction",
    "FairnessRegularizer",
    "GradientBoosting",
    "GroupCalibration",
    "GroupEffect",
    "GroupThresholds",
    "HiddenStateProjection",
    "LanguageModelMitigation",
    "LeaceEraser",
    "LogisticBaseline",
    "Mitigation",
    "PrivateClassifier",
    "Reweighing",
    "SentenceDebias",
    "Split",
    "Swapper",
    "Task",
    "accuracy_by_group",
    "adult_task",
    "compare",
    "compare_models",
    "german_credit_task",
    "mitigation",
    "predictions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'auditkit.mitigation' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"auditkit.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
