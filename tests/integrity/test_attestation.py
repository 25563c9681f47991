"""What is signed is an in-toto test result, bound to the weights, in an envelope that others can open."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit import conclusion, integrity
from auditkit.errors import ReportError
from auditkit.integrity import attestation, canonical, envelope
from auditkit.report import ProbeRun, items_path

WEIGHTS = "ab" * 32


def claim_of(path: Path) -> dict:
    return json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))


def test_the_statement_is_an_in_toto_test_result_about_the_weights(signed):
    claim = claim_of(integrity.signature_path(signed))
    assert claim["_type"] == "https://in-toto.io/Statement/v1"
    assert claim["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert claim["subject"][0]["digest"] == {"sha256": WEIGHTS}
    predicate = claim["predicate"]
    assert predicate["result"] == "FAILED"
    assert predicate["passedTests"] == ["p/a/x (<= 70)"]
    assert predicate["warnedTests"] == ["p/b/x (<= 41)"]
    assert predicate["failedTests"] == ["p/b/x (<= 10)"]
    digests = {entry["name"]: entry["digest"]["sha256"] for entry in predicate["configuration"]}
    content = json.loads(signed.read_text())
    assert digests == {
        "report": hashlib.sha256(canonical.canonical(content)).hexdigest(),
        "items": hashlib.sha256(items_path(signed).read_bytes()).hexdigest(),
        "config": canonical.sha256(content["config"]),
        "data of p": "cd" * 32,
    }


rule = st.fixed_dictionaries(
    {"measurement": st.sampled_from(["p/a/x", "p/b/x", "none"]), "max": st.sampled_from([10, 40, 61, 90])},
    optional={"on_inconclusive": st.sampled_from(["warn", "fail"])},
)


@given(st.lists(rule, max_size=5), st.booleans())
@settings(deadline=None)
def test_the_result_agrees_with_the_exit_code(make_report, rules, crash):
    runs = [ProbeRun("p", "ok"), *([ProbeRun("q", "error", "broke")] if crash else [])]
    report = make_report(rules, runs)
    found = attestation.test_results(report)
    assert (found["result"] == "FAILED") == (conclusion.exit_code(report) != 0)
    assert (found["result"] == "PASSED") == (conclusion.outcome(report) == "PASS")
    assert sum(len(found[f"{o}Tests"]) for o in ("passed", "warned", "failed")) == len(report.verdicts) + crash


def test_a_report_that_names_no_weights_cannot_be_bound_to_any(tmp_path, keys, make_report):
    path = make_report(weights_sha256="0").save(tmp_path / "r.json")
    with pytest.raises(ReportError, match=r"weights_sha256 '0'.*needs the sha256 of a model that was loaded"):
        integrity.sign(path, keys[0])


def test_the_envelope_is_signed_over_the_encoding_of_dsse(keys):
    from cryptography.exceptions import InvalidSignature

    sealed = envelope.seal(b"hello world", envelope.read_private(keys[0]))
    signature = base64.b64decode(sealed["signatures"][0]["sig"])
    public = envelope.read_public(keys[1])
    public.verify(signature, b"DSSEv1 28 application/vnd.in-toto+json 11 hello world")
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"hello world")
