"""The causal adapter against the plain procedure, one text at a time; and the prefix tree by itself."""

import numpy as np
import pytest
import torch

from auditkit.models.causal_lm import CausalLM
from auditkit.models.prefix_tree import PrefixTree, grow
from auditkit.models.protocols import Generates, HasModule, ScoresText
from auditkit.testing import check_model

from .conftest import tiny_llama

TEXTS = [
    "the nurse said that she was tired .",
    "the nurse said that he was tired .",
    "the nurse said that she was old .",
    "women are good at work .",
    "a",
    "",
]


@torch.no_grad()
def one_at_a_time(model, text):
    ids = torch.tensor([model.tokenizer.bos_token_id, *model.tokenizer(text)["input_ids"]])
    logprobs = model.module(ids[None]).logits[0].log_softmax(-1)
    return logprobs[:-1].gather(1, ids[1:, None])[:, 0].numpy()


def test_scores_equal_one_forward_pass_each(causal_module):
    model = CausalLM(*causal_module, name="tiny")
    for text, scores in zip(TEXTS, model.token_logprobs(TEXTS), strict=True):
        np.testing.assert_allclose(scores.logprobs, one_at_a_time(model, text), atol=1e-4)


def test_a_random_twin_takes_over_what_was_tried_and_is_scored_right(causal_module):
    model = CausalLM(*causal_module, name="tiny")
    twin = model.randomized(1)
    own = CausalLM(twin.module, twin.tokenizer, name="tries for itself")
    assert {*CausalLM.tried} <= vars(twin).keys()  # before anything was scored
    assert [getattr(twin, trial) for trial in CausalLM.tried] == [getattr(own, trial) for trial in CausalLM.tried]
    for text, scores in zip(TEXTS, twin.token_logprobs(TEXTS), strict=True):
        np.testing.assert_allclose(scores.logprobs, one_at_a_time(twin, text), atol=1e-4)


def test_every_architecture_keeps_the_contract(causal_module):
    model = CausalLM(*causal_module, name="tiny")
    assert isinstance(model, ScoresText)
    assert isinstance(model, Generates)
    assert isinstance(model, HasModule)
    check_model(model)


def test_common_beginnings_are_shared_where_the_architecture_allows():
    from .conftest import CAUSAL, build, byte_tokenizer, transformers

    shares = {}
    for family, (config_class, options) in CAUSAL.items():
        tokenizer = byte_tokenizer()
        config = config_class(**options, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, pad_token_id=1)
        model = CausalLM(build(transformers.AutoModelForCausalLM, config), tokenizer, name=family)
        shares[family] = model._reads_trees
    assert shares["llama"]
    assert shares["gpt2"]
    assert shares["qwen2"]
    assert not shares["bloom"]  # ALiBi takes distances from the columns, so a tree would be scored wrongly


SMALL_ONES = {
    "mistral": {"sliding_window": 128, "num_key_value_heads": 2},
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2},
    "mamba2": {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 16},
}


