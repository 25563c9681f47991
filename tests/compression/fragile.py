"""A classifier in which a rare group rests on a few small weights, its texts, and steps that do damage on purpose."""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
import transformers
from torch import nn

from auditkit.models.classifier import Classifier
from tests.models.conftest import word_piece_tokenizer

LARGE, SMALL = 5.0, 0.05
MAJORITY, RARE = 1188, 12


class WordCounts(nn.Module):
    """A label's score is the sum of its words' weights: `good` and `bad` have large ones, `tired` a small one."""

    def __init__(self, vocabulary):
        super().__init__()
        self.config = transformers.BertConfig(
            vocab_size=len(vocabulary), id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1}
        )
        self.blocks = nn.ModuleList([nn.Linear(len(vocabulary), 2)])
        with torch.no_grad():
            layer = self.blocks[0]
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor([0.01, 0.0]))  # without evidence: bad
            for word, label in (("bad", 0), ("good", 1)):
                layer.weight[label, vocabulary[word]] = LARGE
                layer.weight[1 - label, vocabulary[word]] = -LARGE
            layer.weight[1, vocabulary["tired"]] = SMALL

    @property
    def dtype(self):
        return self.blocks[0].weight.dtype

    def forward(self, input_ids, attention_mask=None):
        counts = nn.functional.one_hot(input_ids, self.config.vocab_size).to(self.dtype)
        if attention_mask is not None:
            counts = counts * attention_mask[..., None]
        return SimpleNamespace(logits=self.blocks[0](counts.sum(1)))


def fragile_classifier():
    tokenizer = word_piece_tokenizer()
    return Classifier(WordCounts(tokenizer.get_vocab()), tokenizer, name="fragile")


def prune_all_but_the_large(model):
    """The spec under which magnitude pruning leaves the four large weights, and nothing else."""
    weights = model.module.blocks[0].weight.numel()
    return {"magnitude": {"ratio": (weights - 4) / weights}}


def texts():
    """(texts, labels, groups): nearly all of the majority, whose label hangs on large weights."""
    common = [("the nurse was good ." if i % 2 else "the doctor was bad .") for i in range(MAJORITY)]
    labels = [("good" if i % 2 else "bad") for i in range(MAJORITY)]
    return common + ["my sister was tired ."] * RARE, labels + ["good"] * RARE, ["many"] * MAJORITY + ["few"] * RARE


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Multiplies all weights: by NaN for a model that yields NaN, by 1 for one that does not change."""

    factor: float

    @property
    def label(self):
        return f"scaled {self.factor:g}"

    def apply(self, model, rng):
        with torch.no_grad():
            for parameter in model.module.parameters():
                parameter.mul_(self.factor)
        return {"factor": str(self.factor)}


@dataclass(frozen=True, kw_only=True)
class Fails:
    """Cannot be taken."""

    label = "fails"

    def apply(self, model, rng):
        raise RuntimeError("no kernel for this shape")
