import copy
import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from auditkit.errors import DataError, MissingCapability, ModelError, VocabularyError
from auditkit.models.char_gpt import CharGPT, CharModel
from auditkit.models.char_tokenizer import CharTokenizer, vocabulary_of
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.models.loading import load_model
from auditkit.models.protocols import Generates, HasModule, Model, ScoresText

LETTERS = "\n abcdehrs."
TINY = CharGPTConfig(
    vocabulary=LETTERS,
    hidden=16,
    layers=2,
    heads=2,
    context=12,
    causal=True,
    positions=True,
    scaled=True,
    pre_norm=True,
)


def network(config: CharGPTConfig, seed: int = 0) -> CharTransformer:
    """Random weights, ten times wider than at the start of training: the outputs differ clearly from uniform."""
    torch.manual_seed(seed)
    module = CharTransformer(config).eval()
    with torch.no_grad():
        for weights in module.parameters():
            weights.add_(0.2 * torch.randn_like(weights))
    return module


@pytest.fixture
def model():
    return CharGPT(network(TINY))


# --- the network -----------------------------------------------------------------------------------------------


def test_original_has_the_structure_of_the_textbook():
    module = CharTransformer(CharGPTConfig.original())
    d, v = 128, 27
    shapes = {
        "tokens.weight": (v, d),
        **{f"blocks.0.attention.{layer}.weight": (d, d) for layer in "qkv"},
        **{f"blocks.0.attention.{layer}.bias": (d,) for layer in "qkv"},
        "blocks.0.attention.out.weight": (d, d),
        "blocks.0.attention.out.bias": (d,),
        "blocks.0.attention_norm.weight": (d,),
        "blocks.0.attention_norm.bias": (d,),
        "blocks.0.feed_forward.0.weight": (4 * d, d),
        "blocks.0.feed_forward.0.bias": (4 * d,),
        "blocks.0.feed_forward.2.weight": (d, 4 * d),
        "blocks.0.feed_forward.2.bias": (d,),
        "blocks.0.feed_forward_norm.weight": (d,),
        "blocks.0.feed_forward_norm.bias": (d,),
        "head.weight": (v, d),
        "head.bias": (v,),
    }
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == shapes
    # By hand: embedding 3456, attention 4 * 16512, two norms 512, feed-forward 66048 + 65664, head 3483.
    assert sum(p.numel() for p in module.parameters()) == 3456 + 66048 + 512 + 131712 + 3483 == 205211


def test_original_computes_the_textbook_formula():
    module = network(CharGPTConfig.original())
    ids = torch.tensor([[7, 4, 11, 15]])
    p = dict(module.named_parameters())

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]

    with torch.no_grad():
        x = p["tokens.weight"][ids[0]]
        q, k, v = (linear(x, f"blocks.0.attention.{layer}") for layer in "qkv")
        attention = torch.softmax(q @ k.T, dim=-1)  # no scaling, no mask
        x = norm(x + linear(attention @ v, "blocks.0.attention.out"), "blocks.0.attention_norm")
        inner = linear(x, "blocks.0.feed_forward.0")
        gelu = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        x = norm(x + linear(gelu, "blocks.0.feed_forward.2"), "blocks.0.feed_forward_norm")
        torch.testing.assert_close(module(ids)[0], linear(x, "head"), rtol=1e-4, atol=1e-4)


def test_scaling_divides_the_scores_by_the_root_of_the_width_of_a_head():
    plain, scaled = (network(dataclasses.replace(TINY, layers=1, scaled=s)) for s in (False, True))
    ids = torch.tensor([[2, 3, 4, 5]])
    assert not torch.allclose(plain(ids), scaled(ids))
    with torch.no_grad():
        scaled.blocks[0].attention.q.weight *= math.sqrt(8)  # heads of 16 / 2
        scaled.blocks[0].attention.q.bias *= math.sqrt(8)
    torch.testing.assert_close(plain(ids), scaled(ids))


