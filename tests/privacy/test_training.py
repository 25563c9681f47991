"""Private training against its definition: who is in a step, what is clipped, what is added, and what it costs."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import nn
from torch.nn import functional as F

from auditkit.errors import AuditkitError, InputError, ModelError
from auditkit.models.char_gpt import CharGPT
from auditkit.privacy import training_loop
from auditkit.privacy.accounting import Phase, PrivacyCost, account
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.ledger import read_ledger
from auditkit.privacy.noise import SeededNoise
from auditkit.privacy.sampling import PoissonSampler, ShuffledSampler
from auditkit.privacy.settings import PrivacySettingError
from auditkit.privacy.tape import UnsupportedModel
from tests.privacy.tiny_models import (
    LABELLED,
    TEXTS,
    char_gpt,
    classifier,
    equal,
    gpt2,
    masked_bert,
    train,
    weights,
)

VANISHING = 1e-9  # a noise multiplier that no float32 sum of gradients can show


class Watched(torch.optim.SGD):
    """Plain SGD that keeps what it was given: the weights before every step, and the released gradients."""

    def __init__(self, parameters, lr=1.0):
        parameters = list(parameters)
        super().__init__(parameters, lr=lr)
        self.parameters, self.before, self.released = parameters, [], []

    def step(self):
        self.before.append([p.detach().clone() for p in self.parameters])
        self.released.append([p.grad.clone() for p in self.parameters])
        super().step()


class Watch:
    """Makes a `Watched`, and keeps hold of it."""

    def __init__(self, lr=1.0):
        self.lr = lr

    def __call__(self, parameters):
        self.optimizer = Watched(parameters, self.lr)
        return self.optimizer


def flat(tensors):
    return torch.cat([t.reshape(-1) for t in tensors])


def gradient_by_hand(model, text, at):
    """Of the mean cross-entropy of one text's characters, with nothing but autograd, at the weights `at`."""
    parameters = list(model.module.parameters())
    with torch.no_grad():
        for p, value in zip(parameters, at, strict=True):
            p.copy_(value)
    ids = torch.tensor([model.tokenizer.start + model.tokenizer.encode(text)[0]])
    loss = F.cross_entropy(model.module(ids[:, :-1])[0], ids[0, 1:])
    return flat(torch.autograd.grad(loss, parameters))


def clipped(gradient, limit):
    return gradient * min(1.0, limit / float(gradient.norm()))


# The mechanism.


@pytest.mark.parametrize("max_grad_norm", [0.05, 1.0, 100.0])
def test_each_step_releases_the_clipped_sum_over_the_expected_batch_size(max_grad_norm):
    model, watch = char_gpt(), Watch(lr=0.1)
    train(model, TEXTS, noise_multiplier=VANISHING, max_grad_norm=max_grad_norm, optimizer=watch)
    sampler, sizes = PoissonSampler(24, 8, seed=0), []
    for step, (before, released) in enumerate(zip(watch.optimizer.before, watch.optimizer.released, strict=True)):
        drawn = sampler.batch(step)
        sizes.append(len(drawn))
        expected = sum(clipped(gradient_by_hand(model, TEXTS[i], before), max_grad_norm) for i in drawn) / 8
        torch.testing.assert_close(flat(released), expected, atol=1e-6, rtol=1e-4)
    assert any(size != 8 for size in sizes)  # else dividing by the batch's own size would pass


