"""The one loop that every attack runs in. Depends on subject, threat and streams.

A task is one sample in one run of one attack. Tasks wait in a queue and work in a batch; at every step the batch is looked
at once, and a task whose point breaks the network leaves it there and then, as does one whose steps are used up. What
remains moves together and the queue fills the room that was made, so that the network never computes for a decided
sample. A hit counts once `Subject.truth` confirms it: float32, alone, and on whole 8-bit levels where those are asked for.
A search for the smallest change (`minimum`) goes on after a success; what it ends with is settled by `settle`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from hubel.attack.losses import margin
from hubel.attack.streams import sample_keys
from hubel.attack.subject import Subject
from hubel.attack.threat import length, on_levels

State = dict[str, Tensor]
BATCH_PIXELS = 64 * 3 * 224 * 224  # values in a batch: 64 colour photos of 224 px, at most MOST samples
MOST = 256


@dataclass(frozen=True)
class Task:
    """One sample in one run. `eps` in pixels of 0..1; `toward` the class a loss aims at, or -1; `start` a point."""

    index: int
    eps: float
    run: int = 0
    toward: int = -1
    start: Tensor | None = None


@dataclass(frozen=True)
class Hit:
    """A confirmed success: the point (C, H, W), its distance, what it is taken for and how surely, and when."""

    task: Task
    point: Tensor
    distance: float
    predicted: int
    confidence: float
    step: int


@dataclass
class Points:
    """What is attacked: `x` (N, C, H, W) in 0..1 (8-bit levels where `exact`), `y` (N,), and wanted classes or None.

    `success` is a wrong prediction, or where `targets` are given the wanted one.
    """

    x: Tensor
    y: Tensor
    norm: str
    exact: bool = True
    targets: Tensor | None = None
    seed: int = 0
    keys: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.keys:
            self.keys = sample_keys((self.x * 255).round().to(torch.uint8) if self.exact else self.x, self.y, self.seed)

    def distance(self, q: Tensor, index: Tensor) -> Tensor:
        """Return the sizes (N,) of the changes from the originals to `q`, in double precision."""
        d = q.double() - self.x[index].double()
        if not self.exact or self.norm == "l0":
            return length(d, self.norm).double()
        return length((d * 255).round_(), self.norm).double() / 255

    def broken(self, predicted: Tensor, index: Tensor) -> Tensor:
        return predicted != self.y[index] if self.targets is None else predicted == self.targets[index]


@dataclass(frozen=True)
class Seen:
    """One look at a batch: the points `q` as the network saw them, logits (N, K), `broken` (N,) whether it errs there as
    wanted (wherever the point lies), and, if asked for, loss (N,) or (N, k) and its gradient(s) (N, ...) or (N, k, ...)."""

    q: Tensor
    logits: Tensor
    broken: Tensor
    loss: Tensor | None = None
    gradient: Tensor | None = None


def _kept(seen: Seen, keep: Tensor) -> Seen:
    loss = None if seen.loss is None else seen.loss[keep]
    gradient = None if seen.gradient is None else seen.gradient[keep]
    return Seen(seen.q[keep], seen.logits[keep], seen.broken[keep], loss, gradient)


class Search(Protocol):
    """An attack. State tensors have one row a task: x, y, toward, eps, index, t (looks so far), and what `begin` adds.

    A search may further have `free = True`: its points may leave the ball, where a success does not count; `minimum =
    True`: free, and every task is worked to its end for the smallest change within eps (infinite: any); and a function
    `ends(s, seen) -> (N,)` of tasks that end with this look.
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
    while (queue or active) and not (halt is not None and halt()):
        new = [queue.popleft() for _ in range(min(size - len(active), len(queue)))]
        if new:
            state = _joined(state, _begun(search, points, new))
            active += new
        seen, done, hits = _look(subject, search, points, active, state, odds)
        for i in done:
            another = follow(active[i], hits.get(i))
            if another is not None:
                queue.append(another)
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


