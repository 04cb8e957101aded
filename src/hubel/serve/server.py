"""uvicorn's server, with signals that stop it and raise nothing, and a word when it is ready. Depends on uvicorn."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn

from hubel.serve.limits import Limits


class Server(uvicorn.Server):
    """The first SIGTERM or Ctrl-C stops it after the requests in hand, the second at once; then `run` returns."""

    def __init__(self, app: Any, limits: Limits, ready: Callable[[], Any]) -> None:
        super().__init__(uvicorn.Config(
            app, lifespan="on", log_level="warning", access_log=False, ws="none", server_header=False, proxy_headers=False,
            limit_concurrency=limits.connections, timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, round(limits.stop_seconds))))
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self.ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit, self.should_exit = self.should_exit, True
