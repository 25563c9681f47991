"""Attention with known roles is classified right; rollout and flow equal a two-layer example worked by hand."""

import copy

import numpy as np
import pytest
import torch
import transformers

from auditkit.errors import DataError, InputError, MissingCapability
from auditkit.explain import attention, attention_gradients, layers
from auditkit.explain.attention import AttentionMap, HeadRoles
from auditkit.models.causal_lm import CausalLM
from auditkit.models.char_gpt import wrap
from auditkit.models.char_transformer import ALPHABET, CharGPTConfig, CharTransformer
from auditkit.models.masked_lm import MaskedLM
from auditkit.testing import FakeMaskedLM
from tests.models.conftest import (
    CAUSAL,
    CONTEXT,
    MASKED,
    build,
    byte_tokenizer,
    tiny_bert_masked_lm,
    tiny_llama,
    word_piece_tokenizer,
)

TEXTS = ["the nurse said that she was tired .", "women are good at work .", "my sister is the doctor"]
PLANTED = ("previous_token", "first_token", "same_token", "")


def planted(ids, *, strength, causal=True, noise=0.0, seed=0):
    """(1, 4, T, T): heads that look at the previous, the first and the same token, and at everything alike.

    A share `strength` of the attention goes to the targets, the rest is spread evenly.
    """
    length = len(ids)
    seen = np.tri(length) if causal else np.ones((length, length))
    even = seen / seen.sum(axis=1, keepdims=True)
    same = (ids[:, None] == ids[None, :]) * seen
    previous = np.eye(length, k=-1) + np.diag(np.eye(length)[0])
    first = np.zeros((length, length))
    first[:, 0] = 1
    heads = np.stack([previous, first, same / same.sum(axis=1, keepdims=True), even])
    mixed = strength * heads + (1 - strength) * even
    mixed = mixed * (1 + noise * np.random.default_rng(seed).uniform(-1, 1, mixed.shape))
    return (mixed / mixed.sum(axis=-1, keepdims=True))[None].astype(np.float32)


def maps(strength, n=12, **options):
    found = []
    for seed in range(n):
        ids = np.random.default_rng(seed).permutation([5, 6, 7, 8, 9, 5, 6, 7, 10, 11])
        tokens = layers.Tokens(ids, tuple(map(str, ids)), np.zeros(10, dtype=bool), np.zeros((10, 2), dtype=np.int64))
        found.append(AttentionMap(tokens, planted(ids, strength=strength, seed=seed, **options)))
    return found


@pytest.mark.parametrize("causal", [True, False])
def test_planted_roles_are_found_and_even_attention_has_none(causal):
    roles = attention.head_roles(maps(0.8, causal=causal, noise=0.3))
    assert roles.names == [list(PLANTED)]
    # with strength 0.8 the attention lies 0.8 of the way from even to exclusive
    assert roles.lift[0, [0, 1, 2], [0, 1, 2]] == pytest.approx(0.8, abs=0.05)
    assert roles.lift[0, 3] == pytest.approx(0, abs=0.05)
    for role in attention.ROLES:
        value, interval = roles.count(role)
        assert (value, interval.low, interval.high) == (1, 1, 1)


def test_attention_less_than_half_way_gives_no_role():
    assert attention.head_roles(maps(0.3)).names == [["", "", "", ""]]


def test_a_head_near_the_limit_counts_as_possible_not_as_sure():
    roles = HeadRoles(
        lift=np.array([[[0.9, 0, 0], [0.52, 0, 0], [0.45, 0, 0], [0.1, 0, 0]]]),
        low=np.array([[[0.8, 0, 0], [0.4, 0, 0], [0.3, 0, 0], [0.0, 0, 0]]]),
        high=np.array([[[1.0, 0, 0], [0.6, 0, 0], [0.6, 0, 0], [0.2, 0, 0]]]),
        n=9,
    )
    assert roles.names == [["previous_token", "", "", ""]]
    value, interval = roles.count("previous_token")
    assert (value, interval.low, interval.high) == (2, 1, 3)


