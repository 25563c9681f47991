"""Code that is not ours: a model's module, a factory, a probe, a plug-in. It must not end a run that then looks passed.

What can run at all comes from the user's own configuration (`package.module:name`) and from entry points of installed
packages; never from a model's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from auditkit.errors import ForeignExit


@contextmanager
def contained() -> Iterator[None]:
    """Turn what would leave Python past every `except Exception` into one; Ctrl-C stays Ctrl-C.

    Raises:
        ForeignExit: the code inside called `sys.exit` or `os._exit`, or raised another exception that is no
            `Exception`.
    """
    leave, us = os._exit, os.getpid()

    def stay(status: int) -> NoReturn:
        if os.getpid() == us:
            raise ForeignExit(f"os._exit({status!r}) was called; code that is audited may not end the audit")
        leave(status)  # a process that was forked has to end

    os._exit = stay
    try:
        yield
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except SystemExit as e:
        raise ForeignExit(f"sys.exit({e.code!r}) was called; code that is audited may not end the audit") from e
    except BaseException as e:
        raise ForeignExit(f"{type(e).__name__}: {e}; it is no Exception, so nothing could have caught it") from e
    finally:
        os._exit = leave
