import copy
import json
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

from auditkit.errors import InputError
from auditkit.privacy.engine import PrivacyEngine
from auditkit.privacy.ledger import read_ledger
from auditkit.privacy.losses import next_token_loss, token_loss
from auditkit.privacy.sampling import PoissonSampler
from auditkit.privacy.settings import PrivacySettingError
from auditkit.privacy.tape import UnsupportedModel

ALMOST_NONE = 1e-9  # a noise multiplier that leaves the sums to be seen


class TinyLM(nn.Module):
    """Tied embedding, positions that the batch shares, one affine layer, a norm."""

    def __init__(self, vocabulary: int = 12, width: int = 6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(9, width)
        self.mix, self.norm = nn.Linear(width, width), nn.LayerNorm(width)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1])[None])
        return F.linear(self.norm(x + self.mix(x).cumsum(1).tanh()), self.tokens.weight)


def sentences(n: int = 40) -> TensorDataset:
    """Ids, and as labels the ids with between none and four of them ignored."""
    ids = torch.randint(1, 12, (n, 6), generator=torch.Generator().manual_seed(1))
    kept = torch.arange(6) < 6 - torch.arange(n)[:, None] % 5
    return TensorDataset(ids, ids.where(kept, -100))


def flat(criterion, logits, labels):
    """The loss as language models are trained: tokens of all examples in one row."""
    return criterion(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def train(model, optimizer, criterion, loader):
    """A plain training loop: one epoch."""
    for ids, labels in loader:
        optimizer.zero_grad()
        loss = flat(criterion, model(ids), labels)
        loss.backward()
        optimizer.step()


def private(tmp_path, module=None, data=None, *, batch_size=8, seed=5, secure=False, **settings):
    """The engine, and what it makes of a model under SGD with learning rate 1: a step moves by what is released."""
    module = module or TinyLM()
    engine = PrivacyEngine(secure=secure, seed=None if secure else seed, ledger=tmp_path / "ledger.json")
    given = {
        "module": module,
        "optimizer": torch.optim.SGD(module.parameters(), lr=1.0),
        "criterion": nn.CrossEntropyLoss(),
        "data_loader": DataLoader(data or sentences(), batch_size=batch_size),
        "max_grad_norm": 0.5,
        "noise_multiplier": ALMOST_NONE,
        "target_delta": 1e-3,
        **settings,
    }
    return engine, *engine.make_private(**given)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_three_lines_convert_a_loop_that_stays_as_it_is(tmp_path):
    model, criterion, loader = TinyLM(), nn.CrossEntropyLoss(), DataLoader(sentences(), batch_size=8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    train(model, optimizer, criterion, loader)

    engine = PrivacyEngine(ledger=tmp_path / "ledger.json")
    model, optimizer, criterion, loader = engine.make_private_with_epsilon(
        module=model, optimizer=torch.optim.AdamW(model.parameters(), lr=0.01), criterion=criterion, data_loader=loader,
        target_epsilon=8.0, target_delta=1e-3, epochs=2, max_grad_norm=1.0)  # fmt: skip
    for _ in range(2):
        train(model, optimizer, criterion, loader)
    assert read_ledger(tmp_path / "ledger.json").steps == 2 * len(loader) == 10
    assert engine.get_epsilon() == pytest.approx(8.0, rel=0.01)
    assert engine.get_epsilon() <= 8.0


def test_a_step_releases_the_clipped_sum_of_single_examples_over_the_expected_batch_size(tmp_path, reference):
    plain = TinyLM()
    norms, _ = reference(plain, lambda ids, y: token_loss(plain(ids)[:, :-1], y[:, 1:]), sentences().tensors, 1.0)
    c = float(norms.median())  # some are clipped, some are not
    _, model, optimizer, criterion, loader = private(tmp_path, max_grad_norm=c)
    for ids, labels in loader:
        before = copy.deepcopy(model.module)
        _, sums = reference(before, lambda ids, y, m=before: token_loss(m(ids)[:, :-1], y[:, 1:]), (ids, labels), c)
        flat(criterion, model(ids), labels).backward()
        optimizer.step()
        for name, p in model.module.named_parameters():
            torch.testing.assert_close(before.get_parameter(name) - p, sums[name] / 8, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("secure", [False, True])
def test_a_step_on_zero_gradients_is_noise_of_the_right_scale(tmp_path, secure):
    module = nn.Linear(200, 100, bias=False)
    _, model, optimizer, criterion, loader = private(
        tmp_path,
        module,
        TensorDataset(torch.zeros(40, 200), torch.zeros(40, 100)),
        criterion=nn.MSELoss(),
        noise_multiplier=1.5,
        max_grad_norm=0.4,
        secure=secure,
    )
    for x, y in loader:
        before = weights(module)
        criterion(model(x), y).backward()
        optimizer.step()
        noise = (weights(module) - before).double().numpy() / (1.5 * 0.4 / 8)
        assert stats.kstest(noise, "norm").pvalue > 1e-4
        assert noise.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * noise.size))


def seed_whose_first_batch_is(empty: bool) -> int:
    from auditkit.privacy.engine import _seed_of

    return next(
        s for s in range(99) if (PoissonSampler(40, 1, seed=_seed_of(s, "batches")).batch(0).size == 0) == empty
    )


@pytest.mark.parametrize("empty", [True, False])
def test_an_empty_batch_is_a_step_with_noise_alone(tmp_path, empty):
    """The loop sees the first example in its place, but what is learned does not depend on it."""
    seed, ends, moved = seed_whose_first_batch_is(empty), [], []
    for run, data in enumerate((sentences(), TensorDataset(*(t.flip(1) for t in sentences().tensors)))):
        engine, model, optimizer, criterion, loader = private(
            tmp_path / str(run), data=data, batch_size=1, seed=seed, noise_multiplier=1.0
        )
        before = weights(model)
        for ids, labels in loader:
            flat(criterion, model(ids), labels).backward()
            optimizer.step()
            break
        ends.append(weights(model))
        moved.append(float((ends[-1] - before).std()))
        assert engine.ledger.steps == 1
    assert torch.equal(*ends) == empty
    assert moved[0] == pytest.approx(0.5, rel=0.25)  # noise_multiplier * C / 1


def after_an_epoch(tmp_path, loop=train, **settings):
    _, model, optimizer, criterion, loader = private(tmp_path, **settings)
    loop(model, optimizer, criterion, loader)
    return weights(model)


def in_parts(model, optimizer, criterion, loader):
    for ids, labels in loader:
        for part, its_labels in zip(ids.split(3), labels.split(3), strict=True):
            flat(criterion, model(part), its_labels).backward()
        optimizer.step()


def test_accumulation_equals_one_batch(tmp_path):
    whole = after_an_epoch(tmp_path / "whole")
    torch.testing.assert_close(after_an_epoch(tmp_path / "loader", max_physical_batch_size=3), whole)
    torch.testing.assert_close(after_an_epoch(tmp_path / "loop", in_parts), whole)


def test_nothing_moves_before_the_last_physical_batch(tmp_path):
    module = TinyLM()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.5)
    engine, model, optimizer, criterion, loader = private(
        tmp_path, module, optimizer=optimizer, max_physical_batch_size=3
    )
    moves, parts = 0, 0
    for ids, labels in loader:
        before = weights(model)
        assert len(ids) <= 3
        flat(criterion, model(ids), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        moves, parts = moves + bool((weights(model) != before).any()), parts + 1
    assert moves == engine.ledger.steps == 5 < parts
    assert all(state["step"] == 5 for state in optimizer.state.values())


def test_the_loop_ends_before_overspending(tmp_path):
    engine, *made = private(tmp_path, noise_multiplier=1.0, target_epsilon=4.0)
    many = [made] * 99
    with pytest.warns(UserWarning, match=r"ledger.json: \d+ steps are spent and one more would exceed epsilon = 4.0"):
        [train(*made) for made in many]
    assert 3.5 < engine.get_epsilon() <= 4.0
    assert not engine.ledger.affords_step()


class Watched(Dataset):
    """Notes how many steps were on the ledger when an example was fetched."""

    def __init__(self, ledger) -> None:
        self.ledger, self.data, self.seen = ledger, sentences(), []

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index):
        self.seen.append(json.loads(self.ledger.read_text())["entries"][-1]["steps"])
        return self.data[index]


