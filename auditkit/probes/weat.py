"""WEAT and SEAT: are the vectors of one set of words closer to one set of attributes than those of another set?

Caliskan, Bryson and Narayanan (2017) for word vectors; May et al. (2019) put the words into bleached sentences, for
sentence encoders. With targets X, Y and attributes A, B:

    s(w)  = mean_a cos(w, a) - mean_b cos(w, b)
    d     = (mean_X s - mean_Y s) / std_{X u Y} s          (ddof = 1)
    p     = share of the equal-size partitions of X u Y whose difference of means is at least as large

In SEAT every sentence has its own s, d is taken over sentences as published, and the permutation moves words with all
their sentences, because sentences of one word are not exchangeable with those of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from auditkit import data, stats
from auditkit.data.types import Dataset, WeatTest
from auditkit.errors import DataError, VocabularyError
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import EmbedsText, EmbedsWords, Floats
from auditkit.probes.base import ProbeResult
from auditkit.probes.evidence import NULL_SEEDS, adjust_p_values, extremes, random_weights_nulls, undefined

METHOD = "difference of mean cosine associations in standard deviations (ddof = 1); permutation test over target words"

TEMPLATES = (
    "This is {}.",
    "That is {}.",
    "Here is {}.",
    "{} is here.",
    "They talk about {}.",
    "We often hear of {}.",
)
"""Sentences that say as little as possible themselves."""

Vectors = npt.NDArray[np.floating[Any]]
SETS = ("X", "Y", "A", "B")


@dataclass(frozen=True, slots=True)
class Result:
    """One association test.

    Attributes:
        effect_size: d, in standard deviations.
        interval: of d; see `effect_size_interval`.
        p_greater: one-sided p-value of X being the more associated with A, as published.
        p_two_sided: two-sided p-value.
        partitions: how many partitions of X u Y there are.
        exact: whether all of them were enumerated.
    """

    effect_size: float
    interval: Interval
    p_greater: float
    p_two_sided: float
    partitions: int
    exact: bool


def unit(vectors: Vectors) -> Floats:
    """Rows scaled to length one; a zero vector stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(norms == 0, 1, norms), dtype=np.float64)


def association(w: Vectors, a: Vectors, b: Vectors) -> Floats:
    """s(w, A, B) = mean cosine with A minus mean cosine with B, for each row of `w`.

    Args:
        w: (..., d) target vectors; neither they nor the attributes need be normalised.
        a: (n_a, d) attribute vectors.
        b: (n_b, d) attribute vectors.

    Returns:
        (...) associations.
    """
    difference: Floats = unit(a).mean(axis=0) - unit(b).mean(axis=0)
    return np.asarray(unit(w) @ difference)


def effect_size(s_x: Floats, s_y: Floats) -> float:
    """Cohen's d of two sets of associations, the standard deviation (ddof = 1) taken over both together.

    Returns:
        d; NaN where all associations are equal or there are fewer than two.
    """
    both = np.concatenate([s_x.ravel(), s_y.ravel()])
    spread = float(both.std(ddof=1)) if len(both) > 1 else 0.0
    return float(s_x.mean() - s_y.mean()) / spread if spread > 1e-12 else float("nan")


def effect_size_interval(s_x: Floats, s_y: Floats, level: float = 0.95) -> Interval:
    """Interval of d, the words being the independent units.

    d is a monotone function of Hedges' g (the same difference over the spread within the sets), whose standard error
    Hedges & Olkin (1985) give; the interval of g with t quantiles is mapped to d. Resampling words instead covers 83
    to 90 % with eight words a set, because repeated words shrink the spread.

    Args:
        s_x: (n_x, templates) associations, one row a word.
        s_y: (n_y, templates), likewise.
        level: of confidence.

    Raises:
        DataError: a set of fewer than two words, or no spread within the sets.
    """
    from scipy.stats import t

    x, y = s_x.mean(axis=1), s_y.mean(axis=1)
    n_x, n_y = len(x), len(y)
    n = n_x + n_y
    within = ((n_x - 1) * x.var(ddof=1) + (n_y - 1) * y.var(ddof=1)) / (n - 2) if min(n_x, n_y) > 1 else 0.0
    if within <= 0:
        raise DataError("an interval of the effect size needs two words a set, with different associations")
    g = float(x.mean() - y.mean()) / within**0.5
    half = float(t.ppf((1 + level) / 2, n - 2)) * (n / (n_x * n_y) + g**2 / (2 * n)) ** 0.5
    # Templates add spread: the d of words is larger than that of their sentences, in the ratio of the two spreads.
    ratio = np.concatenate([x, y]).std(ddof=1) / np.concatenate([s_x.ravel(), s_y.ravel()]).std(ddof=1)
    ends = np.array([g - half, g + half])
    low, high = ratio * ends * ((n - 1) / (n - 2 + ends**2 * n_x * n_y / n)) ** 0.5
    return Interval(float(low), float(high), level, "Hedges & Olkin interval of g over words, mapped to d")


