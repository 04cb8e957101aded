"""One browser tab, one session: its own copies of the models, whose turn it is, one long job at a time, progress and cancelling.

A verb runs in a thread of its own and is heard by its session (`hubel.progress`); cancelling makes the listener raise, which
ends the verb between two of its steps. Hooks and caches of a Model are no place for two threads at once: a session copies the
models it uses, and its lock lets one verb at a time use them. Depends on progress, errors.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hubel.errors import HubelError
from hubel.progress import heard_by

T = TypeVar("T")

TICK = 0.15  # seconds between two looks at a job
MOST = 64  # sessions that are remembered


class Stopped(HubelError):
    """The user stopped the job."""


@dataclass(frozen=True)
class Progress:
    """Where a job stands: `done` of `total` steps of `what` (0 of 0: nobody has said yet), `seconds` after its start."""

    what: str
    done: float
    total: float
    seconds: float

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True)
class Done(Generic[T]):
    """What a job gave, and how long it took."""

    value: T
    seconds: float


class Job(Generic[T]):
    """A function that runs in a thread: `progress`, `stop()`, and in the end `result()`."""

    def __init__(self, function: Callable[[], T], lock: AbstractContextManager[Any], what: str = "",
                 halt: Callable[[], None] | None = None) -> None:
        self.began = time.monotonic()
        self.told: tuple[str, float, float] = (what, 0, 0)
        self._function, self._lock, self._halt = function, lock, halt
        self._stop, self._over = threading.Event(), threading.Event()
        self._value: T | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            with heard_by(self._hear), self._lock:
                self._hear(*self.told)
                self.began = time.monotonic()
                self._value = self._function()
        except BaseException as error:  # handed on by result()
            self._error = error
        finally:
            self._over.set()

    def _hear(self, what: str, done: float, total: float) -> None:
        self.told = (what, done, total)
        if self._stop.is_set():
            raise Stopped("stopped")

    @property
    def progress(self) -> Progress:
        return Progress(*self.told, time.monotonic() - self.began)

    def stop(self) -> None:
        """Ask it to end: by `halt`, or by raising in the verb's next step."""
        (self._halt or self._stop.set)()

    def wait(self, seconds: float) -> bool:
        return self._over.wait(seconds)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class Session:
    """What belongs to one browser tab."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.jobs: dict[str, list[Job[Any]]] = {}
        self.turns: dict[str, int] = {}  # by view: how often the user has asked for an answer, 0 when only for something beside it
        self.kept: dict[str, Any] = {}  # what a view wants to find again
        self._models: dict[str, Any] = {}
        self._turning = threading.Lock()

    def own(self, key: str, model: Any) -> Any:
        """Return this session's copy of a model that all share."""
        with self.lock:
            if key not in self._models:
                self._models[key] = copy.deepcopy(model)
            return self._models[key]

    def turn(self, view: str) -> Callable[[], bool]:
        """The user has asked a view for an answer: what it was working on is stopped. Returns what tells whether this is still the
        latest that was asked; what an earlier one has yet to say is of no use, and it must start nothing."""
        with self._turning:
            mine = self.turns[view] = self.turns.get(view, 0) + 1
        self.stop(view)
        return lambda: self.turns[view] == mine

    def run(self, view: str, function: Callable[[], T], what: str = "", alone: bool = True,
            halt: Callable[[], None] | None = None) -> Iterator[Progress | Done[T]]:
        """Yield Progress again and again while `function` runs, then Done; raises what it raised.

        If the reader of this iterator goes away, the job is stopped.
        `alone`: the function uses the session's models, and waits until no other does. `halt` ends it more gently than raising.
        """
        job: Job[T] = Job(function, self.lock if alone else nullcontext(), what, halt)
        self.jobs.setdefault(view, []).append(job)
        try:
            if not job.wait(TICK):  # most are over by now, and need no bar
                yield job.progress
            while not job.wait(TICK):
                yield job.progress
            yield Done(job.result(), time.monotonic() - job.began)
        finally:
            job.stop()
            self.jobs[view].remove(job)

    def stop(self, view: str | None = None) -> bool:
        """Stop the jobs of a view that run, or all; whether there was one."""
        jobs = [job for name, those in list(self.jobs.items()) if view in (None, name) for job in list(those)]
        running = any(not job.wait(0) for job in jobs)
        for job in jobs:
            job.stop()
        return running


class Sessions:
    """Sessions by Gradio's session hash, the latest MOST of them."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: str | None) -> Session:
        with self._lock:
            session = self._all.setdefault(key or "", Session())
            self._all.move_to_end(key or "")
            while len(self._all) > MOST:
                self._all.popitem(last=False)[1].stop()
            return session

    def __len__(self) -> int:
        return len(self._all)

    def forget(self, key: str | None) -> None:
        """End a session: its browser tab has been closed."""
        with self._lock:
            session = self._all.pop(key or "", None)
        if session is not None:
            session.stop()
