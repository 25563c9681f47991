"""Whether a model or a probe keeps its contract. Every problem is collected, then raised once."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from auditkit.errors import AuditkitError
from auditkit.measurement import Measurement
from auditkit.models.protocols import (
    Classifies,
    EmbedsText,
    EmbedsWords,
    FillsMask,
    Generates,
    JudgesNextSentence,
    MaskQuery,
    Model,
    Predicts,
    PredictsTokens,
    ScoresBareText,
    ScoresText,
)
from auditkit.probes.base import ItemScore, ProbeResult, generator

TEXTS = ("The doctor said that he was old.", "Women.", "My sister is a good engineer, and people like her work.")
DESCRIPTION = (
    *("name", "task", "architecture", "device", "dtype"),
    *("parameters", "weights_sha256", "context", "revision"),
)
TOLERANCE = 1e-4
"""How much batching may move a log-probability or a coordinate in float32."""


class ConformanceError(AuditkitError):
    """A model or a probe breaks its contract. `problems` lists how, one line each."""

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(f"{what}: {p}" for p in self.problems))


def check_model(model: Any, *, texts: Sequence[str] = TEXTS) -> None:
    """Check a model against every capability that it offers.

    Args:
        model: the model.
        texts: at least two different texts that it can read.

    Raises:
        ConformanceError: lists everything that is wrong.
    """
    if not isinstance(model, Model):
        raise ConformanceError(type(model).__name__, ["lacks one of name, notices, describe(), randomized()"])
    checks = [check for capability, check in CAPABILITIES.items() if isinstance(model, capability)]
    problems = list(_identity_problems(model))
    if not checks:
        problems.append(f"offers no capability; expected one of {', '.join(c.__name__ for c in CAPABILITIES)}")
    for check in checks:
        problems += check(model, texts)
    if problems:
        raise ConformanceError(type(model).__name__, problems)


def check_probe(probe: Any, model: Any) -> ProbeResult:
    """Run a probe twice on a model that it can measure, and check everything it hands back.

    Returns:
        The result, for assertions of your own.

    Raises:
        ConformanceError: lists everything that is wrong.
    """
    name = type(probe).__name__
    if problems := list(_declaration_problems(probe)):
        raise ConformanceError(name, problems)
    if probe.needs and not isinstance(model, probe.needs):
        wanted = " or ".join(need.__name__ for need in probe.needs)
        raise ConformanceError(name, [f"cannot measure a {type(model).__name__}: it needs {wanted}"])
    weights = model.describe().get("weights_sha256")
    result, again = (probe.measure(model, generator(0, probe.id)) for _ in range(2))
    problems = [*_result_problems(probe, result), *_item_problems(result)]
    if [m.to_json() for m in result.measurements] != [m.to_json() for m in again.measurements]:
        problems.append("two runs with the same generator differ; take all randomness from `rng`")
    if model.describe().get("weights_sha256") != weights:
        problems.append("measuring changed the model's weights")
    if problems:
        raise ConformanceError(name, problems)
    return result


# --- probes -----------------------------------------------------------------------------------------------------


def _declaration_problems(probe: Any) -> Iterator[str]:
    if not dataclasses.is_dataclass(probe):
        yield "is not a dataclass; its fields are its options in audit.yaml"
    elif any(f.init and not f.kw_only for f in dataclasses.fields(probe)):
        yield "has options that are not keyword-only; use @dataclass(kw_only=True)"
    if not isinstance(getattr(probe, "id", None), str) or not probe.id or "/" in probe.id:
        yield f"id is {getattr(probe, 'id', None)!r}; expected a name without '/'"
    if not isinstance(getattr(probe, "source", None), str) or not probe.source:
        yield "source is empty; name the publication that defines the measurement"
    needs = getattr(probe, "needs", None)
    if not isinstance(needs, tuple) or not all(inspect.isclass(need) for need in needs):
        yield f"needs is {needs!r}; expected a tuple of capabilities from auditkit.models.protocols"


def _result_problems(probe: Any, result: ProbeResult) -> Iterator[str]:
    if not result.measurements:
        yield "returned no measurement"
    for id, count in Counter(m.id for m in result.measurements).items():
        if count > 1:
            yield f"{id}: returned {count} times"
    for m in result.measurements:
        yield from (f"{m.id}: {problem}" for problem in _measurement_problems(probe, m))


def _measurement_problems(probe: Any, m: Measurement) -> Iterator[str]:
    if not m.id.startswith(f"{probe.id}/"):
        yield f"id does not start with {probe.id + '/'!r}"
    if Measurement.from_json(json.loads(json.dumps(m.to_json()))) != m:
        yield "does not survive JSON; use lists, not tuples, and plain numbers"
    if m.status == "ok":
        if not m.method or not m.source:
            yield "has a value but no method or no source"
    elif not m.details.get("reason"):
        yield f"status {m.status!r} without details['reason']"


def _item_problems(result: ProbeResult) -> Iterator[str]:
    """Item scores must reproduce the value that they stand for: a gate compares models by them."""
    scores: dict[str, list[ItemScore]] = defaultdict(list)
    for item in result.items:
        scores[item.measurement].append(item)
    measured = {m.id: m for m in result.measurements}
    for id, items in scores.items():
        if id not in measured:
            yield f"{id}: has item scores but is no measurement"
            continue
        if len({item.item for item in items}) < len(items):
            yield f"{id}: two item scores have the same item id"
        value, expected = measured[id].value, _from_items(items, measured[id].is_correlation)
        if value is not None and not np.isclose(value, expected, rtol=1e-6, atol=1e-9):
            yield f"{id}: value {value}, but its item scores give {expected}"


def _from_items(items: Sequence[ItemScore], correlation: bool) -> float:
    """Mean of the values, or their slope on x, or their correlation with it (0 where they never differ)."""
    values = np.array([item.value for item in items])
    if any(item.x is None for item in items):
        return float(values.mean())
    x = np.array([item.x for item in items], dtype=float)
    if correlation:
        return float(np.corrcoef(x, values)[0, 1]) if np.ptp(values) else 0.0
    return float(np.polyfit(x, values, 1)[0])


# --- models -----------------------------------------------------------------------------------------------------


def _identity_problems(model: Any) -> Iterator[str]:
    described = model.describe()
    try:
        json.dumps(described, allow_nan=False)
    except (TypeError, ValueError) as e:
        yield f"describe() is not plain JSON: {e}"
    expected = (
        "name",
        "task",
        "architecture",
        "device",
        "dtype",
        "parameters",
        "weights_sha256",
        "context",
        "revision",
    )
    if missing := [key for key in expected if key not in described]:
        yield f"describe() lacks {', '.join(missing)}"
    if not isinstance(model.notices, Counter):
        yield f"notices is a {type(model.notices).__name__}; expected a Counter"
    hashes = [twin.describe().get("weights_sha256") for twin in (model.randomized(s) for s in (0, 0, 1))]
    if hashes[0] != hashes[1]:
        yield "randomized(0) is not the same twice"
    if len({described.get("weights_sha256"), *hashes[1:]}) < 3:
        yield "randomized(0), randomized(1) and the model itself do not have three different weights_sha256"


def _differences(name: str, measure: Callable[[Any], Sequence[Any]], texts: Sequence[Any]) -> Iterator[str]:
    """Order and batching must not matter, and no text must give no result."""
    if len(measure([])):
        yield f"{name}([]) is not empty"
    together = measure(texts)
    if len(together) != len(texts):
        yield f"{name}: {len(together)} results for {len(texts)} texts"
        return
    for text, one in zip(texts, together, strict=True):
        alone = measure([text])[0]
        if np.shape(alone) != np.shape(one):
            yield f"{name}({text!r}): {np.shape(alone)} numbers alone, {np.shape(one)} among others"
        elif not np.allclose(alone, one, atol=TOLERANCE, rtol=TOLERANCE):
            yield f"{name}({text!r}): differs by {np.abs(np.subtract(alone, one)).max():.2g} alone and among others"


def _check_scores_text(model: Any, texts: Sequence[str]) -> Iterator[str]:
    yield from _differences("token_logprobs", lambda ts: [s.logprobs for s in model.token_logprobs(ts)], texts)
    for text, score in zip(texts, model.token_logprobs(texts), strict=True):
        yield from _logprob_problems(f"token_logprobs({text!r})", score.logprobs)
        if not len(score.ids) == len(score.logprobs) == len(score.offsets):
            yield f"token_logprobs({text!r}): ids, logprobs and offsets have different lengths"
        elif len(score.offsets) and not 0 <= np.min(score.offsets) <= np.max(score.offsets) <= len(text):
            yield f"token_logprobs({text!r}): offsets outside the text"
    table = model.next_token_logprobs(texts, ["he", "she"])
    if table.shape != (len(texts), 2):
        yield f"next_token_logprobs: shape {table.shape}; expected {(len(texts), 2)}"
    yield from _logprob_problems("next_token_logprobs", table)


def _check_scores_bare_text(model: Any, texts: Sequence[str]) -> Iterator[str]:
    def scores(texts: Sequence[str]) -> list[Any]:
        return [s.logprobs for s in model.bare_token_logprobs(texts)]

    yield from _differences("bare_token_logprobs", scores, texts)
    for text, logprobs in zip(texts, scores(texts), strict=True):
        yield from _logprob_problems(f"bare_token_logprobs({text!r})", logprobs)


def _check_judges_next_sentence(model: Any, texts: Sequence[str]) -> Iterator[str]:
    def judged(pairs: Sequence[tuple[str, str]]) -> Any:
        return model.next_sentence_logprobs(*([list(side) for side in zip(*pairs, strict=True)] or ([], [])))

    pairs = list(zip(texts, [*texts[1:], texts[0]], strict=True))
    yield from _differences("next_sentence_logprobs", judged, pairs)
    yield from _logprob_problems("next_sentence_logprobs", judged(pairs))


def _check_predicts_tokens(model: Any, texts: Sequence[str]) -> Iterator[str]:
    found = model.token_statistics(texts)
    if any(not len(s.ids) == len(s.logprobs) == len(s.means) == len(s.stds) for s in found):
        yield "token_statistics: ids, logprobs, means and stds have different lengths"
        return
    yield from _differences(
        "token_statistics", lambda ts: [(s.logprobs, s.means, s.stds) for s in model.token_statistics(ts)], texts
    )
    for text, s in zip(texts, found, strict=False):
        yield from _logprob_problems(f"token_statistics({text!r})", s.logprobs)
        yield from _logprob_problems(f"token_statistics({text!r}), means", s.means)
        if not np.isfinite(s.stds).all() or np.min(s.stds, initial=0.0) < 0:
            yield f"token_statistics({text!r}), stds: expected finite numbers, at least 0"
    if isinstance(model, ScoresText):
        yield from _contradictions(texts, found, model.token_logprobs(texts))


def _contradictions(texts: Sequence[str], some: Sequence[Any], others: Sequence[Any]) -> Iterator[str]:
    """A causal model has one log-probability for a token, whichever way it is asked."""
    for text, a, b in zip(texts, some, others, strict=False):
        if a.ids.tolist() != b.ids.tolist() or not np.allclose(a.logprobs, b.logprobs, atol=TOLERANCE):
            yield f"token_statistics({text!r}): other tokens or log-probabilities than those of token_logprobs"


def _check_fills_mask(model: Any, texts: Sequence[str]) -> Iterator[str]:
    queries = []
    for text, encoded in zip(texts, model.encode(texts), strict=True):
        if not len(encoded.ids) == len(encoded.special) == len(encoded.word):
            yield f"encode({text!r}): ids, special and word have different lengths"
            continue
        position = int(np.flatnonzero(~encoded.special)[0])
        ids = encoded.ids.tolist()
        queries.append(MaskQuery((*ids[:position], model.mask_id, *ids[position + 1 :]), position, (ids[position],)))
    yield from _differences("masked_logprobs", model.masked_logprobs, queries)
    yield from _differences("unmasked_logprobs", lambda ts: [u.logprobs for u in model.unmasked_logprobs(ts)], texts)
    for logprobs in model.masked_logprobs(queries):
        yield from _logprob_problems("masked_logprobs", logprobs)
    masked = f"The {model.mask_token} is {model.mask_token}."
    for fills in model.fill([masked], k=3):
        if len(fills) != 3 or [f.logprob for f in fills] != sorted((f.logprob for f in fills), reverse=True):
            yield "fill: expected k fillings, best first"
        if any(len(f.words) != 2 or model.mask_token in f.text for f in fills):
            yield "fill: every mask must be filled"


def _check_embeds_text(model: Any, texts: Sequence[str]) -> Iterator[str]:
    yield from _differences("embed", model.embed, texts)
    norms = np.linalg.norm(model.embed(texts), axis=1)
    if not np.allclose(norms, 1, atol=TOLERANCE):
        yield f"embed: norms {norms.tolist()}; expected unit vectors"


def _check_embeds_words(model: Any, texts: Sequence[str]) -> Iterator[str]:
    known = [word for word in ("he", "she", "man", "woman", "good", "bad") if word in model]
    yield from _differences("vectors", model.vectors, known)


def _check_classifies(model: Any, texts: Sequence[str]) -> Iterator[str]:
    yield from _differences("classify", model.classify, texts)
    table = model.classify(texts)
    if table.shape != (len(texts), len(model.labels)):
        yield f"classify: shape {table.shape}; expected {(len(texts), len(model.labels))}"
    elif not np.allclose(table.sum(axis=1), 1, atol=TOLERANCE) or table.min() < 0:
        yield "classify: rows are not probabilities that sum to 1"


def _check_predicts(model: Any, texts: Sequence[str]) -> Iterator[str]:
    table = model.predictions()
    if missing := [column for column in ("label", "prediction") if column not in table]:
        yield f"predictions: no column {' or '.join(missing)}"
    if not table.equals(model.predictions()):
        yield "predictions: two calls differ"


def _check_generates(model: Any, texts: Sequence[str]) -> Iterator[str]:
    written = model.generate(texts, max_new_tokens=4)
    if len(written) != len(texts) or not all(isinstance(w, str) for w in written):
        yield f"generate: expected {len(texts)} strings"
    if written != model.generate(texts, max_new_tokens=4):
        yield "generate: not greedy, two calls differ"


def _logprob_problems(name: str, logprobs: Any) -> Iterator[str]:
    if not np.isfinite(logprobs).all() or np.max(logprobs, initial=-1.0) > TOLERANCE:
        yield f"{name}: expected finite log-probabilities, at most 0"


CAPABILITIES: dict[type, Callable[[Any, Sequence[str]], Iterator[str]]] = {
    ScoresText: _check_scores_text,
    ScoresBareText: _check_scores_bare_text,
    JudgesNextSentence: _check_judges_next_sentence,
    PredictsTokens: _check_predicts_tokens,
    FillsMask: _check_fills_mask,
    EmbedsText: _check_embeds_text,
    EmbedsWords: _check_embeds_words,
    Classifies: _check_classifies,
    Predicts: _check_predicts,
    Generates: _check_generates,
}