@pytest.mark.parametrize("max_grad_norm", [0.5, 100.0])
@pytest.mark.parametrize("owners", [[i % 5 for i in range(24)], [0] * 10 + [1] * 6 + list(range(2, 10))])
def test_of_an_owner_the_mean_gradient_is_clipped(owners, max_grad_norm):
    model, watch = char_gpt(), Watch()
    units = len(set(owners))
    result = train(
        model, TEXTS, owners=owners, unit="user", examples_per_unit=10, logical_batch_size=units // 2, epochs=1,
        noise_multiplier=VANISHING, max_grad_norm=max_grad_norm, optimizer=watch,
    )  # fmt: skip
    sampler = PoissonSampler(units, units // 2, "user", seed=0)
    for step, (before, released) in enumerate(zip(watch.optimizer.before, watch.optimizer.released, strict=True)):
        total = torch.zeros(len(flat(before)))
        for owner in sampler.batch(step):
            theirs = [text for text, whose in zip(TEXTS, owners, strict=True) if whose == owner]
            mean = sum(gradient_by_hand(model, text, before) for text in theirs) / len(theirs)
            total += clipped(mean, max_grad_norm)
        torch.testing.assert_close(flat(released), total / (units // 2), atol=1e-6, rtol=1e-4)
    assert (result.record["unit"], result.record["units"], result.cost.units) == ("user", units, units)


def test_of_an_owner_with_too_many_records_some_are_chosen_at_random():
    texts, owners = TEXTS[:6], ["a"] * 4 + ["b", "c"]
    chosen = set()
    for seed in range(5):
        model, watch = char_gpt(), Watch()
        train(model, texts, owners=owners, examples_per_unit=3, logical_batch_size=3, seed=seed, optimizer=watch,
              noise_multiplier=VANISHING, max_grad_norm=0.5)  # fmt: skip
        before = watch.optimizer.before[0]
        gradients = [gradient_by_hand(model, text, before) for text in texts]
        others = clipped(gradients[4], 0.5) + clipped(gradients[5], 0.5)
        fits = [
            subset
            for subset in itertools.combinations(range(4), 3)
            if torch.allclose(
                flat(watch.optimizer.released[0]) * 3,
                others + clipped(sum(gradients[i] for i in subset) / 3, 0.5),
                atol=1e-5,
            )
        ]
        assert len(fits) == 1
        chosen.add(fits[0])
    assert len(chosen) > 1


def test_an_empty_batch_is_a_step_of_pure_noise():
    """Expected batch 1 of 24: a third of the batches are empty, and some hold one example."""
    model, watch = char_gpt(), Watch(lr=1e-3)
    result = train(model, TEXTS, logical_batch_size=1, noise_multiplier=1.2, max_grad_norm=0.5, optimizer=watch)
    sizes = [len(PoissonSampler(24, 1, seed=0).batch(step)) for step in range(24)]
    assert {0, 1} <= set(sizes)
    assert result.record["steps"] == len(watch.optimizer.released) == 24
    assert result.record["gradient_norms"]["seen"] == sum(sizes)
    empty = [step for step, size in enumerate(sizes) if size == 0]
    moved = np.concatenate([_moves(watch.optimizer, step) for step in empty]) / (1e-3 * 1.2 * 0.5 / 1)
    n = len(moved)
    assert n > 20_000
    assert abs(moved.mean()) < 5 / math.sqrt(n)
    assert abs(moved.var() - 1) < 5 * math.sqrt(2 / n)
    assert kstest(moved, "norm").pvalue > 1e-4
    for first, second in itertools.pairwise(empty):
        correlation = np.corrcoef(_moves(watch.optimizer, first), _moves(watch.optimizer, second))[0, 1]
        assert abs(correlation) < 5 / math.sqrt(n / len(empty))


def _moves(optimizer, step):
    after = optimizer.before[step + 1] if step + 1 < len(optimizer.before) else optimizer.parameters
    return flat([a.detach().double() - b.double() for a, b in zip(after, optimizer.before[step], strict=True)]).numpy()


def test_the_noise_added_is_that_of_the_seed_at_the_ledgers_step():
    model, watch = char_gpt(), Watch(lr=0.1)
    train(model, TEXTS, noise_multiplier=0.7, max_grad_norm=0.3, optimizer=watch)
    for step, (before, released) in enumerate(zip(watch.optimizer.before, watch.optimizer.released, strict=True)):
        drawn = PoissonSampler(24, 8, seed=0).batch(step)
        quiet = sum(clipped(gradient_by_hand(model, TEXTS[i], before), 0.3) for i in drawn) / 8
        zeros = [torch.zeros_like(p) for p in before]
        noise = SeededNoise(0).add_noise(zeros, noise_multiplier=0.7, max_grad_norm=0.3, step=step)
        torch.testing.assert_close(flat(released), quiet + flat(noise) / 8, atol=1e-6, rtol=1e-4)


def test_the_mean_batch_is_the_expected_one():
    result = train(char_gpt(), TEXTS * 10, epochs=2, logical_batch_size=2, learning_rate=1e-6)
    steps, rate = 240, 2 / 240
    assert result.record["steps"] == steps
    deviation = math.sqrt(steps * 240 * rate * (1 - rate))
    assert abs(result.record["gradient_norms"]["seen"] - 2 * steps) < 5 * deviation


# Repeatability.


@pytest.fixture(scope="module")
def seeded():
    given = char_gpt(dropout=0.1)
    before = weights(given)
    return given, before, train(given, TEXTS)


def test_a_seed_repeats_a_training_byte_for_byte(seeded):
    given, _, first = seeded
    again = train(char_gpt(dropout=0.1), TEXTS)
    assert equal(first.model, again.model)
    assert first.record["weights_sha256"] == again.record["weights_sha256"]
    different = train(given, TEXTS, seed=1)
    assert not equal(first.model, different.model)


@pytest.mark.parametrize("lora", [None, 2])
def test_without_a_seed_no_two_trainings_are_equal(lora):
    first, second = (train(char_gpt(), TEXTS, seed=None, lora=lora) for _ in range(2))
    assert not equal(first.model, second.model)
    assert first.record["sampler_policy"] == "operating system randomness"
    assert first.record["seed"] is None


def test_the_given_model_and_torchs_generator_are_left_alone(seeded):
    given, before, result = seeded
    assert equal(weights(given), before)
    assert not equal(given, result.model)
    assert isinstance(result.model, CharGPT)
    assert not result.model.module.training
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(given, TEXTS)
    assert torch.equal(torch.rand(3), expected)


def test_frozen_parameters_stay_as_they_are():
    model = char_gpt()
    model.module.tokens.weight.requires_grad = False
    result = train(model, TEXTS)
    moved = {n for n, p in weights(result.model).items() if not torch.equal(p, weights(model)[n])}
    assert moved == set(weights(model)) - {"tokens.weight"}
    assert not result.model.module.tokens.weight.requires_grad


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (char_gpt, {}),
        (masked_bert, {}),  # whose masks are drawn anew at every step
        (char_gpt, {"owners": [i % 7 for i in range(24)], "logical_batch_size": 4, "examples_per_unit": 2}),
        (char_gpt, {"target_epsilon": math.inf, "noise_multiplier": None}),
    ],
)
def test_how_a_batch_is_cut_changes_no_result(make, settings, monkeypatch):
    def trained(**cut):
        options = {"optimizer": sgd} | settings | cut
        return flat(weights(train(make(), TEXTS, **options).model).values())

    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.5)

    whole = trained(physical_batch_size=100)
    parts = [trained(physical_batch_size=size) for size in (1, 3)]
    monkeypatch.setattr(training_loop, "TOKENS_PER_BATCH", {"cpu": 50, "accelerator": 50})
    parts.append(trained())
    if "target_epsilon" not in settings:
        _run_out_of_memory(monkeypatch, above=2)
        parts.append(trained(physical_batch_size=100))
        parts.append(trained())
    for part in parts:
        torch.testing.assert_close(part, whole, atol=2e-6, rtol=1e-5)