@pytest.mark.parametrize("causal", [True, False])
def test_a_later_character_changes_earlier_logits_only_without_the_causal_mask(causal):
    module = network(dataclasses.replace(TINY, causal=causal))
    before, after = module(torch.tensor([[2, 3, 4, 5]])), module(torch.tensor([[2, 3, 4, 9]]))
    assert not torch.allclose(before[0, 3], after[0, 3])
    assert torch.allclose(before[0, :3], after[0, :3], atol=1e-6) == causal


def test_without_positions_order_is_invisible_and_with_them_it_is_not():
    order, shuffled = torch.tensor([[2, 3, 4, 5]]), torch.tensor([[4, 3, 2, 5]])
    blind = network(dataclasses.replace(TINY, causal=False, positions=False))
    seeing = network(dataclasses.replace(TINY, causal=False))
    torch.testing.assert_close(blind(order)[0, 3], blind(shuffled)[0, 3])
    assert not torch.allclose(seeing(order)[0, 3], seeing(shuffled)[0, 3], atol=1e-3)


def test_modern_has_at_most_0_8_million_parameters():
    module = CharTransformer(CharGPTConfig.modern("".join(map(chr, range(65)))))
    # By hand, D = 120, V = 65: per block 4 (D^2 + D) + 8 D^2 + 5 D + 4 D; 65 D, 128 D, 2 D, 65 (D + 1) around them.
    assert sum(p.numel() for p in module.parameters()) == 4 * (12 * 120**2 + 13 * 120) + 195 * 120 + 65 * 121 == 728705


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "hidden 16, not a multiple of 3 heads"),
        ({"vocabulary": ""}, "empty vocabulary"),
        ({"vocabulary": "aa"}, "repeated symbols"),
        ({"layers": 0}, "size below 1"),
        ({"dropout": 1.0}, "dropout 1.0"),
    ],
)
def test_impossible_configurations_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        dataclasses.replace(TINY, **change)


# --- the tokenizer -----------------------------------------------------------------------------------------------


def test_characters_outside_the_vocabulary_are_counted_and_keep_their_place():
    tokenizer = CharTokenizer("ab ")
    assert tokenizer.encode("aZb\U0001f600") == ([0, 2, 1, 2], 2)
    assert tokenizer.decode([0, 2, 1]) == "a b"
    assert CharTokenizer("ab").fallback == "a"
    assert vocabulary_of("hello") == "ehlo"


# --- capabilities ---------------------------------------------------------------------------------------------------


def test_only_a_causal_char_gpt_offers_scores():
    causal, original = CharGPT(network(TINY)), CharModel(network(CharGPTConfig.original()))
    assert all(isinstance(causal, capability) for capability in (Model, ScoresText, Generates, HasModule))
    assert isinstance(original, Model)
    assert isinstance(original, HasModule)
    assert not isinstance(original, ScoresText | Generates)
    with pytest.raises(MissingCapability, match="no causal mask"):
        CharGPT(network(CharGPTConfig.original()))


def test_description_names_what_is_in_memory(model):
    about = model.describe()
    expected = {
        "task": "char-gpt",
        "dtype": "float32",
        "context": 12,
        "parameters": sum(p.numel() for p in model.module.parameters()),
    }
    assert expected.items() <= about.items()
    json.dumps(about, allow_nan=False)
    with torch.no_grad():
        model.module.head.bias[0] += 1
    assert model.describe()["weights_sha256"] != about["weights_sha256"]


def test_random_twin_is_seeded_and_leaves_the_random_state_alone(model):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    hashes = [model.randomized(seed).describe()["weights_sha256"] for seed in (1, 1, 2)]
    assert torch.rand(1) == expected
    assert hashes[0] == hashes[1] != hashes[2]
    assert isinstance(model.randomized(1), ScoresText)


