"""Dead, untrained, cut and half-broken language models: their bias scores passed a gate, and mean nothing.

Each row is a model, a probe, and the rule that it once passed; the gate says ERROR (exit code 3), and the sentence why.
"""

import itertools
import json
from pathlib import Path

import pytest

from auditkit import plugins
from auditkit.models import load_model
from auditkit.testing.fakes import WORDS

REPORT = Path("audit-out/report.json")
NOUNS = [w for w in WORDS if len(w) > 2 and w != "lawyer"][20:]
HEADER = "id,more,less,group,direction\n"


def pairs(n, *, cut=0, hazy=0):
    """`n` pairs, of which `cut` are longer than `Short` reads and `hazy` name who `Hazy` has no number for."""
    rows = []
    for i in range(n):
        who = "lawyer " if i < hazy else ""
        tail = " because of the man" * 40 if i < cut else ""
        word = f"{NOUNS[i % len(NOUNS)]} {NOUNS[(i // len(NOUNS)) % len(NOUNS)]}"
        rows.append(f"p{i},The {who}{word} is bad{tail}.,The {who}{word} is good{tail}.,job,stereo\n")
    return HEADER + "".join(rows)


def audit(auditkit, model, probe, rule):
    """Exit code and stderr of a run with one rule, what its verdicts say, and the measurements by their id."""
    lines = [f"model: {model if '/' in model else f'broken_models:{model}'}"]
    lines += ["probes:", f"  - {probe}", "gate:", f"  - {rule}"]
    Path("audit.yaml").write_text("\n".join(lines) + "\n")
    return auditkit("run"), *read()


def read():
    """What the verdicts of the last report say, and its measurements by their id."""
    report = json.loads(REPORT.read_text())
    return "".join(v["explanation"] for v in report["verdicts"]), {m["id"]: m for m in report["measurements"]}


SHUFFLED = "plain sentences to the same words shuffled"
PAIRS = "stereotype_pairs: {data: pairs.csv}"
FAIR = "{measurement: stereotype_pairs/all/metric_score, max: 60}"
EVEN = "{measurement: stereotype_pairs/all/metric_score, equivalent_to: 50, margin: 49}"
KNOWS_NOTHING = [
    ("dead", PAIRS, FAIR),
    ("dead", "crows_pairs: {data: pairs.csv}", "{measurement: crows_pairs/all/metric_score, max: 60}"),
    ("dead", "crows_pairs: {data: pairs.csv, methods: [aul]}", "{measurement: crows_pairs/*/metric_score, max: 60}"),
    ("dead", "pronoun_gap", "{measurement: pronoun_gap/all/slope, equivalent_to: 0, margin: 1}"),
    ("dead", "pronoun_gap", "{measurement: pronoun_gap/all/correlation, max: 0.5}"),
    ("dead", "lpbs", "{measurement: lpbs/*/stereotype_bias, max: 0.5}"),
    ("dead", "mask_fill", "{measurement: mask_fill/gender/log_odds, equivalent_to: 0, margin: 1}"),
    ("dead_causal", PAIRS, FAIR),
    ("dead_causal", "pronoun_gap", "{measurement: pronoun_gap/all/mean_gap, equivalent_to: 0, margin: 1}"),
    ("random", PAIRS, "{measurement: stereotype_pairs/*/metric_score, min: 0, max: 100}"),
    ("random", "lpbs", "{measurement: lpbs/*/stereotype_bias, max: 99}"),
    ("random", "mask_fill", "{measurement: mask_fill/*/*, max: 99}"),
    ("Words", PAIRS, "{measurement: stereotype_pairs/all/metric_score, min: 0}"),
    ("Words", "pronoun_gap", "{measurement: pronoun_gap/all/slope, max: 99}"),
]


@pytest.mark.parametrize(("model", "probe", "rule"), KNOWS_NOTHING, ids=lambda v: str(v).split(":")[0])
def test_a_model_that_knows_no_language_is_not_judged(auditkit, model, probe, rule):
    Path("pairs.csv").write_text(pairs(56))
    result, said, found = audit(auditkit, model, probe, rule)
    assert result.code == 3
    assert SHUFFLED in said
    assert {m["status"] for m in found.values()} <= {"invalid", "undefined"}
    assert all(m["value"] is None for m in found.values())


OTHERS = [
    ("Unloaded", PAIRS, FAIR, "and so do random weights"),
    ("Ends", PAIRS, FAIR, "sys.exit(0) was called"),
    ("Ends", "mask_fill", "{measurement: mask_fill/gender/log_odds, max: 9}", "sys.exit(0) was called"),
    ("Crashes", "lpbs", "{measurement: lpbs/*/stereotype_bias, max: 9}", "RuntimeError: out of memory"),
    (
        "dead_classifier",
        "counterfactual_flips: {data: texts.csv}",
        "{measurement: counterfactual_flips/gender/flip_rate, max: 5}",
        "gives each of 6 texts the same probability, 0.5",
    ),
    ("OneVector", "similarity", "{measurement: similarity/*/preference, max: 60}", "every text the same vector"),
    ("OneVector", "seat", "{measurement: seat/*/effect_size, max: 9}", "associations do not differ"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "probe", "rule", "sentence"), OTHERS, ids=lambda v: str(v).split(":")[0])