def test_every_step_is_on_the_ledger_before_its_batch_is_drawn(tmp_path):
    data = Watched(tmp_path / "ledger.json")
    _, model, optimizer, criterion, loader = private(tmp_path, data=data)
    for number, (ids, labels) in enumerate(loader, start=1):
        assert data.seen[-len(ids) :] == [number] * len(ids)
        flat(criterion, model(ids), labels).backward()
        optimizer.step()
    entry = read_ledger(tmp_path / "ledger.json").entries[0]
    assert (entry.steps, entry.sampler, entry.units, entry.expected_batch_size) == (5, "poisson", 40, 8)
    assert (entry.noise_multiplier, entry.max_grad_norm) == (ALMOST_NONE, 0.5)


def test_two_runs_with_a_seed_are_equal_and_others_are_not(tmp_path):
    runs = [
        after_an_epoch(tmp_path / str(i), seed=seed, noise_multiplier=1.0) for i, seed in enumerate([5, 5, 6, None])
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert not torch.equal(runs[0], runs[3])


@pytest.mark.parametrize(
    ("criterion", "losses"),
    [
        (nn.CrossEntropyLoss(), lambda a, y: token_loss(a, y)),
        (nn.CrossEntropyLoss(ignore_index=3), lambda a, y: token_loss(a, y.masked_fill(y == 3, -100))),
        (nn.CrossEntropyLoss(reduction="sum"), lambda a, y: token_loss(a, y) * (y != -100).sum(1)),
        (F.cross_entropy, lambda a, y: token_loss(a, y)),
        (partial(F.cross_entropy, ignore_index=3), lambda a, y: token_loss(a, y.masked_fill(y == 3, -100))),
    ],
    ids=["module", "ignore_index", "sum", "function", "partial"],
)
def test_ignored_tokens_do_not_count(tmp_path, criterion, losses):
    ids, labels = (t[:5] for t in sentences().tensors)
    if getattr(criterion, "ignore_index", None) == 3 or isinstance(criterion, partial):
        labels = ids
    _, model, _, private_criterion, _ = private(tmp_path, criterion=criterion)
    with torch.no_grad():
        logits = model(ids)
        expected = losses(logits, labels)
        shaped = private_criterion(logits.transpose(1, 2), labels)
        row = private_criterion(logits.flatten(0, 1), target=labels.flatten())
    torch.testing.assert_close(shaped.losses, expected)
    torch.testing.assert_close(row.losses, expected)
    assert shaped.item() == float(shaped) == shaped.detach().item() == pytest.approx(expected.mean().item())


def test_a_criterion_of_ones_own_returns_one_loss_for_each_example(tmp_path):
    _, model, _, criterion, _ = private(tmp_path, criterion=next_token_loss)
    ids = sentences().tensors[0][:3]
    torch.testing.assert_close(criterion(model(ids), ids).losses, next_token_loss(model(ids), ids))


@pytest.mark.parametrize(
    ("criterion", "given"),
    [(lambda a, y: a.mean(), r"shape \(\)"), (lambda a, y: a[0, :, 0], r"shape \(6,\)"), (lambda a, y: 1.0, "float")],
)
def test_a_result_that_is_not_one_loss_for_each_example_is_refused(tmp_path, criterion, given):
    _, model, _, criterion, _ = private(tmp_path, criterion=criterion)
    ids = sentences().tensors[0][:4]
    with pytest.raises(InputError, match=f"the criterion returned {given}.* for 4 examples"):
        criterion(model(ids), ids)


def test_a_skipped_step_is_spent_and_leaves_nothing_behind(tmp_path):
    def skipping(backward):
        def loop(model, optimizer, criterion, loader):
            for number, (ids, labels) in enumerate(loader):
                if number > 0 or backward:
                    flat(criterion, model(ids), labels).backward()
                if number > 0:
                    optimizer.step()

        return loop

    engine, *made = private(tmp_path / "with")
    skipping(True)(*made)
    assert engine.ledger.steps == 5
    assert torch.equal(weights(made[0]), after_an_epoch(tmp_path / "without", skipping(False)))


def test_what_other_losses_leave_in_the_gradients_is_not_released(tmp_path):
    def with_a_penalty(model, optimizer, criterion, loader):
        for ids, labels in loader:
            (1000 * model.mix.weight.square().sum()).backward()
            flat(criterion, model(ids), labels).backward()
            (1000 * model.mix.weight.square().sum()).backward()
            optimizer.step()

    assert torch.equal(after_an_epoch(tmp_path / "with", with_a_penalty), after_an_epoch(tmp_path / "without"))


def test_evaluation_in_the_middle_of_the_loop_changes_nothing(tmp_path):
    def evaluating(model, optimizer, criterion, loader):
        ids, labels = sentences(13).tensors
        for x, y in loader:
            flat(criterion, model(ids), labels)  # with gradients, forgotten
            loss = flat(criterion, model(x), y)
            loss.backward()
            with torch.no_grad():
                flat(criterion, model(ids), labels).item()
            optimizer.step()

    assert torch.equal(after_an_epoch(tmp_path / "with", evaluating), after_an_epoch(tmp_path / "without"))


def twice(model, optimizer, criterion, ids, labels):
    for _ in range(2):
        flat(criterion, model(ids), labels).backward()


def same_loss_twice(model, optimizer, criterion, ids, labels):
    loss = flat(criterion, model(ids), labels)
    loss.backward()
    loss.backward()


def two_steps(model, optimizer, criterion, ids, labels):
    optimizer.step()
    optimizer.step()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (twice, r"examples where 0 of this batch are left; an example whose gradient is added twice"),
        (same_loss_twice, "cannot be trained on: .* in turn"),
        (two_steps, r"optimizer.step\(\) without a batch"),
        (lambda m, o, c, ids, y: o.step(lambda: 0.0), "closure"),
        (lambda m, o, c, ids, y: flat(c, m(ids).detach(), y).backward(), "depend on no trainable parameter"),
        (lambda m, o, c, ids, y: flat(c, m(ids.repeat(2, 1)), y.repeat(2, 1)).backward(), "examples where"),
        (lambda m, o, c, ids, y: m.module(ids).sum().backward(), None),
        (lambda m, o, c, ids, y: m(ids).sum().backward(), "call engine.backward"),
    ],
    ids=["examples twice", "loss twice", "steps twice", "closure", "detached", "views", "unrecorded", "plain loss"],
)
def test_what_a_loop_may_not_do_with_a_batch(tmp_path, body, message):
    _, model, optimizer, criterion, loader = private(tmp_path)
    before = weights(model)
    for ids, labels in loader:
        if message is None:  # a plain pass through the given model: no error, and nothing of it is released
            body(model, optimizer, criterion, ids, labels)
            optimizer.step()
            torch.testing.assert_close(weights(model), before)
            return
        with pytest.raises(InputError, match=message):
            body(model, optimizer, criterion, ids, labels)
        return


