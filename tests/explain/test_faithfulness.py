"""Explanations that are right are trusted, those that ignore the model are not; every measure against a hand count."""

import numpy as np
import pytest
import torch

from auditkit.errors import DataError
from auditkit.explain import Continuation, Label, attribute
from auditkit.explain.checks import Faithfulness, outcome_of
from auditkit.explain.faithfulness import judge, judge_questions
from auditkit.explain.methods import Found
from auditkit.explain.randomization import parameter_groups, randomized_from_the_top
from auditkit.explain.readers import reader_of
from auditkit.explain.removal import FRACTIONS, Remover, aopc, curves, leave_one_out
from auditkit.explain.stability import permuted_clauses, similarity, with_synonym
from auditkit.explain.targets import ask
from auditkit.measurement import Interval
from tests.explain.explained_models import TEXTS, linear_bag, shortcut_classifier
from tests.explain.test_attribution import PLAIN, sharpened
from tests.privacy import tiny_models


@pytest.fixture(scope="module")
def shortcut():
    return shortcut_classifier()


def rng():
    return np.random.default_rng(0)


def input_norm(engine, ends, settings):
    """An "explanation" that never asks the model: the length of each token's vector."""
    found = []
    for question in engine.questions:
        ids = torch.from_numpy(question.branches[0].ids)
        values = engine.reader.embedding(ids).detach().norm(dim=-1).double().numpy()
        found.append(Found(np.where(question.special, 0.0, values), 1))
    return found


# --- the planted word ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "shapley_sampling", "kernel_shap"])
def test_the_planted_word_ranks_first_in_at_least_95_percent(shortcut, method):
    model, planted = shortcut
    found = attribute(model, planted, target=Label("good", versus="bad"), method=method, samples=64)
    first = [item.words[int(item.values.argmax())] == "one" for item in found]
    assert np.mean(first) >= 0.95


def test_completeness_is_below_one_percent_on_every_text(shortcut):
    model, planted = shortcut
    found = attribute(model, planted, target=Label("good", versus="bad"))
    assert max(item.error for item in found) < 0.01


@pytest.fixture(scope="module")
def judged(shortcut):
    model, planted = shortcut
    return judge(model, planted[:25], target=Label("good", versus="bad"), rng=rng())


def test_a_faithful_explanation_is_trusted(judged):
    assert judged.verdict == "trusted"
    assert judged.failed == []
    assert {c.name for c in judged.checks.values() if c.outcome == "pass"} == {
        "completeness_error",
        "comprehensiveness_over_random",
        "sufficiency_over_random",
        "randomization_correlation",
    }
    assert "trusted" in str(judged)
    assert set(judged.frame()["check"]) >= {"leave_one_out_tau", "stability", "agreement_occlusion"}


def test_the_randomisation_check_tells_a_random_model_apart(judged):
    check = judged.checks["randomization_correlation"]
    assert check.interval.high < 0.5
    assert set(judged.cascade) == {"head", "bert.encoder.layer.0", "embeddings"}


def test_every_interval_holds_its_value(judged):
    for check in judged.checks.values():
        assert check.value == pytest.approx(np.mean([*check.values.values()]))
        assert check.interval.low <= check.value <= check.interval.high


def test_an_explanation_that_ignores_the_model_is_not_trusted(shortcut):
    model, planted = shortcut
    found = judge(model, planted[:25], target=Label("good", versus="bad"), method=input_norm, against=(), rng=rng())
    assert found.verdict == "not trusted"
    assert "randomization_correlation" in found.failed
    assert found.checks["randomization_correlation"].value == pytest.approx(1.0)  # the embeddings are still there


def test_too_few_texts_are_undecided(shortcut):
    model, planted = shortcut
    found = judge(model, planted[:1], target=Label("good", versus="bad"), against=(), rng=rng())
    assert found.verdict == "undecided"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_judgement(shortcut):
    model, planted = shortcut
    a, b = (judge(model, planted[:6], target=Label("good"), against=(), rng=rng()) for _ in range(2))
    assert {n: c.value for n, c in a.checks.items()} == {n: c.value for n, c in b.checks.items()}


@pytest.mark.parametrize(("low", "high", "outcome"), [(0.1, 0.4, "pass"), (0.6, 0.9, "fail"), (0.4, 0.6, "undecided")])
def test_outcomes_are_judged_by_the_whole_interval(low, high, outcome):
    assert outcome_of(Interval(low, high), -np.inf, 0.5) == outcome


def test_clusters_must_fit_the_texts(shortcut):
    model, planted = shortcut
    with pytest.raises(DataError, match="1 clusters for 2 texts"):
        judge_questions(model, ask(model, planted[:2], Label("good")), clusters=["a"], rng=rng())


# --- removal ------------------------------------------------------------------------------------------------------


