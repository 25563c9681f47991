"""Whole sweeps: a null changes nothing, a broken point is no "no loss", and what was finished is not done again."""

import gc
import json
import pkgutil
import weakref

import pytest

import auditkit as ak
import auditkit.compression.points as points_module
from auditkit.compression import cost, spec
from auditkit.compression.cost import Latency
from auditkit.compression.points import slug_of
from auditkit.compression.sweeps import sweep
from auditkit.errors import ConfigError, DataError, ModelError
from auditkit.measurement import Interval
from auditkit.models.weights import weights_sha256
from auditkit.probes.evidence import NULL_SEEDS, KeptNulls, of_random_weights, sharing_nulls
from auditkit.report import AuditReport
from tests.compression.fragile import Fails, Scale, fragile_classifier
from tests.privacy import tiny_models

pytestmark = pytest.mark.usefixtures("believed")

TEXTS = tiny_models.TEXTS
GROUPS = [text.split()[1] for text in TEXTS]
NONE, HALF = {"magnitude": {"ratio": 0.0}}, {"magnitude": {"ratio": 0.5}}
PAIRS = [{"stereotype_pairs": {"groups": ["gender"], "methods": ["total"], "null_items": 2}}]
AUL = [{"stereotype_pairs": {"groups": ["gender"], "methods": ["aul"], "null_items": 2}}]
NO_COSTS = {"costs": False}


def test_a_null_sweep_changes_nothing_at_all():
    nulls = [[], NONE, Scale(factor=1.0)]
    model = tiny_models.masked_bert(max_position_embeddings=128)
    model.tokenizer.model_max_length = 128  # or the shipped pairs were cut
    report = sweep(model, nulls, AUL, texts=TEXTS, groups=GROUPS, drift=True, **NO_COSTS)
    assert {run.status for run in report.runs} == {"ok"}
    slugs = [p["slug"] for p in report["compression/all/pareto_front"].details["points"]]
    assert slugs == ["dense", "unchanged-copy", slug_of(spec.label(NONE)), "scaled-1"]
    for slug in slugs[1:]:
        found = {m.id.split("/", 2)[2]: m for m in report.measurements if m.id.startswith(f"compression/{slug}/")}
        for name, m in found.items():
            if name.endswith(("quality_loss", "worsening", "divergence", "answer_flips", "changed_texts")):
                assert m.value == 0, name
            if name.endswith(("quality_loss", "worsening", "divergence")):
                assert (m.interval.low, m.interval.high) == (0, 0)
            dense = f"compression/dense/{name}"
            if any(d.id == dense for d in report.measurements):
                assert (m.value, m.interval) == (report[dense].value, report[dense].interval), name
        assert found["agreement"].value == 100
        assert found["attribution_agreement"].value == 1
        assert found["safe"].value == 1
        assert sum(name.endswith("/worsening") for name in found) >= 4


def test_a_point_that_decides_alike_may_be_worse_on_other_items():
    model = tiny_models.masked_bert(max_position_embeddings=128)
    model.tokenizer.model_max_length = 128
    report = sweep(model, [Scale(factor=1.0001)], AUL, texts=TEXTS, **NO_COSTS)
    worsening = report["compression/scaled-1.0001/stereotype_pairs/gender/metric_score/worsening"]
    assert worsening.value == 0
    assert worsening.interval.low == -worsening.interval.high < 0
    assert "differs" in worsening.interval.method


def test_bias_is_measured_again_and_paired_with_the_dense_model():
    import auditkit as ak

    model = tiny_models.gpt2()
    report = sweep(model, [HALF], PAIRS, texts=TEXTS, **NO_COSTS)
    slug = slug_of(spec.label(HALF))
    score = f"compression/{slug}/stereotype_pairs/all/metric_score"
    alone = ak.audit(spec.compress(model, HALF), [ak.plugins.probe("stereotype_pairs", PAIRS[0]["stereotype_pairs"])])
    assert report[score].value == pytest.approx(alone["stereotype_pairs/all/metric_score"].value)
    items = report.items
    now, then = (
        items[items["measurement"] == m].set_index("item")["value"]
        for m in (score, "compression/dense/stereotype_pairs/all/metric_score")
    )
    assert now.index.tolist() == then.index.tolist()
    worse = abs(now.mean() - 50) - abs(then.mean() - 50)
    assert report[f"{score}/worsening"].value == pytest.approx(worse)
    assert report[f"{score}/worsening"].details["candidate"] == "probe"


