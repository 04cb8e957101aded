"""Ctrl-C during training: the first asks the loop to stop after the step it is in, the second stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """`with Interrupt() as interrupt:` - `interrupt.requested` turns true at the first SIGINT; the second raises
    KeyboardInterrupt. The former handler comes back at the end. In a thread that cannot handle signals, and where
    SIGINT is ignored, nothing changes."""

    def __init__(self) -> None:
        self.requested = False
        self._former: Any = None
        self._installed = False

    def __enter__(self) -> Interrupt:
        former = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(former):
            self._former, self._installed = former, True
            signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._former)