def _run_out_of_memory(monkeypatch, above):
    """More than `above` units at once do not fit; some gradients of the batch were added by then."""
    backward = BookKeeping.backward

    def limited(self, losses):
        norms = backward(self, losses)
        if len(losses) > above and len(limited.failed) < 50:
            limited.failed.append(len(losses))
            raise torch.OutOfMemoryError("planted")
        return norms

    limited.failed = []
    monkeypatch.setattr(BookKeeping, "backward", limited)


def test_a_single_unit_that_does_not_fit_is_a_clear_error(monkeypatch):
    _run_out_of_memory(monkeypatch, above=0)
    monkeypatch.setattr(training_loop.Loop, "examine", lambda self: None)
    with pytest.raises(ModelError, match="out of memory on a single unit"):
        train(char_gpt(), TEXTS)


# The account.


@pytest.fixture(scope="module")
def targeted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "deep" / "run"
    return train(char_gpt(), TEXTS, epochs=3, target_epsilon=8.0, noise_multiplier=None, out=folder, validation=TEXTS)


@pytest.mark.slow
def test_a_target_is_met_and_not_exceeded(targeted):
    assert 8.0 * 0.99 <= targeted.cost.epsilon <= 8.0
    assert targeted.cost.delta == 1e-3
    sampler, noise = PoissonSampler(24, 8), targeted.record["noise_multiplier"]
    assert targeted.cost == account([Phase(sampler, noise, 9)], 1e-3)


