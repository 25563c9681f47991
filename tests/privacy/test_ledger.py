"""The ledger never says less than was spent: after a kill, a full disk, a second writer, another seed."""

import json
import signal
import subprocess
import sys

import pytest

from auditkit.errors import ReportError
from auditkit.privacy import ledger as ledger_module
from auditkit.privacy.accounting import Phase, account, affordable_steps
from auditkit.privacy.ledger import BudgetExhausted, Ledger, LedgerError, read_ledger
from auditkit.privacy.sampling import PoissonSampler, ShuffledSampler
from auditkit.privacy.settings import PrivacySettingError
from auditkit.report import AuditReport, ProbeRun

SAMPLER = PoissonSampler(1000, 50, seed=123456789)
DELTA = 1e-4
SETTINGS = {"noise_multiplier": 0.9, "max_grad_norm": 1.0, "noise_policy": "test"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "ledger.json"


def begun(path, sampler=SAMPLER, *, target_epsilon=None, **settings):
    ledger = Ledger(path, delta=DELTA, target_epsilon=target_epsilon)
    ledger.begin(sampler, **SETTINGS | settings)
    return ledger


def test_a_step_stands_in_the_file_before_it_is_applied(path):
    ledger = begun(path)
    for expected in range(3):
        assert ledger.record_step() == expected
        assert read_ledger(path).steps == expected + 1


def test_an_interrupted_run_spends_what_an_uninterrupted_one_does(path):
    for steps in (4, 1, 5):
        ledger = begun(path)
        for _ in range(steps):
            ledger.record_step()
    assert len(ledger.entries) == 1
    assert read_ledger(path).cost() == account([Phase(SAMPLER, 0.9, 10)], DELTA)


RUN = """
import itertools, sys
from auditkit.privacy.ledger import Ledger
from auditkit.privacy.sampling import PoissonSampler
ledger = Ledger(sys.argv[1], delta=1e-4)
ledger.begin(PoissonSampler(1000, 50), noise_multiplier=0.9, max_grad_norm=1.0, noise_policy="test")
for _ in itertools.count():
    ledger.record_step()
    print("applied", flush=True)
"""


def test_a_killed_run_has_recorded_every_step_that_it_applied(path):
    with subprocess.Popen([sys.executable, "-c", RUN, str(path)], stdout=subprocess.PIPE, text=True) as run:
        seen = [run.stdout.readline() for _ in range(20)]
        run.send_signal(signal.SIGKILL)
        applied = len(seen) + len(run.stdout.readlines())
    assert seen == ["applied\n"] * 20
    assert applied <= read_ledger(path).steps <= applied + 1


def test_the_run_stops_before_the_step_that_would_overspend(path):
    ledger = begun(path, target_epsilon=3.0)
    while ledger.affords_step():
        ledger.record_step()
    assert ledger.steps == affordable_steps(3.0, DELTA, SAMPLER, 0.9)
    assert ledger.cost().epsilon <= 3.0
    written = path.read_bytes()
    with pytest.raises(BudgetExhausted, match=f"step {ledger.steps + 1} would exceed epsilon = 3.0"):
        ledger.record_step()
    assert path.read_bytes() == written
    assert not begun(path, target_epsilon=3.0).affords_step()


def test_other_settings_start_a_new_entry_and_both_are_paid(path):
    begun(path).record_step()
    ledger = begun(path, noise_multiplier=2.0)
    assert ledger.record_step() == 1
    assert [e.steps for e in ledger.entries] == [1, 1]
    assert ledger.cost() == account([Phase(SAMPLER, 0.9, 1), Phase(SAMPLER, 2.0, 1)], DELTA)


def test_another_order_in_the_middle_of_a_shuffled_epoch_is_paid_as_another_epoch(path):
    def epsilon_with_orders(first, second):
        file = path.with_name(f"{first}-{second}.json")
        for seed in (first, second):
            ledger = begun(file, ShuffledSampler(1000, 50, seed), noise_multiplier=8.0)
            ledger.record_step()
        return ledger.cost().epsilon

    one_epoch = account([Phase(ShuffledSampler(1000, 50, 0), 8.0, 20)], DELTA).epsilon
    assert epsilon_with_orders(1, 1) == one_epoch
    assert epsilon_with_orders(1, 2) > 1.3 * one_epoch


def test_two_writers_cannot_lose_each_others_steps(path):
    first = begun(path)
    first.record_step()
    second = begun(path)
    with pytest.raises(LedgerError, match="taken over by another process"):
        first.record_step()
    assert second.record_step() == 1


def test_a_ledger_opened_early_catches_up_when_it_begins(path):
    early = Ledger(path, delta=DELTA)
    begun(path).record_step()
    early.begin(SAMPLER, **SETTINGS)
    assert early.steps == 1


def test_a_full_disk_records_nothing_and_allows_no_step(path, monkeypatch):
    ledger = begun(path)

    def full(*_):
        raise ReportError("cannot write: no space left on device")

    monkeypatch.setattr(ledger_module, "write_atomically", full)
    with pytest.raises(ReportError, match="no space"):
        ledger.record_step()
    assert ledger.steps == read_ledger(path).steps == 0


def test_the_file_says_what_ran_and_keeps_no_secret_seed(path):
    begun(path).record_step()
    (entry,) = json.loads(path.read_text())["entries"]
    assert entry["sampler"] == "poisson"
    assert entry["rate"] == 0.05
    assert (entry["noise_multiplier"], entry["max_grad_norm"], entry["steps"]) == (0.9, 1.0, 1)
    assert entry["sampler_policy"].startswith("seeded")
    assert "123456789" not in path.read_text()
    assert begun(path, PoissonSampler(1000, 50)).entries[-1].sampler_policy == "operating system randomness"


def test_epsilon_is_an_exact_measurement_that_the_gate_can_judge(path):
    ledger = begun(path, target_epsilon=8.0)
    for _ in range(5):
        ledger.record_step()
    m = ledger.measurement()
    assert m.id == "dp_sgd/epsilon"
    assert m.interval.low == m.interval.high == m.value == ledger.cost().epsilon > 0
    assert m.details["neighbours"] == "add or remove one example"
    report = AuditReport(
        subject={}, environment={}, config={}, seed=0, runs=[ProbeRun("dp_sgd", "ok")], measurements=[m]
    )
    report.save(path.with_name("report.json"))
    loaded = AuditReport.load(path.with_name("report.json"))
    for limit, expected in [(m.value + 0.01, "PASS"), (m.value - 0.01, "FAIL")]:
        (verdict,) = loaded.gate([{"measurement": "dp_sgd/epsilon", "max": limit}])
        assert verdict.outcome == expected


def without(key):
    return lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != key})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-40], "no readable ledger"),
        (lambda text: "[]", "no readable ledger"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "schema 2; this version reads schema 1"),
        (lambda text: text.replace('"steps": 1', '"steps": -1'), "steps = -1"),
        (lambda text: text.replace('"steps": 1', '"steps": "1"'), "no readable ledger"),
        (lambda text: text.replace('"poisson"', '"sequential"'), "sampler 'sequential'"),
        (lambda text: text.replace('"rate": 0.05', '"rate": 0.01'), "rate = 0.01"),
        (without("delta"), "KeyError: 'delta'"),
        (without("writer"), "KeyError: 'writer'"),
    ],
)
def test_a_damaged_file_is_refused_rather_than_started_anew(path, damage, message):
    begun(path).record_step()
    path.write_text(damage(path.read_text()))
    with pytest.raises(LedgerError, match=message):
        Ledger(path, delta=DELTA)


