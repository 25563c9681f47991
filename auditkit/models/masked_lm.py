"""Masked language models (BERT, RoBERTa, ...): log-probabilities at masked positions, and fillings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain, product
from typing import Any, ClassVar

import numpy as np
import torch

from auditkit.errors import InputError, ModelError
from auditkit.models.base import HFModel, eager_attention
from auditkit.models.batching import pad
from auditkit.models.masking import fill_in, put_masks, slots
from auditkit.models.narrow import one_position
from auditkit.models.protocols import Encoded, Fill, Floats, Ints, MaskQuery, TokenStatistics, UnmaskedScores
from auditkit.models.token_statistics import as_token_statistics, statistics
from auditkit.models.tokens import Row, read_tokens, rehearse
from auditkit.models.words import scored_words

MOST_WORDS_TRIED = 2000
_COMMON = ("it", "he", "she", "the")
_CASED = ("hello", "the", *"abcdefghijklmnopqrstuvwxyz")

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
        rehearse(tokenizer, name)
        self.mask_token: str = tokenizer.mask_token
        self.mask_id: int = tokenizer.mask_token_id

    @cached_property
    def lower_cases(self) -> bool:
        """Found by asking the tokenizer about letters that it knows, since not every one declares it."""
        unknown = self.tokenizer.unk_token
        asked = [(self.tokenizer.tokenize(word), word.capitalize()) for word in _CASED]
        known = [(tokens, upper) for tokens, upper in asked if unknown not in tokens]
        return bool(known) and all(self.tokenizer.tokenize(upper) == tokens for tokens, upper in known)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Token ids of each text, cut (and counted) at the model's context.

        A mask written into a text stands where a word would stand, with the space that is part of such a word.
        """
        encoded = self.tokenize(texts, return_special_tokens_mask=True, return_offsets_mapping=True)
        out = []
        for i, ids in enumerate(encoded["input_ids"]):
            # Some tokenizers report a mask written into the text as special; for scoring it is an ordinary slot.
            special = np.array(encoded["special_tokens_mask"][i], dtype=bool) & (np.array(ids) != self.mask_id)
            offsets = np.array(encoded["offset_mapping"][i], dtype=np.int64).reshape(-1, 2)
            words = scored_words(texts[i], offsets, special)
            out.append(Encoded(np.array(ids, dtype=np.int64), special, words, offsets, encoded["cut"][i]))
        return out

    def _tokens_of(self, texts: Sequence[str], *, special: bool, offsets: bool) -> list[Row]:
        """As of every model, but masks in a text stand as words do (`auditkit.models.masking`)."""
        filled = [fill_in(text, self.mask_token, self._stand_in if self.mask_token in text else "") for text in texts]
        rows = read_tokens(self.tokenizer, [f.text for f in filled], special=special, offsets=True)
        out = []
        for text, row, words in zip(texts, rows, filled, strict=True):
            masked = put_masks(row, words, self.mask_token, self.mask_id)
            if masked is None:
                raise InputError(
                    f"the tokenizer of {self.name} joins the word at {self.mask_token} to what stands beside it in "
                    f"{text[:80]!r}; put spaces around {self.mask_token}"
                )
            out.append(masked)
        return out

    @cached_property
    def _stand_in(self) -> str:
        """A word that is one token, its space included, where there is any."""
        some = sorted(self.tokenizer.get_vocab().values())[:MOST_WORDS_TRIED]
        spelled = (self.tokenizer.decode([i]).strip() for i in some)
        words = chain(_COMMON, (word for word in spelled if len(word) > 1 and word.isalpha()))
        return next((word for word in words if self.word_id(word) is not None), _COMMON[0])

    def word_id(self, word: str) -> int | None:
        """The single id of `word` inside a sentence; None where it takes several or is unknown."""
        (found,) = slots(self, ["and "], [word], [" and"])
        return found.targets[0]

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
        encoded = self.encode(texts)
        for text, one in zip(texts, encoded, strict=True):
            if self.mask_id not in one.ids:
                raise InputError(
                    f"no {self.mask_token} in the first {self.context} tokens of {text[:80]!r}; "
                    "put one where a word is wanted"
                )
            beams.append([(tuple(one.ids.tolist()), (), 0.0)])
        while any(self.mask_id in beam[0][0] for beam in beams):
            self._fill_next(beams, 2 * k)
        places = [np.flatnonzero(one.ids == self.mask_id).tolist() for one in encoded]
        return [
            [Fill(self._words(ids, at), self._filled(text, ids, at), score) for ids, _, score in beam[:k]]
            for text, beam, at in zip(texts, beams, places, strict=True)
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
            logprobs[:, self.mask_id] = -torch.inf  # a mask filled with a mask would be filled for ever
            top = logprobs.topk(width)
            for key, values, tokens in zip(batch, top.values.tolist(), top.indices.tolist(), strict=True):
                ids, at = key
                for (b, (_, words, score)), (value, token) in product(open_[key], zip(values, tokens, strict=True)):
                    grown[b].append(((*ids[:at], token, *ids[at + 1 :]), (*words, token), score + value))

        self._at_positions(list(open_), keep)
        for b, hypotheses in grown.items():
            beams[b] = sorted(hypotheses, key=lambda h: -h[2])[:width]

    def _words(self, ids: tuple[int, ...], places: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.tokenizer.decode([ids[at]]).strip() for at in places)

    def _filled(self, text: str, ids: tuple[int, ...], places: Sequence[int]) -> str:
        """The text with what was filled in; a piece that continues the word before it without the space between."""
        head, *rest = text.split(self.mask_token)
        for at, word, tail in zip(places, self._words(ids, places), rest, strict=False):
            before = self.tokenizer.decode(list(ids[max(0, at - 1) : at]))
            added = self.tokenizer.decode(list(ids[max(0, at - 1) : at + 1])).removeprefix(before)
            if added[:1].isalnum() and before[-1:].isalnum():
                head, word = head.removesuffix(" "), added
            head += word + tail
        return self.mask_token.join([head, *rest[len(places) :]])
