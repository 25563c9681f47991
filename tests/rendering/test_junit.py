from xml.etree import ElementTree

from auditkit.measurement import Interval, Measurement
from auditkit.rendering.junit import render_junit
from auditkit.report import ProbeRun


def judged(make, *rules, id="p/g/s"):
    m = Measurement(id=id, value=60.0, interval=Interval(55, 65), n=100)
    report = make([m], rules=[{"measurement": id} | rule for rule in rules])
    return ElementTree.fromstring(render_junit(report))


def test_one_case_per_verdict_with_the_right_tag(make):
    root = judged(
        make, {"max": 70}, {"max": 50}, {"max": 60}, {"max": 60, "on_inconclusive": "warn"}, {"max_worsening": 1}
    )
    cases = root.findall("testsuite/testcase")
    tags = [[child.tag for child in case if child.tag != "system-out"] for case in cases]
    assert tags == [[], ["failure"], ["failure"], [], ["error"]]
    assert {k: root.find("testsuite").attrib[k] for k in ("tests", "failures", "errors")} == {
        "tests": "5",
        "failures": "2",
        "errors": "1",
    }
    assert cases[0].attrib == {"classname": "auditkit.p", "name": "p/g/s (<= 70)"}


def test_a_failure_says_why_in_numbers(make):
    failure = judged(make, {"max": 50}).find(".//failure")
    assert failure.attrib["type"] == "FAIL"
    assert "wholly outside the limit" in failure.attrib["message"]
    assert "value 60.00, interval 55.00 to 65.00, n = 100, limit <= 50" in failure.text


def test_a_pass_and_a_warning_can_be_checked_too(make):
    outs = [e.text for e in judged(make, {"max": 70}, {"max": 60, "on_inconclusive": "warn"}).iter("system-out")]
    assert outs[0].startswith("PASS: ")
    assert outs[1].startswith("INCONCLUSIVE: ")
    assert "55.00 to 65.00" in outs[1]


def test_anything_in_an_id_gives_well_formed_xml(make):
    hostile = 'p/<x a="1">&]]>\x00\x1b\ud800/s'
    root = judged(make, {"max": 50}, id=hostile)
    assert root.find(".//testcase").attrib["name"].startswith('p/<x a="1">&]]>\ufffd\ufffd\ufffd/s')


def test_no_rules(make):
    root = ElementTree.fromstring(render_junit(make([Measurement(id="p/g/s", value=60.0, n=1)])))
    assert root.find("testsuite").attrib["tests"] == "0"


def test_a_skipped_probe_is_a_skipped_case_and_a_run_without_any_value_is_an_error(make):
    runs = [ProbeRun("bbq", "skipped", "not measured: bbq is not on this machine; `auditkit data fetch bbq`")]
    some = ElementTree.fromstring(render_junit(make([Measurement(id="p/g/s", value=60.0, n=1)], runs=runs)))
    assert [e.attrib["message"] for e in some.iter("skipped")] == [runs[0].reason]
    assert {k: some.attrib[k] for k in ("tests", "errors", "skipped")} == {"tests": "1", "errors": "0", "skipped": "1"}
    none = ElementTree.fromstring(render_junit(make([], runs=runs)))
    assert [e.attrib["message"] for e in none.iter("error")] == ["nothing was measured: no probe gave a value"]
