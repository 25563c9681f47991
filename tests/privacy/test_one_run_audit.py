"""One training run, m coins: what is claimed is not exceeded, what leaks is found, and nothing else is a bound."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats

from auditkit.errors import DataError, InputError, UnknownName, VocabularyError
from auditkit.models.char_gpt import CharGPT
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.models.weights import weights_sha256
from auditkit.privacy import canaries as planted
from auditkit.privacy.gradient_canaries import DiracCanaries, IdleUnits, log_likelihood_ratios
from auditkit.privacy.ledger import read_ledger
from auditkit.privacy.one_run_audit import OneRunAudit, audit_training
from auditkit.privacy.seeded_bugs import by_name

WORDS = ("cat", "dog", "tree", "house", "bird", "sees", "a", "the")
TEXTS = [" ".join(np.random.default_rng(i).choice(WORDS, 3)) for i in range(24)]


def make_model(hidden=16, vocabulary="\n abcdefghijklmnopqrstuvwxyz"):
    config = CharGPTConfig(
        vocabulary=vocabulary, hidden=hidden, layers=1, heads=2, context=24, causal=True, positions=True, scaled=True,
        pre_norm=True,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CharGPT(CharTransformer(config))


@pytest.fixture(scope="module")
def model():
    return make_model()


def one_step(model, m=1000, **changes):
    """The cheapest audit: one step that draws everybody."""
    settings = {"epochs": 1, "logical_batch_size": len(TEXTS) + m, "delta": 1e-5, "target_epsilon": 8.0, "seed": 0}
    return audit_training(model, TEXTS, canaries=m, **settings | changes)


@pytest.fixture(scope="module")
def audit(model):
    return one_step(model)


# --- gradient canaries ------------------------------------------------------------------------------------------


def parameters(*shapes):
    """Parameters whose gradient is that of the data: 7 everywhere."""
    made = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for p in made:
        p.grad = torch.full_like(p, 7.0)
    return made


def canaries(included, norm=0.5, batch=10):
    return DiracCanaries(
        np.array(included, dtype=bool), max_grad_norm=norm, expected_batch_size=batch, rng=np.random.default_rng(0)
    )


def flat(made):
    return torch.cat([p.grad.flatten() for p in made])


def test_drawn_and_included_canaries_add_norm_c_each_in_a_coordinate_of_its_own():
    made = parameters((2, 3), (4,))
    witness = canaries([1, 0, 1, 1, 0, 0, 0, 0, 0, 1])  # as many as coordinates
    witness.add(made, np.array([0, 1, 2, 9]))
    added = flat(made) - 7
    assert sorted(added.tolist()) == [0.0] * 7 + [0.5] * 3
    witness.add(made, np.array([1, 4]))  # left out, both
    assert torch.equal(flat(made) - 7, added)


def test_what_the_auditor_sees_is_the_canary_without_the_data():
    made = parameters((2, 3), (4,))
    witness = canaries([1, 0, 1, 1, 0])
    witness.add(made, np.array([0, 1, 2]))
    for p in made:
        p.grad = p.grad / 10  # the release, here without noise
    witness.observe(made, 0)
    assert witness.inner[0].tolist() == pytest.approx([1, 0, 1, 0, 0], abs=1e-5)


def test_a_step_that_drew_no_data_has_gradients_all_the_same():
    made = parameters((8,))
    made[0].grad = None
    canaries([1]).add(made, np.array([0]))
    assert float(made[0].grad.sum()) == 0.5


def test_more_canaries_than_coordinates_are_refused():
    with pytest.raises(InputError, match="11 gradient canaries, but only 10 trainable numbers"):
        canaries([1] * 11).add(parameters((2, 3), (4,)), np.array([0]))


def test_idle_units_add_nothing_and_note_who_was_drawn():
    made, idle = parameters((3,)), IdleUnits(5)
    idle.add(made, np.array([1, 4]))
    idle.observe(made, 0)
    assert flat(made).tolist() == [7.0] * 3
    assert [d.tolist() for d in idle.drawn] == [[1, 4]]


def test_the_score_is_the_log_likelihood_ratio():
    inner, q, sigma = np.array([[1.3, -0.2], [0.4, 0.9]]), 0.3, 1.7
    out = stats.norm(0, sigma).pdf(inner)
    included = (1 - q) * out + q * stats.norm(1, sigma).pdf(inner)
    expected = np.log(included / out).sum(0)
    assert log_likelihood_ratios(inner, rate=q, noise_multiplier=sigma) == pytest.approx(expected)


def test_where_all_are_drawn_the_score_is_the_sum_of_inner_products():
    inner = np.array([[1.3, -0.2], [0.4, 0.9]])
    found = log_likelihood_ratios(inner, rate=1.0, noise_multiplier=2.0)
    assert found == pytest.approx((inner.sum(0) - 1) / 4)


def test_hardly_any_noise_overflows_nothing():
    found = log_likelihood_ratios(np.array([[1.0, 0.0]]), rate=0.5, noise_multiplier=1e-3)
    assert found == pytest.approx([5e5 + math.log(0.5), math.log(0.5)])


# --- white box --------------------------------------------------------------------------------------------------


def test_a_correct_training_is_not_refuted_and_yet_much_is_shown(audit):
    assert audit.claimed.epsilon == pytest.approx(8, rel=0.01)
    assert 1.8 <= audit.bound.epsilon < audit.f_dp_bound.epsilon <= audit.claimed.epsilon
    assert not audit.refuted
    assert audit.share_of_ceiling == audit.bound.epsilon / audit.ceiling
    assert audit.guesses == (100, 1000 - 4 * 31)


def test_it_says_what_it_could_have_shown(audit):
    said = str(audit)
    assert f"claimed epsilon {audit.claimed.epsilon:.2f}; at least {audit.bound.epsilon:.2f} shown" in said
    assert f"{audit.share_of_ceiling:.0%} of the ceiling {audit.ceiling:.2f}" in said
    assert "1000 canaries and 100 or 876 guesses" in said
    assert "REFUTED" not in said


def test_left_out_canaries_are_units_too_so_that_the_rate_tells_nothing(audit):
    assert audit.training["units"] == len(TEXTS) + 1000
    assert 400 < audit.included.sum() < 600


@pytest.mark.parametrize("bug", ["noise missing", "noise for another batch size"])
def test_a_broken_training_is_refuted(model, bug):
    with by_name(bug).planted():
        broken = one_step(model, target_epsilon=2.0)
    assert broken.claimed.epsilon == pytest.approx(2, rel=0.01)
    assert broken.bound.epsilon == broken.ceiling > 5
    assert broken.refuted
    assert "REFUTED" in str(broken)


@pytest.mark.slow
def test_several_sampled_steps_are_read_together(model):
    audit = one_step(model, logical_batch_size=256, epochs=2)  # 8 steps at a rate of 1/4
    assert 1.3 < audit.bound.epsilon <= audit.claimed.epsilon


def test_the_same_seed_repeats_it_another_does_not(model, audit):
    assert np.array_equal(one_step(model).scores, audit.scores)
    other = one_step(model, seed=1)
    assert not np.array_equal(other.included, audit.included)


def test_the_model_given_is_unchanged_and_the_one_trained_is_another(model, audit):
    assert weights_sha256(model.module) == weights_sha256(make_model().module)
    assert weights_sha256(audit.model.module) == audit.training["weights_sha256"]


def test_secure_noise_is_audited_without_a_seed(model):
    audit = one_step(model, m=200, secure=True, seed=3, guesses=50)
    assert "ChaCha20" in audit.training["noise_policy"]
    assert 0 < audit.bound.epsilon <= audit.claimed.epsilon


def test_with_a_folder_the_ledger_is_kept_and_a_second_audit_is_refused(model, tmp_path):
    audit = one_step(model, m=40, out=tmp_path / "run")
    assert read_ledger(tmp_path / "run" / "ledger.json").cost().epsilon == audit.claimed.epsilon
    with pytest.raises(InputError, match="holds a training already"):
        one_step(model, m=40, out=tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(("claim", "target"), [(4.0, 1.0), (8.0, 1.8)])
def test_over_20_seeds_no_claim_is_exceeded_and_the_target_is_reached(model, claim, target):
    audits = [one_step(model, target_epsilon=claim, seed=seed) for seed in range(20)]
    assert [a for a in audits if a.refuted] == []
    assert [a for a in audits if a.f_dp_bound.epsilon > a.claimed.epsilon] == []
    assert float(np.median([a.bound.epsilon for a in audits])) >= target


# --- black box --------------------------------------------------------------------------------------------------


def black_box(model, **changes):
    settings = {
        "kind": "black_box", "canaries": 60, "guesses": 40, "epochs": 40, "logical_batch_size": 16, "seed": 0,
        "learning_rate": 5e-3, "target_epsilon": math.inf,
    }  # fmt: skip
    return audit_training(model, TEXTS, **settings | changes)


@pytest.fixture(scope="module")
def overtrained():
    return black_box(make_model(hidden=32))


def test_an_overtrained_model_gives_its_canaries_away(overtrained):
    assert overtrained.claimed is None
    assert overtrained.f_dp_bound is None
    assert not overtrained.refuted
    assert overtrained.bound.delta == 0
    assert overtrained.bound.epsilon > 1.5
    inside, outside = overtrained.scores[overtrained.included], overtrained.scores[~overtrained.included]
    assert stats.mannwhitneyu(inside, outside).statistic / (len(inside) * len(outside)) > 0.95
    assert str(overtrained).startswith("no privacy claimed; at least")


@pytest.mark.slow
def test_with_privacy_it_does_not(model):
    private = black_box(model, target_epsilon=1.0, delta=1e-3, epochs=2, canaries=200, guesses=20)
    assert private.bound.epsilon <= private.claimed.epsilon
    assert private.training["units"] == len(TEXTS) + 200


def test_canaries_of_ones_own_are_used_and_owners_are_kept_apart(model):
    space = planted.chosen_format("@@-@@@", context="code ")
    model = make_model(vocabulary="\n -abcdefghijklmnopqrstuvwxyz")
    drawn = planted.draw([space], 30, seed=5)
    audit = black_box(model, canaries=drawn, guesses=10, epochs=1, owners=[i % 12 for i in range(len(TEXTS))])
    assert audit.included.tolist() == [c.inserted for c in drawn.canaries]
    assert audit.training["units"] == 12 + 30


# --- files ------------------------------------------------------------------------------------------------------


def test_a_saved_audit_is_the_same_when_it_is_loaded(audit, tmp_path):
    loaded = OneRunAudit.load(audit.save(tmp_path / "audit.json"))
    assert loaded.model is None
    assert (loaded.bound, loaded.f_dp_bound, loaded.claimed) == (audit.bound, audit.f_dp_bound, audit.claimed)
    assert np.array_equal(loaded.scores, audit.scores)
    assert np.array_equal(loaded.included, audit.included)


def test_the_file_holds_no_seed(audit, tmp_path):
    content = json.loads(audit.save(tmp_path / "audit.json").read_text())
    assert "seed" not in content
    assert "seed" not in content["training"]


def test_a_claim_or_bound_cannot_be_made_up_in_the_file(audit, tmp_path):
    path = audit.save(tmp_path / "audit.json")
    content = json.loads(path.read_text())
    for damage in (
        {"schema": 2},
        {"kind": "grey_box"},
        {"scores": content["scores"][1:]},
        {"included": [1] * 1000},
        {"guesses": [2000]},
        {"guesses": []},
        {"claimed": {**content["claimed"], "epsilon": -1.0}},
        {"claimed": {"epsilon": 1.0}},
        {"training": None},
    ):
        path.write_text(json.dumps(content | damage))
        with pytest.raises(DataError, match=r"audit\.json"):
            OneRunAudit.load(path)


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"none\.json is not the file of an audit"):
        OneRunAudit.load(tmp_path / "none.json")


# --- what would be no audit -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"kind": "grey_box"}, UnknownName, "grey_box"),
        ({"canaries": 19}, InputError, "19 canaries; expected at least 20"),
        ({"guesses": 61}, InputError, "guesses = 61 about 60 canaries"),
        ({"guesses": []}, InputError, "expected numbers from 1 to 60"),
        ({"guesses": 0}, InputError, "expected numbers from 1 to 60"),
        ({"kind": "white_box"}, InputError, "training without noise"),
        ({"epochs": 0}, InputError, "epochs = 0"),
        ({"lerning_rate": 1.0}, TypeError, "lerning_rate"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(model, changes, error, message):
    with pytest.raises(error, match=message):
        black_box(model, **changes)


def test_repeated_canaries_are_no_units_and_texts_are_no_gradients(model):
    space = planted.characters(8, context="canary ")
    with pytest.raises(InputError, match="a unit of privacy is one text"):
        black_box(model, canaries=planted.draw([space], 30, repetitions=2, seed=0), guesses=5)
    with pytest.raises(InputError, match="whose canaries are gradients"):
        audit_training(model, TEXTS, canaries=planted.draw([space], 30, seed=0), seed=0)


def test_canaries_that_the_model_cannot_write_are_refused():
    with pytest.raises(VocabularyError, match="cannot express"):
        black_box(make_model(vocabulary="\n catdogreshiubn"))