def test_comprehensiveness_and_sufficiency_by_hand():
    """A linear model whose probabilities can be written down word by word."""
    model = linear_bag()
    text = "the nurse said that she was tired and old ."
    [item] = attribute(model, [text], target=Label("good", versus="bad"), baseline="zero")
    remover = Remover(model, ask(model, [text], Label("good", versus="bad")), "zero")
    found = curves(remover, [item.values])
    order, sizes = np.argsort(-item.values), [1, 1, 1, 2, 5]  # ceil of 1, 5, 10, 20, 50 % of ten words

    def p(kept):
        return 1 / (1 + np.exp(-(item.baseline_value + item.values[kept].sum())))

    whole = p(range(10))
    assert found.comprehensiveness[0] == pytest.approx(np.mean([whole - p(order[k:]) for k in sizes]), abs=1e-6)
    assert found.sufficiency[0] == pytest.approx(np.mean([whole - p(order[:k]) for k in sizes]), abs=1e-6)
    shares = [0, *FRACTIONS, 1]
    deletion = [whole, *[p(order[k:]) for k in sizes], p([])]
    insertion = [p([]), *[p(order[:k]) for k in sizes], whole]
    assert found.deletion[0] == pytest.approx(np.trapezoid(deletion, shares), abs=1e-6)
    assert found.insertion[0] == pytest.approx(np.trapezoid(insertion, shares), abs=1e-6)


def test_deleted_words_are_really_gone():
    model = sharpened(tiny_models.classifier())
    text, shorter = "the nurse said that she was tired", "the said that she was tired"
    [question] = ask(model, [text], Label("good"))
    remover = Remover(model, [question], "mask", removal="delete")
    found = remover.predictions([(0, frozenset([1]))])[0, 1]
    assert found == pytest.approx(model.classify([shorter])[0, 1], abs=1e-5)
    [item] = attribute(model, [text], target=Label("good"), baseline="mask")
    comprehensiveness, _ = aopc(model, attribute(model, [text], target=Label("good"), baseline="mask"))
    order, words, p = np.argsort(-item.values), text.split(), model.classify
    kept = [[w for i, w in enumerate(words) if i not in order[:k]] for k in (1, 1, 1, 2, 4)]
    expected = np.mean([p([text])[0, 1] - p([" ".join(k)])[0, 1] for k in kept])
    assert comprehensiveness[0] == pytest.approx(expected, abs=1e-5)


def test_a_deleted_word_before_a_continuation_moves_the_place_that_is_read():
    model = sharpened(tiny_models.gpt2())
    [question] = ask(model, ["the nurse was"], Continuation(" tired"))
    found = Remover(model, [question], "mean", removal="delete").predictions([(0, frozenset([2]))])[0, 0]
    expected = ask(model, ["the nurse"], Continuation(" tired"))
    assert found == pytest.approx(Remover(model, expected, "mean").predictions([(0, frozenset())])[0, 0], abs=1e-5)


def test_all_curves_cost_at_most_fourteen_readings_of_a_text(shortcut):
    model, planted = shortcut
    found = attribute(model, planted, target=Label("good"))
    remover = Remover(model, found.questions, "mask")
    measured = curves(remover, [item.values for item in found])
    assert measured.evaluations <= 14
    assert measured.tokens_read <= 14 * sum(q.length for q in found.questions)


def test_leaving_words_out_of_a_linear_model_gives_its_weights():
    model = linear_bag()
    found = attribute(model, TEXTS[:3], target=Label("good"), baseline="zero")
    for values, item in zip(leave_one_out(Remover(model, found.questions, "zero")), found, strict=True):
        assert values == pytest.approx(item.values, abs=1e-5)


# --- randomisation and stability ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", tiny_models.KINDS)
def test_every_parameter_is_in_one_group_and_all_become_random(kind):
    model = tiny_models.KINDS[kind][0]()
    before = tiny_models.weights(model)
    groups = parameter_groups(model)
    assert sorted(n for names in groups.values() for n in names) == sorted(before)
    embedding = reader_of(model).embedding.weight
    stages = []
    for name, copied in randomized_from_the_top(model, 7, 99):
        kept = torch.equal(reader_of(copied).embedding.weight, embedding)
        stages.append((name, kept))
    assert [kept for _, kept in stages] == [True] * (len(stages) - 1) + [False]  # the embeddings go last
    assert tiny_models.equal(model, before)


def test_a_text_is_as_stable_as_its_copy():
    model = linear_bag()
    one, other = permuted_clauses(TEXTS[0], ("is good .", "at work ."))
    a, b = attribute(model, [one, other], target=Label("good"), baseline="zero")
    assert similarity(a, b) == pytest.approx(1.0)  # a sum does not know the order of clauses


def test_a_synonym_takes_the_place_of_a_word():
    assert with_synonym("The nurse, was tired.", {"nurse": "medic"}) == "The medic, was tired."


def test_faithfulness_is_decided_by_the_deciding_checks_alone(judged):
    only = {n: c for n, c in judged.checks.items() if c.outcome == "reported"}
    assert Faithfulness(judged.attributions, only, judged.curves, {}).verdict == "undecided"


def test_a_language_model_can_be_judged_too():
    model = sharpened(tiny_models.gpt2())
    found = judge(model, PLAIN, target=Continuation(" she", versus=" he"), against=(), rng=rng())
    assert found.checks["completeness_error"].value < 0.01
    assert set(found.checks) >= {"deletion_area", "stability"}
