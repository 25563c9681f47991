"""Audit a language model and get evidence that people can believe.

    import auditkit as ak

    report = ak.audit("minilm-mlm", probes=["stereotype_pairs"], out="audit-out")
    report["stereotype_pairs/all/metric_score"]
    report.check([{"measurement": "stereotype_pairs/all/metric_score", "max": 60}])

Names are imported when they are first used, so `import auditkit` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit import lazy

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

_MODULES = {name: f".{name}" for name in ("compression", "data", "explain", "fairness", "privacy", "probes", "stats")}
_HOMES = {
    ".compression": ("compress",),
    ".errors": (
        "AuditkitError",
        "ConfigError",
        "DataError",
        "DownloadError",
        "GateFailed",
        "InputError",
        "MissingCapability",
        "ModelError",
        "ReportError",
        "UnknownName",
        "VocabularyError",
    ),
    ".gate": ("Rule", "Verdict", "Verdicts"),
    ".measurement": ("Interval", "Measurement"),
    ".models": ("load_model",),
    ".report": ("AuditReport", "ProbeRun"),
    ".runner": ("audit", "run"),
}

__getattr__, __dir__ = lazy.exports(__name__, _HOMES, modules=_MODULES | {"mitigate": ".mitigation"})
