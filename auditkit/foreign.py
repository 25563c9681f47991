"""Code that is not ours: a model's module, a factory, a probe, a plug-in. It must not end a run that then looks passed.

What can run at all comes from the user's own configuration (`package.module:name`) and from entry points of installed
packages; never from a model's folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from auditkit.errors import ForeignExit

LEAVING = ("_exit", "execv", "execve")
"""What of `os` ends this program past every handler; the other `exec...` call these."""

NOT_ALLOWED = "code that is audited may not end the audit"


@contextmanager
def contained() -> Iterator[None]:
    """Turn what would leave Python past every `except Exception` into one; Ctrl-C stays Ctrl-C.

    Raises:
        ForeignExit: the code inside called `sys.exit`, `os._exit` or `os.exec...`, or raised another exception that is
            no `Exception`.
    """
    leave = {name: getattr(os, name) for name in LEAVING}
    try:
        for name, call in leave.items():
            setattr(os, name, _refused(name, call))
        yield
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except SystemExit as e:
        raise ForeignExit(f"sys.exit({e.code!r}) was called; {NOT_ALLOWED}") from e
    except BaseException as e:
        raise ForeignExit(f"{type(e).__name__}: {e}; it is no Exception, so nothing could have caught it") from e
    finally:
        for name, call in leave.items():
            setattr(os, name, call)


def _refused(name: str, leave: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    """`leave`, but of this process: one that was forked has to end, or to become another program."""
    us = os.getpid()

    def stay(*args: Any) -> NoReturn:
        if os.getpid() == us:
            raise ForeignExit(f"os.{name}({args[0]!r}) was called; {NOT_ALLOWED}")
        leave(*args)

    return stay