def test_texts_of_one_cluster_count_once():
    found = maps(0.8, n=6)
    assert attention.head_roles(found, ["a", "a", "a", "b", "b", "b"]).n == 2
    with pytest.raises(DataError, match="6 maps in 1 clusters; expected at least two"):
        attention.head_roles(found, ["a"] * 6)


def test_intervals_hold_for_all_heads_together():
    """200 heads of pure noise: at 95 % together, nearly never is one of them called a role-bearer by chance."""
    wrong = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        lifts = rng.normal(attention.HALF_WAY, 0.2, size=(8, 10, 10, 3))
        n, mean = len(lifts), lifts.mean(axis=0)
        made = [AttentionMap(layers.Tokens(np.zeros(1), (), np.zeros(1, bool), np.zeros((1, 2))), x) for x in lifts]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attention, "role_lifts", lambda ids, weights: weights)
            roles = attention.head_roles(made)
        assert roles.lift == pytest.approx(mean)
        assert roles.n == n
        wrong += bool((roles.low > attention.HALF_WAY).any() or (roles.high < attention.HALF_WAY).any())
    assert wrong <= 6  # 40 x 5 % = 2 expected; 7 or more has probability 0.004


def test_entropy_by_hand():
    on_one = np.zeros((1, 1, 4, 4), dtype=np.float32)
    on_one[..., 1] = 1
    assert attention.entropy(on_one).tolist() == [[0]]
    assert attention.entropy(np.full((1, 1, 4, 4), 0.25, dtype=np.float32))[0, 0] == pytest.approx(1)
    # causal: row 1 even over 2 (share 1), row 2 on one of 3 (share 0); row 0 has no choice
    causal = np.array([[[[1, 0, 0], [0.5, 0.5, 0], [1, 0, 0]]]], dtype=np.float32)
    assert attention.entropy(causal)[0, 0] == pytest.approx(0.5)


# Two layers, one head, three tokens. Half of each row is the skip connection:
#   layer 1: row 1 = (1, 0, 0) -> (1, 1, 0) / 2; row 2 = (0, 1, 0) -> (0, 1, 1) / 2; row 0 sees itself only
#   layer 2: row 1 = (1, 0, 0) -> (1, 1, 0) / 2; row 2 = (0.5, 0.5, 0) -> (1, 1, 2) / 4
HAND = np.array([[[[1, 0, 0], [1, 0, 0], [0, 1, 0]]], [[[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]]], dtype=np.float32)


def test_rollout_by_hand():
    first, second = attention.rollout(HAND)
    assert first.tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]]
    # last row: 1/4 (1, 0, 0) + 1/4 (1/2, 1/2, 0) + 1/2 (0, 1/2, 1/2)
    assert second.tolist() == [[1, 0, 0], [0.75, 0.25, 0], [0.375, 0.375, 0.25]]


def test_flow_by_hand():
    # To token 2 of the top: from input 0, 1/4 by way of token 0, and min(1/2, 1/4) by way of token 1;
    # from input 1, min(1/2, 1/4) by way of 1 and min(1/2, 1/2) by way of 2; from input 2, min(1/2, 1/2) by way of 2.
    assert attention.flow(HAND)[2] == pytest.approx([0.5, 0.75, 0.5], abs=1e-8)
    assert attention.flow(HAND, [1])[0] == pytest.approx([1, 0.5, 0], abs=1e-8)


def test_a_flow_is_never_less_than_the_rollout_and_rollout_rows_sum_to_one():
    weights = np.random.default_rng(0).dirichlet(np.ones(6), size=(3, 2, 6)).astype(np.float32)
    total = attention.rollout(weights)
    assert total.sum(axis=-1) == pytest.approx(np.ones((3, 6)))
    assert (attention.flow(weights) >= total[-1] - 1e-6).all()


# --- real architectures -----------------------------------------------------------------------------------------


def char_gpt(vocabulary=ALPHABET + "\n.", seed=0):
    torch.manual_seed(seed)
    config = CharGPTConfig(
        vocabulary=vocabulary, hidden=16, layers=2, heads=2, context=40, causal=True, positions=True, scaled=True,
        pre_norm=True,
    )  # fmt: skip
    module = CharTransformer(config)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return wrap(module)


