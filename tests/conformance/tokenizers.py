"""Tokenizers of every kind, trained in memory on a few sentences; `KINDS[name](masked)` makes one.

Each has, of special tokens, what its kind has in the wild; `masked` ones have a mask too, as plain as their kind
allows: a mask that swallows the space before it only where the kind's own library makes it so.
"""

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizer, PreTrainedTokenizerFast

SENTENCES = (
    "The nurse said that she was tired.",
    "The doctor said that he was old, and she left.",
    "Yesterday he bought some bread; she bought milk.",
    "Women and men are good at work, her sister said.",
    "The engineer saw her. The teacher saw him.",
)
WORDS = [
    "the",
    "nurse",
    "said",
    "that",
    "she",
    "he",
    "was",
    "tired",
    "doctor",
    "and",
    "her",
    "his",
    "women",
    "men",
    "are",
]
CONTEXT = 64
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
NAMES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _fast(tokenizer, masked, names, **options):
    if masked:
        options = {"mask_token": "<mask>", **options}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=CONTEXT, **{**names, **options})


def _framed(tokenizer):
    start, end = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", start), ("</s>", end)]
    )


def word_piece(masked):
    """As BERT."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(SENTENCES * 3, trainers.WordPieceTrainer(vocab_size=150, special_tokens=names))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return _fast(tokenizer, masked, named, **({"mask_token": "[MASK]"} if masked else {}))


def _byte_bpe(masked, prefix, **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=NAMES, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    _framed(tokenizer)
    return _fast(tokenizer, masked, SPECIAL, **options)


def byte_bpe(masked):
    """As GPT-2: the space is part of the word after it, and the mask is a plain string."""
    return _byte_bpe(masked, prefix=False)


def byte_bpe_prefix(masked):
    """As a RoBERTa with `add_prefix_space`."""
    return _byte_bpe(masked, prefix=True)


def byte_bpe_roberta(masked):
    """As RoBERTa: the mask swallows the space before it, and offsets are without it."""
    mask = {"mask_token": AddedToken("<mask>", lstrip=True, special=True)} if masked else {}
    tokenizer = _byte_bpe(masked, prefix=False, **mask)
    inner = tokenizer.backend_tokenizer
    inner.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def unigram(masked):
    """As XLM-R: Metaspace."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=NAMES, unk_token="<unk>", show_progress=False, max_piece_length=8
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    _framed(tokenizer)
    return _fast(tokenizer, masked, SPECIAL)


def byte_fallback(masked):
    """As Llama 2: no pre-tokenizer, so that the whole text is one "word"; unknown characters become bytes."""
    names = [*NAMES, *(f"<0x{i:02X}>" for i in range(256))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=NAMES, show_progress=False, max_token_length=9)
    parts = [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Punctuation()]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)  # while training only
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.pre_tokenizer = None
    vocabulary, merges = _of_bpe(tokenizer)
    for name in names:
        vocabulary.setdefault(name, len(vocabulary))
    tokenizer.model = models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    _framed(tokenizer)
    return _fast(tokenizer, masked, SPECIAL)


def _of_bpe(tokenizer):
    import json

    model = json.loads(tokenizer.to_str())["model"]
    return dict(model["vocab"]), [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]


def whole_words(masked):
    """No pieces at all: a word is in the vocabulary or unknown."""
    names = {w: i for i, w in enumerate([*NAMES, *WORDS, ".", ","])}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    _framed(tokenizer)
    return _fast(tokenizer, masked, SPECIAL)


def no_special_tokens(masked):
    """Nothing is put around a text; there is no start, no end, no padding token."""
    tokenizer = _byte_bpe(masked, prefix=False)
    inner = tokenizer.backend_tokenizer
    inner.post_processor = processors.ByteLevel(trim_offsets=False)
    return _fast(inner, masked, {})


def characters(masked):
    """Each character a token; spaces too."""
    letters = sorted({c for s in SENTENCES for c in s})
    tokenizer = Tokenizer(models.WordLevel({c: i for i, c in enumerate([*NAMES, *letters])}, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    _framed(tokenizer)
    return _fast(tokenizer, masked, SPECIAL)


class PythonWords(PreTrainedTokenizer):
    """Words, and letters of unknown ones with `@@` before all but the last; lower case."""

    def __init__(self, vocabulary=None, **options):
        letters = [c + end for c in "abcdefghijklmnopqrstuvwxyz.,;é" for end in ("", "@@")]
        self.vocabulary = vocabulary or {w: i for i, w in enumerate([*NAMES, *WORDS, *letters])}
        self.words = {i: w for w, i in self.vocabulary.items()}
        super().__init__(**{**SPECIAL, **options})

    @property
    def vocab_size(self):
        return len(self.vocabulary)

    def get_vocab(self):
        return dict(self.vocabulary)

    def _tokenize(self, text, **_):
        out = []
        for word in text.lower().replace(".", " . ").replace(",", " , ").split():
            out += [word] if word in self.vocabulary else [*(f"{c}@@" for c in word[:-1]), word[-1]]
        return out

    def _convert_token_to_id(self, token):
        return self.vocabulary.get(token, self.vocabulary["<unk>"])

    def _convert_id_to_token(self, index):
        return self.words[index]

    def convert_tokens_to_string(self, tokens):
        return " ".join(tokens).replace("@@ ", "")

    def build_inputs_with_special_tokens(self, ids, other=None):
        return [self.bos_token_id, *ids, self.eos_token_id]


def python_only(masked):
    """A tokenizer in Python, which gives no offsets."""
    return PythonWords(model_max_length=CONTEXT, **({"mask_token": "<mask>"} if masked else {}))


def python_bytes(masked):
    """As ByT5, in Python: a token is a byte."""
    tokenizer = ByT5Tokenizer(model_max_length=CONTEXT, extra_ids=2)
    if masked:
        tokenizer.add_special_tokens({"mask_token": "<mask>"})
    return tokenizer


KINDS = {
    "WordPiece": word_piece,
    "byte BPE": byte_bpe,
    "byte BPE, prefix space": byte_bpe_prefix,
    "byte BPE, RoBERTa's mask": byte_bpe_roberta,
    "Metaspace Unigram": unigram,
    "byte fallback": byte_fallback,
    "whole words": whole_words,
    "characters": characters,
    "Python only": python_only,
    "Python bytes": python_bytes,
    "no special tokens": no_special_tokens,
}
