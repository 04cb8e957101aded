"""How far a long verb is, for whoever wants to hear it, and may stop it by raising. Depends on the standard library.

    with heard_by(lambda what, done, total: print(f"{what}: {done} of {total}")):
        look.synthesise(model, classes=[3])

A listener belongs to its thread. Verbs call `tell` once a step; without a listener that costs nothing worth measuring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, float, float], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def tell(what: str, done: float, total: float) -> None:
    """Say that `done` of `total` steps of `what` are over."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done, total)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Within, `listener(what, done, total)` hears of every step. What it raises ends the verb, as Ctrl-C would."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