def test_ledger_and_record_agree(targeted):
    ledger, record = read_ledger(targeted.folder / "ledger.json"), targeted.record
    assert ledger.steps == record["steps"] == 3 * math.ceil(24 / 8)
    (entry,) = ledger.entries
    assert entry.noise_multiplier == record["noise_multiplier"]
    assert (entry.sampler, entry.units, entry.expected_batch_size) == ("poisson", 24, 8)
    assert entry.max_grad_norm == record["max_grad_norm"] == 1.0
    assert record["target_epsilon"] == ledger.target_epsilon == 8.0


def test_epsilon_grows_with_every_epoch(targeted):
    epochs = targeted.record["epochs"]
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    assert [e["steps"] for e in epochs] == [3, 6, 9]
    spent = [e["epsilon"] for e in epochs]
    assert 0 < spent[0] < spent[1] < spent[2] == targeted.cost.epsilon


def test_the_record_describes_what_was_trained(targeted):
    record = targeted.record
    assert record["parameters"] == record["trainable"] == sum(p.numel() for p in targeted.model.module.parameters())
    assert record["weights_sha256"] == targeted.model.describe()["weights_sha256"]
    expected = [-scores.mean for scores in targeted.model.token_logprobs(TEXTS)]
    assert record["validation"]["values"] == pytest.approx(expected, abs=1e-5)
    assert record["epochs"][-1]["validation_loss"] == pytest.approx(np.mean(expected), abs=1e-5)
    norms = record["gradient_norms"]
    assert sum(norms["counts"]) == norms["seen"] >= norms["clipped"] > 0
    assert record["seconds_per_step"]["n"] == 9


def test_shuffled_batches_claim_no_amplification():
    shuffled = train(char_gpt(), TEXTS, sampler="shuffled", epochs=2, noise_multiplier=1.0)
    assert shuffled.cost == account([Phase(ShuffledSampler(24, 8, 0), 1.0, 6)], 1e-3)
    assert shuffled.cost.epsilon > account([Phase(PoissonSampler(24, 8), 1.0, 6)], 1e-3).epsilon
    assert shuffled.cost.adjacency == "replace one"
    assert shuffled.record["sampler"] == "shuffled"
    assert shuffled.record["sampler_policy"] == "a public order"
    assert shuffled.record["gradient_norms"]["seen"] == 48  # every unit once an epoch


def test_an_infinite_target_is_a_baseline_without_ledger_noise_or_clipping(tmp_path):
    model, watch = char_gpt(), Watch(lr=0.1)
    result = train(
        model, TEXTS, target_epsilon=math.inf, noise_multiplier=None, delta=None, max_grad_norm=1e-6, optimizer=watch,
        out=tmp_path, physical_batch_size=3,
    )  # fmt: skip
    for step, (before, given) in enumerate(zip(watch.optimizer.before, watch.optimizer.released, strict=True)):
        drawn = PoissonSampler(24, 8, seed=0).batch(step)
        expected = sum(gradient_by_hand(model, TEXTS[i], before) for i in drawn) / 8
        torch.testing.assert_close(flat(given), expected, atol=1e-6, rtol=1e-4)
    how = "none: trained without clipping and noise"
    assert result.cost == PrivacyCost(math.inf, 0.0, "example", 24, "add or remove one", how, math.inf, math.inf)
    assert not (tmp_path / "ledger.json").exists()
    nothing = ("target_epsilon", "delta", "noise_multiplier", "max_grad_norm", "mode", "gradient_norms", "noise_policy")
    assert not result.record["private"]
    assert [result.record[key] for key in nothing] == [None] * 7
    assert result.record["epochs"][0]["epsilon"] is None
    assert (tmp_path / "training.json").exists()


def test_secure_training_says_where_its_randomness_came_from(tmp_path):
    result = train(char_gpt(), TEXTS, secure=True, seed=None, out=tmp_path)
    (entry,) = read_ledger(tmp_path / "ledger.json").entries
    assert "ChaCha20" in entry.noise_policy
    assert entry.noise_policy == result.record["noise_policy"]
    assert entry.sampler_policy == result.record["sampler_policy"] == "operating system randomness"


