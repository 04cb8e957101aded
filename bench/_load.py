"""A client for load: many connections, each sending its next request when the last is answered. Depends on uvloop where it is.

It costs a few dozen microseconds a request, so that on a machine it shares with the server it measures mostly the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Answers:
    """What came back: latencies in seconds of accepted requests, counts by status, the checker's complaints."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One keep-alive connection that asks `requests` in turn, from its own place on, until `until`."""

    def __init__(self, requests: list[bytes], place: int, until: float, answers: Answers,
                 check: Callable[[int, bytes], str | None]) -> None:
        self.requests, self.place, self.until, self.answers, self.check = requests, place, until, answers, check
        self.buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.ask()

    def ask(self) -> None:
        self.began = time.perf_counter()
        if self.began > self.until:
            self.done.set_result(None)
            self.transport.close()
        else:
            self.transport.write(self.requests[self.place])

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at : head.find(b"\r", at) if head.find(b"\r", at) > 0 else len(head)])
        if len(self.buffer) < end + 4 + length:
            return
        body, self.buffer = self.buffer[end + 4 : end + 4 + length], b""
        status = int(head[9:12])
        self.answers.statuses[status] = self.answers.statuses.get(status, 0) + 1
        if status == 200:
            self.answers.latencies.append(time.perf_counter() - self.began)
            if complaint := self.check(self.place, body):
                self.answers.wrong.append(complaint)
        if status == 429:  # the same again, when we were told to come back
            at = head.find(b"retry-after:")
            wait = float(head[at + 12 :].split(b"\r")[0]) if at >= 0 else 1.0
            asyncio.get_running_loop().call_later(wait, self.ask)
            return
        self.place = (self.place + 1) % len(self.requests)
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.answers.wrong.append(f"the connection broke: {error}")
            self.done.set_result(None)


def load(port: int, requests: list[bytes], clients: int, seconds: float,
         check: Callable[[int, bytes], str | None] = lambda place, body: None) -> Answers:
    """Return the answers to `clients` connections that go through `requests` (whole HTTP/1.1 requests) for `seconds`."""
    answers = Answers()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        made = [await loop.create_connection(lambda i=i: Client(requests, i * len(requests) // clients, began + seconds,
                                                                answers, check), "127.0.0.1", port)
                for i in range(clients)]
        await asyncio.gather(*(client.done for _, client in made))
        answers.seconds = time.perf_counter() - began

    try:
        import uvloop
    except ImportError:
        asyncio.run(run())
    else:
        uvloop.run(run())
    return answers
