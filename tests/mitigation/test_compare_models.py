"""Before and after of a language model: no change where nothing was done, a planted one with its sign and size."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from auditkit.errors import DataError, InputError
from auditkit.measurement import Interval, Measurement
from auditkit.mitigation.equalizing import EqualizedFineTuning
from auditkit.mitigation.fine_tuning import DropoutFineTuning
from auditkit.mitigation.model_comparison import compare_models, slug_of
from auditkit.models.protocols import HasModule
from auditkit.models.weights import weights_sha256
from auditkit.privacy.adapters import copy_of
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.rendering import html
from tests.privacy import tiny_models

pytestmark = pytest.mark.usefixtures("believed")

LEARN = ["the nurse was tired", "a man was at work"]
HELD = [f"the {a} {b} at {c}" for a in ("nurse", "doctor", "man") for b in ("was", "said") for c in ("work", "home")]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Each item's gap is its number less what the model was mitigated by, a little more or less."""

    id: str = "gap"
    needs: ClassVar[tuple[type, ...]] = (HasModule,)
    source: ClassVar[str] = "none"

    def measure(self, model, rng):
        values = np.arange(20) / 10 + 1 - getattr(model, "mitigated_by", 0.0) * np.tile([0.9, 1.1], 10)
        measurement = Measurement(
            id="gap/all/mean", value=float(values.mean()), interval=Interval(0, 3), n=20, ideal=0.0, source="none"
        )
        return ProbeResult([measurement], [ItemScore("gap/all/mean", f"{i}", float(v)) for i, v in enumerate(values)])


@dataclass(frozen=True, kw_only=True)
class Nothing:
    name: ClassVar[str] = "nothing at all"
    source: ClassVar[str] = "nobody"

    def fit(self, model, texts, *, rng):
        return copy_of(model)


@dataclass(frozen=True, kw_only=True)
class Cure:
    """Takes 0.5 off every gap, and spoils every prediction."""

    name: ClassVar[str] = "a cure"
    source: ClassVar[str] = "nobody"

    def fit(self, model, texts, *, rng):
        assert texts == LEARN
        twin = copy_of(model)
        twin.mitigated_by = 0.5
        with torch.no_grad():
            for parameter in twin.module.parameters():
                parameter.mul_(3)
        return twin


@dataclass(frozen=True, kw_only=True)
class Failing:
    name: ClassVar[str] = "failing"
    source: ClassVar[str] = "nobody"

    def fit(self, model, texts, *, rng):
        raise DataError("none of 2 texts names a group")


@pytest.fixture(scope="module")
def compared():
    model = tiny_models.masked_bert()
    before = weights_sha256(model.module)
    report = compare_models(model, [Nothing(), Cure(), Failing()], learn=LEARN, held_out=HELD, probes=[Gap()])
    assert weights_sha256(model.module) == before
    return report


def test_the_report_names_texts_by_number_and_hash(compared):
    methods = [DropoutFineTuning(steps=1), EqualizedFineTuning(steps=1)]
    report = compare_models(tiny_models.masked_bert(), methods, learn=LEARN, held_out=HELD, probes=["lpbs"])
    ((options,),) = ([*entry.values()] for entry in report.config["probes"])
    assert options["learn"]["given"] == len(LEARN)
    assert options["held_out"]["given"] == len(HELD)
    assert len(str(report.config)) < 3_000
    for page in (html.render(report), html.render(compared)):
        assert not [text for text in (*LEARN, *HELD) if text in page]
        assert "repeat the call from Python" in page


def test_nothing_done_is_no_change_at_all(compared):
    for name in ("quality_loss", "gap/all/mean/worsening"):
        m = compared[f"model_mitigation/nothing_at_all/{name}"]
        assert (m.value, m.interval.low, m.interval.high) == (0, 0, 0)
    assert compared["model_mitigation/nothing_at_all/agreement"].value == 100
    assert (
        compared["model_mitigation/nothing_at_all/perplexity"].value
        == compared["model_mitigation/before/perplexity"].value
    )


def test_a_planted_cure_has_its_size_and_its_price(compared):
    worsening = compared["model_mitigation/a_cure/gap/all/mean/worsening"]
    assert worsening.value == pytest.approx(-0.5)
    assert worsening.interval.high < 0
    assert compared["model_mitigation/a_cure/gap/all/mean"].value == pytest.approx(1.45)
    loss = compared["model_mitigation/a_cure/quality_loss"]
    assert loss.interval.low > 0
    before, after = (compared[f"model_mitigation/{m}/perplexity"].value for m in ("before", "a_cure"))
    assert loss.value == pytest.approx(math.log(after / before))
    assert loss.details["mitigation"] == "a cure"


def test_what_surely_moved_is_counted(compared):
    for method, nearer in (("nothing_at_all", 0), ("a_cure", 1)):
        for name, count in (("biases_nearer", nearer), ("biases_farther", 0)):
            m = compared[f"model_mitigation/{method}/{name}"]
            assert (m.value, m.n) == (count, 1)
    assert compared["model_mitigation/a_cure/biases_nearer"].details["measurements"] == ["gap/all/mean"]
    assert compared["model_mitigation/a_cure/gap/all/mean/worsening"].details["p_value_holm"] < 0.05


def test_a_method_that_fails_is_reported_and_the_others_are_measured(compared):
    failed = compared["model_mitigation/failing/quality_loss"]
    assert (failed.status, failed.details["reason"]) == ("undefined", "none of 2 texts names a group")


def test_two_reports_of_one_seed_are_equal(compared):
    model = tiny_models.masked_bert()
    again = compare_models(model, [Nothing(), Cure(), Failing()], learn=LEARN, held_out=HELD, probes=[Gap()])
    assert list(again.measurements) == list(compared.measurements)


@pytest.mark.parametrize(
    ("methods", "held_out", "probes", "message"),
    [
        ([], HELD, [Gap()], "methods: none"),
        ([Nothing(), Nothing()], HELD, [Gap()], "nothing_at_all, nothing_at_all"),
        ([Nothing()], HELD, [], "probes: none"),
        ([Nothing()], [*HELD, LEARN[0]], [Gap()], "1 texts are both learned from and held out"),
    ],
)
def test_bad_input(methods, held_out, probes, message):
    with pytest.raises(InputError, match=message):
        compare_models(tiny_models.masked_bert(), methods, learn=LEARN, held_out=held_out, probes=probes)


def test_a_name_becomes_a_part_of_an_id():
    assert slug_of(Nothing()) == "nothing_at_all"
