"""How long-running work says how far it is, without knowing who listens.

A model adapter calls `advance(done, total)`; whoever runs it may install a listener with `listen`. Without a
listener the calls cost nothing, so library users see no output that they did not ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int], None]
"""Called with (items done, items in all) of the batch loop now running."""

_listener: ContextVar[Listener | None] = ContextVar("auditkit_progress_listener", default=None)


def advance(done: int, total: int) -> None:
    """Report that `done` of `total` items of the current loop are finished."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total)


@contextmanager
def listen(listener: Listener | None) -> Iterator[None]:
    """Send every `advance` inside the block to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
