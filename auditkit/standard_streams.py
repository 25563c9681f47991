"""Standard output and error that may be closed, full, or read by nobody, as in `auditkit gate ... | head -0`.

An exit code is a verdict. What becomes of the tables that are printed beside it must not change it: a pipe that was
closed is no failed rule (1), and no success (0).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Unbreakable:
    """A text stream that drops what it can no longer write; in everything else the stream itself.

    Args:
        stream: where to write.
        complaints: where to say once that something other than a closed pipe keeps `stream` from being written.
    """

    def __init__(self, stream: TextIO, complaints: TextIO | None = None) -> None:
        self._stream, self._complaints, self._broken = stream, complaints, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop."""
        if not self._broken:
            self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, or drop what was not written."""
        if not self._broken:
            self._try(self._stream.flush)

    def _try(self, write: Any) -> None:
        try:
            write()
        except OSError as e:
            self._broken = True
            _discard(self._stream)
            if self._complaints is not None and not isinstance(e, BrokenPipeError):
                print(f"auditkit: standard output cannot be written: {e.strerror or e}", file=self._complaints)


@contextmanager
def unbreakable() -> Iterator[None]:
    """Within, writing to stdout and stderr raises nothing; nor does Python's own flush when the process ends."""
    before = sys.stdout, sys.stderr
    err = Unbreakable(sys.stderr or _nowhere())
    sys.stdout, sys.stderr = Unbreakable(sys.stdout or _nowhere(), err), err  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _nowhere() -> TextIO:
    """In place of a stream that was closed before Python began: there sys.stdout is None."""
    return open(os.devnull, "w", encoding="utf-8")


def _discard(stream: TextIO) -> None:
    """Lead the stream's file descriptor to nowhere, so that what is left in its buffer does no harm at the end."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # no file behind it
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