def test_random_weights_are_scored_once_for_all_points(monkeypatch):
    model, drawn = tiny_models.gpt2(), []
    randomized = type(model).randomized
    monkeypatch.setattr(type(model), "randomized", lambda self, seed: drawn.append(seed) or randomized(self, seed))
    report = sweep(model, [HALF, NONE], PAIRS, texts=TEXTS, **NO_COSTS)
    assert drawn == list(NULL_SEEDS)
    score = "stereotype_pairs/all/metric_score"
    assert report[f"compression/dense/{score}"].details["validity"]["null"]["n"] > 0
    assert "validity" not in report[f"compression/{slug_of(spec.label(HALF))}/{score}"].details


def test_what_is_kept_of_random_weights_is_of_the_same_question():
    model, kept = tiny_models.gpt2(), KeptNulls()

    def first(random):
        return "first"

    def second(random):
        return "second"

    with sharing_nulls(kept):
        assert of_random_weights(model, first) == ["first"] * 3
    with sharing_nulls(kept):
        assert of_random_weights(None, first) == ["first"] * 3  # nothing is drawn
        assert of_random_weights(model, second) == ["second"] * 3
    with sharing_nulls(kept):
        assert of_random_weights(model, second) == ["second"] * 3
    assert of_random_weights(model, second) == ["second"] * 3


def test_a_point_that_yields_nan_or_cannot_be_made_is_undefined_and_the_others_are_made():
    model = tiny_models.gpt2()
    report = sweep(model, [Scale(factor=float("nan")), Fails(), HALF], texts=TEXTS, **NO_COSTS)
    reasons = {"scaled-nan": "no finite log-probability", "fails": "RuntimeError: no kernel for this shape"}
    for slug, reason in reasons.items():
        assert report[f"compression/{slug}/quality_loss"].status == "undefined"
        assert reason in report[f"compression/{slug}/perplexity"].details["reason"]
        assert report[f"compression/{slug}/safe"].value == 0
        assert report[f"compression/{slug}/hidden_harms"].details["flags"] == ["undefined"]
    on_front = {p["slug"]: p["on_front"] for p in report["compression/all/pareto_front"].details["points"]}
    assert not on_front["scaled-nan"]
    assert not on_front["fails"]
    assert report[f"compression/{slug_of(spec.label(HALF))}/agreement"].value > 0


def test_a_dense_model_that_yields_nan_is_refused():
    model = spec.compress(tiny_models.gpt2(), Scale(factor=float("nan")))
    report = sweep(model, [HALF], texts=TEXTS, **NO_COSTS)
    assert "the dense model gives no finite log-probability" in report.runs[0].reason


def test_a_slower_point_is_flagged_and_costs_are_measured(monkeypatch):
    def slow(point, dense, texts, *, batch_sizes):
        return tuple(Latency(b, 2.0, 1.0, 0.5, Interval(0.4, 0.6), 21, "processor") for b in batch_sizes)

    monkeypatch.setattr(cost, "latency", slow)
    report = sweep(tiny_models.gpt2(), [Scale(factor=1.0)], texts=TEXTS, batch_sizes=(1, 4))
    found = "compression/scaled-1"
    assert report[f"{found}/hidden_harms"].details["flags"] == ["no smaller than dense", "slower than dense"]
    assert report[f"{found}/speedup_batch_4"].value == 0.5
    assert report[f"{found}/bytes_in_memory"].value == report["compression/dense/bytes_in_memory"].value > 0
    assert report[f"{found}/energy"].details["estimate"] is True
    assert report[f"{found}/cpu_seconds"].value > 0
    assert report["compression/all/recommendation"].details["point"] is None
    assert "neither smaller nor faster" in report["compression/all/recommendation"].details["text"]


def test_every_point_is_let_go_and_the_dense_model_is_as_before(monkeypatch):
    alive, made = [], []

    def watched(*arguments, **options):
        gc.collect()
        alive.append(sum(ref() is not None for ref in made))
        point = spec_compress(*arguments, **options)
        made.append(weakref.ref(point.module))
        return point

    spec_compress = spec.compress
    monkeypatch.setattr(points_module.specs, "compress", watched)
    model = tiny_models.masked_bert()
    before = weights_sha256(model.module)
    specs = [HALF, Scale(factor=float("nan")), Fails(), NONE]
    sweep(model, specs, [], texts=TEXTS, groups=GROUPS, batch_sizes=(1,))
    gc.collect()
    assert alive == [0] * len(specs)
    assert [ref() for ref in made] == [None] * 3  # one cannot be made
    assert weights_sha256(model.module) == before


