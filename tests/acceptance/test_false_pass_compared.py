"""Audits that once passed, or could: unlike things compared, pages edited beside a signature, ledgers and YAML by hand.

Each row is a broken audit with the exit code that it must end with, and the sentence that must say why.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from auditkit.cli import main
from auditkit.integrity import envelope
from auditkit.measurement import Interval, Measurement
from auditkit.privacy.ledger import Ledger
from auditkit.privacy.sampling import PoissonSampler
from auditkit.report import AuditReport, ProbeRun

ID = "pairs/all/score"
WORSE = f"gate: [{{measurement: {ID}, max_worsening: 5}}]\n"
EARLIER, LATER = "2026-01-01T00:00:00.000+00:00", "2026-01-02T00:00:00.000+00:00"
N = 400


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every row works in a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(capsys):
    """Run a command in this process: its code, and stdout and stderr as one text."""

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in args])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        # A table folds its cells: what is said is looked for in the words alone.
        said = "".join(c for c in captured.out + captured.err if c not in "│┃┏┓└┘━─")
        return caught.value.code or 0, " ".join(said.split())

    return run


# --- 7. worsening between unlike things -------------------------------------------------------------------------------


def audited(
    *,
    name="report.json",
    created=LATER,
    kind="stereotype_pairs",
    options=None,
    data="ab",
    task="masked-lm",
    version="0.1.0",
    prefix="item",
    n=N,
    share=False,
    weights="cd",
    **measurement,
):
    """Write a report whose only measurement is a share of 400 items; by default the same as any other."""
    values = [float(i % 2) * (1 if share else 100) for i in range(n)]
    items = pd.DataFrame({"measurement": ID, "item": [f"{prefix} {i}" for i in range(n)], "value": values})
    value = sum(values) / n
    interval = Interval(value - 0.01, value + 0.01)
    details = {"data_sha256": data} if data else {}
    given = {"unit": "%", "ideal": 50.0, "details": details} | measurement
    report = AuditReport(
        subject={"name": "m", "task": task, "weights_sha256": weights * 32},
        environment={"auditkit": version},
        config={"probes": [{kind: {"id": "pairs", "null_items": 10, **(options or {"methods": ["metric"]})}}]},
        seed=0,
        runs=[ProbeRun("pairs", "ok")],
        measurements=[Measurement(id=ID, value=value, interval=interval, n=n, **given)],
        created=created,
        _items=items.assign(cluster="", x=float("nan")),
    )
    return report.save(name)


UNLIKE = {
    "another kind of probe": ({"kind": "crows_pairs"}, 'the probe was "crows_pairs", is "stereotype_pairs"'),
    "a class of one's own": ({"kind": "mine:Pairs"}, 'the probe was "mine:Pairs"'),
    "another option": ({"options": {"methods": ["aul"]}}, 'the option methods was ["aul"], is ["metric"]'),
    "an option more": ({"options": {"methods": ["metric"], "limit": 4}}, "the option limit was 4, is not recorded"),
    "true is not 1": ({"options": {"methods": [True]}}, "the option methods was [true]"),
    "another unit": ({"unit": ""}, 'the unit was "", is "%"'),
    "shares against %": ({"unit": "", "share": True, "ideal": 0.5}, 'the unit was "", is "%"'),
    "shares said to be %": ({"share": True, "ideal": 0.5}, "the ideal value was 0.5, is 50.0"),
    "another ideal": ({"ideal": 0.0}, "the ideal value was 0.0, is 50.0"),
    "other data": ({"data": "ef"}, 'the sha256 of its data was "ef", is "ab"'),
    "unknown data": ({"data": ""}, 'the sha256 of its data was not recorded, is "ab"'),
    "another kind of model": ({"task": "causal-lm"}, 'the kind of model was "causal-lm", is "masked-lm"'),
    "another major version": ({"version": "1.0.0"}, 'the major version of auditkit was "1", is "0"'),
    "another statistic": (
        {"details": {"data_sha256": "ab", "over_items": "correlation"}},
        'the statistic over its items was "correlation", is not recorded',
    ),
    "no item shared": ({"prefix": "other"}, "has no item in common with the baseline"),
    "a tenth of the items": ({"n": 40}, "only 40 of 400 items here and of 40 there are shared"),
    "a baseline ten times as large": ({"n": 4000}, "only 400 of 400 items here and of 4000 there are shared"),
    "89 %": ({"n": 356}, "expected at least 90% of both"),
    "dated 9999": ({"created": "9999-01-01T00:00:00+00:00"}, "is dated 9999-01-01T00:00:00+00:00, in the future"),
}


@pytest.mark.parametrize(("change", "sentence"), UNLIKE.values(), ids=UNLIKE)
def test_unlike_things_are_not_compared(cli, change, sentence):
    report, baseline = audited(), audited(**{"name": "before.json", "created": EARLIER, **change})
    Path("rules.yaml").write_text(WORSE)
    code, said = cli("gate", report, "--rules", "rules.yaml", "--baseline", baseline, "--summary", "summary.md")
    summary = Path("summary.md").read_text().replace("\\", "")
    assert (code, sentence in summary) == (3, True), summary
    if "dated" not in sentence:
        code, said = cli("compare", baseline, report, "--json")
        (found,) = json.loads(said)[0]["changes"]
        assert (code, found["kind"]) == (0, "not comparable")
        assert sentence.removeprefix("has ").split(" in common")[0] in found["note"].replace("share no", "no")


def test_one_shared_item_of_400_is_no_comparison(cli):
    report = audited()
    items = pd.read_parquet("report.items.parquet")
    kept = [items.item.iloc[0], *(f"other {i}" for i in range(1, N))]
    before = AuditReport.load(audited(name="before.json", created=EARLIER))
    replace(before, _items=items.assign(item=kept)).save("before.json")
    Path("rules.yaml").write_text(WORSE)
    code, said = cli("gate", report, "--rules", "rules.yaml", "--baseline", "before.json")
    assert code == 3
    assert "only 1 of 400" in said


def test_a_slope_on_another_covariate_is_no_comparison(cli):
    for name, created, turned in (("before.json", EARLIER, -1), ("report.json", LATER, 1)):
        report = AuditReport.load(audited(name=name, created=created, data=""))
        x = pd.Series([turned * float(i % 2) for i in range(N)])
        (m,) = report.measurements
        m = replace(m, unit="nats", value=turned * 100.0, interval=Interval(turned * 100.0, turned * 100.0))
        replace(report, measurements=[m], _items=report.items.assign(x=x)).save(name)
    Path("rules.yaml").write_text(WORSE)
    args = ("gate", "report.json", "--rules", "rules.yaml", "--baseline", "before.json", "--summary", "s.md")
    assert cli(*args)[0] == 3
    assert "x, which the value is a slope or correlation on, is not the same" in Path("s.md").read_text()


@pytest.mark.parametrize(
    "change",
    [{}, {"n": 380}, {"weights": "99"}, {"version": "0.9.3"}, {"options": {"methods": ["metric"], "null_items": 2}}],
    ids=["nothing", "95 % shared", "another model", "another minor version", "a cosmetic option"],
)
def test_like_things_are(cli, change):
    """What would a gate be worth that compared nothing?"""
    report, baseline = audited(), audited(**{"name": "before.json", "created": EARLIER, **change})
    Path("rules.yaml").write_text(WORSE)
    assert cli("gate", report, "--rules", "rules.yaml", "--baseline", baseline)[0] == 0


@pytest.mark.parametrize("share", [{}, {"unit": "", "share": True, "ideal": 0.5}], ids=["per cent", "shares"])
def test_a_few_equal_answers_of_two_models_are_no_proof(cli, share):
    limit = WORSE if not share else WORSE.replace("5}", "0.05}")
    Path("rules.yaml").write_text(limit)
    for n, other, code in ((20, "99", 1), (N, "99", 0), (20, "cd", 0)):  # "cd": the same model
        for name, weights, created in (("report.json", "cd", LATER), ("before.json", other, EARLIER)):
            report = AuditReport.load(audited(name=name, created=created, n=n, weights=weights, **share))
            replace(report, subject=report.subject | {"subject_sha256": weights * 32}).save(name)
        assert cli("gate", "report.json", "--rules", "rules.yaml", "--baseline", "before.json")[0] == code
        compared = json.loads(cli("compare", "before.json", "report.json", "--json")[1])[0]["changes"]
        assert [c["kind"] for c in compared] == ["no clear change"]


def test_a_folder_gives_neither_the_own_report_nor_its_copy_nor_one_of_the_future(cli):
    report = audited(name="branch/report.json", weights="99")
    audited(name="copy/report.json", weights="99")
    audited(name="main/report.json", created=EARLIER)
    audited(name="clock/report.json", created="9999-01-01T00:00:00+00:00")
    Path("rules.yaml").write_text(WORSE)
    code, said = cli("gate", report, "--rules", "rules.yaml", "--baseline", ".")
    assert code == 0
    assert "baseline: main/report.json" in said
    assert "passed over branch/report.json: the report that is to be compared" in said
    assert "passed over copy/report.json is the report that is judged itself" in said
    assert "passed over clock/report.json is dated 9999-01-01T00:00:00+00:00, in the future" in said


@pytest.mark.parametrize("others", [(), ("clock",)])
def test_a_folder_without_an_earlier_report_is_refused(cli, others):
    report = audited(name="branch/report.json")
    for name in others:
        audited(name=f"{name}/report.json", created="9999-01-01T00:00:00+00:00")
    Path("rules.yaml").write_text(WORSE)
    code, said = cli("gate", report, "--rules", "rules.yaml", "--baseline", ".")
    assert code == 2
    assert "branch/report.json: the report that is to be compared" in said


def test_a_report_is_not_its_own_baseline(cli):
    report = audited()
    audited(name="copy.json")
    Path("rules.yaml").write_text(WORSE)
    for baseline in (report, "copy.json"):
        args = ("gate", report, "--rules", "rules.yaml", "--baseline", baseline, "--summary", "summary.md")
        assert cli(*args)[0] == 3
        assert "the baseline is the report that is judged itself" in Path("summary.md").read_text().replace("\\", "")


# --- 11. the page beside a signature ----------------------------------------------------------------------------------


@pytest.fixture
def signed(cli):
    """A signed report with its page, and the public key."""
    report = audited(weights="ab")
    judged = AuditReport.load(report)
    judged = replace(judged, verdicts=tuple(judged.gate([{"measurement": ID, "max": 40}])))
    judged.save(report)
    judged.to_html("report.html")
    key = envelope.create_key(Path("key.pem"))
    assert cli("sign", report, "--key", "key.pem")[0] == 0
    return report, key


def edit(old, new, name="report.html"):
    path = Path(name)
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new))


PAGES = {
    "FAIL made PASS": (lambda: edit(b"FAIL", b"PASS"), "report.html: changed"),
    "one byte more": (lambda: edit(b"</html>", b"</html> "), "report.html: changed"),
    "another page": (lambda: Path("report.html").write_text("<p>PASS</p>"), "drawn by auditkit an unknown version"),
    "empty": (lambda: Path("report.html").write_text(""), "cannot be compared"),
    "of another version": (
        lambda: (edit(b'content="auditkit 0', b'content="auditkit 7'), edit(b"FAIL", b"PASS")),
        "cannot be compared, as it was drawn by auditkit 7.1.0",
    ),
}


@pytest.mark.parametrize(("tamper", "sentence"), PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("when", ["signed with the page", "signed before the page"])
def test_an_edited_page_is_not_intact(cli, signed, tamper, sentence, when):
    report, key = signed
    if when == "signed before the page":
        page = Path("report.html").read_bytes()
        Path("report.html").unlink()
        assert cli("sign", report, "--key", "key.pem")[0] == 0
        Path("report.html").write_bytes(page)
        assert cli("verify", report, "--key", key)[0] == 0
    tamper()
    code, said = cli("verify", report, "--key", key)
    assert (code, sentence in said, "intact:" in said) == (1, True, False), said


def test_a_page_drawn_again_is_intact_and_what_is_covered_is_said(cli, signed):
    report, key = signed
    assert cli("render", report)[0] == 0
    code, said = cli("verify", report, "--key", key)
    assert code == 0
    assert "compared: report.json, report.items.parquet, report.html; other files are not covered" in said


def test_a_page_that_shows_something_else_is_not_signed(cli, signed):
    edit(b"FAIL", b"PASS")
    code, said = cli("sign", signed[0], "--key", "key.pem")
    assert code == 2
    assert "nothing was signed" in said


def test_the_page_carries_the_hash_of_its_evidence(signed):
    from auditkit.rendering.html import digest

    page = Path("report.html").read_text()
    assert page.count(digest(AuditReport.load(signed[0]))) == 2  # head and foot
    edit(b'"n": 400', b'"n": 401', "report.json")
    assert digest(AuditReport.load(signed[0])) not in page


def test_without_jinja2_the_report_is_verified_and_the_page_is_not(cli, signed, monkeypatch):
    """What was signed is told by its hash; of a page that was not, it is said that nobody looked."""
    report, key = signed
    Path("report.html").rename("away.html")
    assert cli("sign", report, "--key", "key.pem")[0] == 0
    Path("away.html").rename("report.html")
    for module in [m for m in sys.modules if m.startswith("auditkit.rendering.html")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "markupsafe", None)
    code, said = cli("verify", report, "--key", key)
    assert code == 0
    assert "report.html was not checked" in said
    assert "compared: report.json, report.items.parquet;" in said


def test_half_a_surrogate_pair_is_signed_and_its_change_is_seen(cli, signed):
    report, key = signed
    edit(b'"name": "m"', b'"name": "\\ud800m"', "report.json")
    Path("report.html").unlink()
    assert cli("sign", report, "--key", "key.pem")[0] == 0
    assert cli("verify", report, "--key", key)[0] == 0
    edit(b"\\ud800m", b"\\ud801m", "report.json")
    code, said = cli("verify", report, "--key", key)
    assert code == 1
    assert "subject > name: changed" in said


# --- 14. ledgers ------------------------------------------------------------------------------------------------------

LEDGERS = {
    "clipped to 0": ('"max_grad_norm": 1.0', '"max_grad_norm": 0', "max_grad_norm = 0; expected a positive number"),
    "clipped to x": ('"max_grad_norm": 1.0', '"max_grad_norm": "x"', "max_grad_norm = 'x'; expected int or float"),
    "not clipped": ('"max_grad_norm": 1.0', '"max_grad_norm": 1e308', "max_grad_norm = 1e+308; expected"),
    "clipped to true": ('"max_grad_norm": 1.0', '"max_grad_norm": true', "max_grad_norm = True; expected int or float"),
    "no step": ('"steps": 1', '"steps": 0', "steps = 0; a training that took no step"),
    "a step and a half": ('"steps": 1', '"steps": 1.5', "steps = 1.5; expected int"),
    "a step back": ('"steps": 1', '"steps": -1', "steps = -1; expected 0 to"),
    "NaN steps": ('"steps": 1', '"steps": NaN', "NaN is not a JSON number"),
    "endless steps": ('"steps": 1', '"steps": 99999999999999999999', "expected 0 to 1e+09"),
    "steps of 5,000 digits": ('"steps": 1', '"steps": ' + "9" * 5000, "is no readable ledger"),
    "steps twice": ('"steps": 1', '"steps": 99, "steps": 1', "the key 'steps' is given twice"),
    "an unknown key": ('"steps": 1', '"steps": 1, "refund": 1', "unknown key 'refund'"),
    "endless noise": ('"noise_multiplier": 1.1', '"noise_multiplier": 1e308', "noise_multiplier = 1e+308; expected"),
    "delta as text": ('"delta": 0.0001', '"delta": "0.0001"', "delta = '0.0001'; expected int or float"),
    "delta of 2": ('"delta": 0.0001', '"delta": 2', "delta = 2; expected a probability"),
    "units as a float": ('"units": 1000', '"units": 1e3', "units = 1000.0; expected int"),
}


def ledger(name="ledger.json"):
    """A ledger of one step."""
    Path(name).parent.mkdir(exist_ok=True)
    spent = Ledger(name, delta=1e-4)
    spent.begin(PoissonSampler(1000, 50), noise_multiplier=1.1, max_grad_norm=1.0, noise_policy="operating system")
    spent.record_step()
    return Path(name)


@pytest.mark.parametrize(("old", "new", "sentence"), LEDGERS.values(), ids=LEDGERS)
def test_a_ledger_that_no_training_wrote_is_refused(cli, old, new, sentence):
    edit(old.encode(), new.encode(), ledger())
    Path("rules.yaml").write_text("gate: [{measurement: dp_sgd/epsilon, max: 8}]\n")
    code, said = cli("gate", "ledger.json", "--rules", "rules.yaml")
    assert (code, sentence in said) == (2, True), said


def test_a_damaged_ledger_is_refused_when_a_training_goes_on():
    from auditkit.errors import InputError
    from auditkit.privacy.training_state import claim

    edit(b'"max_grad_norm": 1.0', b'"max_grad_norm": 1e308', ledger())
    with pytest.raises(InputError, match=r"max_grad_norm = 1e\+308"):
        claim(Path(), "this training")
    with pytest.raises(InputError, match=r"max_grad_norm = 1e\+308"):
        Ledger("ledger.json", delta=1e-4)


# --- 14. YAML ---------------------------------------------------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n" for before, after in zip("abcdef", "bcdefg", strict=True)
)
RULES = {
    "octal": ("max: 0170", "0170 is read as 120 by YAML 1.1, as a number in base 8"),
    "sexagesimal": ("max: 1:50", "1:50 is read as 110 by YAML 1.1, as a number in base 60"),
    "sexagesimal with a fraction": ("max: 1:50.5", "in base 60"),
    "negative octal": ("min: -017", "in base 8"),
    "1e308": ("max: 1e308", "max '1e308'; expected a finite number, and this is text: write 1.0e+308"),
    "1e3": ("max: 1e3", "this is text: write 1000, without quotes"),
    "in quotes": ('max: "60"', "this is text: write 60, without quotes"),
    "yes": ("max: yes", "max True; expected a finite number: YAML reads yes, no, on and off as true and false"),
    "off": ("min: off", "min False; expected a finite number: YAML reads"),
    "infinite": ("max: .inf", "max inf; expected a finite number"),
    "too large for a float": ("max: 1.0e+400", "max inf; expected a finite number"),
    "400 digits": ("max: " + "9" * 400, "is no number, or has too many digits"),
    "5,000 digits": ("max: " + "9" * 5000, "is no number, or has too many digits"),
    "a key twice": ("max: 60, max: 100", "duplicate key 'max'"),
    "a tag that does not fit": ("max: !!bool maybe", "a value does not fit its tag"),
}
FILES = {
    "gate twice": (f"gate: [{{measurement: {ID}, max: 1}}]\ngate: [{{measurement: {ID}, max: 99}}]\n", "duplicate key"),
    "a bomb": (BOMB + "gate: *g\n", "its aliases stand for more than 100,000 values"),
    "an alias of itself": ("gate: &a [*a]\n", "nested too deeply; expected at most 50 levels"),
    "deep": ("gate: " + "[" * 100 + "]" * 100 + "\n", "nested too deeply; expected at most 50 levels"),
    "very deep": ("gate: " + "[" * 100_000, "nested too deeply; expected at most 50 levels"),
}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(f"gate: [{{measurement: {ID}, {limit}}}]\n", why) for limit, why in RULES.values()] + [*FILES.values()],
    ids=[*RULES, *FILES],
)
def test_rules_that_are_not_what_they_look_like_are_refused(cli, text, sentence):
    Path("rules.yaml").write_text(text)
    code, said = cli("gate", audited(), "--rules", "rules.yaml")
    assert (code, sentence in said) == (2, True), said


@pytest.mark.parametrize(
    ("probe", "sentence"),
    [
        ("group_fairness: {sensitive: [sex], positive: yes}", "YAML reads yes, no, on and off as true and false"),
        ("pronoun_gap: {null_items: yes}", "YAML reads yes, no, on and off as true and false"),
        ("pronoun_gap: {null_items: 1}", "null_items=1; expected at least 2"),
        ("stereotype_pairs: {null_items: 1}", "null_items=1; expected at least 2"),
        ("stereoset: {null_items: 1}", "null_items=1; expected at least 2"),
        ("winobias: {null_items: 0}", "null_items=0; expected at least 2"),
        ("bbq: {null_items: -1}", "null_items=-1; expected at least 2"),
        ("counterfactual_flips: {null_items: 1}", "expected at least 1, 2 and 0"),
    ],
)
def test_options_that_measure_nothing_are_refused(cli, probe, sentence):
    Path("audit.yaml").write_text(f"model: auditkit.testing:FakeMaskedLM\nprobes: [{{{probe}}}]\n")
    code, said = cli("run")
    assert (code, sentence in said) == (2, True), said


IDLE = {
    "at most 100 %": ({}, "max: 100", "<= 100 can never be broken, as every value lies in 0 to 100"),
    "at least 0 %": ({}, "min: 0", ">= 0 can never be broken"),
    "all of it": ({}, "min: 0, max: 100", "0 to 100 can never be broken"),
    "50 ± 50": ({}, "equivalent_to: 50, margin: 50", "50 ± 50 can never be broken"),
    "beyond every range": ({}, "max: 1.0e+308", "can never be broken"),
}


@pytest.mark.parametrize(("report", "limit", "sentence"), IDLE.values(), ids=IDLE)
def test_a_limit_that_nothing_can_break_is_said(cli, report, limit, sentence):
    Path("rules.yaml").write_text(f"gate: [{{measurement: {ID}, {limit}}}]\n")
    code, said = cli("gate", audited(**report), "--rules", "rules.yaml")
    assert (code, sentence in said) == (0, True), said


def test_of_a_share_too_and_not_of_what_has_no_range(cli):
    """`max: 10` on a share in 0 to 1 is idle; on nats it may not be."""
    found = {"group_fairness/sex/selection_rate_difference": "", "pronoun_gap/all/slope": "nats"}
    measured = [Measurement(id=id, value=0.3, interval=Interval(0.2, 0.4), n=9, unit=u) for id, u in found.items()]
    runs = [ProbeRun("group_fairness", "ok"), ProbeRun("pronoun_gap", "ok")]
    AuditReport(subject={}, environment={}, config={}, seed=0, runs=runs, measurements=measured).save("report.json")
    rules = "".join(f"  - {{measurement: {id}, max: 10}}\n" for id in found)
    Path("rules.yaml").write_text(f"gate:\n{rules}")
    code, said = cli("gate", "report.json", "--rules", "rules.yaml")
    assert code == 0
    assert "gate[0]: group_fairness/sex/selection_rate_difference: <= 10 can never be broken" in said
    assert "gate[1]" not in said


# --- 14. a closed output ----------------------------------------------------------------------------------------------

CLOSED = {"a pipe that nobody reads": "| head -0", "closed": ">&-", "all closed": ">&- 2>&-", "full": "> /dev/full"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("redirected", CLOSED.values(), ids=CLOSED)
def test_a_closed_output_keeps_the_code_of_the_gate(redirected):
    """As a process: what is at stake is what Python itself does when it ends."""
    report = audited()
    codes = {"min: 40": 0, "max: 40": 1, "max_worsening: 1": 3}
    gate = f"{sys.executable} -m auditkit gate {report} --rules rules.yaml"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for limit, code in codes.items():
        Path("rules.yaml").write_text(f"gate: [{{measurement: {ID}, {limit}}}]\n")
        script = f"({gate}; echo $? > code) {redirected}"
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
        assert Path("code").read_text().strip() == str(code), done
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
