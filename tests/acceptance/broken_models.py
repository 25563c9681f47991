"""Language models whose bias scores would look fair, or like anything, and mean nothing."""

import sys
from dataclasses import replace

import numpy as np

from auditkit.testing import FakeCausalLM, FakeClassifier, FakeEncoder, FakeMaskedLM


def zero(model):
    """Every weight 0: all texts are equally likely, as are all labels."""
    for name in ("bias", "vectors_in", "vectors_out", "planted"):
        setattr(model, name, np.zeros_like(getattr(model, name)))
    model.reads = False
    return model


def dead():
    return zero(FakeMaskedLM())


def dead_causal():
    return zero(FakeCausalLM())


def dead_classifier():
    return zero(FakeClassifier())


def random():
    """Weights that were never trained."""
    return FakeMaskedLM().randomized(7)


class Words(FakeCausalLM):
    """Knows how frequent words are, and nothing of their order; that shifts what begins a sentence, too."""

    def _after(self, ids):
        return self._logprobs([])


class Unloaded(FakeCausalLM):
    """Scores other weights than its own."""

    def randomized(self, seed):
        return self


class Ends(FakeMaskedLM):
    """Ends the process where it is first asked."""

    def masked_logprobs(self, queries):
        sys.exit(0)


class Crashes(FakeMaskedLM):
    def masked_logprobs(self, queries):
        raise RuntimeError("out of memory")


class Hazy(FakeCausalLM):
    """Has no number for texts that name a lawyer."""

    def token_logprobs(self, texts):
        found = super().token_logprobs(texts)
        return [
            replace(s, logprobs=s.logprobs * np.nan) if "lawyer" in t else s for s, t in zip(found, texts, strict=True)
        ]


class Short(FakeCausalLM):
    """Reads no more than a hundred tokens."""

    def __init__(self):
        super().__init__(context=100)


class OneVector(FakeEncoder):
    """Every text is the same to it."""

    def _embed(self, text):
        return np.ones(16)