def test_a_classifier_is_validated_by_accuracy():
    result = train(classifier(), LABELLED, validation=LABELLED[:6])
    validation = result.record["validation"]
    assert (validation["metric"], validation["unit"], validation["ideal"]) == ("accuracy", "%", 100.0)
    right = result.model.classify([text for text, _ in LABELLED[:6]]).argmax(1) == [
        result.model.labels.index(label) for _, label in LABELLED[:6]
    ]
    assert validation["values"] == (100.0 * right).tolist()
    assert validation["items"] == ["0", "1", "2", "3", "4", "5"]


# What is caught after the first step.


class AlsoFrozen(torch.optim.SGD):
    """Writes to a parameter that is frozen."""

    def step(self):
        super().step()
        with torch.no_grad():
            self.frozen.add_(1e-4)


def test_an_optimizer_that_writes_to_a_frozen_parameter_is_caught(monkeypatch):
    model = char_gpt()
    model.module.head.bias.requires_grad = False
    made = []
    prepare = training_loop.Loop.step

    def step(self, number):
        made[0].frozen = self.module.head.bias
        prepare(self, number)

    monkeypatch.setattr(training_loop.Loop, "step", step)

    def optimizer(parameters):
        made.append(AlsoFrozen(parameters, lr=0.1))
        return made[0]

    with pytest.raises(UnsupportedModel, match=r"head\.bias: is frozen but changed in step 1") as e:
        train(model, TEXTS, optimizer=optimizer)
    assert len(e.value.problems) == 1


def test_an_optimizer_that_leaves_out_a_trainable_parameter_is_caught():
    def all_but_two(parameters):
        return torch.optim.SGD(list(parameters)[:-2], lr=0.1)

    with pytest.raises(UnsupportedModel) as e:
        train(char_gpt(), TEXTS, optimizer=all_but_two)
    assert sorted(problem.split(":")[0] for problem in e.value.problems) == ["head.bias", "head.weight"]
    assert all("did not move in step 1" in problem for problem in e.value.problems)


def test_weights_too_coarse_to_show_a_small_step_are_no_reason_to_stop():
    """In bfloat16 a LayerNorm, which is about 1, cannot move by a learning rate of 1e-4."""
    model = char_gpt()
    model.module.bfloat16()
    result = train(model, TEXTS, learning_rate=1e-4)
    assert torch.equal(result.model.module.norm.weight, model.module.norm.weight)
    assert not torch.equal(result.model.module.norm.bias, model.module.norm.bias)


def test_moves_that_cancel_are_moves():
    """Two weights that trade places, and two that move by one unit in the last place, have the same sum of bits."""
    module = nn.Linear(2, 1)
    for before, after in [([0.25, 0.5], [0.5, 0.25]), ([1.5, 1.5], [1.5 + 2**-23, 1.5 - 2**-23])]:
        with torch.no_grad():
            module.weight.copy_(torch.tensor([before]))
            first = training_loop.fingerprints(module)
            module.weight.copy_(torch.tensor([after]))
        second = training_loop.fingerprints(module)
        assert first["weight"] != second["weight"]
        assert first["bias"] == second["bias"]


# Bad input: one clear error each, before the ledger has a step.


