import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from auditkit.errors import DataError, InputError, MissingCapability, ModelError
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_gpt_data import Samples, distinct_characters
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy.attack_metrics import evaluate
from auditkit.privacy.lira import lira, rmia
from auditkit.privacy.shadow import mean_logprobs, train_shadows
from auditkit.privacy.shadow_records import as_samples, membership_matrix, record_hashes
from auditkit.privacy.shadow_training import LARGEST_STACK, ShadowSettings, ShadowTrainer
from auditkit.progress import listen

TINY = CharGPTConfig(
    vocabulary="abcdefgh",
    hidden=16,
    layers=1,
    heads=2,
    context=8,
    causal=True,
    positions=True,
    scaled=True,
    pre_norm=True,
)
SETTINGS = ShadowSettings(config=TINY, epochs=2, batch_size=4, lr=5e-3, seed=3)


def texts(n: int, seed: int = 0) -> list[str]:
    """Texts of unlike difficulty: the number of symbols that a text is made of ranges from 2 to 8."""
    rng, out = np.random.default_rng(seed), set()
    while len(out) < n:
        out.add("".join(rng.choice(list("abcdefgh")[: rng.integers(2, 9)], size=8)))
    return [str(text) for text in rng.permutation(sorted(out))]


RECORDS = [*texts(19), "abc"]  # one is padded


