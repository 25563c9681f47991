"""Models whose right explanation is known: linear in its words, or decided by one planted word."""

import copy
import functools

import numpy as np
import torch
import transformers
from torch import nn

from auditkit.models.classifier import Classifier
from auditkit.models.masked_lm import MaskedLM
from tests.models.conftest import word_piece_tokenizer
from tests.privacy import tiny_models

NOUNS = ("nurse", "doctor", "engineer", "sister", "people", "women", "men")
STATES = ("tired", "old", "good", "bad", "at work", "like her", "like his")
TEXTS = [f"the {noun} said that she was {state} ." for noun in NOUNS for state in STATES]


class LinearBag(nn.Module):
    """Logits that are a sum over the tokens' embeddings times a matrix: the right values are known exactly."""

    base_model_prefix = "body"

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab_size, 8)
        self.head = nn.Linear(8, 2)

    @property
    def dtype(self):
        return self.head.weight.dtype

    def get_input_embeddings(self):
        return self.words

    def forward(self, input_ids, attention_mask=None):
        there = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        summed = (self.words(input_ids) * there[..., None]).sum(1)
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=self.head(summed))


def linear_bag(seed=0):
    tokenizer = word_piece_tokenizer()
    config = transformers.PretrainedConfig(
        vocab_size=len(tokenizer), id2label={0: "bad", 1: "good"}, max_position_embeddings=40
    )
    torch.manual_seed(seed)
    return Classifier(LinearBag(config), tokenizer, name="linear")


class BagBody(nn.Module):
    """Every position holds the sum of all the text's embeddings."""

    def __init__(self, config):
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, 4)

    def forward(self, input_ids, attention_mask=None):
        there = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        summed = (self.words(input_ids) * there[..., None]).sum(1, keepdim=True)
        return transformers.modeling_outputs.BaseModelOutput(
            last_hidden_state=summed.expand(-1, input_ids.shape[1], -1)
        )


class BagOfWordsLM(nn.Module):
    """A masked language model in which a word of the context adds to the logit of a filler: differences are linear."""

    base_model_prefix = "body"

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.body = BagBody(config)
        self.head = nn.Linear(4, config.vocab_size, bias=False)

    @property
    def dtype(self):
        return self.head.weight.dtype

    def get_input_embeddings(self):
        return self.body.words

    def forward(self, input_ids, attention_mask=None):
        hidden = self.body(input_ids, attention_mask)["last_hidden_state"]
        return transformers.modeling_outputs.MaskedLMOutput(logits=self.head(hidden))


def biased_bag(associations):
    """A masked LM that prefers "she" over "he" by the given log-odds where a word stands, and is else indifferent."""
    tokenizer = word_piece_tokenizer()
    config = transformers.PretrainedConfig(vocab_size=len(tokenizer), max_position_embeddings=40, is_decoder=False)
    module = BagOfWordsLM(config)
    with torch.no_grad():
        module.body.words.weight.zero_()
        module.head.weight.zero_()
        module.head.weight[tokenizer.convert_tokens_to_ids("she"), 0] = 1
        for word, log_odds in associations.items():
            module.body.words.weight[tokenizer.convert_tokens_to_ids(word), 0] = log_odds
    return MaskedLM(module, tokenizer, name="biased bag")


def shortcut_classifier(word="one", steps=250, seed=0):
    """A tiny BERT trained to say "good" exactly where `word` stands, and the texts that hold the word.

    The others hold a different word in its place, so that neither length nor position gives the answer away, and in
    all of them other words are masked at random, so that the answer is known for every perturbed text too. It is
    trained once; every caller gets a copy.
    """
    return copy.deepcopy(_shortcut_classifier(word, steps, seed))


@functools.cache
def _shortcut_classifier(word, steps, seed):
    model, rng = tiny_models.classifier(), np.random.default_rng(seed)
    planted = [_with(text, word, rng) for text in TEXTS]
    others = [_with(text, other, rng) for text in TEXTS for other in ("two", "three", "four", "five")]
    ids = [model.tokenizer(text)["input_ids"] for text in (*planted, *planted, *planted, *planted, *others)]
    width = max(map(len, ids))
    rows = torch.tensor([[*i, *[0] * (width - len(i))] for i in ids])
    there = torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i in ids])
    ordinary, shortcut = rows > 4, model.tokenizer.convert_tokens_to_ids(word)
    optimizer = torch.optim.Adam(model.module.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        hidden = torch.rand(rows.shape, generator=generator) < torch.rand(len(rows), 1, generator=generator)
        shown = torch.where(hidden & ordinary, model.tokenizer.mask_token_id, rows)
        labels = (shown == shortcut).any(1).long()
        optimizer.zero_grad()
        model.module(input_ids=shown, attention_mask=there, labels=labels).loss.backward()
        optimizer.step()
    assert (model.classify(planted)[:, 1] > 0.5).all()
    assert (model.classify(others)[:, 1] < 0.5).all()
    return model, planted


def _with(text, word, rng):
    words = text.split()
    words.insert(int(rng.integers(1, len(words))), word)
    return " ".join(words)
