"""Whatever is changed in a signed report is found and named; a foreign or damaged signature proves nothing."""

import base64
import copy
import json
import random
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit import integrity
from auditkit.errors import InputError
from auditkit.integrity import canonical, envelope
from auditkit.integrity.fingerprint import changes, fingerprint
from auditkit.report import AuditReport, items_path

WEIGHTS = "ab" * 32
SAMPLE = Path(__file__).parents[1] / "fixtures" / "make_signed_report.py"


def claim_of(path: Path) -> dict:
    return json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))


def test_what_was_signed_verifies(signed, keys):
    found = integrity.verify(signed, key=keys[1])
    assert found.intact
    assert (found.subject, found.weights, found.result) == ("modèle", WEIGHTS, "FAILED")
    assert found.signer == envelope.key_id(envelope.read_public(keys[1]))


def test_another_layout_of_the_same_values_verifies(signed, keys):
    content = json.loads(signed.read_text())
    signed.write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert integrity.verify(signed, key=keys[1]).intact


def numbers_of(content):
    """Paths, in the terms of the fingerprint, to every value, interval, n, seed and verdict of a report."""
    yield ("seed",), ("seed",)
    for i, m in enumerate(content["measurements"]):
        for field in ("value", "n", "seed", "ideal"):
            yield ("measurements", i, field), ("measurements", m["id"], field)
        for end in ("low", "high", "level"):
            yield ("measurements", i, "interval", end), ("measurements", m["id"], "interval", end)
        yield ("measurements", i, "details", "p_value"), ("measurements", m["id"], "details", "p_value")
    for i, (v, name) in enumerate(zip(content["verdicts"], ("p/a/x", "p/b/x", "p/b/x (2)"), strict=True)):
        assert name.startswith(v["measurement"])
        for field in ("value", "n"):
            yield ("verdicts", i, field), ("verdicts", name, field)
        yield ("verdicts", i, "interval", "high"), ("verdicts", name, "interval", "high")
        yield ("verdicts", i, "rule", "max"), ("verdicts", name, "rule", "max")


ORIGINAL = json.dumps(runpy.run_path(str(SAMPLE))["make_report"]().to_json())
BEFORE = fingerprint(canonical.parse(ORIGINAL))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_changed_digit_is_detected_and_located(data):
    content = json.loads(ORIGINAL, parse_float=str, parse_int=str)  # numbers by their digits
    place, path = data.draw(st.sampled_from(list(numbers_of(content))))
    holder = content
    for step in place[:-1]:
        holder = holder[step]
    digits = holder[place[-1]]
    at = data.draw(st.sampled_from([i for i, c in enumerate(digits) if c.isdigit()]))
    holder[place[-1]] = digits[:at] + data.draw(st.sampled_from("123456789".replace(digits[at], ""))) + digits[at + 1 :]
    text = json.dumps(content)
    for number in sorted({v for v in _strings(content) if _is_number(v)}, key=len, reverse=True):
        text = text.replace(f'"{number}"', number)
    changed = canonical.parse(text)
    assert canonical.sha256(changed) != canonical.sha256(canonical.parse(ORIGINAL))
    assert [c.path for c in changes(BEFORE, changed)] == [path]


def _strings(value):
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def verdict_changed(content):
    content["verdicts"][2]["outcome"] = "PASS"


def measurement_removed(content):
    del content["measurements"][0]


def measurement_added(content):
    content["measurements"].append(content["measurements"][0] | {"id": "p/new/x"})


def reordered(content):
    content["measurements"].reverse()


def interval_dropped(content):
    content["measurements"][1]["interval"] = None


def runs_dropped(content):
    del content["runs"]


def foreign_key(content):
    content["note"] = "all fine"


def package_changed(content):
    content["environment"]["packages"]["numpy"] = "2.4.7 sha256:00"


def ruined(content):
    content["measurements"] = "none"


@pytest.mark.parametrize(
    ("tamper", "located"),
    [
        (verdict_changed, ['verdicts > p/b/x (2) > outcome: changed, was "FAIL", now "PASS"']),
        (measurement_removed, ["measurements > p/a/x: removed"]),
        (measurement_added, ["measurements > p/new/x: added"]),
        (reordered, ["the order of the entries: changed"]),
        (interval_dropped, ["measurements > p/b/x > interval: changed, now null"]),
        (foreign_key, ["note: added"]),
        (runs_dropped, ["runs > p: removed"]),
        (package_changed, ['environment > packages > numpy: changed, was "2.4.6 sha256:00", now "2.4.7 sha256:00"']),
        (ruined, ['measurements: changed, now "none"']),
    ],
)
def test_tampering_is_located(signed, keys, tamper, located):
    content = json.loads(signed.read_text())
    tamper(content)
    signed.write_text(json.dumps(content))
    assert list(integrity.verify(signed, key=keys[1]).changes) == located
    assert list(integrity.verify(signed).changes) == located