# --- scores ---------------------------------------------------------------------------------------------------------


def hand_logprobs(model: CharGPT, text: str) -> list[float]:
    """One character at a time, with a softmax written out."""
    out = []
    for i, character in enumerate(text):
        ids = [LETTERS.index(c) for c in "\n" + text[:i]]
        with torch.no_grad():
            logits = model.module(torch.tensor([ids]))[0, -1].tolist()
        total = sum(math.exp(x) for x in logits)
        out.append(math.log(math.exp(logits[LETTERS.index(character)]) / total))
    return out


def test_scores_equal_a_softmax_written_by_hand_one_at_a_time(model):
    texts = ["she had a bad", "a", "bed.", ""]
    scores = model.token_logprobs([t[:12] for t in texts])
    for text, score in zip(texts, scores, strict=True):
        np.testing.assert_allclose(score.logprobs, hand_logprobs(model, text[:12]), atol=1e-5)
        assert score.offsets.tolist() == [[i, i + 1] for i in range(len(text[:12]))]
        assert "".join(LETTERS[i] for i in score.ids) == text[:12]
    assert len({round(x, 3) for x in scores[0].logprobs}) > 5  # not a constant


def test_probabilities_of_the_next_character_sum_to_one(model):
    total = sum(math.exp(model.token_logprobs([f"bad {c}"])[0].logprobs[-1]) for c in LETTERS)
    assert total == pytest.approx(1, abs=1e-6)


def test_without_a_newline_the_first_character_has_no_score():
    model = CharGPT(network(dataclasses.replace(TINY, vocabulary="ab ")))
    full, single = model.token_logprobs(["aba", "a"])
    assert full.offsets.tolist() == [[1, 2], [2, 3]]
    assert len(single.ids) == 0


def test_batch_size_and_company_change_no_result():
    module = load_model("char-gpt", device="cpu").module
    rng = np.random.default_rng(0)
    symbols = list(module.config.vocabulary)
    texts = ["".join(rng.choice(symbols, size=n)) for n in [0, 128, *rng.integers(0, 129, size=40)]]
    alone, together = (CharGPT(module, batch_tokens=b).token_logprobs(texts) for b in (1, 10_000))
    assert max(np.abs(a.logprobs - b.logprobs).max(initial=0) for a, b in zip(alone, together, strict=True)) <= 1e-9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_are_near(model, dtype):
    full = model.token_logprobs(["she had a bed."])[0].logprobs
    half = CharGPT(copy.deepcopy(model.module).to(dtype)).token_logprobs(["she had a bed."])[0].logprobs
    assert 0 < np.abs(full - half).max() < 0.3


def test_long_texts_and_unknown_characters_are_counted(model):
    scores = model.token_logprobs(["a" * 13, "a" * 12, "bäd", "B"])
    assert [len(s.ids) for s in scores] == [12, 12, 3, 1]
    assert model.notices == {
        "texts truncated to 12 characters": 1,
        "characters outside the vocabulary read as ' '": 2,
    }
    assert scores[2].total == pytest.approx(model.token_logprobs(["b d"])[0].total)


def test_word_probability_is_the_sum_over_all_that_can_follow_the_word(model):
    found = model.next_token_logprobs(["he", "a bed "], ["he", "she"])
    for row, prefix in enumerate(["he", "a bed"]):
        for column, word in enumerate(["he", "she"]):
            continuations = [hand_logprobs(model, f"{prefix} {word}{end}")[len(prefix) :] for end in "\n ."]
            by_hand = math.log(sum(math.exp(sum(c)) for c in continuations))
            assert found[row, column] == pytest.approx(by_hand, abs=1e-5)


