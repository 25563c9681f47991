"""What happens inside the model: what its attention heads do, and which layer knows the group of a person.

    <layer>/entropy                   how evenly a layer's heads attend (Clark et al. 2019)
    <role>/heads                      how many heads look at the previous, first or same token (Voita et al. 2019)
    <summary>/gradient_agreement      whether attention points at the tokens that the prediction depends on
                                      (Jain & Wallace 2019; rollout and flow: Abnar & Zuidema 2020)
    <group>/<layer>/accuracy_on_new_words, accuracy, selectivity
                                      whether the words *around* a person carry the person's group: of persons that a
                                      probe never saw, and beyond what it learns by heart (Hewitt & Liang 2019)
    <layer>/pronoun_slope             by which layer the choice of she or he follows the occupation (logit lens)

Group information is not bias by itself: a layer must know a group to use the right pronoun. It says where in the model
a group could be acted on, and where an intervention has something to remove.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditkit import data as datasets
from auditkit import stats
from auditkit.errors import DataError, MissingCapability, VocabularyError
from auditkit.explain.group_texts import FRAMES, GROUPS, Groups, group_texts
from auditkit.measurement import Interval, Measurement
from auditkit.models.protocols import FillsMask, Floats, HasModule
from auditkit.probes.base import ItemScore, ProbeResult
from auditkit.probes.evidence import random_weights_nulls, subset, summarize
from auditkit.probes.pronoun_gap import PRONOUNS, TEMPLATES, slope

EXAMPLE = FRAMES[0].format("my mother")
if TYPE_CHECKING:  # they import torch, which listing the probes must not
    from auditkit.explain.attention import HeadRoles
    from auditkit.explain.attention_gradients import Agreement
    from auditkit.explain.introspection import LayerProbe

ORDER = (
    "accuracy_on_new_words",
    "pronoun_slope",
    "selectivity",
    "accuracy",
    "gradient_agreement",
    "heads",
    "entropy",
)
"""Of the metrics in the report: what is about groups comes first."""
NULL_ITEMS = 30  # occupations of the random-weights null
MATRIX_TOKENS = 24  # a longer text is no small picture
ENTROPY = "mean entropy of the rows of attention, as a share of that of even attention; mean over the layer's heads"
HEADS = "heads whose attention lies more than half way from even to exclusive on the role's tokens"
AGREEMENT = "Spearman correlation over a text's tokens of attention received and gradient norm of the prediction; mean"
NEW_WORDS = f"share of texts whose group a ridge probe names, from the words around a person that it never saw; \
{len(FRAMES)} frames, p by random labels of the persons"
ACCURACY = f"the same share for persons that it saw in other frames; {len(FRAMES)} frames"
SELECTIVITY = "that accuracy less the accuracy on control tasks, in which the same words have random labels"
SLOPE = f"slope, on the share of women, of log p(she) - log p(he) after this layer; {len(TEMPLATES)} templates"
LENS = "logit lens (nostalgebraist 2020); Rudinger et al. 2018"


@dataclass(frozen=True, kw_only=True)
class Introspection:
    """Head roles, entropy, agreement with gradients, and group information by layer.

    Attributes:
        data: name of a set of sentence pairs, or a path: one sentence of each cluster is read for its attention.
        max_texts: at most so many sentences.
        occupations: name of an occupation set, or a path, for the pronoun slope of each layer.
    """

    id: str = "introspection"
    data: str = "builtin_pairs"
    max_texts: int = 60
    occupations: str = "builtin_occupations"

    needs: ClassVar[tuple[type, ...]] = (HasModule,)
    source: ClassVar[str] = "Hewitt & Liang (2019), EMNLP 2019, https://aclanthology.org/D19-1275"

    def __post_init__(self) -> None:
        if self.max_texts < 4:
            raise DataError(f"{self.id}: max_texts = {self.max_texts}; expected at least 4")

    def measure(self, model: Any, rng: np.random.Generator) -> ProbeResult:
        """All of the above that the model can show."""
        texts = self._texts()
        measurements, items = self._attention(model, texts, rng)
        parts = [self._agreement(model, texts, rng), self._group_information(model, rng), self._pronouns(model, rng)]
        for more, scores in parts:
            measurements += more
            items += scores
        return ProbeResult(sorted(measurements, key=lambda m: ORDER.index(m.id.rsplit("/", 1)[1])), items)

    def _texts(self) -> list[str]:
        """One sentence of each cluster, so that texts are independent of each other."""
        dataset = datasets.load(self.data, kind="pairs")
        first = {pair.cluster: pair.more for pair in reversed(dataset.items)}
        if len(first) < 4:
            raise DataError(f"{dataset.name}: {len(first)} clusters; attention is compared over at least 4 texts")
        return list(first.values())[::-1][: self.max_texts]

    # --- attention ------------------------------------------------------------------------------------------------

    def _attention(
        self, model: Any, texts: Sequence[str], rng: np.random.Generator
    ) -> tuple[list[Measurement], list[ItemScore]]:
        """Entropy of each layer, heads of each role, and the pictures."""
        from auditkit.explain import attention

        maps = attention.attention_maps(model, texts)
        entropies = np.stack([attention.entropy(m.weights) for m in maps])  # (n, L, H)
        roles = attention.head_roles(maps)
        found: list[Measurement] = []
        scores: list[ItemScore] = []
        for layer, values in enumerate(entropies.mean(axis=2).T, 1):
            name = f"{self.id}/layer_{layer}/entropy"
            items = [ItemScore(name, text, float(v)) for text, v in zip(texts, values, strict=True)]
            found.append(summarize(items, unit="", ideal=None, bounds=(0, 1), method=ENTROPY, source=_CLARK, rng=rng))
            scores += items
        found += [self._heads(roles, role) for role in attention.ROLES]
        pictures = {
            "head_grid": {"entropy": np.round(entropies.mean(axis=0), 3).tolist(), "roles": roles.names},
            "matrices": _matrices(model, roles),
        }
        return [found[0].with_details(**pictures), *found[1:]], scores

    def _heads(self, roles: HeadRoles, role: str) -> Measurement:
        """How many heads have a role, and which surely do."""
        value, interval = roles.count(role)
        sure = [
            f"layer {i} head {j}" for i, row in enumerate(roles.names, 1) for j, r in enumerate(row, 1) if r == role
        ]
        return Measurement(
            id=f"{self.id}/{role}/heads",
            value=value,
            interval=interval,
            n=roles.n,
            unit="heads",
            method=HEADS,
            source=_VOITA,
            details={"of_heads": int(np.prod(roles.lift.shape[:2])), "surely": sure},
        )

    def _agreement(
        self, model: Any, texts: Sequence[str], rng: np.random.Generator
    ) -> tuple[list[Measurement], list[ItemScore]]:
        """Whether attention and gradients agree; skipped for models that predict nothing."""
        from auditkit.explain.attention_gradients import gradient_agreement

        try:
            found = gradient_agreement(model, texts, rng=rng)
        except MissingCapability as e:
            return [self._skipped("attention/gradient_agreement", str(e), AGREEMENT, _JAIN)], []
        pairs = [self._agrees(summary, agreement, texts) for summary, agreement in found.items()]
        return [m for m, _ in pairs], [item for _, items in pairs for item in items]

    def _agrees(self, summary: str, agreement: Agreement, texts: Sequence[str]) -> tuple[Measurement, list[ItemScore]]:
        name = f"{self.id}/{summary}/gradient_agreement"
        kept = [(text, float(v)) for text, v in zip(texts, agreement.values, strict=True) if np.isfinite(v)]
        measurement = Measurement(
            id=name,
            value=agreement.mean,
            interval=agreement.interval,
            n=len(kept),
            method=AGREEMENT,
            source=_JAIN,
            details={"texts_too_short_or_without_variation": len(texts) - len(kept)},
        )
        return measurement, [ItemScore(name, text, v) for text, v in kept]

    # --- what the layers know -------------------------------------------------------------------------------------

    def _group_information(self, model: Any, rng: np.random.Generator) -> tuple[list[Measurement], list[ItemScore]]:
        """Accuracy and selectivity of a probe of each group in each layer, beside those of random weights."""
        seed = int(rng.integers(2**32))

        def scores(random: Any) -> dict[tuple[str, int], float]:
            draws = np.random.default_rng(seed)
            return {(g.name, p.layer): 100 * p.generalization[0] for g in GROUPS for p in _probe(random, g, draws)}

        probes = {groups: _probe(model, groups, rng) for groups in GROUPS}
        sizes = {(g.name, p.layer): len(p.correct) for g, found in probes.items() for p in found}
        nulls = random_weights_nulls(model, scores, sizes)
        weights = model.describe()["weights_sha256"]
        out: list[Measurement] = []
        items: list[ItemScore] = []
        for groups, found in probes.items():
            for p in found:
                validity = {"null": nulls[groups.name, p.layer], "weights_sha256": weights}
                measured, behind = self._layer(groups, p, validity)
                out += measured
                items += behind
        return out, items

    def _layer(
        self, groups: Groups, p: LayerProbe, validity: Mapping[str, Any]
    ) -> tuple[list[Measurement], list[ItemScore]]:
        """Three measurements, and the answers behind them; the words that name a group are the independent units."""
        place, rows = f"{self.id}/{groups.name}/layer_{p.layer}", group_texts(groups)
        new_words = {
            "p_value": p.p_value,
            "p_value_any_layer": p.p_value_any_layer,
            "chance": 100 * p.chance,
            "group_a": list(groups.a),
            "group_b": list(groups.b),
            "validity": dict(validity),
        }
        control = {"control_accuracy": 100 * float(p.control.mean())}
        measured: tuple[tuple[str, Floats, tuple[float, Interval], str, dict[str, Any]], ...] = (
            ("accuracy_on_new_words", p.new_words, p.generalization, NEW_WORDS, new_words),
            ("selectivity", p.correct - p.control, p.selectivity, SELECTIVITY, control),
            ("accuracy", p.correct, p.accuracy, ACCURACY, {}),
        )
        out: list[Measurement] = []
        items: list[ItemScore] = []
        for metric, values, (value, interval), method, details in measured:
            out.append(
                Measurement(
                    id=f"{place}/{metric}",
                    value=100 * value,
                    interval=Interval(100 * interval.low, 100 * interval.high, interval.level, interval.method),
                    n=len(values),
                    unit="points" if metric == "selectivity" else "%",
                    method=method,
                    source=self.source,
                    details=details,
                )
            )
            scores = zip(rows, (100 * values).tolist(), strict=True)
            items += [ItemScore(f"{place}/{metric}", row.text, v, row.word) for row, v in scores]
        return out, items

    # --- what the layers would predict ----------------------------------------------------------------------------

    def _pronouns(self, model: Any, rng: np.random.Generator) -> tuple[list[Measurement], list[ItemScore]]:
        """The slope of the pronoun gap on the share of women, after each layer."""
        jobs = datasets.load(self.occupations, kind="occupations").items
        share = np.array([o.female_share for o in jobs])
        titles = [o.title for o in jobs]
        if getattr(model, "task", "") not in ("masked-lm", "causal-lm"):
            reason = f"{model.name} chooses no pronouns: it is no masked or causal language model over words"
            return [self._skipped("all/pronoun_slope", reason, SLOPE, LENS)], []
        try:
            gaps = _pronoun_gaps(model, titles)  # (L + 1, occupations)
        except (VocabularyError, MissingCapability) as e:
            return [self._skipped("all/pronoun_slope", str(e), SLOPE, LENS)], []

        chosen = subset(len(jobs), NULL_ITEMS, rng)

        def scores(random: Any) -> dict[int, float]:
            found = _pronoun_gaps(random, [titles[i] for i in chosen])
            return {layer: slope(share[chosen], gap) for layer, gap in enumerate(found)}

        nulls = random_weights_nulls(model, scores, dict.fromkeys(range(len(gaps)), len(chosen)))
        weights = model.describe()["weights_sha256"]
        out: list[Measurement] = []
        items: list[ItemScore] = []
        for layer, gap in enumerate(gaps):
            name = f"{self.id}/layer_{layer}/pronoun_slope"
            out.append(
                Measurement(
                    id=name,
                    value=slope(share, gap),
                    interval=stats.cluster_bootstrap(gap, np.arange(len(gap)), x=share, rng=rng),
                    n=len(gap),
                    unit="nats per unit share",
                    ideal=0.0,
                    method=SLOPE,
                    source=LENS,
                    details={"validity": {"null": nulls[layer], "weights_sha256": weights}},
                )
            )
            rows = zip(titles, gap.tolist(), share.tolist(), strict=True)
            items += [ItemScore(name, title, g, title, x) for title, g, x in rows]
        return out, items

    def _skipped(self, metric: str, reason: str, method: str, source: str) -> Measurement:
        return Measurement(
            id=f"{self.id}/{metric}",
            value=None,
            status="skipped",
            method=method,
            source=source,
            details={"reason": reason},
        )


_CLARK = "Clark et al. (2019), BlackboxNLP 2019, https://aclanthology.org/W19-4828"
_VOITA = "Voita et al. (2019), ACL 2019, https://aclanthology.org/P19-1580"
_JAIN = "Jain & Wallace (2019), NAACL 2019; Abnar & Zuidema (2020), ACL 2020"


def _probe(model: Any, groups: Groups, rng: np.random.Generator) -> list[LayerProbe]:
    from auditkit.explain.introspection import layer_vectors, probe_layers

    rows = group_texts(groups)
    vectors = layer_vectors(model, [r.text for r in rows], [r.span for r in rows])
    return probe_layers(vectors, [r.group for r in rows], [r.word for r in rows], [r.frame for r in rows], rng=rng)


def _pronoun_gaps(model: Any, titles: Sequence[str]) -> Floats:
    """(L + 1, occupations): log p(she) - log p(he) after each layer, averaged over the templates."""
    from auditkit.explain.logit_lens import logit_lens

    masked = isinstance(model, FillsMask)
    texts = [
        f"{start.format(title)} {model.mask_token} {end}" if masked else start.format(title)
        for title in titles
        for start, end in TEMPLATES
    ]
    logprobs = logit_lens(model, texts, PRONOUNS).logprobs
    gaps = (logprobs[..., 0] - logprobs[..., 1]).reshape(len(titles), len(TEMPLATES), -1)
    return np.asarray(gaps.mean(axis=1).T)


def _matrices(model: Any, roles: HeadRoles) -> list[dict[str, Any]]:
    """Of one harmless sentence: the clearest head of each role, and the rollout of all layers."""
    from auditkit.explain import attention

    (found,) = attention.attention_maps(model, [EXAMPLE])
    names = list(found.tokens.names)
    if len(names) > MATRIX_TOKENS:
        return []
    pictures = [("all layers: rollout", attention.rollout(found.weights)[-1])]
    for r, role in enumerate(attention.ROLES):
        best = np.where(np.array(roles.names) == role, roles.lift[..., r], -np.inf)
        if np.isfinite(best).any():
            layer, head = np.unravel_index(int(best.argmax()), best.shape)
            title = f"layer {layer + 1}, head {head + 1}: {role.replace('_', ' ')}"
            pictures.append((title, found.weights[layer, head].astype(np.float64)))
    return [{"title": title, "tokens": names, "weights": np.round(w, 3).tolist()} for title, w in pictures]
