"""What a model can do, as small protocols. A probe asks for a capability, never for a class.

All arrays are numpy float64 unless said otherwise; log-probabilities are natural logarithms (nats). Texts go in,
arrays come out in the order of the texts: batching, padding, device, dtype and truncation live in the adapter.
An adapter never drops a text silently: what it cuts or replaces, it counts in `notices`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@runtime_checkable
class Model(Protocol):
    """What every adapter has.

    Attributes:
        name: the spec it was loaded from ("minilm-mlm", a path, a hub id).
        notices: counts of everything that was not taken as given, e.g. {"texts truncated to 512 tokens": 3}.
    """

    name: str
    notices: Counter[str]

    def describe(self) -> dict[str, Any]:
        """JSON values: name, task, architecture, device, dtype, parameters, weights_sha256, context, revision."""
        ...

    def randomized(self, seed: int) -> Model:
        """The same architecture and vocabulary with freshly initialised weights: the null of a bias score."""
        ...


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Per-token log-probabilities of one text.

    Attributes:
        ids: (T,) the token ids that were scored.
        logprobs: (T,) log p of each, in nats.
        offsets: (T, 2) where each token stands in the text, in characters.
        cut: whether the text was longer than the model reads, so that its end is not among the tokens.
    """

    ids: Ints
    logprobs: Floats
    offsets: Ints
    cut: bool = False

    @property
    def total(self) -> float:
        """Sum over the tokens: the log-likelihood of the text."""
        return float(self.logprobs.sum())

    @property
    def mean(self) -> float:
        """Mean over the tokens; 0.0 for a text without tokens."""
        return float(self.logprobs.mean()) if len(self.logprobs) else 0.0


@runtime_checkable
class ScoresText(Protocol):
    """A causal language model: log p(token | everything before it)."""

    def token_logprobs(self, texts: Sequence[str]) -> list[TokenScores]:
        """Scores of every token that has a predecessor (the start token counts as one where the model has it)."""
        ...

    def next_token_logprobs(self, prefixes: Sequence[str], words: Sequence[str]) -> Floats:
        """(len(prefixes), len(words)): log p(word | prefix), a word being what follows the prefix after a space.

        A word of several tokens is scored to its last one; NaN where the two are longer than the model reads.
        """
        ...


@runtime_checkable
class ScoresBareText(Protocol):
    """A causal language model that can also read a text with nothing before it, not even its start token."""

    def bare_token_logprobs(self, texts: Sequence[str]) -> list[TokenScores]:
        """As `ScoresText.token_logprobs`, less the first token of each text, which has no predecessor."""
        ...


@dataclass(frozen=True, slots=True)
class TokenStatistics:
    """Per-token log-probabilities of one text, and what the model expected them to be.

    Attributes:
        ids: (T,) the token ids that were scored.
        logprobs: (T,) log p of each, in nats.
        means: (T,) mean of log p(z) over z drawn from the model's own distribution at that position.
        stds: (T,) standard deviation of the same.
    """

    ids: Ints
    logprobs: Floats
    means: Floats
    stds: Floats


@runtime_checkable
class PredictsTokens(Protocol):
    """A language model that gives out, in one reading of a text, all that likelihood attacks need.

    A causal model predicts a token from those before it, in one forward pass a text; a masked model from all others
    (pseudo-likelihood, Salazar et al. 2020), in as many forward passes as the text has tokens.
    """

    def token_statistics(self, texts: Sequence[str]) -> list[TokenStatistics]:
        """Statistics of every token that can be predicted; the same whatever else is in `texts`."""
        ...


class MaskQuery(NamedTuple):
    """One masked position of one sequence, and the token ids whose log-probability is wanted there.

    `ids` is the whole input, special tokens included, already holding the mask id wherever something is masked.
    """

    ids: tuple[int, ...]
    position: int
    targets: tuple[int, ...]


