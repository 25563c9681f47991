"""Audit a language model and get evidence that people can believe.

    import auditkit as ak

    report = ak.audit("minilm-mlm", probes=["stereotype_pairs"], out="audit-out")
    report["stereotype_pairs/all/metric_score"]
    report.check([{"measurement": "stereotype_pairs/all/metric_score", "max": 60}])

Names are imported when they are first used, so `import auditkit` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit import compression, data, explain, fairness, privacy, probes, stats
    from auditkit import mitigation as mitigate
    from auditkit.compression import compress
    from auditkit.errors import (
        AuditkitError,
        ConfigError,
        DataError,
        DownloadError,
        GateFailed,
        InputError,
        MissingCapability,
        ModelError,
        ReportError,
        UnknownName,
        VocabularyError,
    )
    from auditkit.gate import Rule, Verdict, Verdicts
    from auditkit.measurement import Interval, Measurement
    from auditkit.models import load_model
    from auditkit.report import AuditReport, ProbeRun
    from auditkit.runner import audit, run

__version__ = "0.1.0"

__all__ = [
    "AuditReport",
    "AuditkitError",
    "ConfigError",
    "DataError",
    "DownloadError",
    "GateFailed",
    "InputError",
    "Interval",
    "Measurement",
    "MissingCapability",
    "ModelError",
    "ProbeRun",
    "ReportError",
    "Rule",
    "UnknownName",
    "Verdict",
    "Verdicts",
    "VocabularyError",
    "audit",
    "compress",
    "compression",
    "data",
    "explain",
    "fairness",
    "load_model",
    "mitigate",
    "privacy",
    "probes",
    "run",
    "stats",
]

_SUBMODULES = {name: name for name in ("compression", "data", "explain", "fairness", "privacy", "probes", "stats")}
_SUBMODULES["mitigate"] = "mitigation"
_HOMES = {
    "auditkit.compression": ("compress",),
    "auditkit.gate": ("Rule", "Verdict", "Verdicts"),
    "auditkit.measurement": ("Interval", "Measurement"),
    "auditkit.models": ("load_model",),
    "auditkit.report": ("AuditReport", "ProbeRun"),
    "auditkit.runner": ("audit", "run"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'auditkit' has no attribute {name!r}")
    if name in _SUBMODULES:
        return importlib.import_module(f"auditkit.{_SUBMODULES[name]}")
    value = getattr(importlib.import_module(_HOME.get(name, "auditkit.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
