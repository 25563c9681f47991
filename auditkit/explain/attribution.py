"""How much each word of a text contributes to what a model says about it.

    found = ak.explain.attribute(model, ["the nurse said that [MASK] was tired"], target=Filler("she", versus="he"))
    print(found)
    found.frame()

Exact and teacher-forced: one forward pass reads a whole continuation. Batched over texts and steps; neither the batch
size nor the other texts change a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from auditkit.errors import InputError, UnknownName
from auditkit.explain import baselines
from auditkit.explain.engine import Engine
from auditkit.explain.methods import METHODS, Found, Method, Properties, Settings, completeness_error
from auditkit.explain.questions import Question
from auditkit.explain.readers import require_gradients
from auditkit.explain.targets import Continuation, Output, Target, ask, each_token
from auditkit.models.protocols import Floats, Ints
from auditkit.models.words import sum_over_words

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 64  # texts whose units are planned at once


@dataclass(frozen=True, slots=True)
class Attribution:
    """One text explained.

    Attributes:
        text: what was read; of a similarity, both texts, a line each.
        asks: the number that is explained, in words.
        words: (W) the words as they are written.
        values: (W,) the contribution of each, in the unit of the number; the sum over its tokens.
        tokens: (T) the tokens, special ones included.
        token_values: (T,) the contribution of each.
        special: (T,) True at special tokens, whose values belong to no word.
        owner: (T,) the word of each token; -1 at special tokens.
        value: the number for the whole text.
        baseline_value: the number with every ordinary token replaced by the baseline.
        delta: the sum of all token values, less (value - baseline_value): 0 is complete.
        error: |delta| as a share of the change (see `completeness_error`).
        steps: points of the path, or evaluations, that were needed.
    """

    text: str
    asks: str
    words: tuple[str, ...]
    values: Floats
    tokens: tuple[str, ...]
    token_values: Floats
    special: npt.NDArray[np.bool_]
    owner: Ints
    value: float
    baseline_value: float
    delta: float
    error: float
    steps: int

    @property
    def special_value(self) -> float:
        """Sum over the special tokens."""
        return float(self.token_values[self.special].sum())

    def __str__(self) -> str:
        words = "  ".join(f"{word} {value:+.3f}" for word, value in zip(self.words, self.values, strict=True))
        return (
            f"{self.asks} = {self.value:.4f} (baseline {self.baseline_value:.4f}); {words}; "
            f"delta {self.delta:+.1e} ({100 * self.error:.2g} %), {self.steps} steps"
        )


@dataclass(frozen=True, slots=True)
class Attributions:
    """Texts explained in one way.

    Attributes:
        items: one for each text.
        method: how.
        baseline: what stood for an absent token; several for gradient_shap; none for gradient_x_activation.
        complete: whether the method promises that the values sum to the change.
        seed: of what was drawn.
        questions: what was asked, as `auditkit.explain.faithfulness` needs it.
    """

    items: tuple[Attribution, ...]
    method: str
    baseline: tuple[str, ...]
    complete: bool
    seed: int
    questions: tuple[Question, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Attribution:
        return self.items[i]

    def __iter__(self) -> Iterator[Attribution]:
        return iter(self.items)

    def __str__(self) -> str:
        promised = "" if self.complete else " (does not promise completeness)"
        head = f"{self.method}{promised}, baseline {' + '.join(self.baseline) or 'none'}, seed {self.seed}"
        return "\n".join([head, *map(str, self.items)])

    def frame(self, *, tokens: bool = False) -> pd.DataFrame:
        """One row for each word, or for each token: text, position, word or token, value, and how it was obtained."""
        import pandas as pd

        rows = []
        for i, item in enumerate(self.items):
            names, values = (item.tokens, item.token_values) if tokens else (item.words, item.values)
            kind = "token" if tokens else "word"
            for position, (name, value) in enumerate(zip(names, values.tolist(), strict=True)):
                row = {"text": i, "position": position, kind: name, "value": value}
                rows.append(row | ({"special": bool(item.special[position])} if tokens else {}) | self._how(item))
        return pd.DataFrame(rows)

    def _how(self, item: Attribution) -> dict[str, Any]:
        baseline = "+".join(self.baseline)
        return {"asks": item.asks, "delta": item.delta, "error": item.error, "steps": item.steps} | {
            "method": self.method, "baseline": baseline,
        }  # fmt: skip


def attribute(
    model: Any,
    texts: Sequence[str],
    *,
    target: Target | Sequence[Target] | None = None,
    method: str | Method = "integrated_gradients",
    baseline: str = "auto",
    steps: int = 32,
    tolerance: float | None = 0.005,
    samples: int | None = None,
    seed: int = 0,
    batch_tokens: int | None = None,
) -> Attributions:
    """Explain what a model says about each text.

    Args:
        model: an adapter of auditkit.
        texts: what to explain.
        target: what is explained, for all texts or one for each (see `auditkit.explain.targets`); None is what the
            model predicts.
        method: a name of `auditkit.explain.methods.METHODS`, or a function of the same form.
        baseline: "mask", "pad", "mean" or "zero"; "auto" chooses (see `auditkit.explain.baselines`), and for
            gradient_shap takes all that the model has.
        steps: points of the path for integrated gradients to begin with.
        tolerance: they double until the completeness error is at most this share, 1,024 are reached, or the path is
            too rough (see `integrated_gradients`); None: never.
        samples: draws of gradient_shap, shapley_sampling and kernel_shap; None is 32, 24, and 256 + 2 for each token.
        seed: of all draws.
        batch_tokens: padded tokens in a batch; bounds the memory, changes no result.

    Raises:
        InputError: what is wrong with a text, a target, a setting or the baseline, and the fix.
        MissingCapability: the model cannot be explained, or has no gradients and the method needs them.
    """
    return explain(
        model, ask(model, texts, target), method=method, baseline=baseline, batch_tokens=batch_tokens,
        settings=Settings(steps, tolerance, samples, seed),
    )  # fmt: skip


def attribute_each_token(
    model: Any,
    texts: Sequence[str],
    target: Continuation | Output | Sequence[Continuation | Output],
    *,
    method: str | Method = "integrated_gradients",
    baseline: str = "auto",
    steps: int = 32,
    tolerance: float | None = 0.005,
    samples: int | None = None,
    seed: int = 0,
    batch_tokens: int | None = None,
) -> list[Attributions]:
    """Explain every token of a continuation, or of a written output, by itself: log p given those before it.

    A forward pass is shared by all tokens; `attribute` explains their sum in as many backward passes as this takes for
    one.

    Args:
        model: an adapter of auditkit that writes.
        texts: what to explain.
        target: what follows each text; without `versus`.
        method: as in `attribute`, like all that follow.
        baseline: what stands for an absent token.
        steps: points of the path.
        tolerance: of the completeness error.
        samples: draws.
        seed: of all draws.
        batch_tokens: padded tokens in a batch.

    Returns:
        For each text one item for each token of what follows.

    Raises:
        InputError, MissingCapability: as `attribute`.
    """
    apart = [each_token(model, question) for question in ask(model, texts, target)]
    found = explain(
        model, [q for those in apart for q in those], method=method, baseline=baseline, batch_tokens=batch_tokens,
        settings=Settings(steps, tolerance, samples, seed),
    )  # fmt: skip
    ends = np.cumsum([len(those) for those in apart])
    spans = zip(ends - [len(those) for those in apart], ends, strict=True)
    return [replace(found, items=found.items[a:b], questions=found.questions[a:b]) for a, b in spans]


def explain(
    model: Any,
    questions: Sequence[Question],
    *,
    method: str | Method,
    baseline: str,
    settings: Settings,
    batch_tokens: int | None = None,
) -> Attributions:
    """`attribute` for questions that are already put."""
    _check(settings, batch_tokens)
    name, properties = _method(method)
    if properties.gradients:
        require_gradients(model)
    names = _baselines(model, name, baseline)
    origins = baselines.baseline_vectors(model, names)
    items: list[Attribution] = []
    for start in range(0, len(questions), CHUNK):
        engine = Engine(model, questions[start : start + CHUNK], origins, batch_tokens=batch_tokens)
        if properties.complete and properties.gradients:
            baselines.refuse_broken_paths(engine, names)
        ends = engine.ends()
        items += map(_attribution, engine.questions, properties.run(engine, ends, settings), ends)
    shown = () if name == "gradient_x_activation" else names
    return Attributions(tuple(items), name, shown, properties.complete, settings.seed, tuple(questions))


def _check(settings: Settings, batch_tokens: int | None) -> None:
    numbers = {"steps": settings.steps, "samples": settings.samples, "batch_tokens": batch_tokens}
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise InputError(f"{name}={number}; expected at least 1")
    if settings.tolerance is not None and not 0 < settings.tolerance < 1:
        raise InputError(f"tolerance={settings.tolerance}; expected a share in (0, 1), or None")


def _method(method: str | Method) -> tuple[str, Properties]:
    if isinstance(method, str):
        if method not in METHODS:
            raise UnknownName("method", method, METHODS)
        return method, METHODS[method]
    return getattr(method, "__name__", "custom"), Properties(method, complete=False, gradients=False)


def _baselines(model: Any, method: str, baseline: str) -> tuple[str, ...]:
    chosen = baselines.resolve(model, baseline)
    if method == "gradient_x_activation":
        return ("zero",)  # the gradient times the embedding is the gradient times its distance from zero
    return baselines.available(model) if method == "gradient_shap" and baseline == "auto" else (chosen,)


def _attribution(question: Question, found: Found, ends: Floats) -> Attribution:
    return Attribution(
        text=question.text,
        asks=question.asks,
        words=question.words,
        values=sum_over_words(found.values, question.owner, len(question.words)),
        tokens=question.tokens,
        token_values=found.values,
        special=question.special,
        owner=question.owner,
        value=float(ends[0]),
        baseline_value=float(ends[1]),
        delta=float(found.values.sum() - (ends[0] - ends[1])),
        error=completeness_error(found.values, ends),
        steps=found.steps,
    )
