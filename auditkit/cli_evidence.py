"""The commands that hand a report on: sign and verify it, write it into a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditkit.errors import InputError

ReportFile = Annotated[Path, typer.Argument(help="A report.json.", show_default=False)]
MOST_SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (keygen, sign, verify, card):
        app.command()(command)


def keygen(
    out: Annotated[Path, typer.Option(help="Where to write the private key; the public one is put beside it.")],
) -> None:
    """Make an ed25519 key pair to sign reports with.

    A key of OpenSSL does as well: `openssl genpkey -algorithm ed25519 -out key.pem`, and for the public one
    `openssl pkey -in key.pem -pubout -out key.pub.pem`.
    """
    from auditkit.integrity.envelope import create_key

    public = create_key(out)
    typer.echo(f"private key: {out} (keep it secret)\npublic key: {public} (give it to whoever verifies)")


def sign(
    report: ReportFile,
    key: Annotated[Path, typer.Option(help="A private ed25519 key in PEM; `auditkit keygen` makes one.")],
    out: Annotated[Path | None, typer.Option(help="Where to write it; beside the report where not given.")] = None,
) -> None:
    """Sign a report: an in-toto attestation, bound to the audited weights."""
    from auditkit import integrity

    typer.echo(integrity.sign(report, key, out=out))


def verify(
    report: ReportFile,
    signature: Annotated[Path | None, typer.Option(help="The attestation, where it is not beside the report.")] = None,
    key: Annotated[Path | None, typer.Option(help="The public key of who should have signed.")] = None,
) -> None:
    """Check that a report is as it was signed, and that its page shows it; exit code 1 and what differs, if not.

    Compared are the files beside it too: its item scores and its page. Junit files, summaries and model cards are not.
    """
    from auditkit import integrity
    from auditkit.rendering.formatting import one_line

    found = integrity.verify(report, signature=signature, key=key)
    if not found.intact:
        typer.echo(f"not as it was signed, {len(found.changes)} difference{'s' * (len(found.changes) > 1)}:")
    for change in found.changes[:MOST_SHOWN]:
        typer.echo(one_line(f"  {change}"))
    if (more := len(found.changes) - MOST_SHOWN) > 0:
        typer.echo(f"  and {more} more")
    if found.intact:
        typer.echo(one_line(f"intact: {report}, {found.result}, {found.subject}, weights sha256 {found.weights}"))
        typer.echo(one_line(f"compared: {', '.join(found.compared)}; other files are not covered by the signature"))
    for notice in found.notices:
        typer.echo(one_line(f"auditkit: {notice}"), err=True)
    if key is None:
        typer.echo("the signature was not checked (no --key): this finds accidents, not forgeries", err=True)
    raise typer.Exit(0 if found.intact else 1)


def card(
    report: ReportFile,
    readme: Annotated[Path, typer.Option(help="The README.md to update; made where there is none.")],
) -> None:
    """Write a report into a Hugging Face model card: results, verdicts, and the data of the audit."""
    from auditkit.rendering import model_card
    from auditkit.report import AuditReport, write_atomically

    audit = AuditReport.load(report)
    try:
        before = readme.read_bytes().decode() if readme.exists() else ""
        after = model_card.update(before, audit)
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"cannot read {readme}: {e}") from e
    except InputError as e:
        raise InputError(f"{readme}: {e}") from e
    write_atomically(readme, after.encode())
    typer.echo(readme)
