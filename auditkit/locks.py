"""One writer at a time: a lock that the operating system takes back when its holder dies, however it dies.

The file beside what is written only says who holds it. It is locked, not merely there, so that one which a killed
process left behind stops nobody.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditkit.errors import InputError, ReportError

if os.name == "nt":  # pragma: no cover - msvcrt is the only one there
    import msvcrt

    def _seize(handle: int) -> None:
        os.lseek(handle, FAR_OFF, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _seize(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


FAR_OFF = 1 << 20
"""Windows locks bytes, and nobody can read those: one far behind the text that says who holds it."""
PAUSE = 0.01


@contextmanager
def held(path: Path, *, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock `path` while the block runs.

    Args:
        path: of the lock; its folder is made.
        what: is being written, for the error.
        wait: seconds to wait for another holder.

    Raises:
        InputError: another process holds it; says which.
        ReportError: the file cannot be written.
    """
    until = time.monotonic() + wait
    while (handle := _try(path)) is None:
        if time.monotonic() >= until:
            raise InputError(
                f"{what} is being written by {_holder(path)}; wait until it has ended, or write into another folder"
            )
        time.sleep(PAUSE)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the folder may be gone
            path.unlink()
        os.close(handle)


def _try(path: Path) -> int | None:
    """The locked file; None where somebody else holds it, or has just let go of the one that was opened here."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as e:
        raise ReportError(f"cannot write {path}: {e.strerror or e}") from e
    try:
        _seize(handle)
        if os.fstat(handle).st_ino == path.stat().st_ino:
            with contextlib.suppress(OSError):  # a full disk: then nobody learns who, but it is held
                os.truncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"
