"""Probes for the tests of the run spine. They live in a module of their own because subprocesses import them too."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from auditkit.errors import DataError, MissingCapability
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import EmbedsText
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.progress import advance


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean of random draws.

    SAMPLE_LOG names a file that gets a line each time a probe is measured; SAMPLE_HANG names the probe that then
    waits until it is killed.
    """

    id: str = "mean"
    n: int = 5
    shift: float = 0.0
    fail: Literal["", "crash", "input", "missing", "interrupt", "wrong-id", "twice", "nan"] = ""
    needs: ClassVar[tuple[type, ...]] = ()
    source: ClassVar[str] = "Student (1908)"

    def measure(self, model, rng):
        if "SAMPLE_LOG" in os.environ:
            with Path(os.environ["SAMPLE_LOG"]).open("a") as log:
                log.write(f"{self.id}\n")
        if os.environ.get("SAMPLE_HANG") == self.id:
            time.sleep(60)
        self._fail()
        values = rng.normal(self.shift, size=self.n)
        advance(self.n, self.n)
        model.notices["texts truncated to 4 tokens"] += 2
        id = f"{self.id}/all/mean" if self.fail != "wrong-id" else "other/mean"
        mean = float(values.mean()) if self.fail != "nan" else float("nan")
        interval = Interval(mean - 1, mean + 1, method="mean +- 1") if self.fail != "nan" else None
        one = Measurement(id=id, value=mean, interval=interval, n=self.n, method="mean", source=self.source)
        items = [ItemScore(id, str(i), float(v)) for i, v in enumerate(values)]
        return ProbeResult([one] * (2 if self.fail == "twice" else 1), items)

    def _fail(self):
        if self.fail == "crash":
            raise ZeroDivisionError("planted")
        if self.fail == "input":
            raise DataError("pairs.csv has no rows")
        if self.fail == "missing":
            raise MissingCapability("no mask token")
        if self.fail == "interrupt":
            raise KeyboardInterrupt


@dataclass(frozen=True, kw_only=True)
class NeedsEncoder(Mean):
    """Cannot measure a masked language model."""

    id: str = "encoder_only"
    needs: ClassVar[tuple[type, ...]] = (EmbedsText,)


@dataclass(frozen=True, kw_only=True)
class Picky(Mean):
    """Refuses a combination of options that its types allow."""

    id: str = "picky"

    def __post_init__(self):
        if self.n < 2:
            raise ValueError(f"n={self.n}; expected at least 2")


class NotAProbe:
    """Has nothing that a probe has."""
