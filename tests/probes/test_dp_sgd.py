"""Epsilon comes from the ledger and is refused where the record contradicts it; the cost of privacy is paired."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from auditkit import plugins
from auditkit.errors import DataError
from auditkit.measurement import Interval
from auditkit.privacy.ledger import read_ledger
from auditkit.probes.dp_sgd import PrivateTrainings, contradictions
from auditkit.probes.training_folder import TrainingRecord, read_record
from auditkit.runner import audit
from auditkit.testing import FakeMaskedLM, FakeWordVectors, check_probe

MADE = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "make_training_folders.py"))
write_training, write_ledger, training_record = (
    MADE[name] for name in ("write_training", "write_ledger", "training_record")
)
NAMES = ("non-private", "eps-8", "eps-2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("trainings")
    return [str(write_training(root, name)) for name in NAMES]


def by_id(result):
    return {m.id: m for m in result.measurements}


def measured(*folders, **named):
    """Measurements by id, without the checks."""
    trainings = {name: str(folder) for name, folder in named.items()} or [str(folder) for folder in folders]
    return by_id(PrivateTrainings(trainings=trainings).measure(FakeMaskedLM(), np.random.default_rng(0)))


@pytest.fixture(scope="module")
def result(folders):
    return check_probe(PrivateTrainings(trainings=folders), FakeMaskedLM())


@pytest.fixture
def public(tmp_path):
    """Writes a training without privacy, which needs no accountant: `changes` replace entries of its record."""

    def write(name="public", **changes):
        return write_training(tmp_path, name, **{"private": False} | changes)

    return write


def accuracy(values, items):
    return {"metric": "accuracy", "unit": "%", "ideal": 100.0, "values": values, "items": items}


def losses(values):
    items = [str(i) for i in range(len(values))]
    return {"metric": "loss", "unit": "nats", "ideal": 0.0, "values": values, "items": items}


# --- what is measured -------------------------------------------------------------------------------------------


def test_every_training_is_measured(result):
    private = ["epsilon", "utility", "utility_cost", "clipped_share", "seconds_per_step"]
    expected = {"non-private": ["epsilon", "utility", "seconds_per_step"], "eps-8": private, "eps-2": private}
    assert [m.id for m in result.measurements] == [
        f"dp_sgd/{n}/{x}" for n, metrics in expected.items() for x in metrics
    ]
    assert [m.id for m in result.measurements if m.status != "ok"] == ["dp_sgd/non-private/epsilon"]


def test_epsilon_is_the_ledgers_and_exact(result, folders):
    for name, folder in zip(NAMES[1:], folders[1:], strict=True):
        m = by_id(result)[f"dp_sgd/{name}/epsilon"]
        cost = read_ledger(Path(folder) / "ledger.json").cost()
        assert m.value == m.interval.low == m.interval.high == cost.epsilon
        assert (m.details["pld"], m.details["rdp"], m.details["delta"]) == (cost.pld, cost.rdp, 1e-5)
        assert m.details["ledger"][0]["steps"] == MADE["STEPS"]
        assert MADE["SPENT"][name] == pytest.approx(m.value, rel=1e-3)


def test_without_noise_there_is_no_epsilon_and_it_says_why(result):
    m = by_id(result)["dp_sgd/non-private/epsilon"]
    assert m.status == "undefined"
    assert "trained without noise: no epsilon" in m.details["reason"]


def test_no_seed_of_a_training_reaches_the_report(result):
    assert str(MADE["SECRET_SEED"]) not in json.dumps([m.to_json() for m in result.measurements])


def test_utility_is_the_mean_and_the_planted_cost_is_found_in_pairs(result):
    found = by_id(result)
    losses = {name: training_record(name)["validation"]["values"] for name in NAMES}
    for name in NAMES:
        assert found[f"dp_sgd/{name}/utility"].value == pytest.approx(np.mean(losses[name]))
    for name in NAMES[1:]:
        cost, utility = found[f"dp_sgd/{name}/utility_cost"], found[f"dp_sgd/{name}/utility"]
        assert cost.value == pytest.approx(np.mean(losses[name]) - np.mean(losses["non-private"]))
        assert MADE["LOSS"][name] - MADE["LOSS"]["non-private"] in cost.interval
        # Losses vary by 0.45 between examples and by 0.08 between models: pairing leaves a quarter of the width.
        widths = [m.interval.high - m.interval.low for m in (cost, utility)]
        assert 0.2 < widths[0] / widths[1] < 0.3


def test_where_nothing_was_lost_the_cost_is_nothing(public, tmp_path):
    plain = public(validation=losses([1.0, 2.0, 4.0]))
    private = write_training(tmp_path, "private", private=True, validation=losses([1.0, 2.0, 4.0]))
    cost = measured(plain, private)["dp_sgd/private/utility_cost"]
    assert (cost.value, cost.interval.low, cost.interval.high, cost.n) == (0.0, 0.0, 0.0, 3)


def test_lost_accuracy_is_a_cost_too_and_only_shared_examples_are_paired(public, tmp_path):
    plain = public(validation=accuracy([100.0, 100.0, 100.0, 0.0, 100.0], list("abcde")))
    # Of a, b, c, d the private model gets a alone; z is an example of its own.
    private = write_training(
        tmp_path, "private", private=True, validation=accuracy([0.0, 0.0, 100.0, 0.0, 0.0], list("zbadc"))
    )
    found = measured(plain, private)
    cost = found["dp_sgd/private/utility_cost"]
    assert (cost.value, cost.unit, cost.n, cost.details["examples not shared"]) == (50.0, "points", 4, 2)
    assert found["dp_sgd/private/utility"].value == 20.0
    assert found["dp_sgd/private/utility"].interval.low >= 0


def test_perfect_accuracy_has_an_interval_below_100(public):
    folder = public(validation=accuracy([100.0] * 20, [str(i) for i in range(20)]))
    m = measured(folder)["dp_sgd/public/utility"]
    assert m.interval.high == 100.0
    assert m.interval.low == pytest.approx(100 * 0.025 ** (1 / 20))  # Clopper-Pearson, n of n


def test_utilities_that_cannot_be_compared_have_no_cost(public, tmp_path):
    plain = public(validation=losses([1.0, 2.0]))
    other = write_training(tmp_path, "other", private=True, validation=accuracy([0.0, 100.0], ["0", "1"]))
    apart = write_training(tmp_path, "apart", private=True, validation=None)
    found = measured(plain, other, apart)
    for name in ("other", "apart"):
        assert found[f"dp_sgd/{name}/utility_cost"].status == "undefined"
        assert "share no validation metric" in found[f"dp_sgd/{name}/utility_cost"].details["reason"]
    assert found["dp_sgd/apart/utility"].details["reason"].startswith("the training was given no validation")


def test_the_clipped_share_is_a_count_and_says_of_what(result):
    norms = training_record("eps-8")["gradient_norms"]
    m = by_id(result)["dp_sgd/eps-8/clipped_share"]
    assert m.value == 100 * norms["clipped"] / norms["seen"]
    assert m.n == norms["seen"]
    assert m.interval == Interval(m.value, m.value, 1.0, m.interval.method)
    assert "not independent of each other" in m.interval.method
    assert m.details["max_grad_norm"] == 1.0
    assert m.details["gradient_norms"] == {"edges": norms["edges"], "counts": norms["counts"]}


def test_time_is_compared_with_the_training_without_privacy(result):
    found = by_id(result)
    m = found["dp_sgd/eps-2/seconds_per_step"]
    assert (m.value, m.n, m.interval) == (0.0943, MADE["STEPS"], None)
    assert m.details["ratio_to_non_private"] == pytest.approx(0.0943 / 0.0812)
    assert found["dp_sgd/non-private/seconds_per_step"].details == {}


def test_the_gate_compares_the_utility_of_two_trainings_in_pairs(public, tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.normal(3, 1, size=200)
    loss = {name: hard + shift + rng.normal(0, 0.01, 200) for name, shift in (("a", 0), ("b", 0.1))}
    was, now = (public(name, validation=losses(values.tolist())) for name, values in loss.items())
    before, after = (audit(FakeMaskedLM(), [PrivateTrainings(trainings={"it": str(f)})]) for f in (was, now))
    limits = {0.05: "FAIL", 0.15: "PASS"}
    rules = [{"measurement": "dp_sgd/it/utility", "max_worsening": limit} for limit in limits]
    assert [v.outcome for v in after.gate(rules, baseline=before)] == list(limits.values())


def test_whose_weights_were_audited_is_known(public):
    model = FakeMaskedLM()
    folder = public(weights_sha256=model.describe()["weights_sha256"])
    assert measured(folder)["dp_sgd/public/epsilon"].details["training"]["audited"]
    assert not measured(public("other"))["dp_sgd/other/epsilon"].details["training"]["audited"]


# --- an epsilon that is not to be believed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"target_epsilon": None}, None),
        ({"steps": 300}, "300 steps recorded, 315 in the ledger"),
        ({"noise_multiplier": 5.8}, "noise_multiplier 5.8 recorded, 0.58 in the ledger"),
        ({"max_grad_norm": 0.1}, "max_grad_norm 0.1 recorded, 1.0 in the ledger"),
        ({"delta": 1e-6}, "delta 1e-06 recorded, 1e-05 in the ledger"),
        ({"delta": None}, "delta None recorded, 1e-05 in the ledger"),
        ({"sampler": "shuffled"}, "sampler shuffled recorded, poisson in the ledger"),
        ({"unit": "user"}, "unit user recorded, example in the ledger"),
        ({"logical_batch_size": 32}, "logical_batch_size 32 recorded, 64 in the ledger"),
        ({"target_epsilon": 7.0}, "epsilon 7 claimed as the target, 7.916 spent"),
        ({"target_epsilon": 7.9}, None),  # within what two accountants may differ
    ],
)
def test_contradictions(folders, changes, problem):
    record = TrainingRecord.model_validate(training_record("eps-8", **changes))
    found = list(contradictions(record, read_ledger(Path(folders[1]) / "ledger.json"), 7.916))
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


def test_an_epsilon_below_the_ledgers_is_a_contradiction(folders):
    given = training_record("eps-8", target_epsilon=None)
    given["epochs"][-1]["epsilon"] = 3.0
    found = contradictions(TrainingRecord.model_validate(given), read_ledger(Path(folders[1]) / "ledger.json"), 7.916)
    assert list(found) == ["epsilon 3 claimed after the last epoch, 7.916 spent by the ledger"]


def test_settings_that_changed_in_the_middle_are_a_contradiction(tmp_path):
    folder = write_training(tmp_path, "eps-8")
    path = folder / "ledger.json"
    content = json.loads(path.read_text())
    content["entries"].append({**content["entries"][0], "noise_multiplier": 9.0, "steps": 5})
    content["entries"][0]["steps"] -= 5
    path.write_text(json.dumps(content))
    found = list(contradictions(read_record(folder), read_ledger(path), 7.9))
    assert found == ["noise_multiplier 0.58 recorded, 0.58 and 9.0 in the ledger"]


def test_a_contradicted_ledger_gives_an_error_that_names_it_and_keeps_the_rest(tmp_path):
    folder = write_training(tmp_path, "eps-2", steps=100)
    report = audit(FakeMaskedLM(), [PrivateTrainings(trainings=str(folder))])
    epsilon = report["dp_sgd/eps-2/epsilon"]
    assert (epsilon.status, epsilon.value, epsilon.details["cause"]) == ("error", None, "input")
    assert "100 steps recorded, 315 in the ledger" in epsilon.details["reason"]
    assert "restore the two files" in epsilon.details["reason"]
    assert report["dp_sgd/eps-2/utility"].status == "ok"
    (verdict,) = report.gate([{"measurement": "dp_sgd/eps-2/epsilon", "max": 100}])
    assert verdict.outcome == "ERROR"


@pytest.mark.parametrize(("damage", "problem"), [(None, "no ledger at"), ("{", "is no readable ledger")])
def test_a_private_training_without_a_readable_ledger_has_no_epsilon(tmp_path, damage, problem):
    folder = write_training(tmp_path, "eps-2")
    (folder / "ledger.json").unlink()
    if damage is not None:
        (folder / "ledger.json").write_text(damage)
    found = measured(folder)
    assert found["dp_sgd/eps-2/epsilon"].status == "error"
    assert problem in found["dp_sgd/eps-2/epsilon"].details["reason"]
    assert found["dp_sgd/eps-2/clipped_share"].status == "ok"


# --- input ------------------------------------------------------------------------------------------------------


def test_any_model_will_do_and_trainings_go_by_the_names_given(public):
    folder = public()
    probe = plugins.probe("dp_sgd", {"trainings": {"before": str(folder)}})
    assert by_id(check_probe(probe, FakeWordVectors()))["dp_sgd/before/utility"].status == "ok"
    assert "dp_sgd/public/utility" in by_id(check_probe(PrivateTrainings(trainings=str(folder)), FakeMaskedLM()))


@pytest.mark.parametrize(
    ("trainings", "message"),
    [
        ([], "no training given; name their folders"),
        (["nowhere"], "no training.json in nowhere; expected the folder that a training wrote"),
        (["public", "public"], r"2 training\(s\) named 'public'; expected names without '/', each used once"),
        ({"a/b": "public"}, r"1 training\(s\) named 'a/b'"),
        ({"a": "public", "b": "public"}, "2 trainings without privacy: a, b; expected at most one"),
    ],
)
def test_trainings_that_cannot_be_told_apart_or_found_are_refused(public, monkeypatch, trainings, message):
    monkeypatch.chdir(public().parent)
    with pytest.raises(DataError, match=message):
        PrivateTrainings(trainings=trainings).measure(FakeMaskedLM(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schema": 2}, "schema: Input should be 1"),
        ({"private": "yes"}, "private: Input should be a valid boolean"),
        ({"steps": -1}, "steps: Input should be greater than or equal to 0"),
        ({"epochs": [{"epoch": 1}]}, "epochs.0.steps: Field required"),
        ({"validation": accuracy([1.0, 2.0], ["a", "a"])}, "2 items for 2 values; expected one name for every value"),
        ({"validation": accuracy([], [])}, "validation.values: List should have at least 1 item"),
        ({"validation": accuracy([float("nan")], ["a"])}, "NaN is not a JSON number"),
        ({"gradient_norms": {"edges": [2.0, 1.0], "counts": [1], "clipped": 0, "seen": 1}}, "expected ascending"),
        ({"gradient_norms": {"edges": [1.0, 2.0], "counts": [3], "clipped": 0, "seen": 2}}, "more gradients were"),
        ({"seconds_per_step": {"median": 0.0, "n": 1}}, "seconds_per_step.median"),
    ],
)
def test_a_damaged_record_is_refused_by_name(public, changes, problem):
    with pytest.raises(DataError, match=r"training\.json (is damaged|cannot be read): ") as caught:
        read_record(public(**changes))
    assert problem in str(caught.value)
    assert str(caught.value).endswith("train again")


def test_a_record_that_is_no_json_is_refused(public):
    folder = public()
    (folder / "training.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_record(folder)
