"""What differs between two reports besides their numbers."""

import pytest

from auditkit.changes import facts, probe_changes
from auditkit.measurement import Measurement
from auditkit.report import AuditReport, ProbeRun


def report(**more):
    given = {"subject": {"name": "m"}, "environment": {}, "config": {}, "seed": 0, "runs": [], "measurements": []}
    return AuditReport(**given | more)


def test_every_fact_says_what_it_is_about():
    def one(weights, data, numpy, n):
        return report(
            subject={"name": "m", "weights_sha256": weights},
            environment={"libraries": {"numpy": numpy, "torch": "2"}},
            config={"probes": [{"p": {"n": n}}]},
            measurements=[Measurement(id=f"p/g/{i}", value=1.0, n=1, details={"data_sha256": data}) for i in range(2)],
            seed=n,
        )

    found = [(fact.kind, *fact) for fact in facts(one("aa", "d1", "1", 5), one("bb", "d2", "2", 6))]
    assert found == [
        ("model", "subject.weights_sha256", "aa", "bb"),
        ("data", "data.p", "d1", "d2"),
        ("versions", "environment.libraries.numpy", "1", "2"),
        ("options", "config.probes.p.n", "5", "6"),
        ("run", "seed", "5", "6"),
    ]


def test_new_lost_and_changed_probes():
    before = report(
        runs=[ProbeRun("lost", "ok"), ProbeRun("broken", "ok"), ProbeRun("tuned", "ok"), ProbeRun("same", "ok")],
        config={"probes": [{"spec": "tuned", "options": {"n": 5}}, "same"]},
    )
    after = report(
        runs=[
            ProbeRun("broken", "error", "boom"),
            ProbeRun("tuned", "ok"),
            ProbeRun("same", "ok"),
            ProbeRun("new", "ok"),
        ],
        config={"probes": [{"tuned": {"n": 6}}, {"same": None}, {"mod:New": {"id": "new", "k": 1}}]},
    )
    assert [tuple(change) for change in probe_changes(before, after)] == [
        ("lost", "lost", "ok", "—"),
        ("changed", "broken", "ok", "error: boom"),
        ("changed", "tuned", "ok; n 5", "ok; n 6"),
        ("new", "new", "—", "ok; id new; k 1"),
    ]
    assert probe_changes(after, after) == []


@pytest.mark.parametrize("probes", [None, 3, "x", [3, None, {"a": 1, "b": 2}, {"spec": "x", "options": 4}]])
def test_a_configuration_of_another_shape_is_no_problem(probes):
    odd = report(config={"probes": probes}, runs=[ProbeRun("p", "ok")])
    assert probe_changes(odd, odd) == []
    assert facts(odd, odd) == []


def test_a_probe_that_is_named_twice_is_compared_by_its_place():
    before = report(config={"probes": [{"p": {"n": 1}}, {"p": {"n": 2}}]})
    after = report(config={"probes": [{"p": {"n": 1}}, {"p": {"n": 3}}]})
    assert [tuple(fact) for fact in facts(before, after)] == [("config.probes.p (2).n", "2", "3")]
