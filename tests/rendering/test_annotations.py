"""Annotations for GitHub: the level follows from what blocks, and no text can end a command or start another."""

import re

import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.annotations import MOST, annotate, render_annotations
from auditkit.report import ProbeRun

ID = "p/g/s"
M = Measurement(id=ID, value=60.0, interval=Interval(55, 65), n=100)
PASS, FAIL, OPEN, WARN = ({"measurement": ID} | more for more in (
    {"max": 70}, {"max": 50}, {"max": 60}, {"max": 60, "on_inconclusive": "warn"}
))  # fmt: skip
ERROR = {"measurement": "absent", "max": 1}


def found(make, *rules, runs=()):
    return [(a.level, a.title) for a in annotate(make([M], rules=rules, runs=runs))]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (PASS, [("notice", "audit: PASS")]),
        (FAIL, [("error", f"FAIL {ID}"), ("notice", "audit: FAIL")]),
        (OPEN, [("error", f"INCONCLUSIVE {ID}"), ("notice", "audit: INCONCLUSIVE")]),
        (WARN, [("warning", f"INCONCLUSIVE {ID}"), ("notice", "audit: INCONCLUSIVE")]),
        (ERROR, [("error", "ERROR absent"), ("notice", "audit: ERROR")]),
    ],
)
def test_what_blocks_is_an_error(make, rule, expected):
    assert found(make, rule) == expected


def test_probes_that_did_not_run_are_said(make):
    runs = [ProbeRun("a", "ok"), ProbeRun("b", "skipped", "no mask"), ProbeRun("c", "error", "boom")]
    assert found(make, PASS, runs=runs) == [
        ("error", "ERROR c"),
        ("notice", "not measured: b"),
        ("notice", "audit: ERROR"),
    ]


@pytest.mark.parametrize("n", [MOST, MOST + 1, 37])
def test_no_more_than_github_shows_and_the_others_are_counted(make, n):
    runs = [ProbeRun(f"probe{i}", "error", "boom") for i in range(n)]
    errors = [a for a in annotate(make(runs=runs)) if a.level == "error"]
    assert len(errors) == MOST
    hidden = int(re.match(r"(\d+) more", errors[-1].title)[1]) if n > MOST else 0
    assert hidden + sum(a.title.startswith("ERROR probe") for a in errors) == n


def test_many_notices_keep_the_overall_one(make):
    runs = [ProbeRun(f"probe{i}", "skipped", "x") for i in range(30)]
    notices = annotate(make([M], runs=runs))
    assert len(notices) == MOST
    assert [a.title for a in notices[-2:]] == ["audit: NOT JUDGED", "22 more"]


def test_the_escapes_of_the_documentation(make):
    """As @actions/core does it (packages/core/src/command.ts): %, CR and LF; in a property : and , as well."""
    m = Measurement(id="a:b,c%\n::stop-commands::x", value=60.0, interval=Interval(55, 65), n=9)
    report = make([m], rules=[{"measurement": m.id, "max": 50}])
    line, *others = render_annotations(annotate(report, {report.verdicts[0].rule: 7}), "x,y.yaml").splitlines()
    assert line.startswith(
        "::error title=FAIL a%3Ab%2Cc%25 %3A%3Astop-commands%3A%3Ax,file=x%2Cy.yaml,line=7::a:b,c%25 ::stop-commands::x"
    )
    assert all(re.match(r"::(error|warning|notice) title=", other) for other in others)