def test_changed_lost_and_smuggled_item_scores_are_found(signed, keys, tmp_path, make_report):
    items = items_path(signed)
    items.write_bytes(items.read_bytes() + b" ")
    assert integrity.verify(signed, key=keys[1]).changes == ["report.items.parquet: changed"]
    items.unlink()
    assert integrity.verify(signed, key=keys[1]).changes == ["report.items.parquet: removed"]
    bare = replace(make_report(), _items=None).save(tmp_path / "bare" / "report.json")
    integrity.sign(bare, keys[0])
    items_path(bare).write_bytes(b"x")
    assert integrity.verify(bare, key=keys[1]).changes == ["report.items.parquet: added"]


def test_a_wrong_key_and_a_forged_attestation_do_not_verify(signed, keys, tmp_path):
    other = envelope.create_key(tmp_path / "other.pem")
    (only,) = integrity.verify(signed, key=other).changes
    assert "the signature is not by the key" in only
    path = integrity.signature_path(signed)
    forged = json.loads(path.read_text())
    claim = claim_of(path) | {"subject": [{"name": "m", "digest": {"sha256": "00" * 32}}]}
    path.write_text(json.dumps(forged | {"payload": base64.b64encode(canonical.canonical(claim)).decode()}))
    (only,) = integrity.verify(signed, key=keys[1]).changes
    assert "the attestation was changed after it was signed" in only
    assert integrity.verify(signed).changes == ["the attestation is about other weights than the report's"]


def test_the_key_id_decides_nothing(signed, keys):
    path = integrity.signature_path(signed)
    sealed = json.loads(path.read_text())
    bogus = {"keyid": sealed["signatures"][0]["keyid"], "sig": base64.b64encode(bytes(64)).decode()}
    path.write_text(json.dumps(sealed | {"signatures": [bogus]}))
    assert not integrity.verify(signed, key=keys[1]).intact
    url_safe = sealed["signatures"][0]["sig"].replace("+", "-").replace("/", "_")  # allowed by DSSE
    path.write_text(json.dumps(sealed | {"signatures": [bogus, {"sig": url_safe}]}))
    assert integrity.verify(signed, key=keys[1]).intact


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_truncated_envelope_is_refused_in_one_line(cut):
    text = json.dumps(SEALED)
    assert "\n" not in refusal(text[: cut % len(text)])


def refusal(text):
    """What is said of an envelope that cannot be read."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        path.write_text(ORIGINAL)
        integrity.signature_path(path).write_text(text)
        with pytest.raises(InputError) as caught:
            integrity.verify(path)
        return str(caught.value)


SEALED = {"payloadType": envelope.PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"sig": "AA=="}]}


@pytest.mark.parametrize(
    "damage",
    [
        {},
        {"payload": "e30"},
        {"payload": "!!!!"},
        {"payload": base64.b64encode(b"[1, 2").decode()},
        {"payload": base64.b64encode(b'{"_type": "x", "predicateType": "y"}').decode()},
        {"payload": 3},
        {"signatures": []},
        {"signatures": [{}]},
        {"payloadType": "text/plain"},
    ],
)
def test_a_damaged_envelope_is_refused_in_one_line(damage):
    assert "\n" not in refusal(json.dumps(SEALED | damage))


def test_a_report_of_another_schema_without_a_package_list_still_verifies(tmp_path, keys):
    old = json.loads(ORIGINAL)
    del old["environment"]["packages"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    assert "packages" not in AuditReport.load(path).environment
    integrity.sign(path, keys[0])
    path.write_text(json.dumps(old | {"schema": 99}))
    assert integrity.verify(path, key=keys[1]).changes == ["schema: changed, was 1, now 99"]


def test_a_thousand_measurements_are_verified_in_a_blink(tmp_path, keys, make_report):
    import time

    rng = random.Random(0)
    base = make_report(rules=[])
    many = [replace(base.measurements[0], id=f"p/g{i}/x", value=rng.random(), interval=None) for i in range(1000)]
    path = replace(base, measurements=tuple(many)).save(tmp_path / "report.json")
    integrity.sign(path, keys[0])
    content = json.loads(path.read_text())
    content["measurements"][500]["value"] += 1e-12
    path.write_text(json.dumps(content))
    start = time.process_time()
    (only,) = integrity.verify(path, key=keys[1]).changes
    assert only.startswith("measurements > p/g500/x > value: changed")
    assert time.process_time() - start < 5
    assert integrity.signature_path(path).stat().st_size < 1.25 * path.stat().st_size


def test_the_fingerprint_of_a_long_text_is_short_and_of_a_hash_is_never_the_hash():
    content = {"config": {"long": "x" * 10_000, "like a digest": "sha256:00", "list": [1, 2], "number": 10**40}}
    found = fingerprint(content)["config"]
    assert all(value.startswith("sha256:") and len(value) == 23 for value in found.values())
    assert len(set(found.values())) == 4
    assert found["like a digest"] != "sha256:00"


def test_the_fingerprint_leaves_the_report_alone():
    content = json.loads(ORIGINAL)
    kept = copy.deepcopy(content)
    fingerprint(content)
    assert content == kept
