"""The checks notice every seeded bug, accuse nobody else, and the patches leave nothing behind."""

import json
from contextlib import suppress

import pytest

from auditkit.cli import main
from auditkit.errors import InputError, UnknownName
from auditkit.privacy import bookkeeping, training_loop, validation
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.implementation_checks import CHECKS, Finding
from auditkit.privacy.objectives import NextCharacter
from auditkit.privacy.sampling import PoissonSampler
from auditkit.privacy.seeded_bugs import SEEDED_BUGS, by_name
from auditkit.privacy.training_loop import Loop
from auditkit.privacy.validation import validate

# Which checks notice which bug, and why no other does: the noise test sees no sum, the sensitivity test no noise, and
# neither of them who is drawn.
NOTICED_BY = {
    "no clipping": {"sensitivity", "engine"},
    "clipping of the batch": {"sensitivity"},
    "noise missing": {"noise", "lower bound"},
    "noise for another batch size": {"noise", "lower bound"},
    "noise before clipping": {"sensitivity", "noise", "lower bound"},
    "tied gradient counted once": {"sensitivity", "engine"},
    "shuffled sold as Poisson": {"ledger"},
    "wrong sample rate": {"ledger"},
    "randomness shared": {"sensitivity"},
    "clipping by parameter": {"sensitivity", "engine"},
    "same noise every step": {"noise"},
    "actual batch size": {"noise"},
}
FAST = ("sensitivity", "noise", "engine")


def test_all_eight_named_bugs_one_in_two_forms_and_three_subtler_ones_are_seeded():
    assert len(SEEDED_BUGS) == 9 + 3
    assert [bug.name for bug in SEEDED_BUGS] == list(NOTICED_BY)
    assert all(bug.what for bug in SEEDED_BUGS)


@pytest.mark.parametrize("check", CHECKS)
def test_the_correct_trainer_is_not_accused(check):
    assert not CHECKS[check](0).alarm


@pytest.mark.parametrize("bug", NOTICED_BY)
def test_a_bug_is_noticed_by_the_checks_that_can_see_it(bug):
    seen = {name: CHECKS[name] for name in FAST}
    if not NOTICED_BY[bug] & set(FAST):
        seen = {"ledger": CHECKS["ledger"]}
    with by_name(bug).planted():
        alarms = {name for name, check in seen.items() if check(0).alarm}
    assert alarms == NOTICED_BY[bug] & set(seen)


def test_the_lower_bound_refutes_a_training_without_noise_at_its_ceiling():
    with by_name("noise missing").planted():
        finding = CHECKS["lower bound"](0)
    assert finding.alarm
    assert "5.43 shown of 1.27 claimed; ceiling 5.43" in finding.found


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("bug", [bug for bug, checks in NOTICED_BY.items() if "sensitivity" in checks])
def test_what_clipping_does_wrong_is_noticed_whatever_the_seed(bug, seed):
    with by_name(bug).planted():
        assert CHECKS["sensitivity"](seed).alarm


def test_a_planted_bug_is_gone_afterwards_even_after_an_error():
    places = [
        *((Loop, name) for name in ("_part", "step", "examine", "verify_first_step")),
        *((bookkeeping, name) for name in ("combine", "_clip_factors")),
        *((owner, "batch") for owner in (PoissonSampler, NextCharacter)),
        *((BookKeeping, "_add"), (PoissonSampler, "composition"), (training_loop, "release")),
    ]
    before = [getattr(owner, name) for owner, name in places]
    for bug in SEEDED_BUGS:
        with suppress(ZeroDivisionError), bug.planted():
            assert [getattr(owner, name) for owner, name in places] != before
            raise ZeroDivisionError
        assert [getattr(owner, name) for owner, name in places] == before


def test_an_unknown_bug_is_named():
    with pytest.raises(UnknownName, match="'no clipping'"):
        by_name("no cliping")


# --- the table --------------------------------------------------------------------------------------------------


def check(*alarms):
    """A check that alarms at these calls, counted from 0."""
    calls = iter(range(100))
    return lambda seed: Finding(next(calls) in alarms, "so it is")


def two_bugs(**checks):
    """Three seeds of the correct trainer, calls 0 to 2, then two bugs, calls 3 and 4."""
    lines = []
    result = validate(bugs=SEEDED_BUGS[:2], checks=checks, seeds=3, tell=lines.append)
    return result, lines


def test_every_bug_caught_by_some_check_and_no_alarm_passes():
    result, lines = two_bugs(a=check(3), b=check(3, 4))
    assert [bug.by for bug in result.bugs] == [["a", "b"], ["b"]]
    assert result.false_alarms == {"a": 0, "b": 0}
    assert result.passed
    assert lines[0] == "correct trainer, seed 0: no alarm"
    assert lines[-1] == "clipping of the batch: b"


def test_a_bug_that_nobody_catches_fails():
    result, lines = two_bugs(a=check(3), b=check())
    assert (result.caught, result.passed) == (1, False)
    assert lines[-1] == "clipping of the batch: NOT CAUGHT"


def test_a_false_alarm_fails():
    result, lines = two_bugs(a=check(3, 4), b=check(1))
    assert (result.caught, result.false_alarms, result.passed) == (2, {"a": 0, "b": 1}, False)
    assert "correct trainer, seed 1: b" in lines


def test_all_of_it_is_json():
    result, _ = two_bugs(a=check(3), b=check(4))
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert found["passed"]
    assert found["bugs"][0]["caught_by"] == ["a"]
    assert found["bugs"][0]["findings"]["a"] == {"alarm": True, "found": "so it is"}
    assert len(found["correct"]) == found["seeds"] == 3


def test_no_seed_is_refused():
    with pytest.raises(InputError, match="seeds = 0"):
        validate(seeds=0)


@pytest.mark.parametrize(("alarms", "code", "said"), [((3, 4), 0, "2 of 2 bugs"), ((3,), 1, "1 of 2 bugs")])
def test_the_command_prints_the_table_and_exits_with_1_where_a_bug_goes_uncaught(
    alarms, code, said, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(validation, "validate", lambda **_: two_bugs(a=check(*alarms))[0])
    with pytest.raises(SystemExit) as caught:
        main(["validate", "dp", "--seeds", "3", "--out", str(tmp_path / "found.json")])
    assert (caught.value.code or 0) == code
    printed = capsys.readouterr().out
    assert f"{said} caught, 0 false alarms on 3 seeds" in printed
    assert "no clipping" in printed
    assert json.loads((tmp_path / "found.json").read_text())["passed"] is (code == 0)


@pytest.mark.slow
def test_all_bugs_are_caught_and_twenty_seeds_of_the_correct_trainer_raise_no_alarm():
    result = validate()
    assert {bug.name: set(bug.by) for bug in result.bugs} == NOTICED_BY
    assert set(result.false_alarms.values()) == {0}
    assert len(result.correct) == 20