def check_maps(model, attend):
    before = getattr(getattr(model.module, "config", None), "_attn_implementation", None)
    found = attention.attention_maps(model, TEXTS)
    assert getattr(getattr(model.module, "config", None), "_attn_implementation", None) == before
    for text, m in zip(TEXTS, found, strict=True):
        assert m.weights.sum(axis=-1) == pytest.approx(np.ones(m.weights.shape[:-1]), abs=1e-5)
        assert m.weights == pytest.approx(attend(m.tokens.ids), abs=1e-5)
        alone = attention.attention_maps(model, [text])[0]
        assert alone.weights == pytest.approx(m.weights, abs=1e-5)


def masked(kind):
    config_class, options = MASKED[kind]
    tokenizer = word_piece_tokenizer()
    config = config_class(**{"max_position_embeddings": CONTEXT, **options}, vocab_size=len(tokenizer))
    return MaskedLM(build(transformers.AutoModelForMaskedLM, config), tokenizer, name=kind)


def causal(kind):
    config_class, options = CAUSAL[kind]
    tokenizer = byte_tokenizer()
    config = config_class(**options, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, pad_token_id=1)
    return CausalLM(build(transformers.AutoModelForCausalLM, config), tokenizer, name=kind)


@pytest.mark.parametrize("kind", [*(k for k in MASKED if k != "albert"), *CAUSAL])
def test_the_attention_is_that_of_transformers_reading_each_text_alone(kind):
    model = (masked if kind in MASKED else causal)(kind)
    twin = eager(model.module)

    def attend(ids):
        with torch.inference_mode():
            return torch.cat(twin(input_ids=torch.tensor(ids)[None], output_attentions=True).attentions).numpy()

    check_maps(model, attend)


def test_layers_that_are_one_block_used_twice_are_not_looked_into():
    with pytest.raises(MissingCapability, match="models that share layers"):
        attention.attention_maps(masked("albert"), TEXTS)


def eager(module):
    """A copy with eager attention, so that the model under test is not touched."""
    twin = copy.deepcopy(module)
    twin.set_attn_implementation("eager")
    return twin


def test_a_char_gpt_gives_the_attention_that_its_own_output_is_made_of():
    model = char_gpt()
    found = attention.attention_maps(model, TEXTS)
    for m in found:
        assert m.weights.shape == (2, 2, len(m.tokens.ids), len(m.tokens.ids))
        assert not np.triu(m.weights, 1).any()
    # the values of the first block, mixed by the weights that were given out, are what the block really computed
    block = model.module.blocks[0]
    ids = torch.tensor(found[0].tokens.ids)[None]
    with torch.inference_mode():
        x = block.attention_norm(model.module.tokens(ids) + model.module.positions.weight[: ids.shape[1]])
        v = block.attention.v(x).unflatten(2, (2, -1)).transpose(1, 2)
        mixed = torch.from_numpy(found[0].weights[0])[None] @ v
        ours = block.attention.out(mixed.transpose(1, 2).flatten(2))
        assert ours.numpy() == pytest.approx(block.attention(x).numpy(), abs=1e-5)


def test_the_residual_stream_is_that_of_transformers():
    module, tokenizer = tiny_bert_masked_lm()
    model = MaskedLM(module, tokenizer, name="m")
    tokens = layers.tokenize(model, TEXTS)
    found = {}
    layers.read(model, tokens, lambda i, reading: found.__setitem__(i, reading))
    for i, t in enumerate(tokens):
        with torch.inference_mode():
            states = module(input_ids=torch.tensor(t.ids)[None], output_hidden_states=True).hidden_states
        assert found[i].hidden == pytest.approx(torch.cat(states).numpy(), abs=1e-5)
        assert found[i].attention is None


def test_tokens_know_their_place_in_the_text():
    module, tokenizer = tiny_bert_masked_lm()
    (tokens,) = layers.tokenize(MaskedLM(module, tokenizer, name="m"), ["the [MASK] was old ."])
    assert tokens.names == ("[CLS]", "the", "[MASK]", "was", "old", ".", "[SEP]")
    assert tokens.special.tolist() == [True, *[False] * 5, True]
    module, tokenizer = tiny_llama()
    (tokens,) = layers.tokenize(CausalLM(module, tokenizer, name="m"), ["the nurse"])
    assert tokens.special.tolist() == [True] + [False] * (len(tokens.ids) - 1)
    assert "".join("the nurse"[a:b] for a, b in tokens.offsets) == "the nurse"
    (tokens,) = layers.tokenize(char_gpt(), ["he"])
    assert tokens.names == ("start", "h", "e")


