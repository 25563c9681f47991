"""The command line: each situation has its exit code, and wrong input gives clear lines instead of a traceback."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from auditkit.cli import main

HERE = Path(__file__).parent
MODEL = "auditkit.testing:FakeMaskedLM"
MEAN = "mean/all/mean"


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(capsys):
    """Run a command: code, stdout, stderr."""

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in args])
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


def write(rules="[]", options="{}", name="audit.yaml", model=MODEL):
    Path(name).write_text(f"model: {model}\nprobes:\n  - sample_probes:Mean: {options}\ngate: {rules}\n")


PASSING, FAILING, STRADDLING = (f"[{{measurement: {MEAN}, max: {limit}}}]" for limit in (9, -9, 0))


@pytest.mark.parametrize(
    ("rules", "options", "code"),
    [
        ("[]", "{}", 0),
        (PASSING, "{}", 0),
        (FAILING, "{}", 1),
        (STRADDLING, "{}", 1),
        (f"[{{measurement: {MEAN}, max: 0, on_inconclusive: warn}}]", "{}", 0),
        ("[{measurement: nothing/*, max: 1}]", "{}", 3),
        ("[]", "{fail: crash}", 3),
        (PASSING, "{fail: crash}", 3),
        (PASSING, "{fail: missing}", 3),
        ("[]", "{fail: missing}", 3),  # nothing at all was measured
        ("[]", "{fail: input}", 2),
    ],
)
def test_exit_codes_of_run(cli, rules, options, code):
    write(rules, options)
    assert cli("run")[0] == code
    assert Path("audit-out/report.json").exists()


def test_incomplete_outranks_failed(cli):
    write(f"[{{measurement: {MEAN}, max: -9}}, {{measurement: nothing, max: 1}}]")
    code, out, _ = cli("run")
    assert code == 3
    assert "FAIL" in out
    assert "ERROR" in out


def test_run_shows_one_line_a_probe_and_the_verdicts(cli):
    write(FAILING)
    _, out, err = cli("run")
    lines = err.splitlines()
    assert lines[0].startswith("auditing fake-masked-lm: ")
    assert lines[1].startswith("mean: ok, 1 measurement, ")
    assert lines[1].endswith("; 2 texts truncated to 4 tokens")
    assert "FAIL" in out
    assert MEAN in out
    assert "report: audit-out/report.html" in out


def test_wrong_input_found_by_a_probe_is_said_on_stderr(cli):
    write("[]", "{fail: input}")
    assert cli("run")[2].splitlines()[-1] == "auditkit: mean: pairs.csv has no rows"


def test_run_takes_overrides_and_another_folder(cli):
    write()
    code, _, _ = cli("run", "--set", "seed=4", "--set", "probes.0.n=9", "--out", "here", "--model", MODEL)
    data = json.loads(Path("here/report.json").read_text())
    assert (code, data["seed"], data["measurements"][0]["n"]) == (0, 4, 9)
    assert not Path("audit-out").exists()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["run", "missing.yaml"], "auditkit: missing.yaml: cannot be read: No such file or directory"),
        (["run", "--set", "sede=1"], "auditkit: audit.yaml: sede: unknown key; did you mean 'seed'?"),
        (["run", "--model", "minilm-mlmm"], "auditkit: audit.yaml: model: unknown model 'minilm-mlmm'; did you mean"),
        (["run", "--model", "sample_probes:Nothing"], "auditkit: cannot load 'sample_probes:Nothing'"),
        (["run", "--baseline", "missing.json"], "auditkit: no report at missing.json"),
        (["gate", "missing.json", "--rules", "audit.yaml"], "auditkit: no report at missing.json"),
        (["gate", "damaged.json", "--rules", "audit.yaml"], "auditkit: damaged.json is not a readable report"),
        (["render", "damaged.json"], "auditkit: damaged.json is not a readable report"),
        (["compare", "damaged.json", "damaged.json"], "auditkit: damaged.json is not a readable report"),
        (["list", "prboes"], "auditkit: unknown list 'prboes'; did you mean 'probes'?"),
        (["data", "fetch", "crow_pairs"], "auditkit: unknown dataset 'crow_pairs'; did you mean 'crows_pairs'"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_code_2(cli, args, line):
    write()
    Path("damaged.json").write_text("{")
    code, out, err = cli(*args)
    assert code == 2
    assert err.splitlines()[-1].startswith(line)
    assert len(err.splitlines()) <= 2
    assert "Traceback" not in out + err


@pytest.mark.parametrize("args", [[], ["rnu"], ["run", "--sed", "1"], ["gate", "report.json"]])
def test_wrong_usage_is_exit_code_2(cli, args):
    assert cli(*args)[0] == 2


def test_all_mistakes_of_a_file_are_shown(cli):
    Path("audit.yaml").write_text("modle: x\nprobes: [crow_pairs]\n")
    code, _, err = cli("run")
    assert code == 2
    assert [line.split(": ")[2] for line in err.splitlines()] == ["model", "modle", "probes[0]"]


# --- gate -------------------------------------------------------------------------------------------------------


@pytest.fixture
def report(cli):
    write()
    cli("run")
    return Path("audit-out/report.json")


@pytest.mark.parametrize(
    ("rules", "code"), [(PASSING, 0), (FAILING, 1), ("[{measurement: absent, max: 1}]", 3), ("[]", 2)]
)
def test_exit_codes_of_gate(cli, report, rules, code):
    write(rules, name="rules.yaml")
    assert cli("gate", report, "--rules", "rules.yaml")[0] == code


def test_a_report_with_a_crashed_probe_is_incomplete_though_every_rule_passes(cli):
    crashing = "  - sample_probes:Mean: {id: other, fail: crash}\n"
    write(PASSING)
    Path("audit.yaml").write_text(Path("audit.yaml").read_text().replace("gate:", f"{crashing}gate:"))
    code, out, _ = cli("run")
    assert (code, "PASS" in out, "FAIL" in out) == (3, True, False)
    assert cli("gate", "audit-out/report.json", "--rules", "audit.yaml")[0] == 3


def test_gate_writes_junit_and_a_summary(cli, report):
    write(FAILING, name="rules.yaml")
    assert cli("gate", report, "--rules", "rules.yaml", "--junit", "junit.xml", "--summary", "summary.md")[0] == 1
    assert "<failure" in Path("junit.xml").read_text()
    assert MEAN in Path("summary.md").read_text().replace("\\", "")


def test_gate_compares_with_a_baseline(cli, report):
    write(f"[{{measurement: {MEAN}, max_worsening: 1}}]", name="rules.yaml")
    assert cli("gate", report, "--rules", "rules.yaml")[0] == 3
    assert cli("gate", report, "--rules", "rules.yaml", "--baseline", report)[0] in (0, 3)


@pytest.fixture
def ledger():
    """The ledger of five steps, and the epsilon that they spent."""
    from auditkit.privacy.ledger import Ledger
    from auditkit.privacy.sampling import PoissonSampler

    written = Ledger("run/ledger.json", delta=1e-4)
    written.begin(PoissonSampler(1000, 50), noise_multiplier=0.9, max_grad_norm=1.0, noise_policy="test")
    for _ in range(5):
        written.record_step()
    return Path("run/ledger.json"), written.cost().epsilon


@pytest.mark.parametrize(("above", "code", "outcome"), [(0.01, 0, "PASS"), (-0.01, 1, "FAIL")])
def test_gate_judges_the_epsilon_of_a_ledger(cli, ledger, above, code, outcome):
    path, epsilon = ledger
    write(f"[{{measurement: dp_sgd/epsilon, max: {epsilon + above}}}]", name="rules.yaml")
    found, out, _ = cli("gate", path, "--rules", "rules.yaml", "--summary", "summary.md", "--junit", "junit.xml")
    assert found == code
    assert outcome in out
    assert f"{epsilon:.2f} (exact)" in out
    assert "run/ledger.json" in Path("summary.md").read_text()
    assert Path("junit.xml").exists()


def test_gate_finds_no_utility_in_a_ledger_and_refuses_a_damaged_one(cli, ledger):
    path, _ = ledger
    write("[{measurement: dp_sgd/*/utility, max: 1}]", name="rules.yaml")
    assert cli("gate", path, "--rules", "rules.yaml")[0] == 3
    path.write_text(path.read_text().replace('"steps": 5', '"steps": -5'))
    code, _, err = cli("gate", path, "--rules", "rules.yaml")
    assert code == 2
    assert err.startswith("auditkit: run/ledger.json is no readable ledger")
    path.write_text(path.read_text()[:-40])
    assert cli("gate", path, "--rules", "rules.yaml")[0] == 2


# --- the other commands -----------------------------------------------------------------------------------------


def test_render_writes_html_beside_the_report(cli, report):
    report.with_suffix(".html").unlink()
    code, out, _ = cli("render", report)
    assert (code, out.strip()) == (0, "audit-out/report.html")
    assert "<html" in report.with_suffix(".html").read_text()
    assert cli("render", report, "--out", "elsewhere/other.html")[0] == 0
    assert Path("elsewhere/other.html").exists()


def test_compare_two_reports(cli, report):
    cli("run", "--set", "probes.0.shift=1", "--out", "other")
    code, out, _ = cli("compare", report, "other/report.json")
    assert code == 0
    assert MEAN in out
    assert cli("compare", report, "other/report.json", "--out", "c.html")[0] == 0
    assert "<html" in Path("c.html").read_text()
    assert cli("compare", report, "other/report.json", "--out", "c.md")[0] == 0
    assert MEAN in Path("c.md").read_text().replace("\\", "")
    assert cli("compare", report, "other/report.json", "--out", "c.docx")[0] == 2


def test_compare_prints_json_for_machines(cli, report):
    cli("run", "--set", "seed=9", "--out", "other")
    code, out, _ = cli("compare", report, "other/report.json", "--json", "--out", "c.md")
    (comparison,) = json.loads(out)
    assert code == 0
    assert {change["kind"] for change in comparison["changes"]} <= {"changed", "no clear change", "not comparable"}
    change = next(c for c in comparison["changes"] if c["interval"])
    assert change["interval"]["low"] <= change["difference"] <= change["interval"]["high"]
    assert change["before"]["id"] == change["id"]
    assert {"kind": "run", "name": "seed", "before": "0", "after": "9"} in comparison["facts"]
    assert Path("c.md").exists()


@pytest.mark.parametrize(("what", "entry"), [("probes", "crows_pairs"), ("models", "minilm-mlm"), ("datasets", "bbq")])
def test_list(cli, what, entry):
    code, out, _ = cli("list", what)
    assert code == 0
    assert entry in out


def test_fetching_a_shipped_dataset_says_where_it_is(cli):
    code, out, _ = cli("data", "fetch", "builtin_pairs")
    assert code == 0
    assert (Path(out.strip().removeprefix("builtin_pairs: ")) / "pairs.csv").exists()


def test_version(cli):
    import auditkit

    assert cli("--version")[1].strip() == f"auditkit {auditkit.__version__}"


# --- as a process -----------------------------------------------------------------------------------------------


def process(*args, **variables):
    command = [sys.executable, "-m", "auditkit", *args]
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"} | variables
    # A shell starts background jobs with SIGINT ignored, and children inherit that; a user's Ctrl-C is not ignored.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, preexec_fn=heard, **pipes)


def test_a_probe_beside_the_configuration_is_found():
    write()
    text = Path("audit.yaml").read_text().replace("sample_probes:Mean", "local_probe:Mean")
    Path("audit.yaml").write_text(text)
    Path("local_probe.py").write_text("from sample_probes import Mean\n")
    started = process("run")
    _, err = started.communicate(timeout=60)
    assert started.returncode == 0, err


def test_ctrl_c_keeps_what_is_done(tmp_path):
    Path("audit.yaml").write_text(
        f"model: {MODEL}\nprobes:\n  - sample_probes:Mean: {{id: first}}\n  - sample_probes:Mean: {{id: second}}\n"
    )
    log = tmp_path / "log"
    started = process("run", SAMPLE_LOG=str(log), SAMPLE_HANG="second")
    deadline = time.monotonic() + 60
    while not (log.exists() and "second" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert err.splitlines()[-1] == (
        "auditkit: stopped; 1 of 2 probes are kept in audit-out, and the same command goes on from there"
    )
    resumed = process("run", SAMPLE_LOG=str(log))
    resumed.communicate(timeout=60)
    assert resumed.returncode == 0
    assert log.read_text().split() == ["first", "second", "second"]