def _begun(search: Search, points: Points, tasks: list[Task]) -> State:
    index = torch.tensor([t.index for t in tasks])
    x = points.x[index]
    state = {"x": x, "y": points.y[index], "index": index, "eps": torch.tensor([t.eps for t in tasks]),
             "toward": torch.tensor([t.toward for t in tasks]), "t": torch.zeros(len(tasks), dtype=torch.long),
             "gap": torch.full((len(tasks),), -torch.inf), "nearest": x.clone(),
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
        seen = _seen(points, s, q, subject.look(q))
    else:
        seen = _looked(subject, search, points, s, q)
    if hasattr(search, "ends"):
        last |= search.ends(s, seen)
    if minimum:
        return seen, *_smallest(subject, points, tasks, s, seen, last)
    found = seen.broken
    if free:
        found = found & (length(q - s["x"], points.norm) <= s["eps"] * (1 + 1e-6))
    else:
        odds.note(s["t"], found)
        _remember(points, s, q, seen.logits)
    doubtful = last & ~found & (s["gap"] > -subject.doubt(seen.logits))
    hits: dict[int, Hit] = {}
    for i in torch.nonzero(found | doubtful).flatten().tolist():
        point = q[i] if found[i] else s["nearest"][i]
        if points.exact and free:
            point = on_levels(point[None], s["x"][i : i + 1], s["eps"][i : i + 1], points.norm)[0]
        hit = confirmed(subject, points, replace(tasks[i], start=None), point, int(s["t"][i]))
        if hit is not None:
            hits[i] = hit
    return seen, [i for i, ended in enumerate(last.tolist()) if ended or i in hits], hits


def _smallest(subject: Subject, points: Points, tasks: list[Task], s: State, seen: Seen,
              last: Tensor) -> tuple[list[int], dict[int, Hit]]:
    """Keep the smallest change that breaks the fast copy; settle those of the tasks that end."""
    size = length(seen.q - s["x"], points.norm)
    better = seen.broken & (size < s["size_best"])
    s["size_best"] = torch.where(better, size, s["size_best"])
    s["nearest"][better] = seen.q[better]
    done = torch.nonzero(last).flatten().tolist()
    hits = {}
    for i in done:
        if torch.isfinite(s["size_best"][i]):
            hit = settle(subject, points, replace(tasks[i], start=None), s["nearest"][i], int(s["t"][i]))
            if hit is not None and hit.distance <= tasks[i].eps * (1 + 1e-6):
                hits[i] = hit
    return done, hits


def _seen(points: Points, s: State, q: Tensor, logits: Tensor, loss: Tensor | None = None,
          gradient: Tensor | None = None) -> Seen:
    return Seen(q, logits, points.broken(logits.argmax(dim=1), s["index"]), loss, gradient)


def _looked(subject: Subject, search: Search, points: Points, s: State, q: Tensor) -> Seen:
    logits, loss, gradient = subject.gradient(q, lambda z: search.loss(s, z))
    return _seen(points, s, q, logits, loss, gradient)


def _remember(points: Points, s: State, q: Tensor, logits: Tensor) -> None:
    """Keep the point nearest to success so far: at the end of a run it is tried in float32 if the fast copy may err."""
    wanted = None if points.targets is None else points.targets[s["index"]]
    gap = margin(logits, s["y"], wanted)
    better = gap > s["gap"]
    s["gap"] = torch.where(better, gap, s["gap"])
    s["nearest"][better] = q[better]


def confirmed(subject: Subject, points: Points, task: Task, point: Tensor, step: int) -> Hit | None:
    """Return the hit if the network itself, in float32 on this image alone, is broken by `point`; else None."""
    logits = subject.truth(point[None])
    predicted = logits.argmax(dim=1)
    index = torch.tensor([task.index])
    if not points.broken(predicted, index).item():
        return None
    distance, sure = points.distance(point[None], index).item(), logits.softmax(dim=1).max().item()
    return Hit(task, point.clone(), distance, int(predicted), sure, step)


OUTWARDS, INWARDS, HALVINGS = (1.0, 1.01, 1.03, 1.1, 1.3), (0.99, 0.9, 0.7, 0.4, 0.1), 5


def settle(subject: Subject, points: Points, task: Task, point: Tensor, step: int) -> Hit | None:
    """Return the smallest confirmed hit found on the line from the original through `point`; None if there is none.

    The search may have run in low precision, and the point need not consist of whole levels: so a little further out is
    tried where it fails, and further in where it holds.
    """
    x = points.x[task.index]
    any_size = torch.tensor([torch.inf])

    def at(scale: float) -> Hit | None:
        q = (x + scale * (point - x)).clamp(0, 1)
        q = on_levels(q[None], x[None], any_size, points.norm)[0] if points.exact else q
        return confirmed(subject, points, task, q, step)

    tried = 0.0
    for scale in OUTWARDS:
        best = at(scale)
        if best is not None:
            break
        tried = scale
    else:
        return None
    if points.norm == "l0":
        return best
    if scale == 1.0:
        for smaller in INWARDS:
            hit = at(smaller)
            if hit is None:
                tried = smaller
                break
            best, scale = hit if hit.distance < best.distance else best, smaller
    for _ in range(HALVINGS):
        if scale - tried < 1e-3 * scale:
            break
        middle = (scale + tried) / 2
        hit = at(middle)
        if hit is None:
            tried = middle
        else:
            best, scale = hit if hit.distance < best.distance else best, middle
    return best


class _Odds:
    """How often points break at their first look, their second and later: where that is likely, look first and ask for
    the gradient of what remains. Two fifths of a gradient's time are the look."""

    def __init__(self) -> None:
        self.looked, self.found = torch.tensor([2.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, 1.0])

    def likely(self, t: Tensor) -> bool:
        return bool((self.found / self.looked)[t.clamp_max(2)].mean() >= 0.45)

    def note(self, t: Tensor, found: Tensor) -> None:
        self.looked.index_add_(0, t.clamp_max(2), torch.ones_like(t, dtype=torch.float32))
        self.found.index_add_(0, t.clamp_max(2), found.float())
