"""The char-GPT as an audited model: its capabilities, and its files on disk."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from auditkit.errors import DataError, MissingCapability, ModelError, VocabularyError
from auditkit.models.batching import Batcher, evaluating, pad
from auditkit.models.before_loading import refuse_absurd
from auditkit.models.char_tokenizer import CharTokenizer
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.models.identity import identity, sha256
from auditkit.models.protocols import Floats, Ints, TokenScores, TokenStatistics
from auditkit.models.saving import refuse_reshaped
from auditkit.models.token_statistics import as_token_statistics, statistics
from auditkit.models.weights import parameter_count, pick_device, pick_dtype, weights_sha256
from auditkit.progress import advance
from auditkit.report import write_atomically

FORMAT = 1


class CharModel:
    """A char-GPT of any configuration: it gives out its module, and is saved and loaded.

    A causal one is a `CharGPT`, which also scores and writes text. Without a causal mask, the "probability" of a
    character is computed from a text that already holds it, so such a model offers no scores at all.

    Attributes:
        name: the spec it was loaded from.
        notices: what was not taken as given, counted.
        tokenizer: characters to ids and back.
    """

    task = "char-gpt"

    def __init__(self, module: CharTransformer, *, name: str = "char-gpt") -> None:
        self._module = module.eval()
        self.name = name
        self.notices: Counter[str] = Counter()
        self.config: CharGPTConfig = module.config
        self.tokenizer = CharTokenizer(self.config.vocabulary)

    @property
    def module(self) -> CharTransformer:
        """The network itself, not a copy."""
        return self._module

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self._module.parameters()).device

    def describe(self) -> dict[str, Any]:
        """See `Model.describe`; `config` holds the whole configuration but the vocabulary."""
        config = asdict(self.config)
        vocabulary, weights = config.pop("vocabulary"), weights_sha256(self._module)
        return {
            "name": self.name,
            "task": self.task,
            "architecture": "char-GPT",
            "device": str(self.device),
            "dtype": str(next(self._module.parameters()).dtype).removeprefix("torch."),
            "parameters": parameter_count(self._module),
            "weights_sha256": weights,
            "context": self.config.context,
            "revision": None,
            "vocabulary": len(vocabulary),
            "config": config,
            **identity(weights, tokenizer=sha256(vocabulary), config=sha256(config)),
        }

    def randomized(self, seed: int) -> Self:
        """The same architecture and vocabulary, freshly initialised."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = type(self._module)(self.config)
        module = module.to(self.device, next(self._module.parameters()).dtype)
        return type(self)(module, name=f"{self.name} (random weights, seed {seed})")

    def save(self, folder: str | Path, *, half: bool = False) -> Path:
        """Write `model.safetensors` and `config.json`; `half` stores float16, which halves the file and rounds.

        Raises:
            ModelError: the configuration does not build this network.
            ReportError: the files cannot be written (disk full, no permission).
        """
        from safetensors.torch import save

        refuse_reshaped(self._module, lambda: CharTransformer(self.config))
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.detach().cpu().contiguous() for k, v in self._module.state_dict().items()}
        weights = save({k: v.half() for k, v in state.items()} if half else state)
        header = {"format": FORMAT, "weights_file_sha256": hashlib.sha256(weights).hexdigest()}
        text = json.dumps(header | asdict(self.config), indent=1)
        write_atomically(folder / "model.safetensors", weights)
        write_atomically(folder / "config.json", f"{text}\n".encode())
        return folder

    @classmethod
    def load(
        cls, folder: str | Path, *, name: str | None = None, device: str = "auto", dtype: str = "auto"
    ) -> CharModel:
        """Read what `save` wrote: a `CharGPT` where the configuration is causal, else a plain `CharModel`.

        Raises:
            ModelError: a file is missing or damaged, or the weights do not fit the configuration.
        """
        folder = Path(folder)
        config, sha256 = _read_config(folder / "config.json")
        _refuse_absurd(config, folder / "model.safetensors")
        module = CharTransformer(config)
        _read_weights(module, folder / "model.safetensors", sha256)
        where = pick_device(device)
        return wrap(module.to(where, pick_dtype(dtype, where)), name=name or str(folder))


