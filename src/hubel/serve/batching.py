"""Requests gathered into batches, in a thread or two, with a bound on how many wait. Depends on refusal, metrics and the standard
library; what is computed is somebody else's.

While one batch is computed the next gathers: a single client waits for nobody, and under load batches fill by themselves. The files
of a batch are decoded together, then computed together, so that decoding and the network's own threads take turns on the
cores instead of fighting over them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubel.serve.metrics import Metrics
from hubel.serve.refusal import Refusal

log = logging.getLogger("hubel.serve")
LINGER = 0.001  # seconds without another request after which a batch that could be larger is computed


@dataclass
class Request:
    """One client's files and what is asked of them; `count` inputs altogether."""

    verb: str
    files: list[bytes]
    options: dict[str, Any]
    count: int
    answer: asyncio.Future[bytes] = field(repr=False)


Compute = Callable[[Sequence[Request]], Sequence[bytes | BaseException]]


class Batcher:
    """compute : answers each of several requests, in order, with a body or an exception. batch : inputs at a time, at least
    one request. limit : inputs taken and not yet answered. threads : how many compute, each after a call of `begin`."""

    def __init__(self, compute: Compute, batch: int, limit: int, metrics: Metrics, threads: int = 1,
                 begin: Callable[[], Any] = lambda: None) -> None:
        self.compute, self.batch, self.limit, self.metrics = compute, batch, limit, metrics
        self.threads, self.begin = threads, begin
        self.waiting = 0  # inputs; only the event loop's thread writes it
        self.rate = 0.0  # inputs a second, over the last batches
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; from within the event loop."""
        self._loop = asyncio.get_running_loop()
        self._threads = [threading.Thread(target=self._work, name=f"hubel-serve-{i}", daemon=True) for i in range(self.threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answer what is queued, then end the threads. Blocks."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def alive(self) -> bool:
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def check_room(self, count: int = 1) -> None:
        """Raise Refusal (429), with the seconds after which to try again, where `count` more inputs are too many."""
        if self.waiting + count > self.limit:
            seconds = min(60, max(1, math.ceil(self.waiting / self.rate))) if self.rate else 1
            raise Refusal(429, f"{self.waiting} inputs are waiting and at most {self.limit} may: try again in {seconds} s",
                          Retry_After=str(seconds))

    def ask(self, verb: str, files: list[bytes], options: dict[str, Any], count: int) -> asyncio.Future[bytes]:
        """Queue a request; from the event loop's thread. Raises Refusal (429)."""
        assert self._loop is not None
        self.check_room(count)
        request = Request(verb, files, options, count, self._loop.create_future())
        self.waiting += count
        self._queue.put(request)
        return request.answer

    def _work(self) -> None:
        assert self._loop is not None
        self.begin()
        stopping = False
        while not stopping:
            requests, stopping = self._gather()
            if not requests:
                continue
            began = time.perf_counter()
            answers = self._answers(requests)
            seconds = time.perf_counter() - began
            count = sum(r.count for r in requests)
            try:
                self._loop.call_soon_threadsafe(self._deliver, list(zip(requests, answers, strict=True)), count, seconds)
            except RuntimeError:  # the loop has been closed over our heads
                return

    def _gather(self) -> tuple[list[Request], bool]:
        """Wait for a request, and take what else is there: `batch` inputs at most, unless the first alone has more.

        Of what waits, each thread takes its share; while others still come, it waits for them: clients that have just been answered
        ask again within a millisecond, and a thread that ran off with the first of them would compute tiny batches. With 50 clients
        of 28-pixel images on two cores: 1,593 a second against 1,488, and memory that stays flat; shares of a third, so that one
        gathers while two are computed, gave 1,494.
        """
        requests: list[Request] = []
        count, share = 0, 1
        while count < share:
            try:
                request = self._queue.get() if not requests else self._queue.get(timeout=LINGER)
            except queue.Empty:
                break
            if request is None:
                return requests, True
            requests.append(request)
            count += request.count
            share = min(self.batch, -(-self.waiting // self.threads))
        return requests, False

    def _answers(self, requests: list[Request]) -> Sequence[bytes | BaseException]:
        try:
            return self.compute(requests)
        except Exception as error:
            if len(requests) == 1:
                log.exception("a %s request failed", requests[0].verb)
                return [Refusal(500, f"the model failed on this input: {type(error).__name__}: {error}")]
        return [self._answers([request])[0] for request in requests]  # one must not spoil the others

    def _deliver(self, answered: list[tuple[Request, bytes | BaseException]], count: int, seconds: float) -> None:
        rate = self.threads * count / seconds
        self.rate = rate if not self.rate else 0.9 * self.rate + 0.1 * rate
        self.metrics.batch(count, seconds)
        for request, answer in answered:
            self.waiting -= request.count
            if request.answer.done():  # its client has gone
                continue
            if isinstance(answer, BaseException):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)
