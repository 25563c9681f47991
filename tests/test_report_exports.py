"""A report as a table, at the end of a notebook cell, and in a real MLflow store."""

import io
import logging
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from auditkit.measurement import Interval, Measurement
from auditkit.report import AuditReport, ProbeRun

HOSTILE = "<script>alert('x')</script>"
ITEMS = pd.DataFrame({"measurement": ["p/a/x"], "item": ["1"], "value": [0.5], "cluster": [""], "x": [float("nan")]})


def make_report(name="minilm-mlm", extra=(), rules=({"measurement": "p/a/x", "max": 10},)) -> AuditReport:
    report = AuditReport(
        subject={"name": name, "weights_sha256": "ab" * 32, "config": {"layers": 2}},
        environment={"auditkit": "0.1.0", "libraries": {"numpy": "2.4.6"}, "packages": {"pip": "1"}},
        config={},
        seed=3,
        runs=[ProbeRun("p", "ok"), ProbeRun("q", "skipped", "no mask")],
        measurements=[
            Measurement(id="p/a/x", value=61.25, interval=Interval(58.0, 64.5, method="BCa"), n=208, unit="%"),
            Measurement(id="p/all/y", value=7, n=5),
            Measurement(id="q", value=None, status="skipped", details={"reason": "no mask"}),
            *extra,
        ],
        created="2026-01-01T00:00:00+00:00",
        _items=ITEMS,
    )
    return replace(report, verdicts=tuple(report.gate(list(rules))))


def test_csv_and_parquet_hold_what_the_frame_holds(tmp_path):
    report = make_report()
    frame = report.to_frame()
    parquet = pd.read_parquet(report.to_parquet(tmp_path / "new" / "r.parquet"))
    pd.testing.assert_frame_equal(parquet, frame, check_dtype=False)
    table = pd.read_csv(report.to_csv(tmp_path / "r.csv"))
    assert table["id"].tolist() == ["p/a/x", "p/all/y", "q"]
    assert table.loc[0, ["value", "low", "high", "level", "n"]].tolist() == [61.25, 58.0, 64.5, 0.95, 208]
    assert table["reason"].tolist()[2] == "no mask"
    assert table["value"].isna().tolist() == [False, False, True]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], io.StringIO()

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        assert not [name for name, _ in attributes if name != "scope"]
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.write(data)


def parsed(report):
    tags = Tags()
    tags.feed(report._repr_html_())
    assert tags.open == []
    return tags


def test_a_notebook_shows_verdict_value_and_interval():
    text = parsed(make_report()).text.getvalue()
    assert text.startswith("FAIL: audit of minilm-mlm")
    assert "61.25\N{NARROW NO-BREAK SPACE}%58.00 to 64.50208FAIL" in text
    assert "7—5not judged" in text
    assert "2 of 3 measurements" in text


def test_a_notebook_is_small_and_what_a_model_wrote_stays_text():
    extra = [Measurement(id=f"{HOSTILE}/all/{i}{'z' * 5000}", value=1.0, n=1) for i in range(1000)]
    report = make_report(name=HOSTILE * 10_000 + "\u202e", extra=extra)
    assert len(report._repr_html_()) < 10_000
    tags = parsed(report)
    assert "script" not in tags.seen
    assert HOSTILE in tags.text.getvalue()
    assert "\u202e" not in report._repr_html_()


def test_a_report_without_rules_says_so():
    assert parsed(make_report(rules=())).text.getvalue().startswith("NOT JUDGED")


# MLflow


@pytest.fixture(scope="module")
def mlflow():
    """MLflow, quiet, allowed to keep its runs in files: a database would need more packages."""
    pytest.importorskip("mlflow", reason="needs `pip install mlflow-skinny`")
    import warnings

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("DO_NOT_TRACK", "true")
        warnings.simplefilter("ignore")  # what MLflow itself warns of is not ours to mend
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        yield mlflow


@pytest.fixture
def logged(mlflow, tmp_path):
    """What a real local store holds after `report.log_to(mlflow)`, read back through a client."""
    mlflow.set_tracking_uri(f"file://{tmp_path}/runs")
    mlflow.set_experiment("audits")

    def log(report):
        with mlflow.start_run() as run:
            report.log_to(mlflow)
        client = mlflow.MlflowClient()
        files = {file.path for file in client.list_artifacts(run.info.run_id, "auditkit")}
        where = client.download_artifacts(run.info.run_id, "auditkit", str(tmp_path))
        return client.get_run(run.info.run_id).data, files, where

    return log


def test_a_run_in_mlflow_has_metrics_with_intervals_and_the_report(logged):
    report = make_report()
    data, files, where = logged(report)
    assert data.metrics == {
        "p/a/x/value": 61.25,
        "p/a/x/low": 58.0,
        "p/a/x/high": 64.5,
        "p/a/x/n": 208,
        "p/all/y/value": 7,
        "p/all/y/n": 5,
    }
    assert data.params["subject.weights_sha256"] == "ab" * 32
    assert data.params["subject.config.layers"] == "2"
    assert data.params["environment.libraries.numpy"] == "2.4.6"
    assert data.params["seed"] == "3"
    assert data.tags["auditkit.outcome"] == "FAIL"
    assert data.tags["auditkit.verdict.1"] == str(report.verdicts[0])
    names = {"report.json", "report.html", "report.items.parquet"}
    assert files == {f"auditkit/{name}" for name in names}
    kept = AuditReport.load(f"{where}/report.json")
    assert kept == report
    pd.testing.assert_frame_equal(kept.items, ITEMS)


def test_odd_names_long_texts_and_many_measurements_are_taken(logged):
    odd = ["p/ä/<x>", "p/ö/<x>", "p/../../etc", "p//x", "/abs/x", "p/a" + "b" * 400 + "/x", "p/a:b,c;d\n/x"]
    extra = [Measurement(id=id, value=1.0, interval=Interval(0, 2), n=1) for id in odd]
    extra += [Measurement(id=f"many/{i}/x", value=float(i), interval=Interval(i, i), n=1) for i in range(600)]
    data, _, _ = logged(make_report(name="n" * 100_000, extra=extra))
    assert sum(bool(re.fullmatch(r"p/_/_x_-[0-9a-f]{8}/value", name)) for name in data.metrics) == 2
    assert data.metrics["many/599/x/high"] == 599
    assert len(data.metrics) == 6 + 4 * (len(odd) + 600)
    assert all(re.fullmatch(r"[\w\-. /]{1,250}", name, re.ASCII) for name in data.metrics)
    assert len(data.params["subject.name"]) <= 500


def test_a_tracker_needs_only_four_functions():
    class Tracker:
        def __init__(self):
            self.seen = {}

        def log_metrics(self, metrics):
            self.seen |= metrics

        def log_params(self, params):
            self.seen |= params

        def set_tags(self, tags):
            self.seen |= tags

        def log_artifacts(self, local_dir, artifact_path=None):
            self.seen["folder"] = artifact_path

    tracker = Tracker()
    make_report().log_to(tracker)
    assert tracker.seen["p/a/x/low"] == 58.0
    assert tracker.seen["folder"] == "auditkit"
