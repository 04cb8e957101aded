"""Square attack: random search with squares, no gradients (Andriushchenko et al. 2020, arXiv:1912.00049).

What gradients cannot see it can: where it breaks points that white-box attacks leave standing, gradients are masked.
Depends on loop, losses, streams and threat. Every image has its own squares, so its verdict is its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from hubel.attack.loop import Seen, State
from hubel.attack.losses import margin
from hubel.attack.pace import Pace
from hubel.attack.result import AttackResult
from hubel.attack.running import attack
from hubel.attack.streams import stream
from hubel.attack.tasks import Points, Task
from hubel.attack.threat import TINY, length, norm_name, project, rows
from hubel.errors import InputError

HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries of 10,000 after which the squares' area halves
BLOCK = 256  # queries that random numbers are drawn for at a time


class Square:
    """`steps` queries. `share` : the area of the first squares in parts of the image. `rescale` : fit the schedule, made
    for 10,000 queries, to the number of queries (AutoAttack does not). `give_up` : runs that will hardly get there end early
    (`pace`)."""

    gradients, name = False, "square"

    def __init__(self, norm: str, steps: int = 5000, share: float = 0.8, rescale: bool = False,
                 give_up: bool = False) -> None:
        if not 1 <= steps <= 10_000_000 or not 0 < share <= 1:
            raise InputError(f"steps={steps} must be at least 1 and share={share} in 0..1")
        if norm == "l0":
            raise InputError("norm='l0' has no Square attack: take pgd or fmn")
        self.norm, self.steps, self.share, self.rescale = norm, steps, share, rescale
        self.looks = steps + 1
        self.pace = Pace(steps if give_up else None)

    def begin(self, s: State, tasks: list[Task], points: Points) -> None:
        n, (c, h, w) = len(tasks), s["x"].shape[1:]
        s["key"] = torch.tensor([points.keys[t.index] for t in tasks])
        s["run"] = torch.tensor([t.run for t in tasks])
        s["luck"] = torch.zeros(n, BLOCK, 5 + c)
        s["best"], s["best_loss"] = s["x"].clone(), torch.full((n,), -torch.inf)
        s["candidate"] = s["x"].clone()
        for i, task in enumerate(tasks):
            if task.start is not None:
                s["candidate"][i] = task.start
                continue
            luck = stream(points.keys[task.index], "square start", task.run)
            if self.norm == "linf":  # vertical stripes
                d = _signs(torch.rand(c, 1, w, generator=luck)) * task.eps
            else:
                d = _tiles(c, h, w, self.norm, luck)
                d *= task.eps / length(d[None], self.norm)[0].clamp_min(TINY)
            s["candidate"][i] = s["x"][i] + d
        s["candidate"] = project(s["candidate"], s["x"], s["eps"], self.norm)
        self.pace.begin(s, n)

    def query(self, s: State) -> Tensor:
        return s["candidate"]

    def ends(self, s: State, seen: Seen) -> Tensor:
        return self.pace.hopeless(s, s["t"], -s["gap"], -s["farthest"])

    def loss(self, s: State, logits: Tensor) -> Tensor:
        return margin(logits, s["y"], s["toward"] if bool((s["toward"] >= 0).any()) else None)

    def update(self, s: State, seen: Seen) -> None:
        value = self.loss(s, seen.logits)
        better = value > s["best_loss"]
        s["best_loss"] = torch.where(better, value, s["best_loss"])
        s["best"] = torch.where(rows(better, seen.q), seen.q, s["best"])
        which = torch.arange(len(value))
        while len(which):
            s["candidate"][which] = self._candidates(s, which)
            which = self._idle(s, which)
            s["t"][which] += 1

    def _idle(self, s: State, which: Tensor) -> Tensor:
        """Return those of rows `which` whose squares change nothing: the answer to that query is known."""
        same = (s["candidate"][which] == s["best"][which]).flatten(1).all(dim=1)
        return which[same & (s["t"][which] + 2 < self.looks)]

    def _candidates(self, s: State, which: Tensor) -> Tensor:
        """Return what rows `which` try next: their best points, changed in a square."""
        every = len(which) == len(s["t"])
        best, x, eps, t = (s[name] if every else s[name][which] for name in ("best", "x", "eps", "t"))
        luck = self._luck(s, which)
        h, w = x.shape[2:]
        side = self._sides(t, h, w)
        if self.norm == "linf":
            d = _inside(luck[:, 0], luck[:, 1], side, h, w) * _signs(luck[:, 5:])[:, :, None, None] * 2 * rows(eps, x)
            q = best + d
        else:
            q = best.clone()
            for each in side.unique().tolist():
                of = torch.nonzero(side == each).flatten()
                q[of] = _moved(best[of], x[of], eps[of], luck[of], int(each), self.norm)
        return project(q, x, eps, self.norm)

    def _luck(self, s: State, which: Tensor) -> Tensor:
        """Return each row's random numbers of this query, uniform in 0..1: two places (0-1, 2-3), turned or not (4), signs."""
        at = s["t"][which] % BLOCK
        for i in which[at == 0].tolist():
            source = stream(int(s["key"][i]), "square", int(s["run"][i]), int(s["t"][i]))
            s["luck"][i] = torch.rand(s["luck"].shape[1:], generator=source)
        return s["luck"][which, at]

    def _sides(self, t: Tensor, h: int, w: int) -> Tensor:
        """Return the sides (n,) of the squares after t queries."""
        at = t * 10_000 // self.steps if self.rescale else t
        halved = (at[:, None] > torch.tensor(HALVED_AT)).sum(dim=1)
        side = (self.share * h * w / 2.0**halved).sqrt().round()
        if self.norm == "linf":
            return side.clamp(1, min(h, w)).long()
        side = side.clamp_min(3).long()
        return (side + (side % 2 == 0)).clamp_max(min(h, w))


