"""The one loop that every attack runs in. Depends on subject, tasks, threat and verify.

A task is one sample in one run of one attack. Tasks wait in a queue and work in a batch; at every step the batch is looked
at once, and a task whose point breaks the network leaves it there and then, as does one whose steps are used up. What
remains moves together and the queue fills the room that was made, so that the network never computes for a decided
sample. A hit counts once it is `confirmed`; searches for the smallest change (`minimum`)
wait, when they have ended, to be `settled` together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from hubel.attack.losses import margin
from hubel.attack.subject import Subject
from hubel.attack.tasks import Ended, Hit, Points, Task
from hubel.attack.threat import length, on_levels, rows
from hubel.attack.verify import confirmed, settled
from hubel.progress import tell

State = dict[str, Tensor]
BATCH_PIXELS = 64 * 3 * 224 * 224  # values in a batch: 64 colour photos of 224 px, at most MOST samples
MOST = 256
TOGETHER = 32  # ended searches that are settled together, at most


@dataclass(frozen=True)
class Seen:
    """One look at a batch: the points `q` as the network saw them, logits (N, K), `broken` (N,) whether it errs there as
    wanted (wherever the point lies), and, if asked for, loss (N,) or (N, k) and its gradient(s) (N, ...) or (N, k, ...)."""

    q: Tensor
    logits: Tensor
    broken: Tensor
    loss: Tensor | None = None
    gradient: Tensor | None = None
    low: bool = False


def _kept(seen: Seen, keep: Tensor) -> Seen:
    loss = None if seen.loss is None else seen.loss[keep]
    gradient = None if seen.gradient is None else seen.gradient[keep]
    return Seen(seen.q[keep], seen.logits[keep], seen.broken[keep], loss, gradient, seen.low)


class Search(Protocol):
    """An attack. State tensors have one row a task: x, y, toward, eps, index, t (looks so far), and what `begin` adds.

    A search may further have `free = True`: its points may leave the ball, where a success does not count; `minimum =
    True`: free, and every task is worked to its end for the smallest change within eps (infinite: any); `exact = True`:
    its steps are too fine for anything but float32; and a function `ends(s, seen) -> (N,)` of tasks that end with
    this look; where points stay in the ball, s["gap"] and s["farthest"] are by then the largest and
    the smallest margin of any other class that was seen.
    """

    name: str
    looks: int  # how often a task's points are looked at, the start included
    gradients: bool

    def begin(self, s: State, tasks: list[Task], points: Points) -> None: ...
    def query(self, s: State) -> Tensor: ...
    def loss(self, s: State, logits: Tensor) -> Tensor: ...
    def update(self, s: State, seen: Seen) -> None: ...


Follow = Callable[[Task, Hit | None], Task | None]


def run(subject: Subject, search: Search, points: Points, tasks: Iterable[Task], follow: Follow,
        batch_size: int | None = None, halt: Callable[[], bool] | None = None) -> None:
    """Work all `tasks` off. `follow(task, hit)` is told how each ended (hit None: it withstood) and may give another.

    Once `halt()` is true, nothing more is looked at: the tasks that have not ended are dropped.
    """
    queue = deque(tasks)
    size = batch_size or max(1, min(MOST, BATCH_PIXELS // max(1, points.x[0].numel())))
    active: list[Task] = []
    state: State = {}
    odds = _Odds()
    steps = 0
    minimum = getattr(search, "minimum", False)
    ended: list[Ended] = []

    def over(task: Task, hit: Hit | None) -> None:
        another = follow(task, hit)
        if another is not None:
            queue.append(another)

    def settle() -> None:
        for e, hit in zip(ended, settled(subject, points, ended), strict=True):
            over(e.task, hit)
        ended.clear()

    while (queue or active) and not (halt is not None and halt()):
        tell(search.name, steps, 0)
        steps += 1
        new = [queue.popleft() for _ in range(min(size - len(active), len(queue)))]
        if new:
            state = _joined(state, _begun(search, points, new))
            active += new
        seen, done, hits = _look(subject, search, points, active, state, odds)
        for i in done:
            if minimum and torch.isfinite(state["size_best"][i]):
                ended.append(Ended(replace(active[i], start=None), state["nearest"][i].clone(), int(state["t"][i])))
            else:
                over(active[i], hits.get(i))
        if done:
            keep = torch.ones(len(active), dtype=torch.bool)
            keep[done] = False
            active = [task for task, k in zip(active, keep.tolist(), strict=True) if k]
            state = {name: value[keep] for name, value in state.items()}
            seen = _kept(seen, keep)
        if active:
            if search.gradients and seen.gradient is None:
                seen = _looked(subject, search, points, state, seen.q)
            search.update(state, seen)
            state["t"] += 1
        if ended and (len(ended) >= min(size, TOGETHER) or not (queue or active)):
            settle()
    if ended:
        settle()


def _begun(search: Search, points: Points, tasks: list[Task]) -> State:
    index = torch.tensor([t.index for t in tasks])
    x = points.x[index]
    state = {"x": x, "y": points.y[index], "index": index, "eps": torch.tensor([t.eps for t in tasks]),
             "toward": torch.tensor([t.toward for t in tasks]), "t": torch.zeros(len(tasks), dtype=torch.long),
             "gap": torch.full((len(tasks),), -torch.inf), "farthest": torch.full((len(tasks),), torch.inf), "nearest": x.clone(),
             "size_best": torch.full((len(tasks),), torch.inf)}
    search.begin(state, tasks, points)
    return state


def _joined(a: State, b: State) -> State:
    return {name: torch.cat([a[name], b[name]]) for name in b} if a else b


def _look(subject: Subject, search: Search, points: Points, tasks: list[Task], s: State,
          odds: _Odds) -> tuple[Seen, list[int], dict[int, Hit]]:
    """Look once at every task of the batch. Returns what was seen, the rows that are done, and the hits among them."""
    minimum = getattr(search, "minimum", False)
    free = minimum or getattr(search, "free", False)
    q = search.query(s)
    if points.exact and not free:
        q = on_levels(q, s["x"], s["eps"], points.norm)
    last = s["t"] + 1 >= search.looks
    if not search.gradients or bool(last.all()) or (not free and odds.likely(s["t"])):
        seen = _seen(points, s, q, subject.look(q), low=subject.kind == "bf16")
    else:
        seen = _looked(subject, search, points, s, q)
    if not free:
        odds.note(s["t"], seen.broken)
        _remember(points, s, q, seen.logits)
    if hasattr(search, "ends"):
        last |= search.ends(s, seen)
    if minimum:
        _keep_smallest(points, s, seen)
        return seen, torch.nonzero(last).flatten().tolist(), {}
    found = seen.broken
    if free:
        found = found & (length(q - s["x"], points.norm) <= s["eps"] * (1 + 1e-6))
    doubtful = last & ~found & (s["gap"] > -subject.doubt(seen.logits))
    asked = torch.nonzero(found | doubtful).flatten()
    if subject.kind == "bf16" and len(asked) > 2 and odds.seldom_confirmed:
        tried = torch.where(rows(found[asked], q), q[asked], s["nearest"][asked])
        asked = asked[~subject.surely_not(tried, partial(points.broken, index=s["index"][asked]))]
    hits: dict[int, Hit] = {}
    for i in asked.tolist():
        point = q[i] if found[i] else s["nearest"][i]
        if points.exact and free:
            point = on_levels(point[None], s["x"][i : i + 1], s["eps"][i : i + 1], points.norm)[0]
        hit = confirmed(subject, points, replace(tasks[i], start=None), point, int(s["t"][i]))
        odds.confirmed(hit is not None)
        if hit is not None:
            hits[i] = hit
    return seen, [i for i, ended in enumerate(last.tolist()) if ended or i in hits], hits


def _keep_smallest(points: Points, s: State, seen: Seen) -> None:
    """Keep the smallest change that breaks the fast copy."""
    size = length(seen.q - s["x"], points.norm)
    better = seen.broken & (size < s["size_best"])
    s["size_best"] = torch.where(better, size, s["size_best"])
    s["nearest"][better] = seen.q[better]


def _seen(points: Points, s: State, q: Tensor, logits: Tensor, loss: Tensor | None = None,
          gradient: Tensor | None = None, low: bool = False) -> Seen:
    return Seen(q, logits, points.broken(logits.argmax(dim=1), s["index"]), loss, gradient, low)


def _looked(subject: Subject, search: Search, points: Points, s: State, q: Tensor) -> Seen:
    logits, loss, gradient = subject.gradient(q, lambda z: search.loss(s, z))
    return _seen(points, s, q, logits, loss, gradient, subject.kind == "bf16")


def _remember(points: Points, s: State, q: Tensor, logits: Tensor) -> None:
    """Keep the point nearest to success so far: at the end of a run it is tried in float32 if the fast copy may err."""
    wanted = None if points.targets is None else points.targets[s["index"]]
    gap = margin(logits, s["y"], wanted)
    better = gap > s["gap"]
    s["gap"] = torch.where(better, gap, s["gap"])
    s["farthest"] = torch.minimum(s["farthest"], gap)
    s["nearest"][better] = q[better]


class _Odds:
    """How often points break at their first look, their second and later: where that is likely, look first and ask for
    the gradient of what remains. Two fifths of a gradient's time are the look. And how often what the fast copy found was
    confirmed: where that is seldom, candidates are sifted in float32, together, before they are tried one by one."""

    def __init__(self) -> None:
        self.looked, self.found = torch.tensor([2.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, 1.0])
        self.asked, self.held = 0, 0

    def likely(self, t: Tensor) -> bool:
        return bool((self.found / self.looked)[t.clamp_max(2)].mean() >= 0.45)

    @property
    def seldom_confirmed(self) -> bool:
        return self.asked >= 16 and self.held < 0.5 * self.asked

    def confirmed(self, held: bool) -> None:
        self.asked, self.held = self.asked + 1, self.held + held

    def note(self, t: Tensor, found: Tensor) -> None:
        self.looked.index_add_(0, t.clamp_max(2), torch.ones_like(t, dtype=torch.float32))
        self.found.index_add_(0, t.clamp_max(2), found.float())
