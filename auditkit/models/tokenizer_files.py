"""Whether a model's folder brings the vocabulary of its tokenizer.

Where it is absent, transformers makes a tokenizer of the special tokens alone, and every word is unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditkit.errors import ModelError

VOCABULARIES = (
    *("tokenizer.json", "vocab*", "*.model", "*.spm", "*.tiktoken", "tekken.json", "merges.txt", "*.bpe"),
    *("dict*.txt", "bpe.codes", "*.vocab"),
)
SETTINGS = "tokenizer_config.json"


def read(folder: Path, name: str) -> Any:
    """The tokenizer in `folder`.

    Raises:
        ModelError: there is none, or one without a vocabulary.
    """
    from transformers import AutoTokenizer

    if not has_vocabulary(folder) and not (folder / SETTINGS).exists():
        raise ModelError(f"cannot load {name}: {_absent()}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError) as e:
        if has_vocabulary(folder):
            raise
        raise ModelError(f"cannot load {name}: {_absent()}") from e
    refuse_without_vocabulary(tokenizer, folder, name)
    return tokenizer


def refuse_without_vocabulary(tokenizer: Any, folder: Path, name: str) -> None:
    """Refuse a tokenizer whose class reads its vocabulary from files, in a folder without any.

    Raises:
        ModelError: there is none.
    """
    if getattr(tokenizer, "vocab_files_names", None) and not has_vocabulary(folder):
        raise ModelError(f"cannot load {name}: {_absent()}")


def has_vocabulary(folder: Path) -> bool:
    """Whether a file lies there from which a tokenizer reads its vocabulary."""
    return any(True for pattern in VOCABULARIES for _ in folder.glob(pattern))


def _absent() -> str:
    return (
        "its tokenizer is missing: no tokenizer.json and no vocabulary (vocab.txt, *.model, ...) beside config.json; "
        "save it there: `AutoTokenizer.from_pretrained(original).save_pretrained(folder)`"
    )