def test_all_words_see_the_same_part_of_a_long_prefix(model):
    (cut,) = model.next_token_logprobs(["abc abc abcdea"], ["she", "a"])
    # 12 positions less " she" leave the last 8 characters, without the newline of the start.
    ids = torch.tensor([[LETTERS.index(c) for c in "c abcdea a"]])
    with torch.no_grad():
        logp = torch.log_softmax(model.module(ids)[0], dim=-1)
    ends = torch.logsumexp(logp[9, [0, 1, LETTERS.index(".")]], dim=0)
    assert cut[1] == pytest.approx(float(logp[7, 1] + logp[8, LETTERS.index("a")] + ends), abs=1e-5)
    assert model.notices == {"prefixes cut at their beginning to fit the context": 1}


def test_words_that_cannot_be_written_are_named(model):
    with pytest.raises(VocabularyError, match=r"cannot write 'they', 'xe'"):
        model.next_token_logprobs(["a"], ["she", "they", "xe"])
    with pytest.raises(VocabularyError, match="longer than the context of 12"):
        model.next_token_logprobs(["a"], ["sheshesheshe"])
    no_newline = CharGPT(network(dataclasses.replace(TINY, vocabulary="ab ")))
    with pytest.raises(DataError, match="empty prefix"):
        no_newline.next_token_logprobs([""], ["a"])


def test_generation_takes_the_most_probable_character_each_time(model):
    (written,) = model.generate(["she "], max_new_tokens=12)
    text = "she "
    for character in written:
        ids = [LETTERS.index(c) for c in ("\n" + text)[-12:]]
        assert character == LETTERS[int(model.module(torch.tensor([ids]))[0, -1].argmax())]
        text += character
    assert len(written) == 12
    assert model.generate(["bad", "she "], max_new_tokens=12)[1] == written


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [TINY, CharGPTConfig.original()], ids=["tiny", "original"])
def test_saved_and_loaded_gives_the_same_logits(config, tmp_path):
    model = CharModel(network(config))
    back = CharModel.load(model.save(tmp_path / "m"), name="mine")
    ids = torch.tensor([[2, 3, 4]])
    assert torch.equal(back.module(ids), model.module(ids))
    assert type(back) is (CharGPT if config.causal else CharModel)
    assert back.config == config
    assert back.name == "mine"
    assert back.describe()["weights_sha256"] == model.describe()["weights_sha256"]


def test_half_precision_halves_the_file_and_rounds(model, tmp_path):
    full, half = (model.save(tmp_path / str(h), half=h) / "model.safetensors" for h in (False, True))
    assert half.stat().st_size < 0.65 * full.stat().st_size
    rounded = CharModel.load(half.parent).module
    for a, b in zip(model.module.parameters(), rounded.parameters(), strict=True):
        assert torch.equal(a.half().float(), b)


def test_every_flipped_byte_of_the_weights_is_noticed(model, tmp_path):
    weights = model.save(tmp_path) / "model.safetensors"
    intact = weights.read_bytes()
    for place in (3, 40, len(intact) // 2, len(intact) - 1):
        weights.write_bytes(intact[:place] + bytes([intact[place] ^ 1]) + intact[place + 1 :])
        with pytest.raises(ModelError, match="damaged"):
            CharModel.load(tmp_path)
    weights.write_bytes(intact[:-10])
    with pytest.raises(ModelError, match="damaged"):
        CharModel.load(tmp_path)
    weights.unlink()
    with pytest.raises(ModelError, match="cannot read the weights"):
        CharModel.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 32}, "does not fit"),
        ({"layers": 3}, "does not fit"),
        ({"vocabulary": "abc"}, "does not fit"),
        ({"heads": 5}, "not a multiple"),
        ({"format": 99}, "another format"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_refused(model, tmp_path, change, message):
    path = model.save(tmp_path) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        CharModel.load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "5", "{}"])
def test_a_damaged_configuration_is_refused(model, tmp_path, content):
    (model.save(tmp_path) / "config.json").write_text(content)
    with pytest.raises(ModelError, match="not a char-GPT's configuration"):
        CharModel.load(tmp_path)
