"""Bad input: one clear line, exit code 2, and nothing lost that was computed already."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from auditkit.testing.fakes import WORDS

from ..models.conftest import tiny_bert_masked_lm
from .conftest import run

FAKE = "auditkit.testing:FakeMaskedLM"
HEADER = "id,more,less,group,direction\n"
ROWS = "".join(f"p{i},The {job} is bad.,The {job} is good.,job,stereo\n" for i, job in enumerate(("nurse", "cook")))
OUT = Path("audit-out")
REPORT = OUT / "report.json"


def write(probes, model=FAKE, name="audit.yaml", gate="[]"):
    """An audit.yaml of one line a probe."""
    lines = "".join(f"  - {probe}\n" for probe in probes)
    Path(name).write_text(f"model: {model}\nprobes:\n{lines}gate: {gate}\n")


def refused(result, *parts):
    """Whether the command ended with code 2 and exactly one line, which holds all `parts`."""
    assert result.code == 2, result
    assert len(result.problems) == 1, result.err
    assert all(part in result.problems[0] for part in parts), result.problems[0]
    return True


def files(folder=OUT):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def statuses(report=REPORT):
    return {run["probe"]: run["status"] for run in json.loads(report.read_text())["runs"]}


# --- audit.yaml -------------------------------------------------------------------------------------------------


def test_each_unknown_name_has_its_own_line_that_says_what_was_meant(auditkit):
    Path("audit.yaml").write_text(
        "model: minilm-mlmm\n"
        "sede: 1\n"
        "probes:\n"
        "  - crow_pairs\n"
        "  - mask_fill: {promts: []}\n"
        "gate:\n"
        "  - {measurment: x, max: 1}\n"
    )
    result = auditkit("run")
    expected = {
        "unknown model 'minilm-mlmm'": "did you mean 'minilm-mlm'",
        "sede: unknown key": "did you mean 'seed'",
        "probes[0]: unknown probe 'crow_pairs'": "did you mean 'crows_pairs'",
        "probes[1].mask_fill.promts: unknown option": "did you mean 'prompts'",
        "unknown key 'measurment'": "did you mean 'measurement'",
    }
    for given, meant in expected.items():
        assert [given in line and meant in line for line in result.problems].count(True) == 1, given
    assert result.code == 2
    assert all(line.startswith("auditkit: audit.yaml: ") for line in result.err.splitlines())
    assert not OUT.exists()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("model: x\nprobes: [a, b\nseed: 1\n", "line 3, column 5"),
        ("model: x\nprobes:\n  - a\n  b: c\n", "line 4, column 3"),
        ("model: x\nprobes: [a]\nmodel: y\n", "line 3, column 1: duplicate key 'model'"),
        ('model: x\nprobes:\n\t- "a"\n', "line 3, column 1"),
    ],
)
def test_malformed_yaml_is_located(auditkit, text, where):
    Path("broken.yaml").write_text(text)
    assert refused(auditkit("run", "broken.yaml"), f"auditkit: broken.yaml: {where}")


def test_malformed_rules_are_located(auditkit):
    write(["mask_fill"])
    auditkit("run")
    Path("rules.yaml").write_text("gate:\n  - {measurement: mask_fill/*, max 1}\n - x\n")
    assert refused(auditkit("gate", REPORT, "--rules", "rules.yaml"), "auditkit: rules.yaml: line 3, column 2")


# --- datasets ---------------------------------------------------------------------------------------------------


DATASETS = {
    "nothing": (b"", "is empty; expected a header line with the columns id, more, less, group, direction"),
    "no_rows": (HEADER.encode(), "the dataset is empty; expected at least one item"),
    "no_column": (b"id,more,less,group\n", "missing column 'direction'; found 'id', 'more', 'less', 'group'"),
    "latin1": (
        HEADER.encode() + b"p1,Caf\xe9.,A c.,age,stereo\n",
        "byte 0xe9 at offset 35, line 2, is not UTF-8",
    ),
    "utf16": ((HEADER + ROWS).encode("utf-16"), "byte 0xff at offset 0, line 1, is not UTF-8; save the file as UTF-8"),
    "quotes": (b'id,"more"x,less\n', "not valid csv"),
}
"""name: (content, what the one line about it says)."""


def test_a_wrong_dataset_costs_only_its_own_probe(auditkit):
    for name, (content, _) in DATASETS.items():
        Path(f"{name}.csv").write_bytes(content)
    write(["mask_fill", *(f"stereotype_pairs: {{id: {name}, data: {name}.csv}}" for name in DATASETS)])
    result = auditkit("run")
    assert result.code == 2
    for line, (name, (_, expected)) in zip(result.problems, DATASETS.items(), strict=True):
        assert line.startswith(f"auditkit: {name}: {name}.csv")
        assert expected in line
    assert statuses() == {"mask_fill": "ok"} | dict.fromkeys(DATASETS, "error")
    for name in DATASETS:
        Path(f"{name}.csv").write_text(HEADER + ROWS)
    corrected = auditkit("run")
    assert corrected.code == 0
    assert set(statuses().values()) == {"ok"}
    assert [line for line in corrected.err.splitlines() if "kept from the stopped run" in line] == [
        "mask_fill: ok, 1 measurement, kept from the stopped run"
    ]


# --- models -----------------------------------------------------------------------------------------------------


def test_texts_longer_than_the_context_are_counted_and_shown(auditkit):
    words = [w for w in WORDS if len(w) > 2][20:40]
    short = "".join(f"q{i},The {w} is bad.,The {w} is good.,job,stereo\n" for i, w in enumerate(words))
    long = "p9,The cook is " + "very " * 99 + "bad.,The cook is " + "very " * 99 + "good.,job,stereo\n"
    Path("mine.csv").write_text(HEADER + short + long)
    write(["stereotype_pairs: {data: mine.csv, methods: [metric]}"], model="acceptance_models:ShortContext")
    result = auditkit("run")
    assert result.code == 0
    assert json.loads(REPORT.read_text())["runs"][0]["notices"] == {"texts truncated to 100 tokens": 2}
    assert "stereotype_pairs: ok" in result.err
    assert "; 2 texts truncated to 100 tokens" in result.err
    assert "texts truncated to 100 tokens: 2" in (OUT / "report.html").read_text()


def test_a_blank_beyond_the_context_is_no_crash(auditkit):
    prompt = "a " * 120 + "[MASK]"
    write([f"mask_fill: {{prompts: ['{prompt}']}}"], model="acceptance_models:ShortContext")
    assert auditkit("run").code == 3  # nothing at all was measured
    (run,) = json.loads(REPORT.read_text())["runs"]
    assert run["status"] == "skipped"
    assert run["reason"].startswith("every prompt is longer than the model reads")


def test_a_vocabulary_that_cannot_express_the_groups(auditkit):
    write(["lpbs", "pronoun_gap", "stereotype_pairs: {groups: [age]}"], model="acceptance_models:NoPronouns")
    result = auditkit("run")
    assert result.code == 2
    lpbs, gap = result.problems
    assert lpbs.startswith("auditkit: lpbs: no pair of ['she'] and ['he'] is in the model's vocabulary as single token")
    assert gap.startswith("auditkit: pronoun_gap: the vocabulary has no single token for she, he")
    assert statuses() == {"lpbs": "error", "pronoun_gap": "error", "stereotype_pairs": "ok"}


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A folder with a tiny masked language model."""
    folder = tmp_path_factory.mktemp("model")
    module, tokenizer = tiny_bert_masked_lm()
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_masked_model_without_a_mask_token(auditkit, saved_model, tmp_path):
    from transformers import AutoTokenizer

    (tmp_path / "unmasked").mkdir()
    for path in saved_model.iterdir():
        (tmp_path / "unmasked" / path.name).write_bytes(path.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(saved_model)
    tokenizer.mask_token = None
    tokenizer.save_pretrained("unmasked")
    write(["mask_fill"], model="./unmasked")
    assert refused(auditkit("run"), "unmasked", "no mask token", "expected a masked language model", "task: causal-lm")
    assert not OUT.exists()


def test_corrupted_weights_leave_the_old_report(auditkit, saved_model):
    write(["mask_fill"])
    assert auditkit("run").code == 0
    before, weights = files(), saved_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert refused(auditkit("run", "--model", saved_model), f"auditkit: cannot load {saved_model}: ")
    assert files() == before


# --- reports ----------------------------------------------------------------------------------------------------


@pytest.fixture
def reports(auditkit):
    """report.json as the run wrote it, baseline.json with the same item scores, and rules that need both."""
    write(["mask_fill"], gate="[{measurement: mask_fill/gender/log_odds, max_worsening: 1}]")
    assert auditkit("run").code == 3  # no baseline yet
    for old, new in ((REPORT, "baseline.json"), (OUT / "report.items.parquet", "baseline.items.parquet")):
        Path(new).write_bytes(old.read_bytes())
    earlier = json.loads(Path("baseline.json").read_text()) | {"created": "2026-01-01T00:00:00+00:00"}
    Path("baseline.json").write_text(json.dumps(earlier, indent=1))
    assert auditkit("gate", REPORT, "--rules", "audit.yaml", "--baseline", "baseline.json").code == 0


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def wrong_type(path):
    data = json.loads(path.read_text())
    data["measurements"][0]["n"] = "many"
    path.write_text(json.dumps(data))


def without_column(path):
    pd.read_parquet(path).drop(columns="cluster").to_parquet(path)


READERS = {
    "gate": ["gate", "baseline.json", "--rules", "audit.yaml"],
    "gate, baseline": ["gate", REPORT, "--rules", "audit.yaml", "--baseline", "baseline.json"],
    "render": ["render", "baseline.json", "--out", "page.html"],
    "compare": ["compare", REPORT, "baseline.json", "--out", "page.html"],
    "run": ["run", "--baseline", "baseline.json", "--set", "seed=1"],
}


@pytest.mark.usefixtures("reports")
def test_no_command_reads_a_corrupted_report(auditkit):
    baseline, page = Path("baseline.json"), Path("page.html")
    whole, before = baseline.read_bytes(), files()
    page.write_text("old")
    for damage in (cut_short, wrong_type):
        baseline.write_bytes(whole)
        damage(baseline)
        for args in READERS.values():
            assert refused(auditkit(*args), "auditkit: baseline.json", "run the audit again")
    assert page.read_text() == "old"
    assert files() == before


@pytest.mark.usefixtures("reports")
def test_corrupted_item_scores_are_refused_and_a_run_keeps_what_it_measured(auditkit):
    items, damaged = Path("baseline.items.parquet"), "auditkit: baseline.items.parquet is damaged"
    whole, before = items.read_bytes(), files()
    for damage in (cut_short, without_column):
        items.write_bytes(whole)
        damage(items)
        for command in ("gate, baseline", "compare", "run"):
            assert refused(auditkit(*READERS[command]), damaged, "run the audit again")
    assert before.items() <= files().items()
    items.write_bytes(whole)
    assert "mask_fill: ok, 1 measurement, kept from the stopped run" in auditkit(*READERS["run"]).err


# --- the disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs root and the right to mount a small file system")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def fill(path, leave):
    """Write until nothing fits any more but `leave` bytes."""
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    os.truncate(path, path.stat().st_size - leave)


def test_on_a_full_disk_the_old_report_is_intact(auditkit, small_disk):
    """There is room for the checkpoint of the probe, but not for the report."""
    out = small_disk / "out"
    write(["lpbs: {comparisons: [age]}"])
    assert auditkit("run", "--out", out).code == 0
    before = files(out)
    fill(small_disk / "filler", leave=16384)
    change = ["run", "--out", out, "--set", "seed=1"]
    full = auditkit(*change)
    assert refused(full, f"auditkit: cannot write {out}/report", "No space left on device; the old file, if any, is")
    assert before.items() <= files(out).items()
    (small_disk / "filler").unlink()
    resumed = auditkit(*change)
    assert "lpbs: ok, 1 measurement, kept from the stopped run" in resumed.err
    assert json.loads((out / "report.json").read_text())["seed"] == 1


def test_what_was_measured_before_the_disk_was_full_is_kept(auditkit, tmp_path):
    """A limit of 60 KiB a file lets checkpoints and report.json pass, and stops the page."""
    write(["lpbs: {comparisons: [age]}", "lpbs: {id: other, comparisons: [religion]}"])
    assert auditkit("run").code == 0
    page = (OUT / "report.html").read_bytes()
    limited = run(tmp_path, "run", "--set", "seed=1", under=("sh", "-c", 'ulimit -f 120; exec "$@"', "sh"))
    assert refused(limited, "auditkit: cannot write audit-out/report.html: File too large", "intact")
    assert (OUT / "report.html").read_bytes() == page
    assert json.loads(REPORT.read_text())["seed"] == 1
    resumed = auditkit("run", "--set", "seed=1")
    assert [line.endswith("kept from the stopped run") for line in resumed.err.splitlines()] == [False, True, True]


def test_a_folder_that_cannot_be_one(auditkit):
    write(["mask_fill"])
    Path("file").write_text("mine")
    assert refused(auditkit("run", "--out", "file"), "auditkit: cannot write file/")
    assert Path("file").read_text() == "mine"