def test_outside_the_loop_nothing_can_be_trained(tmp_path):
    _, model, optimizer, criterion, _ = private(tmp_path)
    ids, labels = sentences().tensors
    with pytest.raises(InputError, match="cannot be trained on"):
        flat(criterion, model(ids), labels).backward()
    with pytest.raises(InputError, match=r"optimizer.step\(\) without a batch"):
        optimizer.step()


def test_a_loss_that_is_not_finite_stops_the_loop_with_the_ledger_intact(tmp_path):
    def loss_of_row(logits, labels):
        return F.cross_entropy(logits, labels, reduction="none") / 0

    made = private(tmp_path, criterion=loss_of_row)[1:]
    model, before = made[0], weights(made[0])
    with pytest.raises(InputError, match="not finite"):
        train(*made)
    assert read_ledger(tmp_path / "ledger.json").steps == 1
    assert torch.equal(weights(model), before)
    torch.ones(2) + 1  # nothing is recorded any more
    assert torch.overrides._get_current_function_mode_stack() == []


def test_a_second_run_continues_the_ledger(tmp_path):
    after_an_epoch(tmp_path)
    engine, *made = private(tmp_path)
    train(*made)
    assert engine.ledger.steps == 10
    assert len(engine.ledger.entries) == 1


class CentredOnTheBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.out = nn.Embedding(12, 4), nn.Linear(4, 12)

    def forward(self, ids):
        x = self.tokens(ids)
        return self.out(x - x.mean(0))