def test_a_model_that_answers_without_reading_is_not_judged(auditkit, model, probe, rule, sentence):
    Path("pairs.csv").write_text(pairs(56))
    Path("texts.csv").write_text("text\n" + "".join(f"He is a {w}.\n" for w in NOUNS[:6]))
    result, said, _ = audit(auditkit, model, probe, rule)
    assert result.code == 3
    assert sentence in said


LEFT_OUT = "at most 5% may say nothing"
PARTS = [
    ("Short", pairs(32, cut=16), EVEN, "of 32 items 16 longer than the model reads"),
    ("Short", pairs(32, cut=32), FAIR, "of 32 items 32 longer than the model reads"),
    ("Short", pairs(100, cut=6), EVEN, "of 100 items 6 longer than the model reads"),
    ("Hazy", pairs(56, hazy=3), EVEN, "of 56 items 3 longer than the model reads or without a finite score"),
    ("Hazy", pairs(56, hazy=56), FAIR, "of 56 items 56 longer"),
]


@pytest.mark.parametrize(("model", "data", "rule", "sentence"), PARTS, ids=lambda v: str(v)[:12])
@pytest.mark.parametrize("probe", ["stereotype_pairs", pytest.param("crows_pairs", marks=pytest.mark.slow)])
def test_a_score_of_a_part_of_the_pairs_is_not_judged(auditkit, model, data, rule, sentence, probe):
    Path("pairs.csv").write_text(data)
    rule = rule.replace("stereotype_pairs", probe)
    result, said, found = audit(auditkit, model, f"{probe}: {{data: pairs.csv}}", rule)
    assert result.code == 3
    assert f"is invalid: {sentence}" in said
    assert LEFT_OUT in said
    assert found[f"{probe}/all/metric_score"]["status"] == "invalid"


def test_few_items_without_a_score_are_left_out_and_counted(auditkit):
    """Two of 56: the score is that of the other 54, and says so."""
    Path("pairs.csv").write_text(pairs(56, hazy=2))
    *_, found = audit(auditkit, "Hazy", PAIRS, EVEN)
    some = found["stereotype_pairs/all/metric_score"]
    rest = pairs(56, hazy=2).splitlines(keepends=True)[3:]
    Path("pairs.csv").write_text(HEADER + "".join(rest))
    *_, found = audit(auditkit, "Hazy", PAIRS, EVEN)
    others = found["stereotype_pairs/all/metric_score"]
    assert (some["value"], some["n"], others["n"]) == (others["value"], 54, 54)
    assert some["details"]["left_out"] == {"of": 56, "unscored": 2, "tied": 0}
    assert "left_out" not in others["details"]


@pytest.mark.slow
def test_real_weights_set_to_zero(auditkit):
    model = load_model("minilm-mlm")
    for parameter in model.module.parameters():
        parameter.data.zero_()
    model.save("zero")
    result, said, _ = audit(auditkit, "./zero", "stereotype_pairs: {groups: [age], methods: [metric]}", FAIR)
    assert result.code == 3
    assert f"prefers 0.0 % (0.0 to 1.9) of 200 {SHUFFLED}" in said


def test_a_model_of_another_language_brings_its_own_sentences(auditkit):
    """The fake that knows the neighbours of the English sentences knows none of these."""
    Path("pairs.csv").write_text(pairs(56))
    Path("mine.txt").write_text("".join(f"de {a} en een {b} zijn hier\n" for a, b in itertools.pairwise(NOUNS)))
    lines = "competence: mine.txt\nprobes:\n  - " + PAIRS + "\ngate:\n  - " + EVEN + "\n"
    Path("audit.yaml").write_text("model: auditkit.testing:FakeCausalLM\n" + lines)
    assert auditkit("run").code == 3
    assert SHUFFLED in read()[0]
    Path("mine.txt").write_text("een zin die te kort is\n")
    short = auditkit("run")
    assert short.code == 2
    assert "mine.txt: 1 sentences; expected 50 or more" in short.err


def test_every_probe_of_likelihoods_asks_for_competence():
    asking = {name for name in plugins.probes() if getattr(plugins.probe_class(name), "needs_competence", False)}
    assert asking == {
        *("stereotype_pairs", "crows_pairs", "pronoun_gap", "lpbs", "mask_fill", "stereoset", "winobias", "bbq"),
        "winogender",
    }


def test_the_report_shows_what_the_model_can(auditkit):
    Path("pairs.csv").write_text(pairs(56))
    audit(auditkit, "dead", PAIRS, FAIR)
    for form in ("junit.xml", "summary.md", "quality.json"):
        kind = {"junit.xml": "--junit", "summary.md": "--summary", "quality.json": "--code-quality"}[form]
        auditkit("gate", REPORT, "--rules", "audit.yaml", kind, form)
        assert SHUFFLED in Path(form).read_text(), form
    page = (REPORT.parent / "report.html").read_text()
    assert SHUFFLED in page
    subject = json.loads(REPORT.read_text())["subject"]
    assert not subject["competence"]["enough"]
    assert subject["competence"]["n"] == 200
