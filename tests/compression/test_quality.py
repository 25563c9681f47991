"""Quality beside the dense model: losses, divergence, flips and equivalence, against what they are by definition."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from auditkit.compression import answers as answers_module
from auditkit.compression.answers import MASKED_SHARE, Answers, answer, questions_about
from auditkit.compression.exemplars import add_exemplars, over_representation
from auditkit.compression.findings import Findings, change_interval, p_value
from auditkit.compression.quality import Exam, add_agreement, add_change, add_level, equivalence
from auditkit.compression.spec import compress
from auditkit.compression.texts import in_rows, read_texts
from auditkit.errors import DataError, MissingCapability, UnknownName
from auditkit.measurement import Interval
from auditkit.models.protocols import MaskQuery
from tests.privacy import tiny_models

RANDOM = np.random.default_rng
HALF = {"magnitude": {"ratio": 0.5}}


def exam_of(model, texts, kind="perplexity", margin=0.05):
    return Exam(texts, questions_about(model, texts, RANDOM(0)), kind, margin)


def invented(dense_right, point_right, groups=None, margin=2.0):
    """An exam of yes/no questions, a text each, with two models that are right where told."""
    n = len(dense_right)
    texts = read_texts([{"text": f"text {i}", "group": "g" if groups is None else groups[i]} for i in range(n)],
                       groups=["group"])  # fmt: skip
    exam = Exam(texts, SimpleNamespace(text=np.arange(n), truth=np.ones(n, dtype=np.int64)), "accuracy", margin)
    table = SimpleNamespace(kept=np.arange(n))
    found = [
        Answers(np.where(r, -0.1, -2.0) - shift, np.asarray(r, dtype=np.int64), np.zeros(n), table)
        for r, shift in ((dense_right, 0.0), (point_right, 1e-6))
    ]
    return exam, *found


def measured(*arguments, add=add_change, **options):
    findings = Findings("c/p", 0)
    add(findings, *arguments, **options)
    return {m.id.removeprefix("c/p/"): m for m in findings.measurements}, findings


# --- what a model answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [tiny_models.char_gpt, tiny_models.gpt2])
def test_the_loss_of_a_causal_model_is_that_of_its_own_scores(make):
    model, texts = make(), read_texts([*tiny_models.TEXTS, "the nurse"])
    exam = exam_of(model, texts)
    found, findings = measured(exam, answer(model, exam.questions), add=add_level)
    expected = np.concatenate([-s.logprobs for s in model.token_logprobs(texts.texts)])
    assert found["loss"].n == len(expected)
    assert found["loss"].value == pytest.approx(expected.mean(), abs=1e-5)
    assert found["perplexity"].value == pytest.approx(math.exp(expected.mean()), rel=1e-5)
    assert np.mean([i.value for i in findings.items]) == pytest.approx(found["loss"].value)


def test_a_masked_model_is_asked_about_a_sixth_of_the_tokens_each_masked_alone():
    model, texts = tiny_models.masked_bert(), read_texts(["the nurse said that she was tired and old at work ."] * 3)
    exam = exam_of(model, texts, "pseudo_perplexity")
    found = answer(model, exam.questions)
    ordinary = int((~model.encode(texts.texts)[0].special).sum())
    assert np.bincount(exam.questions.text).tolist() == [round(MASKED_SHARE * ordinary)] * 3
    for slot, rows in exam.questions.rows.items():
        for row in rows:
            query = MaskQuery(*slot, (int(exam.questions.truth[row]),))
            assert found.logprobs[row] == pytest.approx(model.masked_logprobs([query])[0][0], abs=1e-5)


def test_the_divergence_is_that_of_the_whole_distributions():
    model, texts = tiny_models.char_gpt(), read_texts(tiny_models.TEXTS)
    with torch.no_grad():  # a fresh model's distributions are nearly uniform, whatever is pruned
        for parameter in model.module.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    smaller, exam = compress(model, HALF), exam_of(model, texts)
    dense = answer(model, exam.questions)
    point = answer(smaller, exam.questions, dense)
    logps = []
    for m in (model, smaller):
        rows = []
        m._distributions([ids[:-1] for ids in exam.questions.ids], lambda i, logp, rows=rows: rows.append((i, logp)))
        logps.append(np.concatenate([logp for _, logp in sorted(rows, key=lambda r: r[0])]))
    expected = (np.exp(logps[0]) * (logps[0] - logps[1])).sum(axis=1)
    assert expected.max() > 1e-3
    assert point.divergence == pytest.approx(expected, abs=1e-5)
    assert (point.top == logps[1].argmax(axis=1)).all()


def test_the_table_stays_within_its_bytes_and_finds_the_same(monkeypatch):
    model, texts = tiny_models.gpt2(), read_texts(tiny_models.TEXTS)
    smaller, exam = compress(model, HALF), exam_of(model, texts)
    whole = answer(smaller, exam.questions, answer(model, exam.questions)).divergence
    vocabulary = model.module.config.vocab_size
    monkeypatch.setattr(answers_module, "TABLE_BYTES", 30 * 4 * vocabulary)
    dense = answer(model, exam.questions)
    assert dense.table.logprobs.shape == (30, vocabulary)
    assert answer(smaller, exam.questions, dense).divergence == pytest.approx(whole[dense.table.kept], abs=1e-6)


def test_half_precision_and_nan_are_told_apart():
    model, texts = tiny_models.masked_bert(), read_texts(tiny_models.TEXTS)
    exam = exam_of(model, texts, "pseudo_perplexity")
    assert answer(model, exam.questions).not_finite == 0
    with torch.no_grad():
        next(model.module.parameters()).fill_(torch.nan)
    assert answer(model, exam.questions).not_finite == len(exam.questions.truth)


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(MissingCapability, match="no perplexity"):
        questions_about(tiny_models.t5(), read_texts(["the nurse"]), RANDOM(0))
    with pytest.raises(DataError, match="need true labels"):
        questions_about(tiny_models.classifier(), read_texts(["the nurse"]), RANDOM(0))
    with pytest.raises(UnknownName, match="label 'fine'"):
        questions_about(tiny_models.classifier(), read_texts([{"text": "a", "label": "fine"}]), RANDOM(0))


# --- how much worse ---------------------------------------------------------------------------------------------


def test_flips_and_agreement_are_counted_both_ways():
    exam, dense, point = invented([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 1, 0, 0, 0])
    found, _ = measured(exam, dense, point, add=add_agreement)
    assert found["agreement"].value == pytest.approx(100 * 5 / 8)
    assert found["answer_flips"].value == pytest.approx(100 * 3 / 8)
    assert (found["answer_flips"].details["lost"], found["answer_flips"].details["gained"]) == (2, 1)
    assert found["answer_flips"].details["p_value"] == pytest.approx(1.0)
    lost, _ = measured(exam, dense, point)
    assert lost["quality_loss"].value == pytest.approx(12.5)


@pytest.mark.parametrize(("n", "verdict"), [(100, "inconclusive"), (148, "inconclusive"), (149, "equivalent")])
def test_no_flip_among_few_texts_is_no_proof(n, verdict):
    """0.98^148 > 5 % > 0.98^149: so many texts are needed to rule out that 2 % are lost."""
    found, _ = measured(*invented([1] * n, [1] * n))
    assert found["quality_loss"].details["verdict"] == verdict


def test_identical_answers_are_equivalent_however_few():
    exam, dense, _ = invented([1, 0], [1, 0])
    found, _ = measured(exam, dense, dense)
    assert found["quality_loss"].value == 0
    assert found["quality_loss"].details["verdict"] == "equivalent"
    assert (found["quality_loss"].interval.low, found["quality_loss"].interval.high) == (0, 0)


@pytest.mark.parametrize(
    ("lost", "verdict"), [(2, "equivalent"), (30, "equivalent"), (40, "equivalent"), (75, "worse")]
)
def test_a_loss_is_judged_by_its_size_and_its_certainty(lost, verdict):
    n = 3000
    found, _ = measured(*invented([1] * n, [0] * lost + [1] * (n - lost)))
    assert found["quality_loss"].value == pytest.approx(100 * lost / n)
    assert found["quality_loss"].details["verdict"] == verdict


def test_equivalence_keeps_its_level():
    """A mean change that is exactly the margin is found equivalent in at most 5 % of samples (and two errors more)."""
    rng, clusters = RANDOM(5), np.arange(60)
    exam = Exam(None, None, "perplexity", 0.05)
    found = [
        equivalence(rng.normal(0.05, 0.1, 60), clusters, exam, Interval(-1, 1), identical=False) for _ in range(800)
    ]
    share = np.mean([e.verdict == "equivalent" for e in found])
    assert 0.02 < share < 0.05 + 2 * math.sqrt(0.05 * 0.95 / 800)


def test_a_p_value_agrees_with_its_interval():
    assert p_value(1.96, Interval(0.0, 3.92)) == pytest.approx(0.05, abs=1e-3)
    assert p_value(-1.0, Interval(-1.5, -0.5)) == pytest.approx(8.9e-5, rel=0.02)
    assert p_value(0.0, Interval(0.0, 0.0)) == 1.0
    assert change_interval(np.zeros(3), np.arange(3), RANDOM(0), None).high == 0


# --- exemplars --------------------------------------------------------------------------------------------------


def test_over_representation_by_hand():
    ratio, interval = over_representation((8, 10), (2, 90))
    assert ratio == pytest.approx((8.5 / 10.5) / (2.5 / 90.5))
    error = math.sqrt(1 / 8.5 - 1 / 10.5 + 1 / 2.5 - 1 / 90.5)
    assert interval.low == pytest.approx(ratio * math.exp(-1.96 * error), rel=1e-3)
    assert over_representation((0, 10), (0, 10))[0] == pytest.approx(1.0)


def test_the_group_whose_answers_change_is_named_and_no_other():
    groups = ["hit"] * 20 + ["a", "b"] * 90
    changed = [0] * 15 + [1] * 5 + [0, 1, 1, 1, 1, 1] + [1] * 174
    found, _ = measured(*invented([1] * 200, changed, groups), add=add_exemplars, shown=3, redact=True)
    assert found["changed_texts"].value == pytest.approx(8.0)
    assert found["changed_texts"].details["exemplars"] == 16
    assert len(found["changed_texts"].details["shown"]) == 3
    assert "sha256" in found["changed_texts"].details["shown"][0]["text"]
    hit = found["group=hit/exemplar_ratio"]
    assert hit.interval.low > 1
    assert hit.details["p_value_holm"] < 0.05
    assert found["group=b/exemplar_ratio"].interval.high < 1 or found["group=b/exemplar_ratio"].value < 1


# --- texts ------------------------------------------------------------------------------------------------------


def test_texts_from_a_table_bring_labels_and_groups(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text,label,sex\nthe nurse,good,F\nthe nurse,bad,M\nthe doctor,good,\n")
    texts = read_texts(str(path), groups=["sex"])
    assert texts.labels == ("good", "bad", "good")
    assert {g: m.tolist() for g, m in texts.members().items()} == {
        "sex=F": [True, False, False],
        "sex=M": [False, True, False],
    }
    assert len(set(texts.ids)) == 3
    with pytest.raises(DataError, match="no column 'race'; there are text, label, sex"):
        read_texts(str(path), groups=["race"])


@pytest.mark.parametrize(
    ("source", "problem"),
    [([], "no texts"), (["a", " "], "text 2 of 2 is empty"), ([{"text": "a", "group": "x/y"}], "'/' separates"),
     ([{"text": "a", "label": "b"}, {"text": "c"}], "label all of them or none")],
)  # fmt: skip
def test_texts_that_cannot_be_used_are_refused(source, problem):
    with pytest.raises(DataError, match=problem):
        read_texts(source, groups=["group"] if source and "group" in source[0] else [])


def test_as_many_labels_as_texts():
    with pytest.raises(DataError, match="1 values of label for 2 texts"):
        in_rows(["a", "b"], ["x"], None)
    assert in_rows(["a"], ["x"], {"sex": ["F"]}) == ([{"text": "a", "label": "x", "sex": "F"}], ("sex",))