def test_bad_input_is_named():
    module, tokenizer = tiny_bert_masked_lm()
    with pytest.raises(InputError, match="text 1 is empty"):
        attention.attention_maps(MaskedLM(module, tokenizer, name="m"), ["the", "  "])
    with pytest.raises(MissingCapability, match="cannot look inside a FakeMaskedLM"):
        attention.attention_maps(FakeMaskedLM(), ["the"])
    with pytest.raises(InputError, match="at least three"):
        attention.role_lifts(np.arange(2), np.ones((1, 1, 2, 2)))


# --- gradients --------------------------------------------------------------------------------------------------


def models():
    module, tokenizer = tiny_bert_masked_lm()
    yield MaskedLM(module, tokenizer, name="masked")
    module, tokenizer = tiny_llama()
    yield CausalLM(module, tokenizer, name="causal")
    yield char_gpt()
    from auditkit.models.classifier import Classifier

    tokenizer = word_piece_tokenizer()
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=len(tokenizer)
    )
    module = build(transformers.AutoModelForSequenceClassification, config)
    yield Classifier(module, tokenizer, name="classifier")


@pytest.mark.parametrize("model", list(models()), ids=lambda m: m.task)
def test_gradients_are_those_of_finite_differences(model):
    tokens = layers.tokenize(model, TEXTS[:1])
    at = [3]
    (norms,) = attention_gradients.gradient_norms(model, tokens, at)
    table = model.module.tokens if model.task == "char-gpt" else model.module.get_input_embeddings()
    position, inputs = 2, {"input_ids": torch.tensor(tokens[0].ids)[None]}
    gradient = []
    for d in range(table.weight.shape[1]):
        values = []
        for sign in (-1, 1):

            def nudge(_, __, output, sign=sign, d=d):
                output = output.clone()
                output[0, position, d] += sign * 1e-3
                return output

            handle = table.register_forward_hook(nudge)
            with torch.no_grad():
                values.append(float(layers.logits(model, inputs, at).log_softmax(-1).amax()))
            handle.remove()
        gradient.append((values[1] - values[0]) / 2e-3)
    assert norms[position] == pytest.approx(np.linalg.norm(gradient), rel=0.03)


@pytest.mark.parametrize("model", list(models()), ids=lambda m: m.task)
def test_agreement_has_an_interval_for_every_summary(model):
    texts = [f"the {who} said that {p} was tired ." for who in ("nurse", "doctor", "engineer") for p in ("she", "he")]
    found = attention_gradients.gradient_agreement(model, [*texts, "she"], rng=np.random.default_rng(0))
    assert set(found) == {"mean_attention", "rollout", "flow"}
    for agreement in found.values():
        assert np.isnan(agreement.values[-1])
        assert agreement.mean == pytest.approx(np.nanmean(agreement.values))
        assert agreement.mean in agreement.interval


@pytest.mark.parametrize("sign", [1, -1])
def test_agreement_is_one_where_attention_ranks_tokens_as_the_gradient_does(monkeypatch, sign):
    sizes = np.array([9.0, 2, 7, 1, 8, 3, 4, 5, 6])
    monkeypatch.setattr(attention_gradients, "gradient_norms", lambda model, tokens, at: [sizes] * len(tokens))
    monkeypatch.setattr(attention_gradients, "SUMMARIES", {"planted": lambda weights, at: sign * sizes**3})
    texts = [f"the {who} said that she was tired" for who in ("nurse", "doctor", "engineer")]
    found = attention_gradients.gradient_agreement(next(iter(models())), texts, rng=np.random.default_rng(0))
    assert found["planted"].values == pytest.approx([sign] * 3)


def test_texts_too_short_to_rank_are_refused():
    with pytest.raises(DataError, match="none of 2 texts has 4 tokens"):
        attention_gradients.gradient_agreement(next(iter(models())), ["she", "he"], rng=np.random.default_rng(0))
