"""Causal language models (GPT-2, Llama, ..., GGUF files): log p(token | prefix) and generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from auditkit.errors import ModelError
from auditkit.models.base import HFModel
from auditkit.models.batching import evaluating, pad
from auditkit.models.narrow import rows_only
from auditkit.models.padding import Company, near
from auditkit.models.prefix_tree import PrefixTree, grow
from auditkit.models.protocols import Floats, Ints, TokenScores, TokenStatistics
from auditkit.models.token_statistics import as_token_statistics, statistics
from auditkit.models.tokens import rehearse

TREE_LIMIT = 96  # nodes; attention over a tree is quadratic in them
TREE_TOLERANCE = 1e-3  # nats

Measure = Callable[[torch.Tensor, torch.Tensor], Floats]
"""(n, V) logits and the (n,) tokens that really followed -> (n, k) numbers, the first of them log p of the token."""


class CausalLM(HFModel):
    """Adapter over a `...ForCausalLM`; implements ScoresText, Generates and HasModule."""

    task = "causal-lm"
    tried: ClassVar = (*HFModel.tried, "_reads_trees")
    # The vocabulary projection of one batch is this many rows of up to 150,000 numbers.
    tokens_per_batch: ClassVar = {"cpu": 512, "accelerator": 8192}

    def __init__(self, module: Any, tokenizer: Any, *, name: str, revision: str | None = None) -> None:
        super().__init__(module, tokenizer, name=name, revision=revision)
        rehearse(tokenizer, name)

    def token_logprobs(self, texts: Sequence[str]) -> list[TokenScores]:
        """Scores of every token that has a predecessor; common beginnings are read once.

        A start token is put in front where the tokenizer has one, so that the first token of the text counts too;
        without one it has no predecessor and is left out.
        """
        return self._scores(*self._encode(texts))

    def bare_token_logprobs(self, texts: Sequence[str]) -> list[TokenScores]:
        """As `token_logprobs`, but without the start token: the first token of a text is never scored."""
        return self._scores(*self._framed(texts, []))

    def _scores(self, ids: Sequence[Ints], offsets: Sequence[Ints], cut: Sequence[bool]) -> list[TokenScores]:
        logprobs = self._score(ids, TREE_LIMIT if self._reads_trees else 0)
        rows = zip(ids, logprobs, offsets, cut, strict=True)
        return [TokenScores(i[1:], lp[:, 0], o[1:], c) for i, lp, o, c in rows]

    def token_statistics(self, texts: Sequence[str]) -> list[TokenStatistics]:
        """Of the tokens that `token_logprobs` scores, also the mean and deviation of log p, in the same pass."""
        ids, *_ = self._encode(texts)
        tables = self._score(ids, TREE_LIMIT if self._reads_trees else 0, statistics)
        return [as_token_statistics(i[1:], table) for i, table in zip(ids, tables, strict=True)]

    def next_token_logprobs(self, prefixes: Sequence[str], words: Sequence[str]) -> Floats:
        """(prefixes, words): log p of " word" after the prefix, summed over the word's tokens; NaN where cut."""
        scores = self.token_logprobs([f"{prefix} {word}" for prefix in prefixes for word in words])
        starts = np.repeat([len(prefix) for prefix in prefixes], len(words))
        # A token belongs to the word if it ends after the prefix, whether or not it holds the space itself.
        own = [s.logprobs[s.offsets[:, 1] > start] for s, start in zip(scores, starts, strict=True)]
        sums = [np.nan if s.cut else o.sum() for s, o in zip(scores, own, strict=True)]
        return np.array(sums, dtype=np.float64).reshape(len(prefixes), len(words))

    def _encode(self, texts: Sequence[str], reserve: int = 0) -> tuple[list[Ints], list[Ints], list[bool]]:
        """Ids and character offsets, each starting with the start token if there is one, and which texts were cut.

        `reserve` tokens stay free.
        """
        start = self.tokenizer.bos_token_id
        head = [] if start is None else [start]
        if not head and texts:
            self.notices["texts scored without their first token (the tokenizer has no start token)"] += len(texts)
        return self._framed(texts, head, reserve)

    def _framed(
        self, texts: Sequence[str], head: list[int], reserve: int = 0
    ) -> tuple[list[Ints], list[Ints], list[bool]]:
        """As `_encode`, with the tokens `head` in front."""
        options = {"return_offsets_mapping": True, "add_special_tokens": False}
        encoded = self.tokenize(texts, reserve=len(head) + reserve, **options)
        ids = [np.array(head + list(row), dtype=np.int64) for row in encoded["input_ids"]]
        offsets = [
            np.array([(0, 0)] * len(head) + list(row), dtype=np.int64).reshape(-1, 2)
            for row in encoded["offset_mapping"]
        ]
        return ids, offsets, encoded["cut"]

    def _score(self, texts: Sequence[Ints], tree_limit: int, measure: Measure | None = None) -> list[Floats]:
        """(T-1, k) of every token but the first, for each text; only log p where there is no `measure`.

        `tree_limit` 0: every text on its own.
        """
        # The last token of a text is only predicted, never read.
        trees = grow([ids[:-1] for ids in texts], tree_limit)
        out: list[Floats] = [np.zeros((0, 3))] * len(texts)
        # Apart: the mask of a tree would replace the sliding window that a long text in the same batch needs.
        for branching in (True, False):
            of_a_kind = [t for t in trees if (len(t.paths) > 1) == branching and t.ids]
            self._score_trees(of_a_kind, texts, measure or _log_probability, out)
        return out

    @torch.inference_mode()
    def _score_trees(
        self, trees: Sequence[PrefixTree], texts: Sequence[Ints], measure: Measure, out: list[Floats]
    ) -> None:
        """Fill `out` for the texts of these trees, which all branch or all do not."""

        def forward(rows: Ints) -> None:
            batch = [trees[r] for r in rows]
            # One vocabulary row per predicted token: (tree, token before it) -> log p of the token.
            edges = [(b, node, token) for b, tree in enumerate(batch) for node, token in _predicted(tree, texts)]
            row, before, token = torch.tensor(edges, device=self.device).T
            inputs = self._tree_inputs(batch) if len(batch[0].paths) > 1 else self.padded([t.ids for t in batch])
            with rows_only(self.module, row, before):
                logits = self.module(**inputs, use_cache=False).logits[0]
            _hand_out(batch, measure(logits, token), out)

        self._batches.run([len(t.ids) for t in trees], forward)

    def _tree_inputs(self, batch: Sequence[PrefixTree]) -> dict[str, torch.Tensor]:
        """Ids, depths as positions, and the additive mask (B, 1, N, N) that lets a token see its ancestors only."""
        ids = pad([t.ids for t in batch], 0)
        width = ids.shape[1]
        seen = torch.eye(width, dtype=torch.bool).repeat(len(batch), 1, 1)  # padding sees itself: no empty softmax
        for b, tree in enumerate(batch):
            seen[b, : len(tree.ids), : len(tree.ids)] = torch.from_numpy(tree.ancestors())
        lowest = torch.finfo(self.module.dtype).min
        mask = torch.zeros(seen.shape, dtype=self.module.dtype).masked_fill_(~seen, lowest)
        return {
            "input_ids": ids.to(self.device),
            "position_ids": pad([t.depth for t in batch], 0).to(self.device),
            "attention_mask": mask[:, None].to(self.device),
        }

    @cached_property
    def _company(self) -> Company:
        """As of every adapter, once it is known that the module does not see what it predicts."""
        company, row = super()._company, self._trial_rows[-1]
        with torch.inference_mode(), evaluating(self.module, self.notices):
            [before], [after] = self._read([row]), self._read([[*row[:-1], row[0]]])
        # What is not a number shows nothing here; whoever asks for scores is told.
        if torch.isfinite(before).all() and not near(after[:-1], before[:-1]):
            raise ModelError(
                f"{self.name}: another last token changes what the module says at the first ones: it sees the tokens "
                "that it would be scored on. Expected a left-to-right model; for this one say task: masked-lm, or "
                "`is_decoder: true` in its config.json if it was trained to write"
            )
        return company

    @cached_property
    def _reads_trees(self) -> bool:
        """Whether this architecture honours a tree mask, found by trying: ALiBi, recurrent, narrow-window ones do not.

        The trial is made of ids, not words, so that it branches whatever the tokenizer makes of a word.
        """
        long = np.arange(min(self.context, TREE_LIMIT - 16)) % self.vocabulary
        texts = [long, np.append(long[:3], long[3:16][::-1])]
        try:
            tree = np.concatenate(self._score(texts, TREE_LIMIT))
        except (TypeError, ValueError, RuntimeError, IndexError):
            return False
        return bool(np.abs(tree - np.concatenate(self._score(texts, 0))).max() < TREE_TOLERANCE)

    def _options(self, rows: int) -> dict[str, Any]:
        return {"use_cache": False}

    @torch.inference_mode()
    def generate(self, texts: Sequence[str], max_new_tokens: int = 64) -> list[str]:
        """Greedy continuations, without the prompt, which is cut (and counted) where they would find no room."""
        max_new_tokens = min(max_new_tokens, self.context // 2)
        ids, *_ = self._encode(texts, reserve=max_new_tokens)
        out = [""] * len(texts)
        filler = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id

        def forward(rows: Ints) -> None:
            # Rows of one length only: left padding would shift positions in some architectures.
            for length in sorted({len(ids[r]) for r in rows}):
                same = [r for r in rows if len(ids[r]) == length]
                prompt = torch.tensor(np.stack([ids[r] for r in same]), device=self.device)
                written = self.module.generate(
                    prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=max_new_tokens, do_sample=False,
                    pad_token_id=filler,
                )  # fmt: skip
                for r, row in zip(same, written[:, length:].tolist(), strict=True):
                    out[r] = self._written(row)

        self._batches.run([len(i) + max_new_tokens for i in ids], forward)
        return out


def _predicted(tree: PrefixTree, texts: Sequence[Ints]) -> list[tuple[int, int]]:
    """(node before, token) of every predicted token: those in the tree in node order, then each text's last."""
    inside = [(parent, token) for parent, token in zip(tree.parent, tree.ids, strict=True) if parent >= 0]
    last = [(path[-1], int(texts[text][-1])) for path, text in zip(tree.paths, tree.texts, strict=True) if path]
    return inside + last


def _log_probability(logits: torch.Tensor, tokens: torch.Tensor) -> Floats:
    """(n, 1) log p of the tokens."""
    precise = logits.float()
    return (precise.gather(1, tokens[:, None]) - precise.logsumexp(-1, keepdim=True)).cpu().double().numpy()


def _hand_out(batch: Sequence[PrefixTree], chosen: Floats, out: list[Floats]) -> None:
    """Spread the (n, k) numbers, in the order of `_predicted`, over the texts whose path crosses them."""
    start = 0
    for tree in batch:
        inside = np.array(tree.parent) >= 0
        of_node = np.zeros((len(tree.ids), chosen.shape[1]))
        of_node[inside] = chosen[start : start + int(inside.sum())]
        start += int(inside.sum())
        for path, text in zip(tree.paths, tree.texts, strict=True):
            if path:
                out[text] = np.append(of_node[path[1:]], chosen[start : start + 1], axis=0)
                start += 1
