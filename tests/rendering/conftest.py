import runpy
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "fixtures" / "make_sample_report.py"


@pytest.fixture(scope="session")
def sample():
    """The module that makes sample reports, as a dict of its names."""
    return runpy.run_path(str(SAMPLE))


@pytest.fixture(scope="session")
def report(sample):
    return sample["sample_report"]()


@pytest.fixture(scope="session")
def hostile(sample):
    return sample["sample_report"](hostile=True)


@pytest.fixture
def make():
    """A report of the given measurements, runs and rules, judged by its gate."""
    from dataclasses import replace

    from auditkit.report import AuditReport

    def make(measurements=(), *, rules=(), runs=(), subject=None, items=None, **more):
        made = AuditReport(
            subject={"name": "m"} | (subject or {}),
            environment={},
            config={},
            seed=0,
            runs=runs,
            measurements=measurements,
            _items=items,
            **more,
        )
        return replace(made, verdicts=tuple(made.gate(rules))) if rules else made

    return make
