"""The same values as Captum computes one text at a time and without its cache, to 1e-4; and what its default path says.

Captum's traps are avoided here on purpose: no lists of texts, `perturbations_per_eval=1`, `use_cached_outputs=False`.
"""

import warnings

import numpy as np
import pytest
import torch
from captum import attr as captum

from auditkit.explain import Continuation, Filler, Label, attribute
from auditkit.models.causal_lm import CausalLM
from tests.explain.test_attribution import MASKED, PLAIN, sharpened
from tests.models.conftest import tiny_llama
from tests.privacy import tiny_models

CLOSE = 1e-4
PROMPT, WRITTEN = "the nurse said that", " she was tired"


def classifier():
    model = sharpened(tiny_models.classifier())

    def forward(ids):
        logits = model.module(input_ids=ids).logits
        return logits[:, 1] - logits[:, 0]

    return model, PLAIN, Label("good", versus="bad"), forward


def masked():
    model = sharpened(tiny_models.masked_bert())
    a, b = model.word_id("nurse"), model.word_id("doctor")

    def forward(ids):
        logs = model.module(input_ids=ids).logits[:, 2].log_softmax(-1)  # [CLS] the [MASK]
        return logs[:, a] - logs[:, b]

    return model, MASKED[1:2], Filler("nurse", versus="doctor"), forward


def references(model, text, forward):
    """(ids, ids with every ordinary token masked)."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    special = torch.tensor(model.tokenizer(text, return_special_tokens_mask=True)["special_tokens_mask"]).bool()
    absent = torch.where(special[None], ids, model.tokenizer.mask_token_id)
    return ids, absent


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def ours(model, text, target, method, **options):
    return attribute(model, [text], target=target, method=method, **options)[0].token_values


@pytest.mark.parametrize("build", [classifier, masked])
def test_integrated_gradients(build):
    model, texts, target, forward = build()
    layer = captum.LayerIntegratedGradients(forward, model.module.get_input_embeddings())
    for text in texts:
        ids, absent = references(model, text, forward)
        found, delta = layer.attribute(ids, absent, n_steps=50, return_convergence_delta=True)
        [item] = attribute(model, [text], target=target, steps=50, tolerance=None, baseline="mask")
        assert item.token_values == pytest.approx(found.sum(-1)[0].detach().numpy(), abs=CLOSE)
        assert item.delta == pytest.approx(float(delta), abs=CLOSE)


@pytest.mark.parametrize("build", [classifier, masked])
def test_gradient_x_activation(build):
    model, texts, target, forward = build()
    layer = captum.LayerGradientXActivation(forward, model.module.get_input_embeddings())
    for text in texts:
        found = layer.attribute(references(model, text, forward)[0]).sum(-1)[0].detach().numpy()
        assert ours(model, text, target, "gradient_x_activation") == pytest.approx(found, abs=CLOSE)


def test_occlusion():
    model, texts, target, forward = classifier()
    for text in texts:
        ids, absent = references(model, text, forward)
        found = captum.FeatureAblation(forward).attribute(ids, absent)[0].numpy()
        assert ours(model, text, target, "occlusion", baseline="mask") == pytest.approx(found, abs=CLOSE)


def test_kernel_shap_over_all_coalitions_is_the_exact_shapley_value():
    model, texts, target, forward = classifier()
    text = texts[1]  # four words: 24 orders
    ids, absent = references(model, text, forward)
    groups = torch.tensor([[0, 1, 2, 3, 4, 0]])  # both special tokens are one player, which never changes anything
    found = (
        captum.ShapleyValues(lambda rows: forward(rows.long())).attribute(ids, absent, feature_mask=groups)[0].numpy()
    )
    ours_ = ours(model, text, target, "kernel_shap", baseline="mask")
    assert ours_[1:-1] == pytest.approx(found[1:-1], abs=CLOSE)
    many = ours(model, text, target, "shapley_sampling", baseline="mask", samples=2000)
    assert many[1:-1] == pytest.approx(found[1:-1], abs=0.05 * float(np.abs(found).max()))


def test_gradient_shap_has_the_same_expectation():
    model, texts, target, forward = classifier()
    ids, absent = references(model, texts[1], forward)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - Captum draws from it
    embed = model.module.get_input_embeddings()

    def of_vectors(vectors):
        logits = model.module(inputs_embeds=vectors).logits
        return logits[:, 1] - logits[:, 0]

    vectors, baseline = embed(ids).detach(), embed(absent).detach()
    found = captum.GradientShap(of_vectors).attribute(vectors, baseline, n_samples=3000)[0].sum(-1).detach().numpy()
    mine = ours(model, texts[1], target, "gradient_shap", baseline="mask", samples=1000)
    assert mine == pytest.approx(found, abs=0.03 * float(np.abs(found).max()))


def llama():
    model = CausalLM(*tiny_llama(), name="llama")
    model.tokenizer.pad_token = "</s>"
    return model


def of_captum(model, attribution, **options):
    """Values of the prompt's tokens for the whole continuation, by Captum's own class for language models."""
    prompt = model.tokenizer(PROMPT, add_special_tokens=False)["input_ids"]
    start = [model.tokenizer.bos_token_id]
    target = model.tokenizer(PROMPT + WRITTEN, add_special_tokens=False)["input_ids"][len(prompt) :]
    text = captum.TextTokenInput(PROMPT, model.tokenizer, baselines=model.tokenizer.pad_token_id, skip_tokens=start)
    text.inp_tensor = torch.tensor([start + prompt])  # its tokenizer call leaves the start token out
    text.itp_tensor, text.itp_mask = torch.tensor([prompt]), torch.tensor([[False, *[True] * len(prompt)]])
    text.skip_tokens = start
    return attribution.attribute(text, torch.tensor(target), **options).seq_attr.numpy()


def test_occlusion_of_a_continuation_equals_captums_uncached_path_and_not_its_default():
    model = llama()
    wrapped = captum.LLMAttribution(captum.FeatureAblation(model.module), model.tokenizer)
    exact = of_captum(model, wrapped, use_cached_outputs=False)
    mine = ours(model, PROMPT, Continuation(WRITTEN), "occlusion", baseline="pad")[1:]
    assert mine == pytest.approx(exact, abs=CLOSE)
    default = of_captum(model, wrapped)
    assert np.abs(default - exact).max() > 100 * CLOSE


def test_integrated_gradients_of_a_continuation():
    model = llama()
    layer = captum.LayerIntegratedGradients(model.module, model.module.get_input_embeddings())
    exact = of_captum(model, captum.LLMGradientAttribution(layer, model.tokenizer), n_steps=50)
    mine = ours(model, PROMPT, Continuation(WRITTEN), "integrated_gradients", baseline="pad", steps=50, tolerance=None)
    assert mine[1:] == pytest.approx(exact, abs=CLOSE)