class Convolved(CentredOnTheBatch):
    def forward(self, ids):
        return torch.einsum("btd,vd->btv", self.tokens(ids), self.out.weight) + self.out.bias


@pytest.mark.parametrize(
    ("build", "message"),
    [(CentredOnTheBatch, "examples act on each other"), (Convolved, r"out.weight: used by einsum\(\)")],
)
def test_the_first_batch_is_examined_before_anything_is_learned(tmp_path, build, message):
    engine, model, optimizer, criterion, loader = private(tmp_path, build())
    before = weights(model)
    with pytest.raises(UnsupportedModel, match=message):
        train(model, optimizer, criterion, loader)
    assert torch.equal(weights(model), before)
    assert engine.ledger.steps == 1


@pytest.mark.parametrize(
    "glue",
    [
        lambda a, y: (a.transpose(0, 1).flatten(0, 1), y.T.flatten()),
        lambda a, y: (a.flatten(1) @ a.flatten(1).T, torch.arange(len(a))),
    ],
    ids=["tokens before examples", "contrastive"],
)
def test_losses_that_mix_examples_are_refused(tmp_path, glue):
    _, model, _, criterion, loader = private(tmp_path)
    ids, labels = next(iter(loader))
    for ids, labels in loader:
        loss = criterion(*glue(model(ids), labels))
        with pytest.raises(UnsupportedModel, match="depends on outputs of other examples"):
            loss.backward()
        return


