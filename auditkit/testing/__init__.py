"""Models for tests, and checks that a model or a probe of your own keeps its contract.

    from auditkit.testing import FakeMaskedLM, check_probe

    model = FakeMaskedLM(associations={("nurse", "she"): 2.0})      # a planted stereotype, and nothing else
    check_probe(MyProbe(), model)

The fakes are tiny networks in numpy: deterministic, without torch, without files. A word that they do not know is
spelled out letter by letter, as a real tokenizer would, so every text can be scored.
"""

from auditkit.testing.checks import ConformanceError, check_model, check_probe
from auditkit.testing.fakes import (
    WORDS,
    FakeCausalLM,
    FakeClassifier,
    FakeEncoder,
    FakeMaskedLM,
    FakeWordVectors,
)

__all__ = [
    "WORDS",
    "ConformanceError",
    "FakeCausalLM",
    "FakeClassifier",
    "FakeEncoder",
    "FakeMaskedLM",
    "FakeWordVectors",
    "check_model",
    "check_probe",
]
