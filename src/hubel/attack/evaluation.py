"""`robust_evaluation`: several attacks, each on what the ones before left standing, at one size or many in one run.

Every image stands at one size and one attack. Broken, it goes down to the next smaller size and starts over there from
what broke it; where an attack fails, the next one tries; where all have failed it is done, and withstands all smaller
sizes too. What breaks it at one size counts for all larger ones. Depends on loop, protocol, journal and running.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hubel.attack.distrust import Flag, after_evaluation, distrust
from hubel.attack.eot import Expectation
from hubel.attack.evaluated import Evaluation, StageCount
from hubel.attack.journal import Event, Journal
from hubel.attack.loop import run
from hubel.attack.progress import Bar
from hubel.attack.protocol import RAND_SAMPLES, Stage, protocol
from hubel.attack.running import collected, likeliest, opened, radius
from hubel.attack.subject import Subject
from hubel.attack.tasks import Hit, Points, Task
from hubel.attack.threat import norm_name
from hubel.errors import InputError
from hubel.model.fingerprint import weights_hash
from hubel.training.interrupt import Interrupt

EPS = {"linf": "8/255", "l2": 0.5, "l1": 12.0}  # what is usual for CIFAR; RobustBench's for linf and l2


def robust_evaluation(model: Any, x: Any, y: Any, norm: Any = "linf", eps: float | str | Sequence[float | str] | None = None, *,
                      version: str = "standard", precision: str = "float", give_up: bool = True,
                      minutes: float | None = None, journal: str | Path | None = None, check: bool = True, seed: int = 0,
                      batch_size: int | None = None, progress: bool | str = "auto") -> Evaluation:
    """Measure robust accuracy as AutoAttack does, and say how far to trust it. Returns an Evaluation.

    Parameters
    ----------
    model, x, y, seed, precision : as in `pgd`; 'float' by default, as published numbers are.
    norm, eps : 'linf', 'l2' or 'l1', and one size or several: a whole curve in one run. None: 8/255, 0.5, 12.
    version : 'standard', 'fast', 'plus' or 'rand' (see `protocol`).
    give_up : end runs early that at their pace will hardly succeed any more (`pace`; 'standard' and 'fast' only). False:
        every run takes all its steps, at several times the cost on a hardened network.
    minutes : a budget. What is undecided at its end counts as robust and is said to be undecided. Ctrl-C ends alike.
    journal : a file from which the same call goes on after an interruption or a kill -9, to the same verdicts.
    check : run the `distrust` battery on up to 64 images and add its flags.
    """
    began = time.perf_counter()
    name = norm_name(norm)
    given: Any = EPS.get(name, 8 / 255) if eps is None else eps
    sizes = sorted({radius(e, name, precision) for e in ([given] if isinstance(given, (str, float, int)) else given)} - {0.0})
    if not sizes:
        raise InputError("eps holds no size above 0")
    if minutes is not None and not minutes > 0:
        raise InputError(f"minutes={minutes} must be above 0")
    stages = protocol(version, name, give_up)
    subject = Subject(Expectation(model, RAND_SAMPLES) if version == "rand" else model)
    points, before, confidence = opened(subject, x, y, name, None, precision, seed)
    right = torch.nonzero(before == points.y).flatten().tolist()
    about = {"weights": _hash(subject), "images": f"{len(points.x)} {hash_of(points)}", "norm": name, "version": version,
             "eps": [float(s) for s in sizes], "precision": precision, "seed": seed, "give_up": give_up}
    with Journal(journal, about, tuple(points.x.shape[1:])) as diary, Interrupt() as interrupt:
        deadline = None if minutes is None else began + 60 * minutes

        def halt() -> bool:
            return interrupt.requested or (deadline is not None and time.perf_counter() > deadline)

        board = _Board(subject, points, stages, sizes, right, diary)
        with Bar("robust evaluation", len(right), progress) as bar:
            board.work(halt, batch_size, bar)
        stopped = None if board.complete else "interrupted" if interrupt.requested else f"the budget of {minutes:g} min is spent"
    result = board.evaluation(version, before, confidence, stopped, time.perf_counter() - began)
    flags: tuple[Flag, ...] = after_evaluation(result, subject)
    if check and stopped is None and version != "rand":
        flags += distrust(subject, x, y, name, sizes[-1], evaluation=result, precision=precision, seed=seed,
                          progress=progress).flags
    return replace(result, flags=flags, seconds=time.perf_counter() - began)


class _Board:
    """Where every image stands. `waiting[k]` holds tasks for the k-th attack."""

    def __init__(self, subject: Subject, points: Points, stages: list[Stage], sizes: list[float], right: list[int],
                 diary: Journal) -> None:
        self.subject, self.points, self.stages, self.sizes, self.diary = subject, points, stages, sizes, diary
        self.aims = likeliest(subject, points, right, max(s.runners_up for s in stages))
        self.hits: dict[int, Hit] = {}  # at the smallest size so far; its task's eps is that size
        self.by: dict[int, int] = {}  # the attack that did it
        self.held: dict[int, int] = {}  # the largest size withstood in full
        self.wins = [[0, 0] for _ in stages]  # tried, broken
        at = {i: (len(sizes) - 1, 0) for i in right}
        for event in diary.events:
            at[event.index] = self._moved(event)
        self.waiting: list[list[Task]] = [[] for _ in stages]
        for i in right:
            size, stage = at[i]
            if size >= 0 and stage < len(stages):
                self.waiting[stage].append(self._task(i, size, stage))

    @property
    def complete(self) -> bool:
        return not any(self.waiting)

    def _task(self, index: int, size: int, stage: int) -> Task:
        start = self.hits[index].point if index in self.hits and stage == 0 else None
        return Task(index, self.sizes[size], 0, self._toward(index, stage, 0), start)

    def _toward(self, index: int, stage: int, run_: int) -> int:
        return self.aims[index][run_] if self.stages[stage].runners_up else -1

    def _runs(self, index: int, stage: int) -> int:
        s = self.stages[stage]
        return min(s.runners_up, len(self.aims[index])) if s.runners_up else s.runs

    def _moved(self, event: Event) -> tuple[int, int]:
        """Enter an event and return the size and the attack that the image stands at then; size -1: broken at all sizes."""
        self.wins[event.stage][0] += 1
        if event.hit is None:
            if event.stage + 1 == len(self.stages):
                self.held[event.index] = event.size
            return event.size, event.stage + 1
        self.wins[event.stage][1] += 1
        fits = next((k for k, e in enumerate(self.sizes) if e >= event.hit.distance * (1 - 1e-6)), event.size)
        fits = min(fits, event.size)
        self.hits[event.index] = replace(event.hit, task=replace(event.hit.task, eps=self.sizes[fits]))
        self.by[event.index] = event.stage
        return fits - 1, 0

    def work(self, halt: Any, batch_size: int | None, bar: Bar) -> None:
        while not self.complete and not halt():
            stage = next(k for k, tasks in enumerate(self.waiting) if tasks)
            self._pass(stage, halt, batch_size, bar)

    def _pass(self, stage: int, halt: Any, batch_size: int | None, bar: Bar) -> None:
        tasks, self.waiting[stage] = self.waiting[stage], []
        open_ = {t.index: t for t in tasks}
        number = {e: k for k, e in enumerate(self.sizes)}

        def follow(task: Task, hit: Hit | None) -> Task | None:
            if hit is None and task.run + 1 < self._runs(task.index, stage):
                return replace(task, run=task.run + 1, toward=self._toward(task.index, stage, task.run + 1), start=None)
            event = Event(task.index, number[task.eps], stage, hit)
            self.diary.add(event)
            size, then = self._moved(event)
            del open_[task.index]
            if size < 0 or then == len(self.stages):
                bar.advance(broke=hit is not None)
                return None
            following = self._task(task.index, size, then)
            if then == stage:
                open_[task.index] = following
                return following
            self.waiting[then].append(following)
            return None

        spent = self.subject.forwards, self.subject.backwards, time.perf_counter()
        run(self.subject, self.stages[stage].search, self.points, tasks, follow, batch_size, halt)
        self.waiting[stage] += open_.values()  # what a halt left undecided
        self.diary.add_spent({"stage": stage, "forwards": self.subject.forwards - spent[0],
                              "backwards": self.subject.backwards - spent[1], "seconds": time.perf_counter() - spent[2]})

    def evaluation(self, version: str, before: torch.Tensor, confidence: torch.Tensor, stopped: str | None,
                   seconds: float) -> Evaluation:
        n = len(self.points.x)
        wrong = (before != self.points.y).numpy()
        least = np.where(wrong, 0.0, np.nan)
        by = np.where(wrong, "clean", "").astype(object)
        for i, hit in self.hits.items():
            least[i], by[i] = hit.task.eps, self.stages[self.by[i]].name
        waiting = {t.index: t.eps for tasks in self.waiting for t in tasks}
        undecided = np.array([[waiting.get(i, -1.0) >= e for e in self.sizes] for i in range(n)]).reshape(n, len(self.sizes))
        undecided &= ~(least[:, None] <= np.array(self.sizes)[None])
        counts = []
        for k, stage in enumerate(self.stages):
            of = [s for s in self.diary.spent if s["stage"] == k]
            counts.append(StageCount(stage.name, *self.wins[k], *(sum(s[w] for s in of)
                                                                  for w in ("forwards", "backwards", "seconds"))))
        smallest = collected(self.subject, self.points, before, confidence, self.hits, version, self.sizes[-1], seconds)
        return Evaluation(version, np.array(self.sizes), least, undecided.sum(axis=0), by, tuple(counts), smallest, (), stopped,
                          seconds)


def _hash(subject: Subject) -> str:
    if not subject.wraps_module:
        return str(subject.model.hash)
    return weights_hash(subject.model, {})


def hash_of(points: Points) -> str:
    """Return a few digits that name the images with their labels."""
    total = 0
    for i, key in enumerate(points.keys):
        total = (total * 1_000_003 + key + i) % 2**61
    return f"{total:x}"