class Fill(NamedTuple):
    """One way to fill all the masks of a text: the words, the filled text, and its joint log-probability."""

    words: tuple[str, ...]
    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """One tokenised text.

    Attributes:
        ids: (T,) token ids with the special tokens.
        special: (T,) True at special tokens.
        word: (T,) index of the word that each token belongs to (`auditkit.models.words`); -1 at special tokens.
        offsets: (T, 2) where each token stands in the text, in characters; (0, 0) at special tokens.
        cut: whether the text was longer than the model reads, so that its end is not among the tokens.
    """

    ids: Ints
    special: npt.NDArray[np.bool_]
    word: Ints
    offsets: Ints
    cut: bool = False


@dataclass(frozen=True, slots=True)
class UnmaskedScores:
    """Scores of one text read without any mask, as AUL and AULA need them.

    Attributes:
        logprobs: (T,) log p(token | the whole text), special tokens excluded.
        attention: (T,) attention that each of these tokens receives, averaged over layers, heads and querying
            tokens; sums to at most 1.
    """

    logprobs: Floats
    attention: Floats


@runtime_checkable
class FillsMask(Protocol):
    """A masked language model.

    Attributes:
        mask_token: "[MASK]" or what the tokenizer calls it.
        lower_cases: whether the tokenizer lower-cases (an "uncased" model).
    """

    mask_token: str
    mask_id: int
    lower_cases: bool

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Token ids of each text, truncated (and counted) at the model's context.

        A mask written into a text stands where a word would, with the space that is part of such a word.
        """
        ...

    def masked_logprobs(self, queries: Sequence[MaskQuery]) -> list[Floats]:
        """For each query the log p of each of its targets at its position, shape (len(targets),)."""
        ...

    def unmasked_logprobs(self, texts: Sequence[str]) -> list[UnmaskedScores]:
        """Scores of every token with nothing masked."""
        ...

    def word_id(self, word: str) -> int | None:
        """The single vocabulary id of `word` as it appears inside a sentence; None where it takes several."""
        ...

    def fill(self, texts: Sequence[str], k: int = 5) -> list[list[Fill]]:
        """The k most probable joint fillings of each text, best first. Every text holds at least one mask."""
        ...


@runtime_checkable
class JudgesNextSentence(Protocol):
    """A model with a next-sentence head, as BERT was trained with (Devlin et al. 2019)."""

    def next_sentence_logprobs(self, contexts: Sequence[str], sentences: Sequence[str]) -> Floats:
        """(n,) log p(the sentence follows the context); NaN where the two are longer than the model reads."""
        ...


@runtime_checkable
class EmbedsText(Protocol):
    """A sentence encoder."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, d) unit vectors."""
        ...


@runtime_checkable
class EmbedsWords(Protocol):
    """Static word vectors."""

    def __contains__(self, word: str) -> bool:
        """Whether the vocabulary has `word`."""
        ...

    def vectors(self, words: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, d) vectors, not normalised. Raises VocabularyError naming every missing word."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """A text classifier; `labels` in the order of the columns."""

    labels: tuple[str, ...]

    def classify(self, texts: Sequence[str]) -> Floats:
        """(n, len(labels)) probabilities; rows sum to 1."""
        ...


@runtime_checkable
class Predicts(Protocol):
    """Decisions about people, already made: no model runs during the audit."""

    def predictions(self) -> pd.DataFrame:
        """One row a person: `label`, `prediction`, perhaps `score` and `id`, and the columns that say who they are."""
        ...


@runtime_checkable
class Generates(Protocol):
    """A model that writes: causal or sequence-to-sequence."""

    def generate(self, texts: Sequence[str], max_new_tokens: int = 64) -> list[str]:
        """The greedy continuation (causal) or output (seq2seq) of each text, without the prompt."""
        ...


@runtime_checkable
class HasModule(Protocol):
    """Gives out its torch module, for gradients, pruning and private training."""

    @property
    def module(self) -> Any:
        """The `torch.nn.Module` itself, not a copy."""
        ...