def weat(s_x: Floats, s_y: Floats, rng: np.random.Generator) -> Result | None:
    """Effect size, interval and permutation p-values from the associations of the targets.

    Args:
        s_x: (n_x,) `association` of each word of X, or (n_x, templates).
        s_y: the same for Y; the sets may be of unequal size.
        rng: draws partitions where they are too many to enumerate.

    Returns:
        None where d is undefined: associations do not differ within the sets, or a set has fewer than two words.
    """
    x, y = (s.reshape(len(s), -1) for s in (s_x, s_y))
    try:
        interval = effect_size_interval(x, y)
    except DataError:
        return None
    means = x.mean(axis=1), y.mean(axis=1)
    greater = stats.permutation_test(*means, rng=rng, alternative="greater")
    two_sided = stats.permutation_test(*means, rng=rng, alternative="two-sided")
    return Result(
        effect_size=effect_size(x, y),
        interval=interval,
        p_greater=greater.p_value,
        p_two_sided=two_sided.p_value,
        partitions=greater.partitions,
        exact=greater.exact,
    )


@dataclass(frozen=True, kw_only=True)
class WEAT:
    """Association of static word vectors: one effect size per test.

    A word that the vocabulary lacks is looked up in lower case; what is still missing is left out and named.

    Attributes:
        id: name in the report.
        data: "builtin_weat", "weat" (the published tests 1 to 10) or a path.
    """

    id: str = "weat"
    data: str = "builtin_weat"

    needs: ClassVar[tuple[type, ...]] = (EmbedsWords,)
    source: ClassVar[str] = "Caliskan, Bryson & Narayanan (2017), Science 356:183-186, doi:10.1126/science.aal4230"

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Effect sizes, permutation p-values and Holm's correction over the tests.

        Raises:
            VocabularyError: no test has enough of its words in the vocabulary.
        """
        dataset = data.load(self.data, "weat")
        source = f"{self.source}; data: {dataset.source}"
        measurements = []
        for test in dataset.items:
            name = f"{self.id}/{test.id}/effect_size"
            words, missing = known_words(model, test)
            if not _enough(words):
                reason = f"too few of its words are in the vocabulary; missing: {missing}"
                measurements.append(undefined(name, reason, unit="d", ideal=0, method=METHOD, source=source))
                continue
            vectors = {part: model.vectors(words[part])[:, None] for part in SETS}
            details = _evidence(model, dataset, shuffled_null(vectors)) | {"missing": missing}
            measurements.append(_measure(name, test, words, _associations(vectors), details, source, rng))
        if all(m.status == "undefined" for m in measurements):
            raise VocabularyError(
                f"{model.name} lacks the words of every test in {self.data!r}; give tests in its language"
            )
        return ProbeResult(adjust_p_values(measurements))


@dataclass(frozen=True, kw_only=True)
class SEAT:
    """Association of sentence encoders: every word in every template.

    Attributes:
        id: name in the report.
        data: "builtin_weat", "weat" (the published word sets) or a path.
        templates: sentences with {} where the word goes.
    """

    id: str = "seat"
    data: str = "builtin_weat"
    templates: tuple[str, ...] = TEMPLATES

    needs: ClassVar[tuple[type, ...]] = (EmbedsText,)
    source: ClassVar[str] = "May et al. (2019), NAACL 2019, https://aclanthology.org/N19-1063"

    def __post_init__(self) -> None:
        for template in self.templates or ("",):
            if "{}" not in template:
                raise DataError(f"seat: template {template!r} has no place for the word; write {{}} there")

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Effect sizes over sentences, permutation p-values over words, Holm's correction over the tests."""
        dataset = data.load(self.data, "weat")
        tests = dataset.items
        words = {test.id: {name: getattr(test, name) for name in SETS} for test in tests}

        def associations(encoder: EmbedsText) -> dict[str, tuple[Floats, Floats]]:
            everything = [w for sets in words.values() for ws in sets.values() for w in ws]
            known = embed_words(encoder, everything, self.templates)
            return {
                test: _associations({name: np.stack([known[w] for w in ws]) for name, ws in sets.items()})
                for test, sets in words.items()
            }

        found = associations(model)
        nulls = random_weights_nulls(
            model,
            lambda m: {test: effect_size(*s) for test, s in associations(m).items()},
            {test: sum(len(ws) for ws in sets.values()) for test, sets in words.items()},
        )
        measurements = []
        for test in tests:
            name, source = f"{self.id}/{test.id}/effect_size", f"{self.source}; data: {dataset.source}"
            details = _evidence(model, dataset, nulls[test.id])
            measurements.append(_measure(name, test, words[test.id], found[test.id], details, source, rng))
        return ProbeResult(adjust_p_values(measurements))


