"""Work for several threads, a bounded amount ahead of whoever takes the results. Standard library only."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def workers() -> int:
    """Cores this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS, Windows
        return max(1, os.cpu_count() or 1)


@contextmanager
def pool(threads: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """A thread pool that drops what has not begun when its user leaves early."""
    executor = ThreadPoolExecutor(threads or workers(), thread_name_prefix="hubel-data")
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def ordered_map(function: Callable[[T], R], items: Iterable[T], ahead: int | None = None) -> Iterator[tuple[T, R]]:
    """Yield (item, function(item)) in order; at most `ahead` (default 8 per core) results wait to be taken."""
    limit = ahead or 8 * workers()
    waiting: deque[tuple[T, Future[R]]] = deque()
    with pool() as executor:
        for item in items:
            waiting.append((item, executor.submit(function, item)))
            if len(waiting) >= limit:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