def test_bfloat16_autocast_is_examined_with_its_own_tolerance(tmp_path):
    _, model, optimizer, criterion, loader = private(tmp_path)
    for ids, labels in loader:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids)
        flat(criterion, logits.float(), labels).backward()
        optimizer.step()
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_transformers_model_keeps_its_attributes_and_the_names_of_its_weights(tmp_path):
    import transformers as hf

    torch.manual_seed(0)
    config = hf.GPT2Config(
        vocab_size=12, n_positions=8, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0, pad_token_id=0
    )
    module = hf.GPT2LMHeadModel(config)
    names, before = set(module.state_dict()), weights(module)
    _, model, optimizer, criterion, loader = private(tmp_path, module)
    for ids, labels in loader:
        flat(criterion, model(input_ids=ids).logits, labels).backward()
        optimizer.step()
    assert model.config is config
    assert set(model.state_dict()) == names
    model.load_state_dict(model.state_dict())
    assert (weights(module) != before).any()
    assert model.training
    assert not model.eval().module.training


def as_dict(examples):
    ids, labels = zip(*examples, strict=True)
    return {"ids": torch.stack(ids), "labels": torch.stack(labels)}


@pytest.mark.parametrize("workers", [0, 1])
def test_workers_and_collation_are_kept(tmp_path, workers):
    loader = DataLoader(sentences(), batch_size=8, collate_fn=as_dict, num_workers=workers, shuffle=True)
    engine, model, optimizer, criterion, loader = private(tmp_path, data_loader=loader, max_physical_batch_size=4)
    assert loader.num_workers == workers
    for batch in loader:
        flat(criterion, model(batch["ids"]), batch["labels"]).backward()
        optimizer.step()
    assert engine.ledger.steps == len(loader) == 5
    torch.testing.assert_close(weights(model), after_an_epoch(tmp_path / "plain"))


def test_a_scheduler_made_before_goes_on(tmp_path):
    module = TinyLM()
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    _, model, optimizer, criterion, loader = private(tmp_path, module, optimizer=optimizer)
    for ids, labels in loader:
        flat(criterion, model(ids), labels).backward()
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.5**5


def test_frozen_parameters_stay(tmp_path):
    module = TinyLM()
    module.tokens.weight.requires_grad_(False)
    table = module.tokens.weight.clone()
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0, weight_decay=0.1)  # holds them; they get no gradient
    train(*private(tmp_path, module, optimizer=optimizer)[1:])
    assert torch.equal(module.tokens.weight, table)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(sentences())


def loader_of(**options):
    return DataLoader(options.pop("data", sentences()), **options)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_delta": 0.03}, r"delta = 0.03 with 40 units"),
        ({"max_grad_norm": 0.0}, "max_grad_norm = 0.0"),
        ({"noise_multiplier": 0.0}, "noise_multiplier = 0.0"),
        ({"target_epsilon": 0.0}, "target_epsilon = 0.0"),
        ({"max_physical_batch_size": 0}, "physical batch size 0"),
        ({"data_loader": loader_of(batch_size=41)}, "the data hold 40 units of privacy .* and a batch takes 41"),
    ],
)
def test_settings_that_protect_nothing_are_refused(tmp_path, settings, message):
    with pytest.raises(PrivacySettingError, match=message):
        private(tmp_path, **settings)
    assert not (tmp_path / "ledger.json").exists()


