"""A picture of a training run: loss by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.errors import ReportError
from auditkit.report import write_atomically

if TYPE_CHECKING:
    from auditkit.models.char_gpt_training import History


def save_loss_curve(history: History, path: str | Path) -> Path:
    """Draw training and validation loss (nats per character) over the epochs; the kept epoch is marked.

    Args:
        history: of `train`.
        path: ends in .svg or .png.

    Raises:
        ReportError: another ending, or the file cannot be written.
    """
    import altair as alt
    import vl_convert

    path = Path(path)
    if path.suffix not in (".svg", ".png"):
        raise ReportError(f"loss curve {path}: expected a name that ends in .svg or .png")
    lines = alt.Chart(alt.Data(values=_points(history))).mark_line(point=len(history.epochs) < 50)
    lines = lines.encode(
        x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("loss:Q", title="loss (nats per character)", scale=alt.Scale(zero=False)),
        color=alt.Color("part:N", title=None),
    )
    kept = alt.Chart(alt.Data(values=[{"epoch": history.best_epoch}])).mark_rule(strokeDash=[4, 4], color="gray")
    spec = (lines + kept.encode(x="epoch:Q")).properties(width=480, height=280, title="Loss by epoch").to_json()
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = vl_convert.vegalite_to_svg(spec).encode() if path.suffix == ".svg" else vl_convert.vegalite_to_png(spec)
    write_atomically(path, picture)
    return path


def _points(history: History) -> list[dict[str, float | str]]:
    points: list[dict[str, float | str]] = []
    for e in history.epochs:
        points.append({"epoch": e.number, "loss": e.train_loss, "part": "training"})
        if e.validation_loss is not None:
            points.append({"epoch": e.number, "loss": e.validation_loss, "part": "validation"})
    return points