def known_words(model: EmbedsWords, test: WeatTest) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The words of each set as the vocabulary spells them, and those that it lacks in either spelling."""
    known: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    for name in SETS:
        words = getattr(test, name)
        spelled = {w: w if w in model else w.lower() for w in words}
        known[name] = [s for s in spelled.values() if s in model]
        missing[name] = [w for w, s in spelled.items() if s not in model]
    return known, missing


def embed_words(model: EmbedsText, words: Iterable[str], templates: Sequence[str]) -> dict[str, Vectors]:
    """Word -> (templates, d) vectors of the sentences that the templates make of it; each word embedded once."""
    unique = list(dict.fromkeys(words))
    sentences = [t.format(w) for w in unique for t in templates]
    vectors = model.embed([s[0].upper() + s[1:] for s in sentences])
    return dict(zip(unique, vectors.reshape(len(unique), len(templates), -1), strict=True))


def shuffled_null(vectors: Mapping[str, Vectors]) -> dict[str, Any]:
    """Effect sizes after every word got the vector of another word of the test: what vectors without meaning give."""
    pool = np.concatenate([vectors[name] for name in SETS])
    ends = np.cumsum([len(vectors[name]) for name in SETS])[:-1]
    values = []
    for seed in NULL_SEEDS:
        parts = np.split(np.random.default_rng(seed).permutation(pool), ends)
        values.append(effect_size(*_associations(dict(zip(SETS, parts, strict=True)))))
    spread = {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}
    return {"values": values, **spread, "n": len(pool), "seeds": list(NULL_SEEDS), "kind": "shuffled word vectors"}


def _enough(words: Mapping[str, Sequence[str]]) -> bool:
    return min(len(words["X"]), len(words["Y"])) >= 2 and min(len(words["A"]), len(words["B"])) >= 1


def _associations(vectors: Mapping[str, Vectors]) -> tuple[Floats, Floats]:
    """(words, templates) associations of X and of Y."""
    a, b = (vectors[name].reshape(-1, vectors[name].shape[-1]) for name in "AB")
    return association(vectors["X"], a, b), association(vectors["Y"], a, b)


def _evidence(model: Any, dataset: Dataset[WeatTest], null: Mapping[str, Any]) -> dict[str, Any]:
    """What both probes print beside an effect size; ties cannot occur in it."""
    weights = model.describe()["weights_sha256"]
    validity = {"tie_rate": None, "null": dict(null), "agreement": {}, "weights_sha256": weights}
    return {"data_sha256": dataset.sha256, "validity": validity}


def _measure(
    name: str,
    test: WeatTest,
    words: Mapping[str, Sequence[str]],
    associations: tuple[Floats, Floats],
    details: Mapping[str, Any],
    source: str,
    rng: np.random.Generator,
) -> Measurement:
    s_x, s_y = associations
    result = weat(s_x, s_y, rng)
    if result is None:
        reason = "associations do not differ within the sets, or a target set has fewer than two words"
        return undefined(name, reason, unit="d", ideal=0, method=METHOD, source=source)
    tests = {
        "p_value": result.p_two_sided,
        "p_one_sided": result.p_greater,
        "partitions": result.partitions,
        "exact": result.exact,
    }
    sets = {"X": test.x, "Y": test.y, "A": test.a, "B": test.b}
    return Measurement(
        id=name,
        value=result.effect_size,
        interval=result.interval,
        n=len(s_x) + len(s_y),
        unit="d",
        ideal=0,
        method=METHOD,
        source=source,
        details={**tests, "sets": sets, "extremes": _extremes(test, words, s_x, s_y), **details},
    )


def _extremes(test: WeatTest, words: Mapping[str, Sequence[str]], s_x: Floats, s_y: Floats) -> list[dict[str, Any]]:
    """The target words most associated with either attribute."""
    rows = []
    for group, names, scores in ((test.x, words["X"], s_x), (test.y, words["Y"], s_y)):
        for word, s in zip(names, scores.mean(axis=1).tolist(), strict=True):
            rows.append({"a": word, "b": test.a if s > 0 else test.b, "score": s, "group": group})
    return extremes(rows)
