"""Two processes train like one: the same batches, the noise once, one ledger, and one error for both."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from auditkit.privacy import processes
from auditkit.privacy.ledger import read_ledger
from tests.privacy.tiny_models import TEXTS, char_gpt, masked_bert, train, weights

pytestmark = pytest.mark.slow  # half a minute: two further processes on what may be two cores

ROOT = Path(__file__).parents[2]
SEEDED = {"epochs": 2, "max_grad_norm": 0.5}
OWNERS = [i % 7 for i in range(24)]
BY_OWNER = {"owners": OWNERS, "logical_batch_size": 4, "examples_per_unit": 2}
NOISY = {"logical_batch_size": 1, "noise_multiplier": 1.2, "max_grad_norm": 0.5}

WORKER = """
import sys
from pathlib import Path

import torch
from torch import distributed

import auditkit as ak
from auditkit.errors import InputError
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.training_loop import Loop
from tests.privacy.test_training_processes import BY_OWNER, NOISY, SEEDED
from tests.privacy.tiny_models import TEXTS, char_gpt, masked_bert, train, weights

rank, folder = int(sys.argv[1]), Path(sys.argv[2])
own = folder / f"rank {rank}"  # the processes share no disk
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def keep(name, result):
    torch.save({"weights": weights(result.model), "record": result.record, "cost": result.cost.epsilon}, own / name)


class Kept(torch.optim.SGD):
    released = []

    def step(self):
        Kept.released.append(torch.cat([p.grad.reshape(-1) for group in self.param_groups for p in group["params"]]))
        super().step()


own.mkdir()
keep("seeded", train(char_gpt(), TEXTS, **SEEDED, optimizer=sgd, out=own / "run"))
keep("masked", train(masked_bert(), TEXTS, optimizer=sgd))
keep("owners", train(char_gpt(), TEXTS, **BY_OWNER, optimizer=sgd))
keep("adapters", train(char_gpt(seed=rank), TEXTS, secure=True, seed=None, lora=2))
train(char_gpt(), TEXTS, **NOISY, optimizer=lambda p: Kept(p, lr=1e-3))
torch.save(Kept.released, own / "noise")

# Stopped in step 4, and resumed from what the first process has.
step = Loop.step
Loop.step = lambda self, number: (_ for _ in ()).throw(KeyboardInterrupt) if number == 3 else step(self, number)
try:
    train(char_gpt(), TEXTS, **SEEDED, optimizer=sgd, out=own / "stopped")
except KeyboardInterrupt:
    pass
Loop.step = step
keep("resumed", train(char_gpt(), TEXTS, **SEEDED, optimizer=sgd, out=own / "stopped"))

# A gradient that is not finite in one process only.
backward = BookKeeping.backward
Loop.examine = lambda self: None
BookKeeping.backward = lambda self, losses: backward(self, losses * (float("nan") if rank == 1 else 1.0))
try:
    train(char_gpt(), TEXTS, out=own / "broken")
except InputError as e:
    (own / "error").write_text(str(e))
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """The folders of two processes that trained together; what they printed, if they failed."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "worker.py").write_text(WORKER)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, folder / "worker.py", str(rank), str(folder)], env=environment, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        printed = [process.communicate(timeout=200)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], "\n".join(printed)
    return [folder / "rank 0", folder / "rank 1"]


def load(folder, name):
    return torch.load(folder / name, weights_only=True)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def assert_close(first, second, tolerance):
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("name", "make", "settings"),
    [("seeded", char_gpt, SEEDED), ("masked", masked_bert, {}), ("owners", char_gpt, BY_OWNER)],
)
def test_two_processes_give_the_weights_and_the_epsilon_of_one(name, make, settings, ranks):
    alone = train(make(), TEXTS, **settings, optimizer=sgd)
    for rank in ranks:
        together = load(rank, name)
        assert_close(together["weights"], weights(alone.model), 1e-5)
        assert together["cost"] == alone.cost.epsilon
        assert together["record"]["gradient_norms"]["seen"] == alone.record["gradient_norms"]["seen"]
        assert together["record"]["gradient_norms"]["clipped"] == alone.record["gradient_norms"]["clipped"]
        losses = [[e["train_loss"] for e in record["epochs"]] for record in (together["record"], alone.record)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        assert (together["record"]["processes"], alone.record["processes"]) == (2, 1)


@pytest.mark.parametrize("name", ["seeded", "masked", "owners", "adapters", "resumed"])
def test_all_processes_end_with_the_same_weights_to_the_last_bit(name, ranks):
    """Also where nothing is seeded, and where they were given different weights and initial adapters."""
    first, second = (load(rank, name) for rank in ranks)
    assert_close(first["weights"], second["weights"], 0)
    assert first["record"] == second["record"] | {"seconds_per_step": first["record"]["seconds_per_step"]}
    assert first["cost"] == second["cost"]


def test_the_noise_is_added_once_and_not_by_every_process(ranks):
    """Twice would double its variance."""
    first, second = (load(rank, "noise") for rank in ranks)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    from auditkit.privacy.sampling import PoissonSampler

    empty = [step for step in range(24) if not len(PoissonSampler(24, 1, seed=0).batch(step))]
    sample = torch.cat([first[step] for step in empty]).double() / (1.2 * 0.5)
    n = len(sample)
    assert n > 20_000
    assert abs(float(sample.mean())) < 5 / math.sqrt(n)
    assert abs(float(sample.var()) - 1) < 5 * math.sqrt(2 / n)


def test_only_the_first_process_writes(ranks):
    first, second = ([path.name for path in sorted((rank / "run").iterdir())] for rank in ranks)
    assert first == ["checkpoint.safetensors", "ledger.json", "model", "started.txt", "training.json"]
    assert second == []
    assert read_ledger(ranks[0] / "run" / "ledger.json").steps == 6  # not once for every process
    assert json.loads((ranks[0] / "run" / "training.json").read_text())["processes"] == 2


def test_stopped_in_both_and_resumed_from_the_firsts_folder(ranks):
    for rank in ranks:
        assert_close(load(rank, "resumed")["weights"], load(rank, "seeded")["weights"], 0)
    assert read_ledger(ranks[0] / "stopped" / "ledger.json").steps == 6


def test_what_fails_in_one_process_stops_both(ranks):
    first, second = ((rank / "error").read_text() for rank in ranks)
    assert second.endswith("or lower the learning rate")
    assert first == f"process 1 failed: {second}"
    assert read_ledger(ranks[0] / "broken" / "ledger.json").steps == 1


def test_alone_there_is_nobody_to_wait_for():
    assert (processes.rank(), processes.world()) == (0, 1)
    assert processes.from_each(lambda: 5) == [5]
    assert processes.first_decides(lambda: 6) == 6
    with pytest.raises(ZeroDivisionError):
        processes.from_each(lambda: 1 // 0)
