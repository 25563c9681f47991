"""Counterfactual flips: does a classifier's decision about a person change when only the group words change?

Each text is classified as it is and with the words of its group exchanged (`auditkit.mitigation.swaps`: "She is a ..."
becomes "He is a ..."). For each kind of swap, over the texts that hold a word to exchange:

    counterfactual_flips/gender/flip_rate           share of texts whose decision changes
    counterfactual_flips/gender/probability_gap     mean p(favourable) of the texts as about women, less as about men
    counterfactual_flips/gender/decision_gap        share decided favourably as about women, less as about men
    counterfactual_flips/gender/flip_rate_women_to_men, .../flip_rate_men_to_women      by what the text was about
    counterfactual_flips/gender/attribution_share   of a classifier with weights: how much of the attribution of a
                                                    decision that changed lies on the exchanged words themselves
    counterfactual_flips/gender/left_unsure         share of texts with a group word that were left out, since the swap
                                                    of a sentence in them is unsure ("I saw her duck")

A text is about the group that most of its exchanged words name ("She lives with her husband": women); where there are
as many of both, it counts in the flip rate only. The exact McNemar test goes with the decision gap. 0 is a classifier
that does not look at the group words; it may still look at what goes with the group.

Garg, Perot, Limtiaco, Taly, Chi & Beutel (2019). Counterfactual Fairness in Text Classification through
Robustness. AIES.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditkit import stats
from auditkit.errors import DataError, InputError, MissingCapability, UnknownName
from auditkit.measurement import Measurement
from auditkit.mitigation.swaps import GROUPS, Swapper
from auditkit.models.predictions import read_table
from auditkit.models.protocols import Classifies, HasModule
from auditkit.privacy.redaction import redact
from auditkit.probes import flip_attribution
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.probes.evidence import (
    adjust_p_values,
    extremes,
    random_weights_nulls,
    subset,
    summarize,
    undefined,
    with_data,
)
from auditkit.probes.flips import Flips, find_flips, refuse_constant

if TYPE_CHECKING:
    import pandas as pd

LEFT = "texts with a group word that were left out, since nobody can tell what a word of theirs becomes"
METHOD = "decision on each text and on the same text with the group words exchanged"


@dataclass(frozen=True, kw_only=True)
class CounterfactualFlips:
    """How often, and in whose favour, decisions change when only the group words of a text do.

    Attributes:
        id: name in the report.
        data: a .csv or .parquet file with the column text, perhaps id, and perhaps cluster (texts of one origin).
        kinds: which words are exchanged: gender, name_group, religion, nationality.
        positive: the favourable label; may be left out for a classifier with two labels, the second of which it is.
        limit: at most so many texts, drawn at random.
        null_items: on how many texts the random-weights null is computed.
        explained: of at most so many texts whose decision changed the words are explained; 0 for none.
        redact: show of the most affected texts only the exchanged words, the length and a mark.
    """

    id: str = "counterfactual_flips"
    data: str = ""
    kinds: tuple[str, ...] = ("gender",)
    positive: str | int = ""
    limit: int = 2_000
    null_items: int = 100
    explained: int = 24
    redact: bool = True

    needs: ClassVar[tuple[type, ...]] = (Classifies,)
    source: ClassVar[str] = "Garg et al. 2019 (AIES), https://arxiv.org/abs/1809.10610"

    def __post_init__(self) -> None:
        Swapper(self.kinds)
        if self.limit < 1 or self.null_items < 2 or self.explained < 0:
            raise InputError(
                f"limit={self.limit}, null_items={self.null_items}, explained={self.explained}; expected at least 1, 2 "
                "and 0"
            )

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Flip rate and gaps of each kind of swap.

        Raises:
            DataError: no table, or one without texts.
            UnknownName: the classifier has no such label.
            MissingCapability: the classifier does not tell one text from another.
        """
        table = self._texts(model, rng)
        column = self._favourable(model)
        measurements: list[Measurement] = []
        items: list[ItemScore] = []
        for kind in self.kinds:
            flips = find_flips(model, table["text"].tolist(), kind, column)
            refuse_constant(flips)
            self._notice(model, flips, len(table))
            found = self._asked(model, flips, table, column, rng) if flips.rows else self._nothing(flips, len(table))
            measurements += found.measurements
            items += found.items
        sha256 = hashlib.sha256(Path(self.data).read_bytes()).hexdigest()
        return with_data(ProbeResult(adjust_p_values(measurements), items), sha256)

    def _nothing(self, flips: Flips, n: int) -> ProbeResult:
        reason = f"none of the {n} texts holds a word that the swap {flips.kind!r} surely exchanges"
        reason += f" ({len(flips.unsure)} hold one whose swap is unsure)" if flips.unsure else ""
        at = f"{self.id}/{flips.kind}/flip_rate"
        return ProbeResult([undefined(at, reason, unit="%", ideal=0.0, method=METHOD, source=self.source)])

    def _asked(
        self, model: Any, flips: Flips, table: pd.DataFrame, column: int, rng: np.random.Generator
    ) -> ProbeResult:
        """The measurements of one kind of swap."""
        nulls = self._null(model, table, flips, column, rng)
        scores = self._scores(flips, table)
        measurements = [self._measurement(s, flips, nulls, model, rng) for s in scores]
        left = self._left(flips, table)
        about: dict[str, Any] = {"unit": "%", "ideal": None, "method": LEFT, "source": self.source}
        measurements.append(summarize(left, rng=rng, bounds=(0, 100), **about))
        items = [*chain.from_iterable(scores), *left]
        if self.explained and isinstance(model, HasModule):
            explained = self._explain(model, flips, table, column, rng)
            return ProbeResult([*measurements, *explained.measurements], [*items, *explained.items])
        return ProbeResult(measurements, items)

    def _texts(self, model: Any, rng: np.random.Generator) -> pd.DataFrame:
        """At most `limit` rows of the table, with a text, an id and a cluster each."""
        if not self.data:
            raise DataError(f"{self.id} needs texts to classify; give data, a .csv or .parquet file with a column text")
        table = read_table(self.data)
        if not len(table) or "text" not in table or table["text"].isna().any():
            raise DataError(f"{self.data}: no rows, no column 'text', or an empty cell in it; expected a text a row")
        chosen = subset(len(table), self.limit, rng)
        if len(chosen) < len(table):
            model.notices[f"texts left out by limit={self.limit}"] += len(table) - len(chosen)
        texts = table["text"].astype(str)
        ids = table["id"].astype(str) if "id" in table else table.index.map(str).to_series(index=table.index)
        if not ids.is_unique:
            raise DataError(f"{self.data}: id {ids[ids.duplicated()].iloc[0]} appears twice; every text needs its own")
        # Equal texts are not independent of each other.
        clusters = table["cluster"].astype(str) if "cluster" in table else texts
        names = clusters.groupby(clusters, sort=False).ngroup().astype(str)
        return table.assign(text=texts, id=ids, cluster=names).iloc[chosen].reset_index(drop=True)

    def _favourable(self, model: Classifies) -> int:
        given = str(self.positive)
        if not given and len(model.labels) == 2:
            return 1
        if given not in model.labels:
            raise UnknownName("value of `positive` among the classifier's labels", given, model.labels)
        return model.labels.index(given)

    def _null(
        self, model: Any, table: pd.DataFrame, flips: Flips, column: int, rng: np.random.Generator
    ) -> dict[str, dict[str, Any]]:
        """What random weights get on some of the texts that were swapped."""
        texts = table["text"].iloc[[flips.rows[i] for i in subset(len(flips.rows), self.null_items, rng)]].tolist()

        def scores(random: Classifies) -> dict[str, float]:
            found = find_flips(random, texts, flips.kind, column)
            return {"flip_rate": 100 * float(found.flipped.mean())}

        return random_weights_nulls(model, scores, {"flip_rate": len(texts)})

    def _scores(self, flips: Flips, table: pd.DataFrame) -> list[list[ItemScore]]:
        """The item scores of every measurement of one kind; none without texts."""
        first, second = GROUPS[flips.kind]
        one, other = flips.about(True), flips.about(False)
        # What is said of the first group less what is said of the second, whichever of them the text was about.
        sign = np.zeros(len(flips.rows))
        sign[one], sign[other] = -1, 1
        everything = list(range(len(flips.rows)))
        chosen = {
            "flip_rate": (100 * flips.flipped, everything),
            "probability_gap": (100 * sign * (flips.after - flips.before), sorted(one + other)),
            "decision_gap": (100 * sign * (flips.chosen[:, 1] - flips.chosen[:, 0]), sorted(one + other)),
            f"flip_rate_{first}_to_{second}": (100 * flips.flipped, one),
            f"flip_rate_{second}_to_{first}": (100 * flips.flipped, other),
        }
        ids, clusters = table["id"].tolist(), table["cluster"].tolist()
        return [
            [
                ItemScore(f"{self.id}/{flips.kind}/{name}", ids[r], float(values[i]), clusters[r])
                for i, r in ((i, flips.rows[i]) for i in which)
            ]
            for name, (values, which) in chosen.items()
            if which
        ]

    def _left(self, flips: Flips, table: pd.DataFrame) -> list[ItemScore]:
        """100 for each text with a group word that was left out, 0 for each that was swapped."""
        at = f"{self.id}/{flips.kind}/left_unsure"
        share = dict.fromkeys(flips.unsure, 100.0) | dict.fromkeys(flips.rows, 0.0)
        ids, clusters = table["id"].tolist(), table["cluster"].tolist()
        return [ItemScore(at, ids[row], share[row], clusters[row]) for row in sorted(share)]

    def _measurement(
        self,
        scores: Sequence[ItemScore],
        flips: Flips,
        nulls: dict[str, dict[str, Any]],
        model: Any,
        rng: np.random.Generator,
    ) -> Measurement:
        metric = scores[0].measurement.rsplit("/", 1)[1]
        gap = metric.endswith("gap")
        details: dict[str, Any] = {"groups": list(GROUPS[flips.kind])}
        if metric == "flip_rate":
            details["rule_decided"] = sum(s.ruled for s in flips.swapped)
            details["words"] = sum(len(s.changes) for s in flips.swapped)
            details["left_unsure"] = len(flips.unsure)
            weights = model.describe()["weights_sha256"]
            details["validity"] = {"null": nulls[metric], "weights_sha256": weights}
            details["extremes"] = self._extremes(flips)
        if metric == "decision_gap":
            up, down = (np.array([np.sign(s.value) == side for s in scores]) for side in (1, -1))
            test = stats.mcnemar(up, down)
            details |= {"p_value": test.p_value, "only_first": test.only_a, "only_second": test.only_b}
        return summarize(
            scores, unit="percentage points" if gap else "%", ideal=0.0, method=METHOD, source=self.source, rng=rng,
            null=0.0 if metric == "probability_gap" else None, bounds=(-100, 100) if gap else (0, 100),
            details=details,
        )  # fmt: skip

    def _explain(
        self, model: Any, flips: Flips, table: pd.DataFrame, column: int, rng: np.random.Generator
    ) -> ProbeResult:
        """How much of the attribution of changed decisions lies on the exchanged words."""
        id = f"{self.id}/{flips.kind}/attribution_share"
        about: dict[str, Any] = {"unit": "%", "method": flip_attribution.METHOD, "source": flip_attribution.SOURCE}
        flipped = np.flatnonzero(flips.flipped).tolist()
        chosen = [flipped[i] for i in subset(len(flipped), self.explained, rng)]
        texts, swapped = [flips.texts[i] for i in chosen], [flips.swapped[i] for i in chosen]
        try:
            if not chosen:
                raise DataError(f"none of {len(flips.rows)} decisions changed, so there is none to explain")
            shares, details = flip_attribution.shares_of_exchanged_words(
                model, texts, swapped, model.labels[column], seed=int(rng.integers(2**31))
            )
        except (InputError, MissingCapability) as e:
            about |= {"status": "undefined", "details": {"reason": str(e)}}
            return ProbeResult([Measurement(id=id, value=None, **about)])
        of_rows = table.iloc[[flips.rows[i] for i in chosen]]
        rows = zip(of_rows["id"], shares.tolist(), of_rows["cluster"], strict=True)
        items = [ItemScore(id, *row) for row in rows]
        return ProbeResult([summarize(items, ideal=None, bounds=(0, 100), rng=rng, details=details, **about)], items)

    def _extremes(self, flips: Flips) -> list[dict[str, Any]]:
        """The texts whose probability changes most, with the words that were exchanged."""
        rows = []
        for i, swapped in enumerate(flips.swapped):
            first, second = GROUPS[flips.kind]
            group = f"{first} to {second}" if swapped.changes[0].first else f"{second} to {first}"
            words = [_listed(c.before for c in swapped.changes), _listed(c.after for c in swapped.changes)]
            texts = [flips.texts[i], swapped.text]
            a, b = (f"{w} in {redact(t)}" for w, t in zip(words, texts, strict=True)) if self.redact else texts
            rows.append({"a": a, "b": b, "score": 100 * float(flips.after[i] - flips.before[i]), "group": group})
        return extremes(rows)

    def _notice(self, model: Any, flips: Flips, n: int) -> None:
        """Count the texts that nothing was done to, and the pronouns that a rule decided."""
        if flips.unsure:
            model.notices[f"texts left out, since the swap of a sentence is unsure ({flips.kind})"] += len(flips.unsure)
        if unchanged := n - len(flips.rows) - len(flips.unsure):
            model.notices[f"texts without a word to swap ({flips.kind})"] += unchanged
        if ruled := sum(s.ruled for s in flips.swapped):
            model.notices[f"pronouns (her, his) swapped by rule ({flips.kind})"] += ruled


def _listed(words: Iterable[str]) -> str:
    """Each word once, in order."""
    return ", ".join(dict.fromkeys(words))