@pytest.mark.parametrize(
    ("data_loader", "given"),
    [
        (loader_of(batch_size=None), "batch_size = None"),
        (loader_of(data=Stream(), batch_size=4), "over Stream"),
        (loader_of(batch_size=4, sampler=WeightedRandomSampler([1.0] * 40, 40)), "WeightedRandomSampler"),
    ],
)
def test_loaders_that_cannot_be_sampled_are_refused(tmp_path, data_loader, given):
    with pytest.raises(InputError, match=f"{given}.*expected a data set with a length, a batch_size and no sampler"):
        private(tmp_path, data_loader=data_loader)


def partly_on_meta():
    module = TinyLM()
    module.mix = nn.Linear(6, 6, device="meta")
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), "BatchNorm1d lets examples act on each other"),
        (partly_on_meta(), "parameters on cpu, meta; move the model to one device"),
        (nn.DataParallel(nn.Linear(2, 2)), "wrapped as DataParallel"),
        (nn.Linear(2, 2).requires_grad_(False), "no parameter is trainable"),
    ],
)
def test_unsuited_models_are_refused_before_any_step(tmp_path, module, message):
    with pytest.raises(UnsupportedModel, match=message):
        private(tmp_path, module)
    assert not (tmp_path / "ledger.json").exists()


def test_what_is_private_already_is_refused(tmp_path):
    _, model, optimizer, _, _ = private(tmp_path)
    with pytest.raises(InputError, match="already private"):
        private(tmp_path, model)
    with pytest.raises(InputError, match="already private"):
        private(tmp_path, model.module, optimizer=optimizer)


def test_an_optimizer_holds_the_trainable_parameters_and_no_others(tmp_path):
    module, other = TinyLM(), nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"lacks \['tokens.weight'.*holds 2 others"):
        private(tmp_path, module, optimizer=torch.optim.SGD(other.parameters()))
    _, model, optimizer, criterion, loader = private(tmp_path, module)
    optimizer.add_param_group({"params": other.parameters()})
    with pytest.raises(InputError, match="holds 2 others"):
        train(model, optimizer, criterion, loader)


def test_secure_noise_takes_no_seed(tmp_path):
    engine = PrivacyEngine(secure=True, seed=1, ledger=tmp_path / "ledger.json")
    module = TinyLM()
    with pytest.raises(PrivacySettingError, match="secure noise with seed"):
        engine.make_private(
            module=module,
            optimizer=torch.optim.SGD(module.parameters()),
            criterion=F.cross_entropy,
            data_loader=loader_of(batch_size=4),
            noise_multiplier=1.0,
            target_delta=1e-3,
            max_grad_norm=1.0,
        )
    with pytest.raises(InputError, match="call make_private first"):
        engine.get_epsilon()


RAGGED = [[5, 6, 7], [4, 3, 2, 8, 9, 3, 2], [6, 6], [7, 2, 3, 4]] * 4


class Reader(nn.Module):
    """A mean over what of a text it takes for tokens."""

    def __init__(self, blind: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blind, self.table, self.out = blind, nn.Embedding(10, 6, padding_idx=0), nn.Linear(6, 2)
        self.mix = nn.Linear(6, 6)

    def forward(self, ids, mask=None):
        seen = torch.ones_like(ids) if self.blind else (ids != 0).long() if mask is None else mask
        x = self.mix(self.table(ids)).tanh() * seen[..., None]
        return self.out(x.sum(1) / seen.sum(1, keepdim=True))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("blind", [False, True])
def test_a_model_that_reads_the_padding_of_its_batch_is_refused(blind, masked, tmp_path):
    def collate(rows):
        return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)

    module = Reader(blind)
    model, optimizer, criterion, loader = PrivacyEngine(seed=0, ledger=tmp_path / "ledger.json").make_private(
        module=module, optimizer=torch.optim.SGD(module.parameters(), lr=0.1), criterion=nn.CrossEntropyLoss(),
        data_loader=DataLoader(RAGGED, batch_size=8, collate_fn=collate), noise_multiplier=1.0, target_delta=1e-3,
        max_grad_norm=1.0,
    )  # fmt: skip
    refusal = pytest.raises(UnsupportedModel, match="padding that the model reads") if blind else nullcontext()
    with refusal:
        for ids in loader:
            logits = model(ids, mask=(ids != 0).long()) if masked else model(ids)
            criterion(logits, torch.ones(len(ids), dtype=torch.long)).backward()
            optimizer.step()
            optimizer.zero_grad()