class CharGPT(CharModel):
    """A causal char-GPT: scores text and writes it. Capabilities: ScoresText, Generates, HasModule.

    Args:
        module: the network.
        name: how it is called in reports.
        batch_tokens: how many characters, padding included, go through the network at once; changes no result.

    Raises:
        MissingCapability: the module has no causal mask.
    """

    def __init__(self, module: CharTransformer, *, name: str = "char-gpt", batch_tokens: int = 8192) -> None:
        if not module.config.causal:
            raise MissingCapability(
                f"{name} has no causal mask: each position sees the characters that it would be scored on. "
                "Use CharModel for it, or train a causal configuration"
            )
        super().__init__(module, name=name)
        self._batcher = Batcher(batch_tokens, self.notices, module)

    def token_logprobs(self, texts: Sequence[str]) -> list[TokenScores]:
        """Log-probability of every character given those before it; see `ScoresText`.

        A text is cut to the context, and a character outside the vocabulary is scored as the tokenizer's fallback;
        both are counted in `notices`. Without a newline in the vocabulary the first character is not scored.
        """
        sequences, start = self._sequences(texts), len(self.tokenizer.start)
        scores: list[TokenScores] = [_score([], np.empty((0, 1)), 0)] * len(texts)

        def take(i: int, logp: Floats) -> None:
            scores[i] = _score(sequences[i][1:], logp, 1 - start, cut=len(texts[i]) > self.config.context)

        self._distributions([s[:-1] for s in sequences], take)
        return scores

    def token_statistics(self, texts: Sequence[str]) -> list[TokenStatistics]:
        """Of the characters that `token_logprobs` scores, also the mean and deviation of log p, in the same pass."""
        sequences = self._sequences(texts)
        found: list[TokenStatistics] = [as_token_statistics([], np.zeros((0, 3)))] * len(texts)

        def take(i: int, logp: Floats) -> None:
            targets = sequences[i][1:]
            found[i] = as_token_statistics(targets, statistics(torch.from_numpy(logp), torch.tensor(targets)))

        self._distributions([s[:-1] for s in sequences], take)
        return found

    def next_token_logprobs(self, prefixes: Sequence[str], words: Sequence[str]) -> Floats:
        """(len(prefixes), len(words)): log p(word | prefix), the space before the word and its end included.

        The end is the probability that no letter or digit follows: without it "he" would also count "her" and
        "heaven". All words see the same characters of a prefix; a prefix cut to fit the context is counted.

        Raises:
            VocabularyError: a word has characters outside the vocabulary, or does not fit into the context.
            DataError: an empty prefix, where the vocabulary has no newline to start from.
        """
        self._refuse_unwritable(words)
        room = self.config.context - 1 - max(map(len, words), default=0)
        inputs, tails = [], []
        for prefix in prefixes:
            head, space = self._head(prefix, room), " " if prefix.strip(" ") else ""
            tails += [self.tokenizer.encode(space + word)[0] for word in words]
            inputs += [head + tail for tail in tails[-len(words) :]]
        ends = [i for i, symbol in enumerate(self.tokenizer.vocabulary) if not symbol.isalnum()]
        out = np.empty(len(inputs))

        def take(i: int, logp: Floats) -> None:
            word = logp[-len(tails[i]) - 1 : -1]
            out[i] = word[np.arange(len(word)), tails[i]].sum() + np.logaddexp.reduce(logp[-1, ends])

        self._distributions(inputs, take)
        return out.reshape(len(prefixes), len(words))

    @torch.inference_mode()
    def generate(self, texts: Sequence[str], max_new_tokens: int = 64) -> list[str]:
        """The `max_new_tokens` most probable next characters of each text, chosen one at a time (greedy).

        The model reads the last `context` characters of what is there so far.
        """
        out = []
        for done, text in enumerate(texts, start=1):
            ids = self.tokenizer.start + self._encode(text)
            if not ids:
                raise DataError("cannot continue an empty text: the vocabulary has no newline to start from")
            written = len(ids)
            for _ in range(max_new_tokens):
                window = torch.tensor([ids[-self.config.context :]], device=self.device)
                with evaluating(self._module, self.notices):
                    ids.append(int(self._module(window)[0, -1].argmax()))
            out.append(self.tokenizer.decode(ids[written:]))
            advance(done, len(texts))
        return out

    def _sequences(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, cut (and counted) at the context, behind the start."""
        context = self.config.context
        too_long = sum(len(text) > context for text in texts)
        if too_long:
            self.notices[f"texts truncated to {context} characters"] += too_long
        return [self.tokenizer.start + self._encode(text[:context]) for text in texts]

    def _encode(self, text: str) -> list[int]:
        ids, replaced = self.tokenizer.encode(text)
        if replaced:
            self.notices[f"characters outside the vocabulary read as {self.tokenizer.fallback!r}"] += replaced
        return ids

    def _head(self, prefix: str, room: int) -> list[int]:
        """The ids of the last `room` characters before a word, the start included."""
        ids = self.tokenizer.start + self._encode(prefix.rstrip(" "))
        if not ids:
            raise DataError(
                "empty prefix, and the vocabulary has no newline to start from; give at least one character"
            )
        if len(ids) > room:
            self.notices["prefixes cut at their beginning to fit the context"] += 1
        return ids[-room:]

    def _refuse_unwritable(self, words: Sequence[str]) -> None:
        missing = [w for w in words if not w or any(c not in self.tokenizer for c in f" {w}")]
        if missing:
            raise VocabularyError(
                f"{self.name} cannot write {', '.join(map(repr, missing))}: a word must be non-empty, and the "
                "vocabulary hold a space and all its characters; choose other words or a model trained on such text"
            )
        long = [w for w in words if len(w) > self.config.context - 2]
        if long:
            raise VocabularyError(
                f"{', '.join(map(repr, long))}: longer than the context of {self.config.context} allows"
            )

    def _distributions(self, inputs: Sequence[list[int]], take: Callable[[int, Floats], None]) -> None:
        """Call `take(i, logp)` for each non-empty inputs[i]: (T, V) log-probabilities of what follows each of its ids.

        Padding stands on the right, where a causal model does not look.
        """

        @torch.inference_mode()
        def forward(rows: Ints) -> None:
            batch = [inputs[i] for i in rows if inputs[i]]
            if not batch:
                return
            logits = _precise_logits(self._module, pad(batch, 0).to(self.device))
            logp = torch.log_softmax(logits.cpu().double(), dim=-1).numpy()
            for row, i in enumerate(rows[: len(batch)]):  # longest first, so empty inputs are at the end
                take(int(i), logp[row, : len(inputs[i])])

        self._batcher.run([len(x) for x in inputs], forward)


def wrap(module: CharTransformer, *, name: str = "char-gpt") -> CharModel:
    """The adapter with all the capabilities that this module really has."""
    return (CharGPT if module.config.causal else CharModel)(module, name=name)


def _precise_logits(module: CharTransformer, ids: torch.Tensor) -> torch.Tensor:
    """The logits computed in float64 from float32 weights, so that the company a text is batched with cannot show.

    In float32 it moves a log-probability by up to 4e-6. Half-precision and quantised weights, and devices without
    float64 (MPS), compute in their own format.
    """
    state = module.state_dict(keep_vars=True)  # a quantised tensor of torchao cannot be detached in inference mode
    if ids.device.type == "mps" or not all(_is_float32(value) for value in state.values()):
        return module(ids)
    return torch.func.functional_call(module, {name: t.double() for name, t in state.items()}, (ids,))


def _is_float32(value: Any) -> bool:
    """Whether it is a tensor of floats and nothing else; one of torchao's calls itself float32 and holds integers."""
    return type(value) in (torch.Tensor, torch.nn.Parameter) and value.dtype == torch.float32


def _score(targets: list[int], logp: Floats, first: int, *, cut: bool = False) -> TokenScores:
    """Pick the targets' log-probabilities out of (T, V); the first target is character `first` of the text."""
    where = np.arange(len(targets))
    return TokenScores(
        ids=np.array(targets, dtype=np.int64),
        logprobs=logp[where, targets] if targets else np.empty(0),
        offsets=np.stack([where + first, where + first + 1], axis=1),
        cut=cut,
    )


def _read_config(path: Path) -> tuple[CharGPTConfig, str]:
    """The configuration, and the sha256 that the weights file must have."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ModelError(f"{path}: another format than {FORMAT}, the one that this version reads and writes")
        sha256 = data.pop("weights_file_sha256")
        return CharGPTConfig(**data), sha256
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise ModelError(
            f"{path} is not a char-GPT's configuration ({type(e).__name__}: {e}); save the model again"
        ) from e


def _refuse_absurd(config: CharGPTConfig, weights: Path) -> None:
    """Before anything is allocated: the blocks, the symbols and the positions alone, against the size of the file."""
    blocks = config.layers * config.hidden**2 * (4 + 2 * config.ff_multiple)
    rest = config.hidden * (2 * len(config.vocabulary) + config.context * config.positions)
    size = weights.stat().st_size if weights.is_file() else 0
    refuse_absurd(blocks + rest, size or None, str(weights.parent))


def _read_weights(module: CharTransformer, path: Path, sha256: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    try:
        content = path.read_bytes()
    except OSError as e:
        raise ModelError(f"cannot read the weights {path}: {e.strerror or e}") from e
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(
            f"{path} is damaged: its sha256 is not the one in config.json; restore it, or save the model again"
        )
    try:
        module.load_state_dict(parse(content))
    except (SafetensorError, RuntimeError) as e:
        raise ModelError(f"{path} does not fit its config.json: {str(e).splitlines()[0]}; save the model again") from e