def _signs(uniform: Tensor) -> Tensor:
    return torch.where(uniform < 0.5, -1.0, 1.0)


def _corner(u: Tensor, room: Tensor | int) -> Tensor:
    """Return where a square begins, 0..room, all equally likely."""
    return (u * (room + 1)).floor().long()


def _inside(u: Tensor, v: Tensor, side: Tensor, h: int, w: int) -> Tensor:
    """Return masks (n, 1, h, w) of squares."""
    top, left = _corner(u, h - side)[:, None], _corner(v, w - side)[:, None]
    row, column = torch.arange(h), torch.arange(w)
    down = (row >= top) & (row < top + side[:, None])
    across = (column >= left) & (column < left + side[:, None])
    return (down[:, None, :, None] & across[:, None, None, :]).float()


def _moved(best: Tensor, x: Tensor, eps: Tensor, luck: Tensor, side: int, norm: str) -> Tensor:
    """Take the change inside one square away and give what is left of the ball to another (section 4.2 of the paper)."""
    n, c, h, w = best.shape
    d = (best - x).flatten(2)
    here = _places(luck[:, 0], luck[:, 1], side, h, w).view(n, 1, -1).expand(n, c, -1)
    there = _places(luck[:, 2], luck[:, 3], side, h, w).view(n, 1, -1).expand(n, c, -1)
    old, power = d.gather(2, here), 2 if norm == "l2" else 1
    total = d.abs().pow(power)
    both = torch.zeros_like(d).scatter_(2, here, 1.0).scatter_(2, there, 1.0)
    freed = (total * both).sum(dim=2, keepdim=True)
    unused = (eps.view(-1, 1, 1) ** power - total.sum(dim=(1, 2), keepdim=True).view(n, 1, 1)).clamp_min(0) / c
    shape = pyramids(side, norm)
    turned = torch.where((luck[:, 4] < 0.5).view(-1, 1, 1), shape, shape.T).view(n, 1, -1)
    new = turned * _signs(luck[:, 5:])[:, :, None] + old / old.abs().pow(power).sum(2, keepdim=True).pow(1 / power).clamp_min(TINY)
    new = new / new.abs().pow(power).sum(dim=2, keepdim=True).pow(1 / power).clamp_min(TINY)
    d = d.scatter(2, there, torch.zeros_like(old)).scatter(2, here, new * (unused + freed).pow(1 / power))
    scale = eps / length(d, norm).clamp_min(TINY)
    return x + d.view_as(best) * rows(scale.clamp_max(1) if norm == "l1" else scale, best)


def _places(u: Tensor, v: Tensor, side: int, h: int, w: int) -> Tensor:
    """Return the flat places (n, side * side) of squares."""
    top, left = _corner(u, h - side), _corner(v, w - side)
    steps = torch.arange(side)
    return ((top[:, None] + steps)[:, :, None] * w + (left[:, None] + steps)[:, None, :]).flatten(1)


@cache
def pyramids(side: int, norm: str) -> Tensor:
    """Return two pyramids side by side, one up and one down, of unit length together (figure 2 of the paper)."""
    half = side // 2
    both = torch.cat([_pyramid(half, side, norm), -_pyramid(side - half, side, norm)])
    return both / length(both[None], norm)[0]


def _pyramid(rows_: int, columns: int, norm: str) -> Tensor:
    """Steps of height 1 / k^2 (l1: k^4) that widen from the middle outwards, summed."""
    out = torch.zeros(rows_, columns)
    top, left = rows_ // 2, columns // 2
    for k in range(max(top, left) + 1):
        out[max(top - k, 0): top + k + 1, max(left - k, 0): left + k + 1] += 1 / (k + 1) ** (2 if norm == "l2" else 4)
    return out / length(out[None], norm)[0].clamp_min(TINY)


def _tiles(c: int, h: int, w: int, norm: str, luck: torch.Generator) -> Tensor:
    """The first change: pyramids of a fifth of the image, each with its own sign and turn."""
    side = max(min(h, w) // 5, 1)
    out = torch.zeros(c, h, w)
    for top in range((h % side) // 2, h - side + 1, side):
        for left in range((w % side) // 2, w - side + 1, side):
            shape = pyramids(side, norm) if side > 1 else torch.ones(1, 1)
            shape = shape if torch.rand((), generator=luck) < 0.5 else shape.T
            out[:, top: top + side, left: left + side] = shape * _signs(torch.rand(c, 1, 1, generator=luck))
    return out


def square(model: Any, x: Any, y: Any, eps: float | str, norm: Any = "linf", *, steps: int = 5000, restarts: int = 1,
           share: float = 0.8, rescale: bool = False, target: Any = None, precision: str = "uint8", seed: int = 0,
           batch_size: int | None = None, progress: bool | str = "auto") -> AttackResult:
    """Attack without gradients: `steps` queries an image. `share` and `rescale` as in `Square`, the rest as in `pgd`."""
    name = norm_name(norm)
    return attack(model, x, y, Square(name, steps, share, rescale), eps, name, runs=restarts, target=target,
                  precision=precision, seed=seed, batch_size=batch_size, progress=progress)
