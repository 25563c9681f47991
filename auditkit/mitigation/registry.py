"""Mitigations by name: the built-in ones, and those of installed packages.

A package adds its own with an entry point in its pyproject.toml:

    [project.entry-points."auditkit.mitigations"]
    my_mitigation = "my_pkg.mitigations:MyMitigation"
"""

from __future__ import annotations

from typing import Any

from auditkit import foreign, plugins
from auditkit.errors import InputError, UnknownName
from auditkit.mitigation.task import Mitigation

METHODS = {
    "gradient_boosting": "auditkit.mitigation.baseline:GradientBoosting",
    "reweighing": "auditkit.mitigation.reweighing:Reweighing",
    "leace": "auditkit.mitigation.erasure:LEACE",
    "inlp": "auditkit.mitigation.inlp:INLP",
    "adversarial": "auditkit.mitigation.adversarial:AdversarialDebiasing",
    "regularizer": "auditkit.mitigation.regularizer:FairnessRegularizer",
    "reduction": "auditkit.mitigation.reductions:ExponentiatedGradientReduction",
    "thresholds": "auditkit.mitigation.postprocess:GroupThresholds",
    "reject_option": "auditkit.mitigation.reject_option:RejectOption",
    "calibration": "auditkit.mitigation.postprocess:GroupCalibration",
}
"""Those that need nothing but people; others (augmentation of texts, private training) are given as objects."""


def mitigation(method: str | Mitigation) -> Mitigation:
    """The method of this name with its default options, or the object itself.

    Raises:
        UnknownName: no such method.
        InputError: an installed package takes a name that is already taken, or what is given or named is no mitigation.
    """
    if not isinstance(method, str):
        return _checked(method, repr(method))
    known = plugins.with_entry_points("auditkit.mitigations", METHODS)
    if method not in known:
        raise UnknownName("mitigation", method, known)
    cls = plugins.load_object(known[method])
    with foreign.contained():
        return _checked(cls(), known[method])


def _checked(built: Any, where: str) -> Mitigation:
    if isinstance(built, type):
        raise InputError(f"{where} is a class; expected an object of it: {built.__name__}()")
    if missing := [name for name in ("fit", "name", "stage", "source") if not hasattr(built, name)]:
        raise InputError(f"{where} is no mitigation: it has no `{missing[0]}`; see auditkit.mitigation.task.Mitigation")
    found: Mitigation = built
    return found