def test_a_step_that_changes_the_dense_model_stops_the_sweep():
    model = tiny_models.gpt2()

    class Wrong(Fails):
        label = "wrong"

        def apply(self, copy, rng):
            Scale(factor=2.0).apply(model, rng)
            return {}

    report = sweep(model, [Wrong()], texts=TEXTS, **NO_COSTS)
    assert "changed the dense model" in report.runs[0].reason
    assert issubclass(ModelError, Exception)


@pytest.mark.slow
def test_a_sweep_that_was_stopped_is_taken_up(tmp_path, monkeypatch):
    model, specs = tiny_models.gpt2(), [HALF, []]
    whole = sweep(model, specs, PAIRS, texts=TEXTS, groups=GROUPS, **NO_COSTS)
    made, compress = [], spec.compress

    def stopping(model, chosen, **options):
        if chosen == []:
            raise KeyboardInterrupt
        return compress(model, chosen, **options)

    monkeypatch.setattr(points_module.specs, "compress", stopping)
    with pytest.raises(KeyboardInterrupt):
        sweep(model, specs, PAIRS, texts=TEXTS, groups=GROUPS, out=tmp_path, **NO_COSTS)
    monkeypatch.setattr(points_module.specs, "compress", lambda m, s, **o: made.append(s) or compress(m, s, **o))
    taken_up = sweep(model, specs, PAIRS, texts=TEXTS, groups=GROUPS, out=tmp_path, **NO_COSTS)
    assert made == [[]]
    assert [m.to_json() for m in taken_up.measurements] == [m.to_json() for m in whole.measurements]
    assert AuditReport.load(tmp_path / "report.json").measurements == taken_up.measurements
    json.dumps(taken_up.to_json(), allow_nan=False)


@pytest.mark.parametrize("change", [{"margin": 0.1}, {"seed": 1}, {"texts": TEXTS[1:]}])
def test_what_was_finished_with_other_options_is_not_reused(tmp_path, monkeypatch, change):
    made, compress = [], spec.compress
    options = {"texts": TEXTS, "resume": str(tmp_path), **NO_COSTS}
    monkeypatch.setattr(points_module.specs, "compress", lambda m, s, **o: made.append(s) or compress(m, s, **o))
    model = tiny_models.gpt2()
    sweep(model, [HALF], **options)
    sweep(model, [HALF], **options)
    assert len(made) == 1
    sweep(model, [HALF], **(options | change))
    assert len(made) == 2


def test_all_that_is_wrong_is_said_at_once():
    wrong = ["int9", {"magnitude": {"ration": 0.5}}, ["int8", "int8x"], HALF, HALF]
    with pytest.raises(ConfigError) as caught:
        sweep(tiny_models.gpt2(), wrong, ["crow_pairs"], texts=TEXTS, axes=("size",), margin=-1.0)
    found = "\n".join(caught.value.problems)
    for problem in (
        "specs[0]: unknown compression step 'int9'", "specs[1]: unknown option of magnitude 'ration'",
        "specs[2]: unknown compression step 'int8x'", "is specs[3] again", "probes[0]: unknown probe 'crow_pairs'",
        "axes: unknown axis 'size'", "margin=-1.0",
    ):  # fmt: skip
        assert problem in found
    with pytest.raises(ConfigError, match="specs: none"):
        sweep(tiny_models.gpt2(), [], texts=TEXTS)
    with pytest.raises(DataError, match="no texts"):
        sweep(tiny_models.gpt2(), [HALF], texts=[])
    with pytest.raises(ConfigError, match="unknown option"):
        sweep(tiny_models.gpt2(), [HALF], texts=TEXTS, margins=1.0)


def test_a_classifier_needs_labels_and_a_step_may_be_an_object():
    lines, labels = zip(*tiny_models.LABELLED, strict=True)
    report = sweep(fragile_classifier(), [Scale(factor=1.0)], texts=list(lines), **NO_COSTS)
    assert "need true labels" in report.runs[0].reason
    report = sweep(fragile_classifier(), [Scale(factor=1.0)], texts=list(lines), labels=labels, **NO_COSTS)
    assert report["compression/scaled-1/quality_loss"].value == 0


def test_the_function_is_not_hidden_by_a_module_of_its_name():
    for package in (ak.compression, ak.mitigate):
        assert not {m.name for m in pkgutil.iter_modules(package.__path__)} & set(dir(package)) - {"mitigation"}
