"""No damage to a signed report goes unseen, and none ends in a traceback, a hang or an exit code that means nothing."""

import io
import json
import random
import time
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy

import pandas as pd
import pytest

from auditkit.cli import main
from auditkit.errors import InputError
from auditkit.integrity import canonical, sign, signature_path, verify
from auditkit.integrity.envelope import create_key
from auditkit.report import AuditReport, items_path

from .test_false_pass_schema import AUDIT, REPORT, RULES, SCORES, whole

LONGEST = 20
"""Seconds that one command may take, whatever it is given."""

JUNK = (None, True, False, -1, 0, 1, 7, 0.5, 1e308, -1e308, 10**300, "", "x", "a/b", "\ud800", [], {}, [[]], {"a": 1})
RULE = {"measurement": "*/all/s", "max": 60}


def sample():
    """A report of two probes with everything that a report can hold."""
    report = whole() | {"subject": {"name": "a model", "weights_sha256": "0" * 64, "notices": {"cut": 3}}}
    report["runs"][0] |= {"notices": {"texts truncated to 512 tokens": 3}, "seconds": 1.5}
    report["measurements"][0]["details"] = {
        "clusters": 20, "p_value": 0.4, "p_value_holm": 0.4, "comparisons": 2, "data_sha256": "f" * 64,
        "validity": {"tie_rate": 0.1, "null": [50.0, 2.0]}, "extremes": [{"a": "one", "b": "two", "score": 1.5}],
    }  # fmt: skip
    return report


