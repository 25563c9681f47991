"""Masked language models (BERT, RoBERTa, ...): log-probabilities at masked positions, and fillings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy as np
import torch

from auditkit.errors import InputError, ModelError
from auditkit.models.base import HFModel, eager_attention
from auditkit.models.batching import pad
from auditkit.models.narrow import one_position
from auditkit.models.protocols import Encoded, Fill, Floats, Ints, MaskQuery, TokenStatistics, UnmaskedScores
from auditkit.models.token_statistics import as_token_statistics, statistics

Slot = tuple[tuple[int, ...], int]
"""Input ids, and the position in them that is asked for."""

Hypothesis = tuple[tuple[int, ...], tuple[int, ...], float]
"""Input ids with the masks filled so far, the ids filled in, and their joint log-probability."""


class MaskedLM(HFModel):
    """Adapter over a `...ForMaskedLM`; implements FillsMask and HasModule."""

    task = "masked-lm"
    tokens_per_batch: ClassVar = {"cpu": 2048, "accelerator": 32_768}

    def __init__(self, module: Any, tokenizer: Any, *, name: str, revision: str | None = None) -> None:
        super().__init__(module, tokenizer, name=name, revision=revision)
        if tokenizer.mask_token_id is None:
            raise ModelError(
                f"{name}: the tokenizer has no mask token; expected a masked language model, or task: causal-lm"
            )
        self.mask_token: str = tokenizer.mask_token
        self.mask_id: int = tokenizer.mask_token_id

    @cached_property
    def lower_cases(self) -> bool:
        """Found by asking the tokenizer, since not every one declares it."""
        return bool(self.tokenizer.tokenize("Hello") == self.tokenizer.tokenize("hello"))

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Token ids of each text, cut (and counted) at the model's context."""
        encoded = self.tokenize(texts, return_special_tokens_mask=True, return_offsets_mapping=True)
        out = []
        for i, ids in enumerate(encoded["input_ids"]):
            words = [-1 if w is None else w for w in encoded.word_ids(i)]
            # Some tokenizers report a mask written into the text as special; for scoring it is an ordinary slot.
            special = np.array(encoded["special_tokens_mask"][i], dtype=bool) & (np.array(ids) != self.mask_id)
            offsets = np.array(encoded["offset_mapping"][i], dtype=np.int64).reshape(-1, 2)
            out.append(Encoded(np.array(ids, dtype=np.int64), special, np.array(words, dtype=np.int64), offsets))
        return out

    def word_id(self, word: str) -> int | None:
        """The single id of `word` inside a sentence; None where it takes several or is unknown."""
        ids = self.tokenizer(" " + word, add_special_tokens=False)["input_ids"]
        return int(ids[0]) if len(ids) == 1 and ids[0] != self.tokenizer.unk_token_id else None

    def masked_logprobs(self, queries: Sequence[MaskQuery]) -> list[Floats]:
        """Log p of each query's targets. Queries about the same position of the same input are computed once."""
        slots: dict[Slot, list[int]] = defaultdict(list)
        for q, query in enumerate(queries):
            slots[query.ids, query.position].append(q)
        out: list[Floats] = [np.empty(0)] * len(queries)

        def keep(logprobs: torch.Tensor, keys: list[Slot]) -> None:
            asked = [(row, q) for row, key in enumerate(keys) for q in slots[key]]
            wanted = pad([queries[q].targets for _, q in asked], 0).to(logprobs.device)
            found = logprobs[[row for row, _ in asked]].gather(1, wanted).cpu().double().numpy()
            for values, (_, q) in zip(found, asked, strict=True):
                out[q] = values[: len(queries[q].targets)]

        self._at_positions(list(slots), keep)
        return out

    def token_statistics(self, texts: Sequence[str]) -> list[TokenStatistics]:
        """Pseudo-likelihood (Salazar et al. 2020): each ordinary token masked in turn, all others in sight.

        That costs a forward pass per token, so a text of 20 tokens costs a masked model what 20 cost a causal one.
        """
        encoded = self.encode(texts)
        tables = [np.zeros((int((~e.special).sum()), 3)) for e in encoded]
        # The same masked input can come from several texts, which differ in the word that was masked.
        slots: dict[Slot, list[tuple[int, int, int]]] = defaultdict(list)
        for t, e in enumerate(encoded):
            ids = tuple(e.ids.tolist())
            for row, at in enumerate(np.flatnonzero(~e.special).tolist()):
                slots[(*ids[:at], self.mask_id, *ids[at + 1 :]), at].append((t, row, ids[at]))

        def keep(logprobs: torch.Tensor, keys: list[Slot]) -> None:
            asked = [(place, entry) for place, key in enumerate(keys) for entry in slots[key]]
            tokens = torch.tensor([token for _, (_, _, token) in asked], device=logprobs.device)
            found = statistics(logprobs[[place for place, _ in asked]], tokens)
            for values, (_, (t, row, _)) in zip(found, asked, strict=True):
                tables[t][row] = values

        self._at_positions(list(slots), keep)
        return [as_token_statistics(e.ids[~e.special], table) for e, table in zip(encoded, tables, strict=True)]

    @torch.inference_mode()
    def _at_positions(
        self,
        keys: list[Slot],
        keep: Callable[[torch.Tensor, list[Slot]], None],
    ) -> None:
        """Hand `keep` the log-probabilities (B, V) at each (ids, position), a batch at a time."""

        def forward(rows: Ints) -> None:
            batch = [keys[r] for r in rows]
            inputs = self.padded([ids for ids, _ in batch])
            position = torch.tensor([p for _, p in batch], device=self.device)
            with one_position(self.module, position):
                logits = self.module(**inputs).logits[0].float()  # (B, V)
            keep(logits.log_softmax(-1), batch)

        self._batches.run([len(ids) for ids, _ in keys], forward)

    @torch.inference_mode()
    def unmasked_logprobs(self, texts: Sequence[str]) -> list[UnmaskedScores]:
        """Log p of every token given the whole text, and the attention it receives (Kaneko & Bollegala 2022)."""
        encoded = self.encode(texts)
        out: list[Any] = [None] * len(encoded)

        def forward(rows: Ints) -> None:
            batch = [encoded[r] for r in rows]
            inputs = self.padded([e.ids.tolist() for e in batch])
            output = self.module(**inputs, output_attentions=True)
            chosen = output.logits.float().log_softmax(-1).gather(2, inputs["input_ids"][..., None])[..., 0]
            # (layers, B, heads, T, T) -> per layer the mean over heads, then over layers: (B, querying, receiving)
            attention = torch.stack([a.mean(1) for a in output.attentions]).mean(0)
            for i, (row, text) in enumerate(zip(rows, batch, strict=True)):
                length = len(text.ids)
                received = attention[i, :length, :length].mean(0).cpu().double().numpy()
                logprobs = chosen[i, :length].cpu().double().numpy()
                out[row] = UnmaskedScores(logprobs[~text.special], received[~text.special])

        with eager_attention(self.module):
            self._batches.run([len(e.ids) for e in encoded], forward)
        return out

    def fill(self, texts: Sequence[str], k: int = 5) -> list[list[Fill]]:
        """The k most probable joint fillings, masks filled left to right by beam search of width 2k.

        Raises:
            InputError: a text holds no mask, or lost it to truncation.
        """
        beams: list[list[Hypothesis]] = []
        for text, encoded in zip(texts, self.encode(texts), strict=True):
            if self.mask_id not in encoded.ids:
                raise InputError(
                    f"no {self.mask_token} in the first {self.context} tokens of {text[:80]!r}; "
                    "put one where a word is wanted"
                )
            beams.append([(tuple(encoded.ids.tolist()), (), 0.0)])
        while any(self.mask_id in beam[0][0] for beam in beams):
            self._fill_next(beams, 2 * k)
        return [
            [self._as_fill(text, words, lp) for _, words, lp in beam[:k]]
            for text, beam in zip(texts, beams, strict=True)
        ]

    def _fill_next(self, beams: list[list[Hypothesis]], width: int) -> None:
        """Fill the first mask of every hypothesis, keeping the `width` best of each text."""
        grown: dict[int, list[Hypothesis]] = defaultdict(list)
        # The same text may stand in the list twice, so one key can belong to several hypotheses.
        open_: dict[Slot, list[tuple[int, Hypothesis]]] = defaultdict(list)
        for b, beam in enumerate(beams):
            for h in beam:
                if self.mask_id in h[0]:
                    open_[h[0], h[0].index(self.mask_id)].append((b, h))

        def keep(logprobs: torch.Tensor, batch: list[Slot]) -> None:
            top = logprobs.topk(width)
            for key, values, tokens in zip(batch, top.values.tolist(), top.indices.tolist(), strict=True):
                ids, at = key
                for (b, (_, words, score)), (value, token) in product(open_[key], zip(values, tokens, strict=True)):
                    grown[b].append(((*ids[:at], token, *ids[at + 1 :]), (*words, token), score + value))

        self._at_positions(list(open_), keep)
        for b, hypotheses in grown.items():
            beams[b] = sorted(hypotheses, key=lambda h: -h[2])[:width]

    def _as_fill(self, text: str, tokens: tuple[int, ...], logprob: float) -> Fill:
        words = tuple(self.tokenizer.convert_ids_to_tokens(t) for t in tokens)
        plain = tuple(self.tokenizer.decode([t]).strip() for t in tokens)
        for word, shown in zip(words, plain, strict=True):
            glued = word.startswith("##")
            text = text.replace((" " if glued else "") + self.mask_token, shown.removeprefix("##"), 1)
        return Fill(plain, text, logprob)