class BatchNormOfTokens(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def with_batch_norm():
    model = char_gpt()
    model.module.norm = BatchNormOfTokens(16)
    return model


def on_two_devices():
    model = char_gpt()
    model.module.head.to("meta")
    return model


def wrapped():
    from opacus import GradSampleModule

    model = char_gpt()
    model.module.blocks[0].feed_forward[0] = GradSampleModule(model.module.blocks[0].feed_forward[0])
    return model


def frozen():
    model = char_gpt()
    model.module.requires_grad_(False)
    return model


def looking_at_the_others():
    model = char_gpt()
    forward = model.module.norm.forward
    model.module.norm.forward = lambda x: forward(x - x.mean(0, keepdim=True))
    return model


REFUSED = {
    "BatchNorm": (with_batch_norm, {}, UnsupportedModel, "replace it by LayerNorm"),
    "two devices": (on_two_devices, {}, UnsupportedModel, "parameters on cpu, meta"),
    "wrapped": (wrapped, {}, UnsupportedModel, "is wrapped as GradSampleModule"),
    "examples that see each other": (looking_at_the_others, {}, UnsupportedModel, "act on each other|batch"),
    "nothing trainable": (frozen, {}, InputError, "no parameter is trainable"),
    "delta": (char_gpt, {"delta": 1 / 24}, PrivacySettingError, "expected 0 < delta < 1/24"),
    "delta of owners": (
        char_gpt,
        {"delta": 0.05, "owners": [0, 1, 2, 3] * 6, "logical_batch_size": 2, "noise_multiplier": -1.0},
        PrivacySettingError,
        "noise_multiplier = -1",
    ),
    "no delta": (char_gpt, {"delta": None}, PrivacySettingError, "no delta"),
    "zero delta": (char_gpt, {"delta": 0.0}, PrivacySettingError, "delta = 0"),
    "out of reach": (
        char_gpt,
        {"target_epsilon": 1e-3, "noise_multiplier": None, "epochs": 500},
        PrivacySettingError,
        "out of reach",
    ),
    "target": (
        char_gpt,
        {"target_epsilon": -1.0, "noise_multiplier": None},
        PrivacySettingError,
        "target_epsilon = -1",
    ),
    "NaN target": (char_gpt, {"target_epsilon": math.nan, "noise_multiplier": None}, PrivacySettingError, "nan"),
    "both": (char_gpt, {"target_epsilon": 8.0}, PrivacySettingError, "both of target_epsilon and noise_multiplier"),
    "neither": (char_gpt, {"noise_multiplier": None}, PrivacySettingError, "neither of target_epsilon"),
    "no noise": (char_gpt, {"noise_multiplier": 0.0}, PrivacySettingError, "noise_multiplier = 0"),
    "clipping to nothing": (char_gpt, {"max_grad_norm": 0.0}, PrivacySettingError, "max_grad_norm = 0"),
    "negative clipping": (char_gpt, {"max_grad_norm": -1.0}, PrivacySettingError, "max_grad_norm = -1"),
    "too few": (char_gpt, {"logical_batch_size": 25}, PrivacySettingError, "hold 24 units"),
    "no batch": (char_gpt, {"logical_batch_size": 0}, PrivacySettingError, "batch size 0"),
    "secure with a seed": (char_gpt, {"secure": True}, PrivacySettingError, "secure=True with seed = 0"),
    "owners": (char_gpt, {"owners": [0, 1]}, InputError, "2 owners for 24 records"),
    "epochs": (char_gpt, {"epochs": 0}, InputError, "epochs = 0"),
    "seed": (char_gpt, {"seed": -1}, InputError, "seed = -1"),
    "learning rate": (char_gpt, {"learning_rate": math.nan}, InputError, "learning_rate = nan"),
    "physical": (char_gpt, {"physical_batch_size": "all"}, InputError, "physical_batch_size = 'all'"),
    "mode": (char_gpt, {"mode": "hooks"}, InputError, "mode = 'hooks'"),
    "sampler": (char_gpt, {"sampler": "fixed"}, InputError, "sampler = 'fixed'"),
    "rank": (char_gpt, {"lora": 0}, InputError, "lora = 0"),
    "no examples": (char_gpt, {"examples_per_unit": 0}, InputError, "examples_per_unit = 0"),
    "several at once": (char_gpt, {"epochs": 0, "mode": "x", "lora": -1}, InputError, "epochs.*mode.*lora"),
    "validation": (char_gpt, {"validation": []}, InputError, "no records"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_refused_before_anything_is_spent(what, tmp_path):
    make, settings, error, message = REFUSED[what]
    with pytest.raises(AuditkitError, match=message) as e:
        train(make(), TEXTS, **settings, out=tmp_path)
    assert isinstance(e.value, error)
    assert not (tmp_path / "ledger.json").exists()


def test_delta_is_held_against_the_number_of_owners():
    """0.1 would do for 4 owners, though not for 24 records; 0.3 would not."""
    settings = {"owners": [0, 1, 2, 3] * 6, "logical_batch_size": 2}
    assert train(char_gpt(), TEXTS, delta=0.1, **settings).cost.delta == 0.1
    with pytest.raises(PrivacySettingError, match="with 4 units of privacy"):
        train(char_gpt(), TEXTS, delta=0.3, **settings)


def test_low_rank_adapters_make_a_frozen_model_trainable():
    assert train(frozen(), TEXTS, lora=2).record["trainable"] > 0


def test_adapters_of_gpt2_are_trained_without_a_warning():
    assert train(gpt2(), TEXTS, lora=1).record["trainable"] > 0
