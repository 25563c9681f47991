"""The command line.

Exit codes:

0    every rule passes
1    a rule does not pass, or a validation fails
2    the command, the configuration or another input is wrong
3    incomplete: a probe crashed, a rule could not be judged, or nothing was measured (outranks 1)
130  stopped with Ctrl-C

What a command needs is imported inside it, so that `--help` and `gate` start at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditkit import __version__, cli_compare, cli_evidence, cli_evidence_map, extras, plain_text, standard_streams
from auditkit.errors import AuditkitError, InputError, UnknownName
from auditkit.rendering.formatting import one_line

if TYPE_CHECKING:
    from auditkit.report import AuditReport

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Audit a language model and get evidence that people can believe.",
)
data_app = typer.Typer(no_args_is_help=True, help="Datasets.")
app.add_typer(data_app, name="data")
validate_app = typer.Typer(no_args_is_help=True, help="Whether the checks themselves can be believed.")
app.add_typer(validate_app, name="validate")

ReportFile = Annotated[Path, typer.Argument(help="A report.json.", show_default=False)]
Baseline = Annotated[
    Path | None,
    typer.Option(help="An earlier report.json, or a folder: then its newest other one. For rules with max_worsening."),
]
JUnit = Annotated[Path | None, typer.Option(help="Write the verdicts as JUnit XML.")]
Summary = Annotated[Path | None, typer.Option(help="Write a Markdown summary, e.g. to $GITHUB_STEP_SUMMARY.")]
CodeQuality = Annotated[Path | None, typer.Option(help="Write what does not pass as GitLab code quality JSON.")]
Annotations = Annotated[
    str | None,
    typer.Option(metavar="github|none", help="Print annotations; 'github' inside a GitHub workflow if not given."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
ListOf = Annotated[str, typer.Argument(metavar="probes|models|datasets", help="What to list.", show_default=False)]


def main(args: Sequence[str] | None = None) -> None:
    """Entry point: an error in the user's input is one clear message on stderr and exit code 2."""
    sys.path.append(os.getcwd())  # so that `my_probe:MyProbe` finds a file beside audit.yaml; last, to shadow nothing
    with standard_streams.unbreakable():
        plain_text.use()
        try:
            app(args=args, prog_name="auditkit")
        except (AuditkitError, ModuleNotFoundError) as error:
            e = error if isinstance(error, AuditkitError) else extras.missing(error)
            if e is None:
                raise
            print("\n".join(f"auditkit: {one_line(line)}" for line in str(e).splitlines()), file=sys.stderr)
            sys.exit(2)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"auditkit {__version__}")
        raise typer.Exit


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="The configuration.")] = Path("audit.yaml"),
    model: Annotated[str | None, typer.Option(help="Audit this model instead of the file's.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override an entry.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write into this folder.")] = None,
    baseline: Baseline = None,
    junit: JUnit = None,
    summary: Summary = None,
    code_quality: CodeQuality = None,
    annotations: Annotations = None,
    as_json: Json = False,
) -> None:
    """Run an audit; a run that was stopped goes on where it stopped."""
    from auditkit import conclusion, foreign, live, runner
    from auditkit.config import load
    from auditkit.data.catalog import holds_nothing
    from auditkit.outputs import Outputs

    wanted = {"junit": junit, "summary": summary, "code_quality": code_quality}
    outputs = Outputs(rules=config, annotations=annotations, as_json=as_json, **wanted)
    with foreign.contained():
        settings = load(config, model=model, overrides=set_ or ())
    folder = out or Path(settings.out)
    before = _baseline(baseline, own=folder / "report.json")
    if notice := holds_nothing():
        print(one_line(notice), file=sys.stderr)
    with live.listening() as listener, foreign.contained():
        try:
            report = runner.run(settings, out=folder, baseline=before, listener=listener)
        except KeyboardInterrupt:
            kept = f"{listener.finished} of {listener.planned} probes are kept in {folder}"
            print(f"auditkit: stopped; {kept}, and the same command goes on from there", file=sys.stderr)
            raise typer.Exit(130) from None
    code = _input_code(report) or conclusion.exit_code(report)
    outputs.write(report, code, folder / "report.html")
    raise typer.Exit(code)


def _baseline(path: Path | None, *, own: Path, judged: AuditReport | None = None) -> AuditReport | None:
    """The report to compare the one at `own` with; which one it is, is said on stderr."""
    from auditkit.history import load_baseline

    if path is None:
        return None
    report, said = load_baseline(path, own=own, judged=judged)
    print(one_line(said), file=sys.stderr)
    return report


def _input_code(report: AuditReport) -> int:
    """2, said on stderr, where all that went wrong in the probes is input that only they could find wrong; else 0."""
    errors = [m for m in report.measurements if m.status == "error"]
    if not errors or any(m.details.get("cause") != "input" for m in errors):
        return 0
    for m in errors:
        print(one_line(f"auditkit: {m.probe}: {m.details['reason']}"), file=sys.stderr)
    return 2