def test_a_missing_file_is_refused_when_read(path):
    with pytest.raises(LedgerError, match="no ledger at"):
        read_ledger(path)


def test_settings_must_be_given_first(path):
    ledger = Ledger(path, delta=DELTA)
    for use in (ledger.record_step, ledger.affords_step, ledger.cost):
        with pytest.raises(LedgerError, match=r"call begin\(\)"):
            use()


@pytest.mark.parametrize(
    ("sampler", "settings", "message"),
    [
        (SAMPLER, {"max_grad_norm": 0.0}, "max_grad_norm = 0.0"),
        (SAMPLER, {"noise_multiplier": -1.0}, "noise_multiplier = -1.0"),
        (PoissonSampler(20_000, 50), {}, "delta = 0.0001 with 20000 units"),
        (ShuffledSampler(1000, 50, seed=0), {}, "no common epsilon"),
        (PoissonSampler(900, 50), {}, "no common epsilon"),
    ],
)
def test_what_could_not_be_accounted_for_is_refused_before_the_first_step(path, sampler, settings, message):
    begun(path).record_step()
    written = path.read_bytes()
    with pytest.raises(PrivacySettingError, match=message):
        begun(path, sampler, **settings)
    assert path.read_bytes() == written


def test_another_delta_or_an_impossible_target_is_refused(path):
    begun(path)
    with pytest.raises(LedgerError, match=r"keeps delta = 0\.0001, given 1e-05"):
        Ledger(path, delta=1e-5)
    with pytest.raises(PrivacySettingError, match="target_epsilon = 0"):
        Ledger(path, delta=DELTA, target_epsilon=0)
