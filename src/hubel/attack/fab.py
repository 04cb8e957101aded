"""FAB, the fast adaptive boundary attack: the smallest change, by projecting onto the linearised border (Croce and Hein
2020, arXiv:1907.02044). Depends on loop, planes and threat.

A point walks along the border: it is projected onto the hyperplane where the network, linearised, changes its mind, drawn
towards the original's own projection, and after every success pulled back towards the original.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hubel.attack.loop import Seen, State
from hubel.attack.pace import Pace
from hubel.attack.planes import onto
from hubel.attack.result import AttackResult
from hubel.attack.running import attack
from hubel.attack.streams import gaussian, uniform
from hubel.attack.tasks import Points, Task
from hubel.attack.threat import TINY, dual_length, length, norm_name, rows
from hubel.errors import InputError

PULL, BEYOND, BACK = 0.1, 1.05, 0.9  # alpha_max, eta and beta of the paper
GRAIN = 2.0**-8  # of the largest logit, how far beyond a border one aims at least: a tie in bf16 would hold the point there
MOST = 9  # classes that an untargeted step considers


class FAB:
    """One run from the image, further ones from random points. Towards `task.toward`, or where that is -1 towards the
    class whose border is nearest, among the likeliest `MOST`. `minimum=False`: it ends once inside the ball, or, unless
    `give_up` is false, where it will hardly get there any more."""

    gradients, free = True, True

    def __init__(self, norm: str, steps: int = 100, minimum: bool = False, name: str = "fab", give_up: bool = True) -> None:
        if not 1 <= steps <= 1_000_000:
            raise InputError(f"steps={steps} must be at least 1")
        if norm == "l0":
            raise InputError("norm='l0' has no FAB: take fmn or pgd")
        self.norm, self.steps, self.minimum, self.name = norm, steps, minimum, name
        self.pace = Pace(steps if give_up and not minimum else None)
        self.looks = 3 * steps + 1  # after a success the point pulled back is looked at, without a step

    def begin(self, s: State, tasks: list[Task], points: Points) -> None:
        s["z"] = s["x"].clone()
        s["steps"] = torch.zeros(len(tasks), dtype=torch.long)
        s["closest"] = torch.full((len(tasks),), torch.inf)  # the smallest change that broke the network so far
        s["settled"], s["first"] = s["closest"].clone(), s["closest"].clone()
        self.pace.begin(s, len(tasks))
        for i, task in enumerate(tasks):
            if task.start is not None:
                s["z"][i] = task.start
            elif task.run > 0:
                words = [points.keys[task.index]], tuple(s["x"].shape[1:]), "fab", task.run, task.toward
                d = (uniform if self.norm == "linf" else gaussian)(*words)
                size = min(task.eps, 8.0 * {"linf": 1 / 255, "l2": 0.1, "l1": 1.0}[self.norm])
                s["z"][i] = (s["x"][i] + (d / length(d, self.norm) * size / 2)[0]).clamp(0, 1)

    def query(self, s: State) -> Tensor:
        return s["z"]

    def loss(self, s: State, logits: Tensor) -> Tensor:
        """Logits of other classes less the true one's: (N,) towards a class, else (N, k)."""
        true = logits.gather(1, s["y"].view(-1, 1))
        if bool((s["toward"] >= 0).all()):
            return (logits.gather(1, s["toward"].view(-1, 1)) - true).squeeze(1)
        order = logits.detach().scatter(1, s["y"].view(-1, 1), -torch.inf).argsort(dim=1, descending=True)
        return logits.gather(1, order[:, : min(MOST, logits.shape[1] - 1)]) - true

    def ends(self, s: State, seen: Seen) -> Tensor:
        over = (s["steps"] >= self.steps) & ~seen.broken
        return over if self.minimum else over | self._hopeless(s, seen)

    def _hopeless(self, s: State, seen: Seen) -> Tensor:
        """Judged by the smallest change at the last look that found the network unbroken: the first success lies far beyond
        the border, and as long as each is pulled back to another the run has not come to it."""
        size = torch.where(seen.broken, length(seen.q - s["x"], self.norm), torch.inf)
        s["closest"] = torch.minimum(s["closest"], size)
        s["settled"] = torch.where(seen.broken, s["settled"], s["closest"])
        s["first"] = torch.where(s["first"].isfinite(), s["first"], s["settled"])
        return self.pace.hopeless(s, s["steps"], s["settled"] - s["eps"], s["first"] - s["eps"])

    def update(self, s: State, seen: Seen) -> None:
        assert seen.loss is not None and seen.gradient is not None
        value, w, _ = nearest_border(seen.loss, seen.gradient, self.norm)
        z, x = s["z"], s["x"]
        if seen.low:
            value = value - GRAIN * seen.logits.abs().amax(dim=1)
        d_z = onto(z, w, -value, self.norm)
        d_x = onto(x, w, -value - (w * (x - z)).flatten(1).sum(dim=1), self.norm)
        near, far = length(d_z, self.norm).clamp_min(1e-8), length(d_x, self.norm).clamp_min(1e-8)
        pull = rows((near / (near + far)).clamp(0, PULL), z)
        step = ((z + BEYOND * d_z) * (1 - pull) + (x + BEYOND * d_x) * pull).clamp(0, 1)
        broken = rows(seen.broken, z)
        s["z"] = torch.where(broken, x + BACK * (z - x), step)
        s["steps"] += (~seen.broken).long()


def nearest_border(values: Tensor, gradients: Tensor, norm: str) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return of k differences (N, k) and gradients (N, k, ...) the one whose border, linearised, is nearest, and how steep
    all are, (N, k). Of one (N,) there is nothing to choose: None is returned for its steepness."""
    if values.ndim == 1:
        return values, gradients, None
    n, k = values.shape
    slopes = dual_length(gradients.flatten(0, 1), norm).view(n, k).clamp_min(TINY)
    which = (values.abs() / slopes).argmin(dim=1)
    row = torch.arange(n)
    return values[row, which], gradients[row, which], slopes


def fab(model: Any, x: Any, y: Any, norm: Any = "linf", *, eps: float | str | None = None, steps: int = 100,
        restarts: int = 1, target: Any = None, runners_up: int = 0, precision: str = "float", seed: int = 0,
        batch_size: int | None = None, progress: bool | str = "auto") -> AttackResult:
    """Find the smallest change with FAB; parameters as in `pgd` and `apgd`.

    eps : None: the smallest change of any size, in `distances`. A size: an image is done once something smaller is found.
    runners_up : one run towards each of that many likeliest wrong classes (AutoAttack's FAB-T takes 9).
    """
    name = norm_name(norm)
    if runners_up and (target is not None or restarts != 1):
        raise InputError("runners_up= goes with neither target= nor restarts=")
    search = FAB(name, steps, minimum=eps is None, name="fab-t" if runners_up else "fab")
    return attack(model, x, y, search, float("inf") if eps is None else eps, name, runs=restarts, target=target,
                  runners_up=runners_up, precision=precision, seed=seed, batch_size=batch_size, progress=progress)
