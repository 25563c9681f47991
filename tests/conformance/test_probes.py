"""Every registered probe keeps the contract of `auditkit.probes.base`; the checks notice when one does not."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from auditkit import plugins
from auditkit.errors import DataError
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import EmbedsText, FillsMask, HasModule
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.testing import (
    ConformanceError,
    FakeCausalLM,
    FakeClassifier,
    FakeEncoder,
    FakeMaskedLM,
    FakeWordVectors,
    check_probe,
)
from tests.privacy.tiny_models import char_gpt

FAKES = (FakeMaskedLM, FakeCausalLM, FakeEncoder, FakeWordVectors, FakeClassifier)
NETWORKS = (lambda: char_gpt(context=160),)
"""For probes that look inside a network, which the fakes do not have."""
OPTIONS = {"compression": {"specs": [{"magnitude": {"ratio": 0.3}}], "costs": False}}
"""Where the default would time this machine, which is never twice the same."""
PUBLISHED = dict.fromkeys(("crows_pairs", "stereoset", "winobias", "bbq"), pytest.mark.data)
YOURS = ("membership", "dp_sgd", "exposure", "group_fairness", "counterfactual_flips", "privacy", "winogender")
"""These measure nothing without a user's files; the tests of each check the contract on files of their own."""
DEFAULTS = [pytest.param(n, marks=PUBLISHED.get(n, ())) for n in plugins.BUILTIN_PROBES if n not in YOURS]


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFAULTS)
def test_every_built_in_probe_conforms(name):
    probe = plugins.probe(name, OPTIONS.get(name))
    served = [fake for fake in (*FAKES, *NETWORKS) if isinstance(fake(), probe.needs)]
    if HasModule not in probe.needs:
        served = [fake for fake in served if fake in FAKES]
    assert served
    for fake in served:
        assert any(m.status == "ok" for m in check_probe(probe, fake()).measurements)


@pytest.mark.parametrize("name", YOURS)
def test_a_probe_that_needs_files_of_yours_says_which(name):
    probe = plugins.probe(name)
    fake = next(fake for fake in (*FAKES, *NETWORKS) if isinstance(fake(), probe.needs) or not probe.needs)
    with pytest.raises(DataError, match=r"needs|no training given; name their folders"):
        probe.measure(fake(), np.random.default_rng(0))


# --- the checks -------------------------------------------------------------------------------------------------


def measurement(**changes):
    fields = {"id": "p/all/m", "value": 2.0, "interval": Interval(1, 3), "n": 3, "method": "mean", "source": "s"}
    return Measurement(**fields | changes)


def items(*values, x=None):
    return [ItemScore("p/all/m", str(i), v, x=None if x is None else x[i]) for i, v in enumerate(values)]


@dataclass(frozen=True, kw_only=True)
class Returns:
    """A probe that returns what it was given."""

    id: str = "p"
    measurements: list = field(default_factory=lambda: [measurement()])
    items: list = field(default_factory=list)
    needs: ClassVar[tuple[type, ...]] = ()
    source: ClassVar[str] = "s"

    def measure(self, model, rng):
        return ProbeResult(self.measurements, self.items)


def problems(probe, model=None):
    with pytest.raises(ConformanceError) as caught:
        check_probe(probe, model or FakeMaskedLM())
    return "\n".join(caught.value.problems)


def test_a_good_probe_passes():
    check_probe(Returns(items=items(1.0, 2.0, 3.0)), FakeMaskedLM())
    check_probe(Returns(items=items(1.0, 3.0, 5.0, x=(0.0, 1.0, 2.0))), FakeMaskedLM())
    correlated = measurement(value=0.5, interval=None, details={"over_items": "correlation"})
    check_probe(Returns(measurements=[correlated], items=items(0.0, 2.0, 1.0, x=(5.0, 6.0, 7.0))), FakeMaskedLM())


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (Returns(measurements=[]), "returned no measurement"),
        (Returns(measurements=[measurement(), measurement()]), "p/all/m: returned 2 times"),
        (Returns(measurements=[measurement(id="q/m")]), "id does not start with 'p/'"),
        (Returns(measurements=[measurement(source="")]), "no method or no source"),
        (
            Returns(measurements=[measurement(value=None, interval=None, status="undefined")]),
            "without details['reason']",
        ),
        (Returns(items=items(1.0, 2.0, 4.0)), "value 2.0, but its item scores give 2.33"),
        (Returns(items=items(1.0, 3.0, 6.0, x=(0.0, 1.0, 2.0))), "value 2.0, but its item scores give 2.5"),
        (
            Returns(
                measurements=[measurement(details={"over_items": "correlation"})],
                items=items(1.0, 3.0, 5.0, x=(0.0, 1.0, 2.0)),
            ),
            "value 2.0, but its item scores give 1.0",
        ),
        (Returns(items=[ItemScore("p/other", "0", 1.0)]), "p/other: has item scores but is no measurement"),
        (Returns(items=[ItemScore("p/all/m", "0", v) for v in (1.0, 3.0)]), "two item scores have the same item id"),
        (Returns(id="a/b"), "id is 'a/b'; expected a name without '/'"),
    ],
)
def test_each_mistake_is_named(wrong, problem):
    assert problem in problems(wrong)


def test_randomness_of_its_own_is_caught():
    class Unseeded(Returns):
        def measure(self, model, rng):
            value = float(np.random.default_rng().normal())
            return ProbeResult([measurement(value=value, interval=None)])

    assert "take all randomness from `rng`" in problems(Unseeded())


def test_changing_the_model_is_caught():
    class Changes(Returns):
        def measure(self, model, rng):
            model.bias[0] += 1
            return super().measure(model, rng)

    assert "changed the model's weights" in problems(Changes())


def test_wrong_declarations_are_all_named():
    @dataclass
    class Loose:
        id: str = "p"
        needs = FillsMask
        source = ""

    found = problems(Loose())
    assert "not keyword-only" in found
    assert "source is empty" in found
    assert "expected a tuple of capabilities" in found


def test_a_model_that_the_probe_cannot_measure_is_refused():
    class Encoders(Returns):
        needs: ClassVar[tuple[type, ...]] = (EmbedsText,)

    assert problems(Encoders()) == "cannot measure a FakeMaskedLM: it needs EmbedsText"
