"""One tiny model of each kind and architecture whose predictions differ from token to token, with texts to read."""

import functools

import pytest
import torch
import transformers

from auditkit.models.causal_lm import CausalLM
from auditkit.models.masked_lm import MaskedLM
from tests.models.conftest import CAUSAL, CONTEXT, MASKED, build, byte_tokenizer, word_piece_tokenizer
from tests.privacy import tiny_models

ADAPTERS = {
    "char-gpt": lambda: tiny_models.char_gpt(layers=2),
    "causal": tiny_models.gpt2,
    "masked": functools.partial(tiny_models.masked_bert, num_hidden_layers=2),
    "classifier": tiny_models.classifier,
    "sentence-encoder": tiny_models.sentence_encoder,
    "seq2seq": tiny_models.t5,
}
"""By kind of adapter."""
TEXTS = [*tiny_models.TEXTS[:6], "women and men are good at work .", "the doctor"]


def tiny(kind):
    """A tiny adapter of this kind whose weights no other seed gives."""
    return ADAPTERS[kind]().randomized(7)


def architecture(name, **options):
    """A masked or causal model by the name of its architecture (`MASKED`, `CAUSAL` of the models' tests)."""
    if name in MASKED:
        config_class, defaults = MASKED[name]
        tokenizer = word_piece_tokenizer()
        config = config_class(**{"max_position_embeddings": CONTEXT, **defaults, **options}, vocab_size=len(tokenizer))
        return MaskedLM(build(transformers.AutoModelForMaskedLM, config), tokenizer, name=name)
    config_class, defaults = CAUSAL[name]
    tokenizer = byte_tokenizer()
    ids = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = config_class(**{**defaults, **options}, **ids)
    return CausalLM(build(transformers.AutoModelForCausalLM, config), tokenizer, name=name)


def state(model):
    """Copies of everything that is saved, by name."""
    return {name: t.detach().clone() for name, t in model.module.state_dict().items()}


def same_bytes(a, b):
    """Whether two states are equal bit for bit: -0.0 is not 0.0, NaN is itself."""

    def raw(t):
        return t.contiguous().flatten().view(torch.uint8)

    return a.keys() == b.keys() and all(
        a[n].dtype == b[n].dtype and a[n].shape == b[n].shape and torch.equal(raw(a[n]), raw(b[n])) for n in a
    )


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    return tiny(request.param)
