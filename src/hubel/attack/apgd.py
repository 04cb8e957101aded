"""Auto-PGD: projected gradient descent that chooses its own step sizes (Croce and Hein 2020, arXiv:2003.01690).

For l1 the sparse steps of Croce and Hein 2021 (arXiv:2103.01208), without their start from larger balls. Depends on loop,
losses, threat and pgd. Every task counts its own checkpoints, so tasks of different ages share a batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hubel.attack.loop import Seen, State
from hubel.attack.losses import loss_named
from hubel.attack.pace import Pace
from hubel.attack.pgd import random_point
from hubel.attack.result import AttackResult
from hubel.attack.running import attack
from hubel.attack.tasks import Points, Task
from hubel.attack.threat import length, norm_name, project, rows, steepest
from hubel.errors import InputError

RHO = 0.75  # the share of steps that must have climbed for a step size to be kept (section 3.2)
MOMENTUM = 0.75  # how much of the new step is taken, the rest is the last one's (eq. 3)
SPARSE, SHRINK, FLOOR = 0.2, 1.5, 10.0  # l1: first share of values moved, what steps are divided by, and at most in all


class APGD:
    """Within a ball. `loss` as in `losses`; each run starts at a random point, or at a task's `start`. `give_up` : runs that
    will hardly get there end early (`pace`)."""

    gradients = True

    def __init__(self, norm: str, steps: int = 100, loss: str = "ce", name: str = "apgd", give_up: bool = False) -> None:
        if not 1 <= steps <= 1_000_000:
            raise InputError(f"steps={steps} must be at least 1")
        if norm == "l0":
            raise InputError("norm='l0' has no Auto-PGD: take pgd")
        self.norm, self.steps, self.looks, self.climb = norm, steps, steps + 1, loss_named(loss)
        self.name = f"{name}-{loss}"
        self.period = max(int((0.04 if norm == "l1" else 0.22) * steps), 1)
        self.shortest, self.shorter = max(int(0.06 * steps), 1), max(int(0.03 * steps), 1)
        self.pace = Pace(steps if give_up else None)
        self.first = 1.0 if norm == "l1" else 2.0  # the first step size in parts of eps

    def begin(self, s: State, tasks: list[Task], points: Points) -> None:
        s["z"] = s["x"].clone()
        for i, task in enumerate(tasks):
            if task.start is not None:
                s["z"][i] = task.start
            else:
                key = [points.keys[task.index]]
                s["z"][i] = random_point(s["x"][i : i + 1], task.eps, self.norm, key, "apgd", task.run, task.toward)[0]
        s["z"] = project(s["z"], s["x"], s["eps"], self.norm)
        n = len(tasks)
        s["old"], s["best"], s["best_gradient"] = s["z"].clone(), s["z"].clone(), torch.zeros_like(s["z"])
        for name in ("best_loss", "last_loss", "checked_loss"):
            s[name] = torch.full((n,), -torch.inf)
        s["size"] = self.first * s["eps"]
        s["period"] = torch.full((n,), self.period)
        s["since"], s["climbs"] = torch.zeros(n, dtype=torch.long), torch.zeros(n, dtype=torch.long)
        s["reduced"] = torch.ones(n, dtype=torch.bool)
        s["share"] = torch.full((n,), SPARSE)
        s["changed"] = torch.full((n,), float(s["x"][0].numel()))
        self.pace.begin(s, n)

    def query(self, s: State) -> Tensor:
        return s["z"]

    def ends(self, s: State, seen: Seen) -> Tensor:
        return self.pace.hopeless(s, s["t"], -s["gap"], -s["farthest"])

    def loss(self, s: State, logits: Tensor) -> Tensor:
        return self.climb(logits, s["y"], s["toward"] if bool((s["toward"] >= 0).any()) else None)

    def update(self, s: State, seen: Seen) -> None:
        assert seen.gradient is not None and seen.loss is not None
        g, loss, later = seen.gradient.clone(), seen.loss, s["t"] > 0
        better = loss > s["best_loss"]
        s["best"][better], s["best_gradient"][better] = s["z"][better], g[better]
        s["best_loss"] = torch.where(better, loss, s["best_loss"])
        s["checked_loss"] = torch.where(later, s["checked_loss"], loss)
        s["climbs"] += later & (loss > s["last_loss"])
        s["since"] += later
        s["last_loss"] = loss
        due = later & (s["since"] == s["period"])
        if due.any():
            again = self._sparser(s, due) if self.norm == "l1" else self._halved(s, due)
            s["z"][again], g[again] = s["best"][again], s["best_gradient"][again]
        self._step(s, g)

    def _halved(self, s: State, due: Tensor) -> Tensor:
        """At a checkpoint: halve the step where too few steps climbed, or nothing was gained since the last one that was
        not halved there (conditions 1 and 2 of section 3.2). Returns where to go back to the best point."""
        few = s["climbs"] <= RHO * s["period"]
        idle = ~s["reduced"] & (s["checked_loss"] >= s["best_loss"])
        again = due & (few | idle)
        s["size"] = torch.where(again, s["size"] / 2, s["size"])
        s["reduced"] = torch.where(due, again, s["reduced"])
        s["checked_loss"] = torch.where(due, s["best_loss"], s["checked_loss"])
        s["period"] = torch.where(due, (s["period"] - self.shorter).clamp_min(self.shortest), s["period"])
        self._count_anew(s, due)
        return again

    def _sparser(self, s: State, due: Tensor) -> Tensor:
        """At a checkpoint of l1: follow how many values the best point changes; while they grow fewer, steps stay long."""
        changed = length(s["best"] - s["x"], "l0")
        fewer = due & (changed / s["changed"].clamp_min(1) < 0.95)
        share = changed / s["x"][0].numel() / SHRINK
        s["share"] = torch.where(due, share, s["share"])
        full = self.first * s["eps"]
        size = torch.where(fewer, full, s["size"] / SHRINK)
        s["size"] = torch.where(due, torch.minimum(torch.maximum(size, full / FLOOR), full), s["size"])
        s["changed"] = torch.where(due, changed, s["changed"])
        self._count_anew(s, due)
        return fewer

    def _count_anew(self, s: State, due: Tensor) -> None:
        for name in ("since", "climbs"):
            s[name] = torch.where(due, torch.zeros_like(s[name]), s[name])

    def _step(self, s: State, g: Tensor) -> None:
        z, x, eps = s["z"], s["x"], s["eps"]
        step = rows(s["size"], z) * self._direction(s, g)
        new = project(z + step, x, eps, self.norm)
        if self.norm != "l1":
            share = rows(torch.where(s["t"] > 0, MOMENTUM, 1.0), z)
            new = project(z + share * (new - z) + (1 - share) * (z - s["old"]), x, eps, self.norm)
        s["old"], s["z"] = z, new

    def _direction(self, s: State, g: Tensor) -> Tensor:
        return steepest(g, self.norm, s["z"], s["share"])


def apgd(model: Any, x: Any, y: Any, eps: float | str, norm: Any = "linf", *, steps: int = 100, restarts: int = 1,
         loss: str = "ce", target: Any = None, runners_up: int = 0, precision: str = "uint8", seed: int = 0,
         batch_size: int | None = None, progress: bool | str = "auto") -> AttackResult:
    """Attack with Auto-PGD and return an AttackResult; parameters as in `pgd`.

    loss : 'ce', 'dlr' or 'margin'. restarts : runs from different random points, only survivors go on.
    runners_up : k > 0: one run towards each of the k classes that are likeliest on the clean image after the true one; any
        wrong class is a success. With loss='dlr' and 9 of them this is AutoAttack's APGD-T. Instead of `target`.
    """
    name = norm_name(norm)
    if runners_up < 0 or (runners_up and (target is not None or restarts != 1)):
        raise InputError(f"runners_up={runners_up} is at least 0, and goes with neither target= nor restarts=")
    search = APGD(name, steps, loss, "apgd-t" if runners_up else "apgd")
    return attack(model, x, y, search, eps, name, runs=restarts, target=target, runners_up=runners_up, precision=precision,
                  seed=seed, batch_size=batch_size, progress=progress)
