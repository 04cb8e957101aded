"""Ctrl-C as a question: the first asks the loop to end well, the second ends it. Depends on nothing."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupted:
    """`with Interrupted() as i: ... if i.asked: ...`. Outside the main thread, where signals cannot be caught, it is inert."""

    def __init__(self) -> None:
        self.asked = False
        self._old: Any = None

    def __enter__(self) -> Interrupted:
        if threading.current_thread() is threading.main_thread():
            self._old = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)
