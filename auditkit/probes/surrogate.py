"""A classifier in rules that can be read aloud, and how far they are true of it.

Measured are, in this order:

    surrogate/tree/fidelity    share of held-out texts to which a shallow tree over the presence of words gives the
                               model's label; details["rules"] are its paths
    surrogate/tree/gain        fidelity less that of always naming the commonest label: what the rules know at all
    surrogate/anchors/found    share of texts with an anchor: at most four words that hold the label in place whatever
                               else the text says; details["anchors"] are these

Their intervals are over held-out texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditkit import data as datasets
from auditkit import stats
from auditkit.errors import DataError, InputError
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import Classifies
from auditkit.probes.base import ProbeResult
from auditkit.probes.evidence import subset

if TYPE_CHECKING:
    from auditkit.explain.surrogate import Surrogate


@dataclass(frozen=True, kw_only=True)
class RuleSurrogate:
    """A shallow tree and anchors that imitate a classifier, with their fidelity on texts that they were not made from.

    Attributes:
        id: name in the report.
        texts: what the classifier is used on: the path of a text file (one a line), or a list; empty takes the
            sentences of `data`.
        data: name or path of pairs, whose sentences are taken; those of one cluster are held out together.
        depth: how many words a rule of the tree may ask for.
        anchored: for how many texts an anchor is searched.
        precision: in which share of the variants of a text its anchor must hold the label.
    """

    id: str = "surrogate"
    texts: str | tuple[str, ...] = ()
    data: str = "builtin_pairs"
    depth: int = 3
    anchored: int = 12
    precision: float = 0.95

    needs: ClassVar[tuple[type, ...]] = (Classifies,)
    source: ClassVar[str] = "Craven & Shavlik 1996 (trees); Ribeiro et al. 2018 (anchors)"

    def __post_init__(self) -> None:
        if not (1 <= self.depth <= 6 and self.anchored >= 0 and 0 < self.precision < 1):
            raise InputError(
                f"depth={self.depth}, anchored={self.anchored}, precision={self.precision}; expected 1 to 6, at least "
                "0, and a share inside (0, 1)"
            )

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """Fit the tree, judge it, and search the anchors.

        Raises:
            DataError: too few texts.
        """
        from auditkit.explain.surrogate import fit_tree

        texts, clusters = self._texts()
        try:
            tree = fit_tree(model, texts, rng=rng, depth=self.depth, clusters=clusters)
        except DataError as e:
            if "tells apart" not in str(e):
                raise
            return ProbeResult([self._measurement(f"tree/{m}", None, {"reason": str(e)}) for m in ("fidelity", "gain")])
        measurements = self._tree(tree)
        if self.anchored:
            measurements.append(self._anchors(model, texts, rng))
        return ProbeResult(measurements)

    def _texts(self) -> tuple[list[str], list[str]]:
        """The texts, and the cluster of each."""
        from auditkit.explain.texts import read_texts

        if self.texts:
            texts = read_texts(self.texts)
            return texts, [str(i) for i in range(len(texts))]
        pairs = datasets.load(self.data, kind="pairs").items
        rows = [(text, pair.cluster) for pair in pairs for text in (pair.more, pair.less)]
        return [text for text, _ in rows], [cluster for _, cluster in rows]

    def _tree(self, tree: Surrogate) -> list[Measurement]:
        rules = [
            {
                "rule": str(rule), "label": rule.label, "texts": rule.texts, "agreeing": rule.agreeing,
                "low": rule.interval and 100 * rule.interval.low, "high": rule.interval and 100 * rule.interval.high,
            }
            for rule in tree.rules
        ]  # fmt: skip
        majority = 100 * tree.majority
        return [
            self._measurement("tree/fidelity", tree.fidelity, {"majority": majority, "rules": rules}, n=tree.n),
            self._measurement("tree/gain", tree.gain, {}, n=tree.n),
        ]

    def _anchors(self, model: Any, texts: Sequence[str], rng: np.random.Generator) -> Measurement:
        from auditkit.explain.surrogate import anchor, anchor_fidelity

        chosen = subset(len(texts), self.anchored, rng)
        others = [texts[i] for i in sorted(set(range(len(texts))) - set(chosen))]
        found = [anchor(model, texts[i], rng=rng, precision=self.precision) for i in chosen]
        rows = [
            {
                "words": " ".join(a.words), "label": a.label, "precision": 100 * a.precision[0],
                "low": 100 * a.precision[1].low, "high": 100 * a.precision[1].high, "sure": a.sure,
                "elsewhere": elsewhere, "held_low": held and 100 * held.low, "held_high": held and 100 * held.high,
            }
            for a, elsewhere, held in anchor_fidelity(model, found, others)
        ]  # fmt: skip
        sure = sum(a.sure for a in found)
        value = (sure / len(found), stats.wilson(sure, len(found)))
        return self._measurement("anchors/found", value, {"anchors": rows}, n=len(found))

    def _measurement(
        self, name: str, value: tuple[float, Interval] | None, details: dict[str, Any], n: int = 0
    ) -> Measurement:
        """Shares become per cent."""
        interval = value and Interval(100 * value[1].low, 100 * value[1].high, value[1].level, value[1].method)
        return Measurement(
            id=f"{self.id}/{name}",
            value=value and 100 * value[0],
            interval=interval,
            status="ok" if value else "undefined",
            n=n,
            unit="points" if name == "tree/gain" else "%",
            method=_METHODS[name].format(depth=self.depth, precision=100 * self.precision),
            source=self.source,
            details=details,
        )


_METHODS = {
    "tree/fidelity": "tree of depth {depth} over the presence of words; agreement with the model on held-out texts",
    "tree/gain": "agreement of that tree less that of the commonest label, paired by text",
    "anchors/found": "texts in which at most four words hold the label in {precision:g} % of variants, surely at 95 %",
}