def places(value, at=()):
    """The path of every entry, at any depth."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield (*at, key)
        yield from places(entry, (*at, key))


def changed(report, at, junk=..., key=None):
    """A copy where the entry is something else; without `junk` it is gone, and with `key` it is called so."""
    out = deepcopy(report)
    target = out
    for step in at[:-1]:
        target = target[step]
    if junk is not ...:
        target[at[-1]] = junk
    else:
        entry = target.pop(at[-1])
        if key is not None:
            target[key] = entry
    return out


def every_change(report):
    """Each entry replaced by each piece of junk, removed, doubled, and each key renamed."""
    for at in places(report):
        yield from (changed(report, at, junk) for junk in JUNK)
        yield changed(report, at)
        if isinstance(at[-1], str):
            yield changed(report, at, key=at[-1] + "_")


def judged(report):
    return [(v.measurement, v.outcome, v.value, v.interval, v.n) for v in report.gate([RULE])]


def write(path, report):
    path.write_text(json.dumps(report))  # ASCII: half a surrogate pair has no UTF-8
    return path


@pytest.fixture
def signed(tmp_path):
    """A signed report, its public key, and what is in it."""
    report = sample()
    report["verdicts"] = [v.to_json() for v in AuditReport.load(write(tmp_path / REPORT, report)).gate([RULE])]
    path = write(tmp_path / REPORT, report)
    public = create_key(tmp_path / "key.pem")
    sign(path, tmp_path / "key.pem")
    return path, public, report


def test_no_change_of_a_judged_number_goes_unseen(signed):
    path, public, report = signed
    before, digest = judged(AuditReport.load(path)), canonical.sha256(json.loads(path.read_text()))
    seen = loaded = 0
    for damaged in every_change(report):
        write(path, damaged)
        try:
            intact = verify(path, key=public).intact
        except InputError:
            intact = False
        if intact:
            assert canonical.sha256(damaged) == digest  # 1 for 1.0: the same number
        seen += not intact
        try:
            after = AuditReport.load(path)
        except InputError:
            continue
        loaded += 1
        assert not intact or judged(after) == before
    assert seen > 1_000
    assert loaded > 100  # the damage was not such that all of it is refused before anything is judged


def test_nor_a_change_of_the_item_scores(signed, tmp_path):
    path, public, _ = signed
    pd.DataFrame(SCORES).to_parquet(items_path(path))
    assert not verify(path, key=public).intact  # added
    sign(path, tmp_path / "key.pem")
    assert verify(path, key=public).intact
    pd.DataFrame(SCORES | {"value": [0.0, 101.0] * 50}).to_parquet(items_path(path))
    assert not verify(path, key=public).intact
    items_path(path).unlink()
    assert not verify(path, key=public).intact
    signature_path(path).unlink()
    with pytest.raises(InputError, match="no signature"):
        verify(path, key=public)


# --- fuzz ---------------------------------------------------------------------------------------------------------


def outcome(*args):
    """The exit code of a command; fails where it ends in anything but one, or takes too long."""
    said, start = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), time.monotonic()
    with pytest.raises(SystemExit) as ended, redirect_stdout(said), redirect_stderr(said):
        main([str(arg) for arg in args])
    assert time.monotonic() - start < LONGEST
    said.flush()
    assert b"Traceback" not in said.buffer.getvalue()
    return ended.value.code or 0


def mutated(rng, report):
    """A report with one to three entries damaged, or one key doubled, or its text cut, flipped or spliced."""
    for _ in range(rng.randint(1, 3)):
        at = rng.choice(list(places(report)))
        report = changed(report, at, *rng.choice([(rng.choice(JUNK),), (rng.choice(JUNK),), ()]))
    text = json.dumps(report).encode()
    if rng.random() < 0.3:
        cut = sorted(rng.choices(range(len(text)), k=2))
        text = rng.choice([text[: cut[0]], text[: cut[1]] + text[cut[0] :], text[: cut[0]] + b"9" + text[cut[0] :]])
    return text


def gate_survives(rng, folder):
    """One mutated report through the gate."""
    (folder / REPORT).write_bytes(mutated(rng, sample()))
    code = outcome("gate", REPORT, "--rules", AUDIT, "--summary", "summary.md", "--junit", "junit.xml")
    assert code in (0, 1, 2, 3)
    if code == 0:
        assert any(m.status == "ok" for m in AuditReport.load(folder / REPORT).measurements)


def items_survive(rng, folder):
    """One mutated table of item scores through the gate, beside a whole report."""
    write(folder / REPORT, sample())
    content = bytearray(items_path(folder / "baseline.json").read_bytes())
    for _ in range(rng.choice([1, 1, 5])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    items_path(folder / REPORT).write_bytes(content[: rng.choice([len(content), rng.randrange(len(content))])])
    assert outcome("gate", REPORT, "--rules", "worse.yaml", "--baseline", "baseline.json") in (0, 1, 2, 3)


def others_survive(rng, folder):
    """One mutated report through the commands that show it."""
    (folder / REPORT).write_bytes(mutated(rng, sample()))
    for command in (("render", REPORT), ("compare", "baseline.json", REPORT), ("history", "."), ("verify", REPORT)):
        assert outcome(*command) in (0, 1, 2, 3), command


@pytest.fixture
def fuzzed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / AUDIT).write_text(RULES)
    (tmp_path / "worse.yaml").write_text(RULES.replace("*", "pairs").replace("max:", "max_worsening:"))
    write(tmp_path / "baseline.json", sample())
    pd.DataFrame(SCORES).to_parquet(items_path(tmp_path / "baseline.json"), compression=None)
    return tmp_path


@pytest.mark.parametrize("seed", range(4))
def test_mutated_reports_are_judged_or_refused(fuzzed, seed):
    rng = random.Random(seed)
    for _ in range(100):
        gate_survives(rng, fuzzed)


def test_mutated_item_scores_are_compared_or_refused(fuzzed):
    rng = random.Random(0)
    for _ in range(100):
        items_survive(rng, fuzzed)


def test_mutated_reports_are_shown_or_refused(fuzzed):
    rng = random.Random(0)
    for _ in range(10):
        others_survive(rng, fuzzed)


@pytest.mark.slow
@pytest.mark.parametrize(("survives", "times"), [(gate_survives, 2_000), (items_survive, 1_000), (others_survive, 100)])
def test_many_more(fuzzed, survives, times):
    rng = random.Random(1)
    for _ in range(times):
        survives(rng, fuzzed)
