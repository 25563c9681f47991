"""Every method on models whose right answer is known; batches, padding, special tokens; bad input."""

from itertools import permutations

import numpy as np
import pytest
import torch

import auditkit as ak
from auditkit.errors import DataError, InputError, MissingCapability, UnknownName, VocabularyError
from auditkit.explain import (
    Continuation,
    Filler,
    Label,
    NextToken,
    Output,
    Similarity,
    attribute,
    attribute_each_token,
)
from auditkit.explain.attribution import CHUNK
from auditkit.explain.engine import Engine, Unit, everything
from auditkit.explain.methods import METHODS, Settings
from auditkit.explain.targets import ask
from auditkit.models.causal_lm import CausalLM
from auditkit.testing import FakeClassifier
from tests.explain.explained_models import TEXTS, linear_bag
from tests.models.conftest import tiny_bert_masked_lm, tiny_llama
from tests.privacy import tiny_models

PLAIN = ["the nurse said that she was tired .", "the doctor was old", "people like her work"]
MASKED = ["the [MASK] said that she was tired .", "the [MASK] was old", "[MASK] like her work"]
CASES = {
    "classifier": (tiny_models.classifier, PLAIN, Label("good", versus="bad")),
    "masked": (tiny_models.masked_bert, MASKED, Filler("nurse", versus="doctor")),
    "causal": (tiny_models.gpt2, PLAIN, Continuation(" she was tired", versus=" he was")),
    "char": (tiny_models.char_gpt, ["the nurse", "a man", "he"], Continuation(" is ok", versus=" no")),
    "encoder": (tiny_models.sentence_encoder, PLAIN, Similarity(to="the sister was good")),
    "seq2seq": (tiny_models.t5, PLAIN, Output("the nurse", versus="a doctor at work")),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    build, texts, target = CASES[request.param]
    return sharpened(build()), texts, target


def sharpened(model):
    """Predictions that depend on the text: the default initialisation is nearly uniform."""
    with torch.no_grad():
        for parameter in model.module.parameters():
            if parameter.ndim > 1 and model.task != "seq2seq":
                parameter.mul_(4)
    return model


# --- known answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_of_a_linear_model_every_method_gives_weight_times_input(method):
    model = linear_bag()
    for item in attribute(model, TEXTS[:5], target=Label("good"), method=method, baseline="zero"):
        ids = torch.tensor(model.tokenizer(item.text)["input_ids"])
        exact = (model.module.words(ids) @ model.module.head.weight[1]).detach().numpy()
        assert item.token_values[~item.special] == pytest.approx(exact[1:-1], abs=1e-5)
        assert item.values == pytest.approx(exact[1:-1], abs=1e-5)  # each word is one token here


@pytest.mark.parametrize("method", [m for m, p in METHODS.items() if p.complete])
def test_values_sum_to_the_change_from_the_baseline(case, method):
    model, texts, target = case
    for item in attribute(
        model, texts, target=target, method=method, samples=1024 if method == "gradient_shap" else None
    ):
        change = item.value - item.baseline_value
        assert item.delta == pytest.approx(item.values.sum() - change, abs=1e-9)
        assert item.error < (0.05 if method == "gradient_shap" else 0.01)
        assert item.special_value == 0  # held at both ends of the path


def test_the_value_is_what_the_adapter_itself_says():
    masked = sharpened(tiny_models.masked_bert())
    [item] = attribute(masked, MASKED[:1], target=Filler("nurse", versus="doctor"), method="occlusion")
    encoded = masked.encode(MASKED[:1])[0]
    query = ak.models.protocols.MaskQuery(
        tuple(encoded.ids.tolist()), 2, tuple(map(masked.word_id, ("nurse", "doctor")))
    )
    a, b = masked.masked_logprobs([query])[0]
    assert item.value == pytest.approx(a - b, abs=1e-5)
    causal = sharpened(tiny_models.gpt2())
    [item] = attribute(causal, PLAIN[1:2], target=Continuation(" she was tired"), method="occlusion")
    scores = causal.token_logprobs([PLAIN[1] + " she was tired"])[0]
    assert item.value == pytest.approx(scores.logprobs[scores.offsets[:, 1] > len(PLAIN[1])].sum(), abs=1e-4)
    classifier = sharpened(tiny_models.classifier())
    [item] = attribute(classifier, PLAIN[:1], target=Label("good", versus="bad"), method="occlusion")
    p = classifier.classify(PLAIN[:1])[0]
    assert item.value == pytest.approx(np.log(p[1] / p[0]), abs=1e-5)
    encoder = tiny_models.sentence_encoder()
    [item] = attribute(encoder, PLAIN[:1], target=Similarity(to=PLAIN[1]), method="occlusion")
    a, b = encoder.embed(PLAIN[:2])
    assert item.value == pytest.approx(float(a @ b), abs=1e-5)


def test_without_a_target_the_models_own_prediction_is_explained_and_kept():
    classifier = sharpened(tiny_models.classifier())
    [item] = attribute(classifier, PLAIN[:1], method="occlusion")
    assert item.asks == f"logit of {classifier.labels[int(classifier.classify(PLAIN[:1])[0].argmax())]!r}"
    causal = sharpened(tiny_models.gpt2())
    [item] = attribute(causal, PLAIN[:1], target=NextToken(), method="occlusion")
    assert item.asks == f"log p({causal.generate(PLAIN[:1], 1)[0]!r})"
    translator = tiny_models.t5()
    [item] = attribute(translator, PLAIN[1:2], method="occlusion")
    assert item.asks == f"log p({translator.generate(PLAIN[1:2])[0]!r})"


def test_occlusion_of_a_mask_is_the_prediction_with_that_token_masked():
    model = sharpened(tiny_models.classifier())
    [item] = attribute(
        model, ["the nurse was old"], target=Label("good", versus="bad"), method="occlusion", baseline="mask"
    )
    log_odds = [np.log(p[1] / p[0]) for p in model.classify(["the nurse was old", "the [MASK] was old"])]
    assert item.values[1] == pytest.approx(log_odds[0] - log_odds[1], abs=1e-5)


# --- batches, padding, special tokens -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_neither_batch_size_nor_company_changes_a_value(case, method):
    model, texts, target = case
    together = attribute(model, texts, target=target, method=method, tolerance=None)
    small = attribute(model, texts, target=target, method=method, tolerance=None, batch_tokens=1)
    alone = [attribute(model, [text], target=target, method=method, tolerance=None)[0] for text in texts]
    for a, b, c in zip(together, small, alone, strict=True):
        scale = max(1.0, float(np.abs(a.token_values).max()))
        assert a.token_values == pytest.approx(b.token_values, abs=2e-5 * scale)
        assert a.token_values == pytest.approx(c.token_values, abs=2e-5 * scale)


def test_padding_gets_exactly_zero(case):
    """In a batch of unlike lengths, the gradient at positions beyond a text is not small but zero."""
    model, texts, target = case
    questions = ask(model, texts, target)
    engine = Engine(model, questions, torch.zeros(1, engine_width(model)))
    rows = engine._rows(engine._inputs([Unit(q, everything(question)) for q, question in enumerate(questions)]))
    padded = torch.arange(rows.ids.shape[1]) >= rows.lengths[:, None]
    assert padded.any()
    assert (sensitivity(engine, rows)[padded] == 0).all()


def engine_width(model):
    from auditkit.explain.readers import reader_of

    return reader_of(model).embedding.weight.shape[1]


def sensitivity(engine, rows):
    """(B, T) length of the gradient at every position, padding included."""
    from auditkit.explain.readers import embeddings_replaced

    vectors = engine.reader.embedding(rows.ids).detach().requires_grad_()
    with embeddings_replaced(engine.reader.embedding, vectors):
        scores = engine.reader.scores(rows).float()
    return torch.autograd.grad((scores**2).sum(), vectors)[0].norm(dim=-1)


@pytest.mark.parametrize(
    ("build", "texts", "target"),
    [
        (tiny_models.gpt2, PLAIN, Continuation(" she was tired")),
        (tiny_models.char_gpt, ["the nurse", "a man"], Continuation(" is ok")),
        (tiny_models.t5, PLAIN, Output("the nurse was tired")),
    ],
)
@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_the_tokens_of_a_continuation_sum_to_the_whole(build, texts, target, method):
    model = sharpened(build())
    options = {"method": method, "steps": 8, "tolerance": None, "batch_tokens": 90}
    whole = attribute(model, texts, target=target, **options)
    apart = attribute_each_token(model, texts, target, **options)
    assert [len(found) for found in apart] == [len(q.branches[0].targets) for q in whole.questions]
    for item, found in zip(whole, apart, strict=True):
        assert np.sum([one.token_values for one in found], axis=0) == pytest.approx(item.token_values, abs=1e-5)
        assert sum(one.value for one in found) == pytest.approx(item.value, abs=1e-5)
        assert len({one.asks for one in found}) > 1


def test_each_token_is_explained_as_if_it_were_asked_alone():
    model = sharpened(tiny_models.gpt2())
    [found] = attribute_each_token(model, ["the doctor was"], Continuation(" tired at work"))
    [alone] = attribute(model, ["the doctor was"], target=Continuation(" tired"))
    assert found[0].token_values == pytest.approx(alone.token_values, abs=1e-6)
    assert found[0].value == pytest.approx(alone.value, abs=1e-6)


def test_the_tokens_of_a_continuation_share_the_forward_pass():
    model = sharpened(tiny_models.gpt2())
    questions = attribute_each_token(model, ["the doctor was"], Continuation(" tired at work"))[0].questions
    engine = Engine(model, questions, torch.zeros(1, model.module.config.n_embd))
    engine.values([Unit(q, everything(question)) for q, question in enumerate(questions)])
    assert engine.tokens_read == questions[0].length


def test_a_difference_has_no_tokens_to_explain_apart():
    with pytest.raises(InputError, match="no tokens in common"):
        attribute_each_token(tiny_models.gpt2(), PLAIN, Continuation(" she was", versus=" he was"))


def test_special_tokens_are_kept_apart():
    model = sharpened(tiny_models.classifier())
    [item] = attribute(model, PLAIN[:1], method="gradient_x_activation")
    assert item.special.tolist() == [True, *[False] * 8, True]
    assert item.special_value != 0
    assert item.values.sum() == pytest.approx(item.token_values[~item.special].sum())


def test_many_texts_are_the_same_as_few():
    model, texts = linear_bag(), (TEXTS * 2)[: CHUNK + 3]
    found = attribute(model, texts, target=Label("good"), method="shapley_sampling", samples=2)
    assert len(found) == len(texts)
    assert found[0].values == pytest.approx(found[len(TEXTS)].values, abs=1e-6)  # the same text again


def test_memory_is_bounded_by_the_batch_not_by_the_steps(monkeypatch):
    model, largest = sharpened(tiny_models.classifier()), []
    stack = Engine._rows
    monkeypatch.setattr(
        Engine,
        "_rows",
        lambda self, batch: (
            largest.append(sum(self.questions[i.unit.question].length for i in batch)) or stack(self, batch)
        ),
    )
    texts = [" ".join(order) for order in permutations(["the", "old", "nurse", "was"])]  # equal ones are read once
    attribute(model, texts, target=Label("good"), steps=64, batch_tokens=100)
    assert max(largest) <= 100
    assert len(largest) > 50


# --- steps and baselines ------------------------------------------------------------------------------------------


def test_steps_double_until_the_error_is_within_tolerance():
    model = CausalLM(*tiny_llama(), name="llama")
    loose = attribute(model, PLAIN, target=Continuation(" she was tired"), steps=2, tolerance=None)
    tight = attribute(model, PLAIN, target=Continuation(" she was tired"), steps=2, tolerance=0.01)
    assert {item.steps for item in loose} == {2}
    assert max(item.error for item in loose) > 0.01
    assert max(item.error for item in tight) < 0.01
    assert max(item.steps for item in tight) > 2


def test_a_path_that_is_too_rough_is_given_up_and_says_so(monkeypatch):
    """Gradients without any relation to the values: no number of steps brings the error down."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(Engine, "gradients", lambda self, units: [rng.normal(5, 1, len(unit.shares)) for unit in units])
    [item] = attribute(linear_bag(), TEXTS[:1], target=Label("good"))
    assert item.steps == 128
    assert item.error > 0.1


def test_a_zero_baseline_is_refused_where_it_breaks_completeness():
    llama = CausalLM(*tiny_llama(), name="llama")  # RMSNorm sees no lengths
    with pytest.raises(InputError, match="use baseline='mean'"):
        attribute(llama, PLAIN, target=Continuation(" she"), baseline="zero")
    with pytest.raises(InputError, match="do not add up"):
        attribute(llama, PLAIN, target=Continuation(" she"), method="gradient_shap", baseline="zero")
    found = attribute(sharpened(tiny_models.gpt2()), PLAIN, target=Continuation(" she"), baseline="zero")
    assert max(item.error for item in found) < 0.01  # positions are added before the norm: it is valid there


def test_an_unchecked_zero_baseline_really_does_not_add_up():
    from auditkit.explain.methods import integrated_gradients

    llama = CausalLM(*tiny_llama(), name="llama")
    engine = Engine(llama, ask(llama, PLAIN[:1], Continuation(" she was")), torch.zeros(1, 32))
    ends = engine.ends()
    [found] = integrated_gradients(engine, ends, Settings(steps=16, tolerance=None))
    assert abs(found.values.sum() - (ends[0, 0] - ends[0, 1])) > 0.2 * abs(ends[0, 0] - ends[0, 1])


def test_the_baseline_and_steps_are_printed():
    found = attribute(linear_bag(), TEXTS[:1], target=Label("good"))
    assert "integrated_gradients, baseline mask" in str(found)
    assert "32 steps" in str(found)
    assert "delta" in str(found)
    frame = found.frame()
    assert list(frame["word"]) == TEXTS[0].split()
    assert set(frame["baseline"]) == {"mask"}
    tokens = found.frame(tokens=True)
    assert tokens["special"].sum() == 2


def test_several_baselines_are_averaged_by_gradient_shap():
    found = attribute(sharpened(tiny_models.classifier()), PLAIN, target=Label("good"), method="gradient_shap")
    assert found.baseline == ("mask", "pad", "mean")
    assert "mask + pad + mean" in str(found)


# --- bad input ----------------------------------------------------------------------------------------------------


def causal():
    return tiny_models.gpt2()


@pytest.mark.parametrize(
    ("build", "texts", "target", "error", "message"),
    [
        (tiny_models.masked_bert, MASKED[:1], Filler("philosopher"), VocabularyError, "choose another word"),
        (tiny_models.masked_bert, PLAIN[:1], Filler("nurse"), InputError, r"0 masks .* expected one \[MASK\]"),
        (tiny_models.masked_bert, ["[MASK] [MASK]"], Filler("nurse"), InputError, "2 masks"),
        (tiny_models.classifier, ["the nurse " * 60], Label(), InputError, "longer than the context of 40 tokens"),
        (tiny_models.char_gpt, ["nurse " * 20], NextToken(), InputError, "longer than the context of"),
        (causal, ["the nurse"], Continuation(" x" * 200), InputError, "context is"),
        (tiny_models.classifier, [""], Label(), InputError, "text 0 is empty"),
        (tiny_models.classifier, "the nurse", Label(), DataError, "expected a list of texts"),
        (tiny_models.classifier, PLAIN, Label("god"), UnknownName, "did you mean 'good'"),
        (tiny_models.classifier, PLAIN, NextToken(), InputError, "does not suit a classifier; expected Label"),
        (tiny_models.classifier, PLAIN, [Label()], InputError, "1 targets for 3 texts"),
        (causal, PLAIN[:1], Continuation(""), InputError, "a continuation of zero tokens"),
        (tiny_models.char_gpt, ["he"], Continuation(""), InputError, "a continuation of zero tokens"),
        (tiny_models.char_gpt, ["he"], Continuation("É"), VocabularyError, "cannot write 'É'"),
        (tiny_models.t5, PLAIN[:1], Output(""), InputError, "an output of zero tokens"),
        (tiny_models.sentence_encoder, PLAIN, None, InputError, "give target=Similarity"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_a_reason(build, texts, target, error, message):
    with pytest.raises(error, match=message):
        attribute(build(), texts, target=target)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "integrated_gradient"}, UnknownName, "did you mean 'integrated_gradients'"),
        ({"baseline": "blank"}, UnknownName, "unknown baseline 'blank'"),
        ({"steps": 0}, InputError, "steps=0; expected at least 1"),
        ({"batch_tokens": 0}, InputError, "batch_tokens=0"),
        ({"tolerance": 2.0}, InputError, "expected a share"),
    ],
)
def test_bad_settings_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        attribute(linear_bag(), TEXTS[:1], target=Label("good"), **options)


def test_a_missing_token_is_no_baseline():
    with pytest.raises(MissingCapability, match="has no mask token; use another baseline"):
        attribute(tiny_models.char_gpt(), ["he"], baseline="mask")


def test_a_model_that_cannot_be_explained_says_so():
    with pytest.raises(MissingCapability, match=r"expected a model of auditkit\.load_model"):
        attribute(FakeClassifier(), PLAIN)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor:UserWarning")
def test_a_quantized_model_is_told_which_methods_it_can_have():
    model = tiny_models.classifier()
    model.module = torch.ao.quantization.quantize_dynamic(model.module, {torch.nn.Linear}, dtype=torch.qint8)
    with pytest.raises(MissingCapability, match=r"is quantized .* occlusion, shapley_sampling or kernel_shap"):
        attribute(model, PLAIN, target=Label("good"))
    assert len(attribute(model, PLAIN, target=Label("good"), method="occlusion")) == 3


def test_a_broken_graph_is_noticed_too():
    class Detached(type(linear_bag().module)):
        def forward(self, input_ids, attention_mask=None):
            out = super().forward(input_ids, attention_mask)
            out.logits = out.logits.detach()
            return out

    model = linear_bag()
    model.module = Detached(model.module.config)
    with pytest.raises(MissingCapability, match="has no gradients"):
        attribute(model, TEXTS[:1], target=Label("good"))


def test_attribution_leaves_the_model_as_it_was():
    model = tiny_bert_masked_lm()
    from auditkit.models.masked_lm import MaskedLM

    model = MaskedLM(*model, name="m")
    before = {name: p.clone() for name, p in model.module.named_parameters()}
    attribute(model, MASKED, target=Filler("nurse"))
    assert all(p.grad is None and torch.equal(p, before[name]) for name, p in model.module.named_parameters())
    assert not model.module.get_input_embeddings()._forward_hooks