@app.command()
def gate(
    report: Annotated[Path, typer.Argument(help="A report.json, or the ledger.json of a private training.")],
    rules: Annotated[Path, typer.Option(help="The audit.yaml whose `gate` section holds the rules.")],
    baseline: Baseline = None,
    junit: JUnit = None,
    summary: Summary = None,
    code_quality: CodeQuality = None,
    annotations: Annotations = None,
    as_json: Json = False,
) -> None:
    """Judge a report, or the epsilon that a private training has spent."""
    from dataclasses import replace

    from auditkit import conclusion, idle_limits
    from auditkit.config import load_rules
    from auditkit.outputs import Outputs
    from auditkit.report import AuditReport

    wanted = {"junit": junit, "summary": summary, "code_quality": code_quality}
    outputs = Outputs(rules=rules, annotations=annotations, as_json=as_json, **wanted)
    loaded = _report_of_ledger(report) if _is_ledger(report) else AuditReport.load(report)
    limits = load_rules(rules)
    for remark in idle_limits.remarks(loaded, limits):
        print(one_line(f"warning: {remark}"), file=sys.stderr)
    verdicts = loaded.gate(limits, baseline=_baseline(baseline, own=report, judged=loaded))
    judged = replace(loaded, verdicts=tuple(verdicts))
    code = conclusion.exit_code(judged)
    outputs.write(judged, code)
    raise typer.Exit(code)


def _is_ledger(path: Path) -> bool:
    """Whether `path` is a privacy ledger, be it damaged; anything unreadable is not, and is refused as a report."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return '"entries"' in content and '"measurements"' not in content


def _report_of_ledger(path: Path) -> AuditReport:
    """A report of one measurement, `dp_sgd/epsilon`, computed anew from the ledger in `path`."""
    from auditkit import environment
    from auditkit.privacy.ledger import read_ledger
    from auditkit.report import AuditReport, ProbeRun

    spent = read_ledger(path).measurement("dp_sgd")
    return AuditReport(
        subject={"name": f"the training with the ledger {path}"},
        environment=environment.describe(),
        config={"ledger": str(path)},
        seed=0,
        runs=[ProbeRun(spent.probe, "ok")],
        measurements=[spent],
    )


@app.command()
def render(
    report: ReportFile,
    out: Annotated[Path | None, typer.Option(help="The HTML file; beside the report where not given.")] = None,
) -> None:
    """Draw a report as one HTML file."""
    from auditkit.report import AuditReport

    path = AuditReport.load(report).to_html(out if out is not None else report.with_suffix(".html"))
    print(path)


cli_compare.register(app)
cli_evidence_map.register(app)
cli_evidence.register(app)


@app.command("list")
def list_(what: ListOf) -> None:
    """List what can be named in audit.yaml."""
    from auditkit import listing
    from auditkit.console import table

    if what not in listing.LISTS:
        raise UnknownName("list", what, listing.LISTS)
    columns, rows = listing.LISTS[what]()
    table("", columns, rows)


@data_app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="See `auditkit list datasets`.", show_default=False)],
) -> None:
    """Make published datasets available: where they are already, else downloaded and verified.

    All are tried; one line says of each that fails why, and the exit code is 2 then.
    """
    from auditkit import data

    failed = False
    for name in names:
        try:
            print(f"{name}: {data.fetch(name)}")
        except InputError as e:
            failed = True
            print(one_line(f"auditkit: {e}"), file=sys.stderr)
    raise typer.Exit(2 if failed else 0)


@validate_app.command()
def dp(
    seeds: Annotated[int, typer.Option(help="Seeds on which the correct trainer is tried.", min=1)] = 20,
    out: Annotated[Path | None, typer.Option(help="Write all findings as JSON.")] = None,
) -> None:
    """Plant bugs in the private trainer, and see which check catches each; about four minutes."""
    import json

    from auditkit.console import show_validation
    from auditkit.privacy.validation import validate
    from auditkit.report import write_atomically

    result = validate(seeds=seeds, tell=lambda line: print(line, file=sys.stderr))
    show_validation(result)
    if out is not None:
        write_atomically(out, (json.dumps(result.to_json(), indent=1, allow_nan=False) + "\n").encode())
    raise typer.Exit(0 if result.passed else 1)


@app.command()
def doctor() -> None:
    """Check this installation."""
    from auditkit import doctor as checks
    from auditkit.console import table

    found = checks.examine()
    table("", ("check", "status", "found", "fix"), [(c.name, c.status, c.found, c.fix) for c in found])
    raise typer.Exit(2 if any(c.status == "fail" for c in found) else 0)