@pytest.mark.parametrize("family", SMALL_ONES)
def test_windows_and_recurrent_models_are_scored_right_beside_a_long_text(family):
    """One token a word, so that the texts branch, and one text longer than the window in the same batch."""
    from .conftest import SMALL, build, transformers, word_level_tokenizer

    tokenizer = word_level_tokenizer()
    options = {**SMALL, **SMALL_ONES[family], "vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.AutoConfig.for_model(family, **options)
    model = CausalLM(build(transformers.AutoModelForCausalLM, config), tokenizer, name=family)
    texts = [*TEXTS[:4], " ".join(["the old nurse said that he was good and"] * 17)]
    for text, scores in zip(texts, model.token_logprobs(texts), strict=True):
        np.testing.assert_allclose(scores.logprobs, one_at_a_time(model, text), atol=1e-3)


def test_a_word_after_a_prefix_is_scored_to_its_last_token():
    model = CausalLM(*tiny_llama(), name="tiny")
    prefixes, words = ["the nurse said that", "women are"], ["she", "unrecognisable"]
    found = model.next_token_logprobs(prefixes, words)
    for i, prefix in enumerate(prefixes):
        for j, word in enumerate(words):
            own = len(model.tokenizer(f"{prefix} {word}")["input_ids"]) - len(model.tokenizer(prefix)["input_ids"])
            assert found[i, j] == pytest.approx(one_at_a_time(model, f"{prefix} {word}")[-own:].sum(), abs=1e-4)


def test_without_a_start_token_the_first_token_is_not_scored():
    module, tokenizer = tiny_llama(start=None)
    model = CausalLM(module, tokenizer, name="tiny")
    with_start = CausalLM(*tiny_llama(), name="tiny")
    assert len(model.token_logprobs(TEXTS[:1])[0].ids) == len(with_start.token_logprobs(TEXTS[:1])[0].ids) - 1
    assert model.notices == {"texts scored without their first token (the tokenizer has no start token)": 1}


def test_offsets_point_at_the_characters_of_the_text():
    model = CausalLM(*tiny_llama(), name="tiny")
    text = "the nurse said"
    scores = model.token_logprobs([text])[0]
    assert "".join(text[a:b] for a, b in scores.offsets) == text


def test_long_texts_are_cut_and_counted():
    model = CausalLM(*tiny_llama(), name="tiny")
    scores = model.token_logprobs(["the nurse", "women " * 200])
    assert len(scores[1].ids) == 79  # the start token takes one place of the context
    assert model.notices == {"texts truncated to 80 tokens": 1}


def test_a_text_that_fits_but_for_the_start_token_is_counted_too():
    model = CausalLM(*tiny_llama(), name="tiny")
    model.tokenizer.model_max_length = len(model.tokenizer(TEXTS[0])["input_ids"])
    model.token_logprobs(TEXTS[:1])
    assert sum(model.notices.values()) == 1


def test_a_word_that_does_not_fit_behind_its_prefix_is_no_certainty():
    model = CausalLM(*tiny_llama(), name="tiny")
    found = model.next_token_logprobs(["women " * 200, "women"], ["she"])
    assert np.isnan(found[:, 0]).tolist() == [True, False]
    assert found[1] == model.next_token_logprobs(["women"], ["she"])[0]


def test_generation_equals_the_plain_model():
    model = CausalLM(*tiny_llama(), name="tiny")
    texts = ["the nurse", "women are good", "the doctor"]
    for text, written in zip(texts, model.generate(texts, max_new_tokens=5), strict=True):
        ids = torch.tensor([[model.tokenizer.bos_token_id, *model.tokenizer(text)["input_ids"]]])
        expected = model.module.generate(ids, max_new_tokens=5, do_sample=False, pad_token_id=1)[0, ids.shape[1] :]
        assert written == model.tokenizer.decode(expected, skip_special_tokens=True)


def test_a_tree_holds_a_common_beginning_once():
    tree = PrefixTree()
    for i, ids in enumerate([[1, 2, 3], [1, 2, 4, 5], [1, 9]]):
        tree.add(ids, i)
    assert tree.ids == [1, 2, 3, 4, 5, 9]
    assert tree.parent == [-1, 0, 1, 1, 3, 0]
    assert tree.depth == [0, 1, 2, 2, 3, 1]
    assert tree.paths == [[0, 1, 2], [0, 1, 3, 4], [0, 5]]
    assert tree.ancestors().sum(1).tolist() == [1, 2, 3, 3, 4, 2]
    assert np.flatnonzero(tree.ancestors()[4]).tolist() == [0, 1, 3, 4]


def test_trees_hold_every_text_once_and_stay_below_the_limit():
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 3, size=rng.integers(1, 12)) for _ in range(200)]
    trees = grow(texts, limit=30)
    assert sorted(i for t in trees for i in t.texts) == list(range(200))
    assert all(len(t.ids) <= 30 for t in trees)
    assert sum(len(t.ids) for t in trees) < 0.7 * sum(map(len, texts))
    for tree in trees:
        for path, i in zip(tree.paths, tree.texts, strict=True):
            assert [tree.ids[node] for node in path] == texts[i].tolist()
