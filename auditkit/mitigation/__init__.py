"""Mitigation: fairer decisions and language models, and what each cost. Names are imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit import lazy

if TYPE_CHECKING:
    from auditkit.fairness.tasks import adult_task, german_credit_task, hiring_task
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
    from auditkit.mitigation.reject_option import RejectOption
    from auditkit.mitigation.reweighing import Reweighing
    from auditkit.mitigation.sentence_debias import DebiasedEncoder, SentenceDebias
    from auditkit.mitigation.swaps import Swapper
    from auditkit.mitigation.task import Decider, Mitigation, Split, Task, predictions

_HOMES = {
    "auditkit.fairness.tasks": ("adult_task", "german_credit_task", "hiring_task"),
    ".adversarial": ("AdversarialDebiasing",),
    ".augmentation": ("CounterfactualAugmentation",),
    ".baseline": ("GradientBoosting", "LogisticBaseline"),
    ".comparison": ("compare",),
    ".equalizing": ("EqualizedFineTuning",),
    ".erasure": ("LEACE", "LeaceEraser"),
    ".fine_tuning": ("AugmentedFineTuning", "DropoutFineTuning"),
    ".hidden_projection": ("HiddenStateProjection",),
    ".inlp": ("INLP",),
    ".language_models": ("LanguageModelMitigation",),
    ".model_comparison": ("compare_models",),
    ".postprocess": ("GroupCalibration", "GroupThresholds"),
    ".private": ("GroupEffect", "PrivateClassifier", "accuracy_by_group"),
    ".reductions": ("ExponentiatedGradientReduction",),
    ".registry": ("METHODS", "mitigation"),
    ".regularizer": ("FairnessRegularizer",),
    ".reject_option": ("RejectOption",),
    ".reweighing": ("Reweighing",),
    ".sentence_debias": ("DebiasedEncoder", "SentenceDebias"),
    ".swaps": ("Swapper",),
    ".task": ("Decider", "Mitigation", "Split", "Task", "predictions"),
}
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
    "RejectOption",
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
    "hiring_task",
    "mitigation",
    "predictions",
]

__getattr__, __dir__ = lazy.exports(__name__, _HOMES)
