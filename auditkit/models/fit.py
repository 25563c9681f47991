"""Whether a checkpoint and the architecture that took it belong together, both ways.

A weight that the checkpoint lacks is random; a weight that nothing takes was part of what the checkpoint computes.
Only the heads of other tasks, which every library drops, may be left over; they are named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from auditkit.errors import ModelError

_HEAD = re.compile(
    r"^(?:\w+\.)?(pooler|classifier|pre_classifier|qa_outputs|qa_classifier|score|lm_head|cls\.\w+|head|vocab_transform"
    r"|vocab_layer_norm|vocab_projector|predictions|sop_classifier|discriminator_predictions|mask_predictions"
    r"|generator_predictions|generator_lm_head|classification_head|final_logits_bias)(?:\.|$)"
)
_CONSTANT = re.compile(r"(^|\.)(position_ids|token_type_ids|inv_freq|masked_bias|causal_mask)$")
_BLOCK = re.compile(r"^blk\.(\d+)\.")
SHOWN = 4


@contextmanager
def recorded() -> Iterator[list[tuple[Any, Any]]]:
    """Within it, every (module, loading info) that transformers makes of files, whichever library asks it to.

    Libraries built on it keep the loading info to themselves. Loading a second time to learn it would not do: their own
    files can change what is loaded (`config_args`, `model_args`), so that the second load is of another model.
    """
    from transformers import PreTrainedModel

    plain = PreTrainedModel.__dict__["from_pretrained"]
    loads: list[tuple[Any, Any]] = []

    def watched(cls: Any, /, *args: Any, output_loading_info: bool = False, **options: Any) -> Any:
        module, info = plain.__get__(None, cls)(*args, output_loading_info=True, **options)
        loads.append((module, info))
        return (module, info) if output_loading_info else module

    PreTrainedModel.from_pretrained = classmethod(watched)
    try:
        yield loads
    finally:
        PreTrainedModel.from_pretrained = plain


def refuse_gaps(module: Any, info: Any, name: str, *, filled: Collection[str] = ()) -> None:
    """Raise ModelError where a weight of the module is not in the checkpoint; tied ones are absent on purpose.

    Args:
        module: took the checkpoint.
        info: what the library says of it.
        name: what errors call the model.
        filled: weights that something else brings, such as a head that was trained with adapters.
    """
    tied = set(module.all_tied_weights_keys)
    missing = sorted(set(info["missing_keys"]) - tied - set(filled))
    wrong = sorted(str(k) for k in info["mismatched_keys"])
    if missing or wrong:
        raise ModelError(
            f"{name}: the checkpoint does not fill {len(missing) + len(wrong)} weights of {type(module).__name__} "
            f"({_some([*missing, *wrong])}); they would be random numbers. Choose the task the model was trained for"
        )


def refuse_unused(module: Any, unexpected: Iterable[str], name: str) -> Counter[str]:
    """Refuse weights that no parameter takes.

    Args:
        module: took the checkpoint.
        unexpected: what the library says was left over.
        name: what errors call the model.

    Returns:
        Notices about the heads of other tasks, which were left over too.

    Raises:
        ModelError: something else was; says what.
    """
    own = [key for key, _ in module.named_parameters()]
    left = [key for key in sorted(unexpected) if not _CONSTANT.search(key)]
    if unused := [key for key in left if not _head_of_another_task(key, own)]:
        raise ModelError(
            f"{name}: {len(unused)} weights of the checkpoint fit nowhere in {type(module).__name__} "
            f"({_some(unused)}); expected the configuration and the task that these weights were trained with"
        )
    heads = sorted({_matched(key) for key in left})
    return Counter({f"weights not used, of another task's head: {', '.join(heads)}": len(left)} if left else {})


def refuse_tokens_without_rows(module: Any, tokenizer: Any, name: str) -> None:
    """Refuse a tokenizer that writes ids for which the model has no embedding, or no score.

    Args:
        module: a model of transformers.
        tokenizer: its tokenizer.
        name: what errors call the model.

    Raises:
        ModelError: says which tokens have none.
    """
    rows = _rows_of_tokens(module)
    if rows is None:
        return
    vocabulary = {**tokenizer.get_vocab(), **tokenizer.get_added_vocab()}
    if beyond := sorted((i, str(token)) for token, i in vocabulary.items() if i >= rows):
        raise ModelError(
            f"{name}: the tokenizer writes ids up to {beyond[-1][0]}, but the model has {rows} rows of embeddings; "
            f"{len(beyond)} tokens have none ({_some([token for _, token in beyond])}). Give the tokenizer that the "
            "model was trained with, or resize the model's embeddings and train those of the added tokens"
        )


def _rows_of_tokens(module: Any) -> int | None:
    """How many tokens have a row in the table of embeddings, and in the output's; None where there are no tables.

    An encoder-decoder's two sides may have vocabularies of their own: only what it reads is asked there.
    """
    try:
        tables = [module.get_input_embeddings()]
        tables += [] if getattr(module.config, "is_encoder_decoder", False) else [module.get_output_embeddings()]
    except (AttributeError, NotImplementedError, KeyError):
        return None
    counts = [int(t.weight.shape[0]) for t in tables if len(getattr(getattr(t, "weight", None), "shape", ())) == 2]
    return min(counts, default=None)


def refuse_unused_blocks(tensors: Iterable[str], layers: int, name: str) -> None:
    """Refuse a GGUF file with more blocks than its metadata say; the library would drop them without a word.

    Raises:
        ModelError: says how many of each.
    """
    blocks = {int(found[1]) for found in map(_BLOCK.match, tensors) if found}
    if blocks and max(blocks) >= layers:
        raise ModelError(
            f"{name}: the file holds {max(blocks) + 1} blocks, but its metadata say {layers}; expected as many: "
            "convert the model again"
        )


def _head_of_another_task(key: str, own: Collection[str]) -> bool:
    """Not where the module has a head of this name itself: then a part of it found no place."""
    head = _matched(key)
    return bool(head) and not any(_matched(parameter) == head for parameter in own)


def _matched(key: str) -> str:
    found = _HEAD.match(key)
    return found[1] if found else ""


def _some(keys: Collection[str]) -> str:
    return ", ".join([*list(keys)[:SHOWN], *["..."] * (len(keys) > SHOWN)])