@pytest.fixture
def float64():
    """Rounding that Adam cannot blow up: the gradient of a key's bias is 0 but for rounding, and Adam normalises it."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# --- who is in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("inclusion", "size"), [(0.5, 50), (0.3, 30), (0.999, 99)])
def test_every_shadow_has_its_share_and_every_record_its_turns(inclusion, size):
    membership = membership_matrix(7, 100, min(inclusion, 0.99), seed=1)
    assert membership.sum(1).tolist() == [size] * 7
    assert np.ptp(membership.sum(0)) <= 1


def test_halves_are_random_and_do_not_depend_on_how_many_follow():
    membership = membership_matrix(64, 500, seed=4)
    assert np.array_equal(membership[:5], membership_matrix(5, 500, seed=4))
    assert np.array_equal(membership[0], ~membership[1])
    assert (membership.sum(0) == 32).all()
    assert not np.array_equal(membership[0], membership_matrix(1, 500, seed=5)[0])
    # Halves of different pairs agree on half of the records: Hypergeometric, standard deviation 11.2 of 500.
    agreement = [(membership[0] == membership[s]).sum() for s in range(2, 64, 2)]
    assert all(abs(a - 250) < 56 for a in agreement)
    assert abs(np.mean(agreement) - 250) < 10


@pytest.mark.parametrize(("records", "inclusion"), [(1, 0.5), (10, 0.01), (10, 0.99)])
def test_too_few_records_for_a_split(records, inclusion):
    with pytest.raises(DataError, match="give more records"):
        membership_matrix(4, records, inclusion)


# --- training -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("float64")
def test_a_shadow_is_what_a_textbook_loop_makes_of_its_records():
    shadows = train_shadows(RECORDS, SETTINGS, shadows=2, stack=2)
    samples, _ = as_samples(RECORDS, TINY)
    for s in range(2):
        torch.manual_seed(int(np.random.SeedSequence([3, s]).generate_state(1, np.uint64)[0]))
        module = CharTransformer(TINY)
        optimizer = torch.optim.Adam(module.parameters(), lr=5e-3)
        for epoch in range(2):
            order = np.random.default_rng([3, s, epoch]).permutation(np.flatnonzero(shadows.membership[s]))
            for start in range(0, 10, 4):
                loss = torch.stack(
                    [text_loss(module, samples[order[i : i + 1]]) for i in range(start, min(10, start + 4))]
                )
                optimizer.zero_grad()
                loss.mean().backward()
                optimizer.step()
        for name, p in module.named_parameters():
            assert torch.allclose(shadows.parameters[name][s], p, rtol=1e-8, atol=1e-9), name


def text_loss(module, one: Samples) -> torch.Tensor:
    length = int((one.targets != -100).sum())
    return F.cross_entropy(
        module(torch.from_numpy(one.inputs[:, :length]))[0], torch.from_numpy(one.targets[0, :length])
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("config", [TINY, dataclasses.replace(CharGPTConfig.original(), hidden=16)])
def test_stacked_and_one_by_one_are_the_same_models(config):
    records = RECORDS if config is TINY else distinct_characters(21)
    settings = dataclasses.replace(SETTINGS, config=config, epochs=5)
    together, ragged, alone = (train_shadows(records, settings, shadows=5, stack=stack) for stack in (5, 2, 1))
    assert (together.stack, ragged.stack, alone.stack) == (5, 2, 1)
    for name, p in alone.parameters.items():
        assert torch.allclose(together.parameters[name], p, rtol=1e-7, atol=1e-9), name
        assert torch.allclose(ragged.parameters[name], p, rtol=1e-7, atol=1e-9), name
    assert not torch.allclose(alone.parameters["head.weight"][0], alone.parameters["head.weight"][1], atol=1e-2)


def test_in_float32_stacked_and_one_by_one_say_the_same_about_every_record():
    together, alone = (train_shadows(RECORDS, SETTINGS, shadows=4, stack=stack) for stack in (4, 1))
    assert together.record_logprobs(RECORDS) == pytest.approx(alone.record_logprobs(RECORDS), abs=1e-4)


def test_a_stack_size_that_is_fixed_repeats_the_models_to_the_last_bit():
    first, again = (train_shadows(RECORDS, SETTINGS, shadows=4, stack=4) for _ in range(2))
    assert all(torch.equal(p, again.parameters[name]) for name, p in first.parameters.items())


def test_the_stack_size_that_takes_least_time_is_chosen(monkeypatch):
    samples, _ = as_samples(RECORDS, TINY)
    trainer = ShadowTrainer(SETTINGS, samples, membership_matrix(20, 20), torch.device("cpu"))
    seconds = {1: 1.0, 4: 1.1, 16: 0.5, 20: 0.49}
    monkeypatch.setattr(ShadowTrainer, "_seconds_per_model", lambda self, shadows: seconds[len(shadows)])
    assert trainer.fastest_stack(range(20)) == 16  # the 2 % that 20 would save are not worth its memory
    assert trainer.fastest_stack(range(4)) == 1
    assert trainer.fastest_stack([7]) == 1
    one = 4 * samples.inputs.shape[1] * TINY.hidden
    monkeypatch.setattr("auditkit.privacy.shadow_training.LARGEST_STACK", 15 * one)
    assert trainer.fastest_stack(range(20)) == 1  # 16 would be too large
    assert one * 64 < LARGEST_STACK


def test_the_choice_is_measured_and_changes_no_model():
    chosen, alone = (train_shadows(RECORDS, SETTINGS, shadows=4, stack=stack) for stack in ("auto", 1))
    assert chosen.stack in (1, 4)
    assert chosen.record_logprobs(RECORDS) == pytest.approx(alone.record_logprobs(RECORDS), abs=1e-4)


def test_bfloat16_learns_the_same_roughly():
    settings = dataclasses.replace(SETTINGS, epochs=20)
    rough, exact = (
        train_shadows(RECORDS, dataclasses.replace(settings, precision=p), shadows=3, stack=3).record_logprobs(RECORDS)
        for p in ("bfloat16", "float32")
    )
    assert not np.array_equal(rough, exact)
    assert rough == pytest.approx(exact, abs=0.2)
    assert exact.mean() > -1.9  # both have learned: log 8 = 2.08


def test_the_callers_random_state_stays_as_it_was():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train_shadows(RECORDS, SETTINGS, shadows=2, stack=2)
    assert torch.equal(torch.rand(3), expected)


def test_progress_counts_the_steps_of_all_shadows():
    seen = []
    with listen(lambda done, total: seen.append((done, total))):
        train_shadows(RECORDS, SETTINGS, shadows=3, stack=2)
    assert seen == [(d, 18) for d in (2, 4, 6, 8, 10, 12, 13, 14, 15, 16, 17, 18)]  # 2 epochs of 3 steps


# --- kept and found again -------------------------------------------------------------------------------------------


def trained_steps(*args, **kwargs) -> int:
    """How many steps a call of `train_shadows` really trains."""
    seen = []
    with listen(lambda done, total: seen.append(done)):
        train_shadows(*args, **kwargs)
    return len(seen)


def test_finished_stacks_are_found_again(tmp_path):
    first = train_shadows(RECORDS, SETTINGS, shadows=4, stack=2, folder=tmp_path)
    assert trained_steps(RECORDS, SETTINGS, shadows=4, folder=tmp_path) == 0
    again = train_shadows(RECORDS, SETTINGS, shadows=4, stack=3, folder=tmp_path)
    assert again.stack == 0
    assert all(torch.equal(p, again.parameters[name]) for name, p in first.parameters.items())
    fewer = train_shadows(RECORDS, SETTINGS, shadows=3, folder=tmp_path)
    assert torch.equal(fewer.parameters["head.weight"], first.parameters["head.weight"][:3])
    assert trained_steps(RECORDS, SETTINGS, shadows=6, stack=2, folder=tmp_path) == 6  # only the two that are new


@pytest.mark.parametrize(
    ("records", "settings"),
    [
        ([*RECORDS[:-1], "abd"], SETTINGS),
        (RECORDS[::-1], SETTINGS),
        (RECORDS, dataclasses.replace(SETTINGS, lr=1e-3)),
        (RECORDS, dataclasses.replace(SETTINGS, seed=4)),
        (RECORDS, dataclasses.replace(SETTINGS, config=dataclasses.replace(TINY, scaled=False))),
    ],
)
def test_other_records_or_settings_find_nothing(tmp_path, records, settings):
    train_shadows(RECORDS, SETTINGS, shadows=2, stack=2, folder=tmp_path)
    assert trained_steps(records, settings, shadows=2, stack=2, folder=tmp_path) == 6
    assert trained_steps(RECORDS, SETTINGS, shadows=2, folder=tmp_path) == 0  # and the first ones are still there


def test_an_interrupted_run_loses_one_stack(tmp_path):
    def interrupt(done: int, total: int) -> None:
        if done == 20:  # in the second of three stacks of 2 shadows with 6 steps
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listen(interrupt):
        train_shadows(RECORDS, SETTINGS, shadows=6, stack=2, folder=tmp_path)
    whole = train_shadows(RECORDS, SETTINGS, shadows=6, stack=2)
    seen = []
    with listen(lambda done, total: seen.append(done)):
        resumed = train_shadows(RECORDS, SETTINGS, shadows=6, stack=2, folder=tmp_path)
    assert seen == list(range(14, 37, 2))
    assert all(torch.equal(p, resumed.parameters[name]) for name, p in whole.parameters.items())


def test_a_damaged_stack_is_trained_again(tmp_path):
    train_shadows(RECORDS, SETTINGS, shadows=4, stack=2, folder=tmp_path)
    weights, other = sorted(tmp_path.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert trained_steps(RECORDS, SETTINGS, shadows=4, stack=2, folder=tmp_path) == 6
    header = json.loads(other.with_suffix(".json").read_text())
    assert header["shadows"] == [2, 3]
    header["membership_sha256"][1] = "0" * 64  # a shadow that has seen other records
    other.with_suffix(".json").write_text(json.dumps(header))
    assert trained_steps(RECORDS, SETTINGS, shadows=4, stack=2, folder=tmp_path) == 6


# --- records --------------------------------------------------------------------------------------------------------


def test_log_likelihoods_are_those_of_the_model_itself():
    shadows = train_shadows(RECORDS, SETTINGS, shadows=2, stack=2)
    model = shadows.model(1)
    assert isinstance(model, CharGPT)
    expected = [scores.mean for scores in model.token_logprobs(RECORDS)]
    assert shadows.record_logprobs(RECORDS)[1] == pytest.approx(expected, abs=1e-9)
    assert shadows.population_logprobs(["hgfedcba"])[1] == pytest.approx(model.token_logprobs(["hgfedcba"])[0].mean)


def test_a_start_token_belongs_to_the_text_as_in_the_adapter():
    config = dataclasses.replace(TINY, vocabulary="abcdefgh\n")
    module = CharTransformer(config).eval()
    expected = [scores.mean for scores in CharGPT(module).token_logprobs(RECORDS)]
    assert mean_logprobs(module, RECORDS) == pytest.approx(expected, abs=1e-9)


def test_padding_is_no_part_of_a_record():
    samples, _ = as_samples(["abc", "abcdefgh"], TINY)
    assert samples.inputs[0].tolist() == [0, 1, 2, 0, 0, 0, 0]  # what follows the "c" is not asked
    assert samples.targets[0].tolist() == [1, 2, -100, -100, -100, -100, -100]
    assert record_hashes(samples)[0] == record_hashes(as_samples(["abc"], TINY)[0])[0]
    assert record_hashes(samples)[0] != record_hashes(as_samples(["abca"], TINY)[0])[0]


def test_what_is_not_taken_as_given_is_counted():
    _, notices = as_samples(["abcdefghab", "abzz", "abcd"], TINY)
    assert notices == {"texts truncated to 8 characters": 1, "characters outside the vocabulary read as 'a'": 2}
    assert train_shadows(RECORDS, SETTINGS, shadows=1).notices == {}


def test_records_changed_since_are_refused():
    shadows = train_shadows(RECORDS, SETTINGS, shadows=2, stack=2)
    with pytest.raises(DataError, match="19 records, but the shadows were trained on a split of 20"):
        shadows.record_logprobs(RECORDS[:-1])
    with pytest.raises(DataError, match=r"1 of 20 records .* record 19; give the same records"):
        shadows.record_logprobs([*RECORDS[:-1], "abd"])
    with pytest.raises(DataError, match="20 of 20"):
        shadows.record_logprobs(RECORDS[1:] + RECORDS[:1])
    with pytest.raises(DataError, match="1 of 2 population records, the first of them record 1"):
        shadows.population_logprobs(["hgfedcba", RECORDS[4]])


@pytest.mark.parametrize(
    ("records", "match"),
    [
        ([*RECORDS, RECORDS[2]], "records 2 and 20 are the same, and 1 in all"),
        (["abcdefghab", "abcdefghcd"], "records 0 and 1 are the same"),  # after the cut to 8 characters
        (["abc", "a"], "record 1 has no token to predict"),
        ([], "non-empty list of texts"),
        ("abc", "non-empty list of texts"),
        (["abc"], "1 records with a share"),
        (Samples(np.array([[0, 8]]), np.array([[1, 2]])), "record 0 has ids outside the vocabulary, 0 to 7"),
        (Samples(np.array([[0, 1]]), np.array([[1, -1]])), "record 0 has ids outside"),
        (Samples(np.zeros((1, 9), int), np.ones((1, 9), int)), "9 tokens; the context is 8"),
    ],
)
def test_records_that_cannot_be_used(records, match):
    with pytest.raises(DataError, match=match):
        train_shadows(records, SETTINGS, shadows=2)


def test_texts_need_a_causal_model():
    settings = dataclasses.replace(SETTINGS, config=CharGPTConfig.original())
    with pytest.raises(MissingCapability, match="give Samples"):
        train_shadows(["abcde", "bcdef"], settings, shadows=2)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"epochs": 0}, "epochs 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"lr": math.inf}, "lr inf"),
        ({"inclusion": 1.0}, "inclusion 1.0"),
        ({"precision": "float16"}, "precision 'float16'"),
        ({"seed": -1}, "seed -1"),
        ({"config": dataclasses.replace(TINY, dropout=0.1)}, "dropout 0.1"),
    ],
)
def test_settings_out_of_range(change, match):
    with pytest.raises(InputError, match=match):
        dataclasses.replace(SETTINGS, **change)


def test_no_shadows_and_no_stack():
    with pytest.raises(InputError, match="0 shadows"):
        train_shadows(RECORDS, SETTINGS, shadows=0)
    with pytest.raises(InputError, match="stacks of 0"):
        train_shadows(RECORDS, SETTINGS, shadows=1, stack=0)


def test_a_training_that_diverges_says_which_shadow():
    with pytest.raises(ModelError, match=r"loss of shadow 0 became .*; lower lr"):
        train_shadows(RECORDS, dataclasses.replace(SETTINGS, lr=1e38), shadows=2, stack=2)


# --- the attacks find what is there, and nothing else ---------------------------------------------------------------


@pytest.fixture(scope="module")
def leak():
    """An overtrained model, 16 shadows of its records, and records that nobody has seen."""
    known, unseen = texts(600)[:300], texts(600)[300:]
    settings = dataclasses.replace(SETTINGS, epochs=60, batch_size=32, seed=1)
    shadows = train_shadows(known, settings, shadows=16, stack=16)
    target = train_shadows(known, dataclasses.replace(settings, seed=2), shadows=1)
    return {
        "member": target.membership[0],
        "in": shadows.membership,
        "target": target.record_logprobs(known)[0],
        "shadows": shadows.record_logprobs(known),
        "unseen_target": target.population_logprobs(unseen)[0],
        "unseen_shadows": shadows.population_logprobs(unseen),
    }


def area(scores, member):
    return evaluate(scores[member], scores[~member], rng=np.random.default_rng(0)).auc


def test_a_planted_leak_is_found_and_better_than_by_the_loss_alone(leak):
    loss = area(leak["target"], leak["member"])
    with_shadows = area(lira(leak["target"], leak["shadows"], leak["in"]), leak["member"])
    assert loss.interval.low > 0.6
    assert with_shadows.value > 0.85
    assert with_shadows.interval.low > loss.interval.high


def test_four_shadows_are_enough_for_rmia(leak):
    scores = rmia(
        leak["target"],
        leak["shadows"][:4],
        leak["in"][:4],
        population_target=leak["unseen_target"],
        population_shadows=leak["unseen_shadows"][:4],
    )
    assert area(scores, leak["member"]).interval.low > area(leak["target"], leak["member"]).interval.high


def test_records_that_no_model_saw_look_like_records_left_out(leak):
    """The same attack that finds the members apart from the records left out finds no difference between those two."""
    nobody = np.zeros_like(leak["in"][:, : len(leak["unseen_target"])])
    known = lira(leak["target"], leak["shadows"], leak["in"], online=False)
    unseen = lira(leak["unseen_target"], leak["unseen_shadows"], nobody, online=False)
    out, members = known[~leak["member"]], known[leak["member"]]
    rng = np.random.default_rng(0)
    assert 0.5 in evaluate(unseen, out, rng=rng).auc.interval
    assert evaluate(members, unseen, rng=rng).auc.interval.low > 0.75
    # Among records that nobody saw, the score is near a standard normal: 5 % above 1.645, of 300.
    assert (unseen > 1.645).mean() < 0.12


def test_a_model_that_saw_none_of_the_records_leaks_none(leak):
    """The records of another split of the shadows' matrix: the attack must not read membership out of the matrix."""
    nothing = train_shadows(texts(600)[300:], dataclasses.replace(SETTINGS, epochs=60, batch_size=32), shadows=1)
    target = nothing.population_logprobs(texts(600)[:300])[0]
    scores = lira(target, leak["shadows"], leak["in"])
    assert 0.5 in area(scores, leak["member"]).interval
    assert np.median(scores) < 0
