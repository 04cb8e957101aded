"""Projected gradient descent (Madry et al. 2018, arXiv:1706.06083), FGSM as its first step, and momentum.

Depends on loop, losses, threat and streams.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from hubel.attack.loop import Seen, State
from hubel.attack.losses import loss_named
from hubel.attack.result import AttackResult
from hubel.attack.running import attack
from hubel.attack.streams import gaussian, uniform
from hubel.attack.tasks import Points, Task
from hubel.attack.threat import length, norm_name, project, rows, steepest
from hubel.errors import InputError
from hubel.pixels import parse_eps


class PGD:
    """Steps of steepest ascent, each projected back. `step_size` in pixels of 0..1; None: from 2 eps down to eps / 10
    along a cosine: the first step crosses the ball, the last ones settle (Madry's constant 2.5 eps / steps breaks as many
    points but takes several steps to reach the border, where most of them are).

    The first run starts at the image itself (or at a task's `start`), later ones at random points of the ball.
    """

    gradients = True

    def __init__(self, norm: str, steps: int = 20, loss: str = "ce", step_size: float | None = None, momentum: float = 0.0,
                 random_start: bool = False, name: str = "pgd") -> None:
        if not 1 <= steps <= 1_000_000:
            raise InputError(f"steps={steps} must be at least 1")
        if step_size is not None and not (step_size > 0 and math.isfinite(step_size)):
            raise InputError(f"step_size={step_size} must be above 0, in pixels of 0..1")
        if not 0 <= momentum <= 10:
            raise InputError(f"momentum={momentum} must lie in 0..10")
        self.norm, self.steps, self.looks, self.name = norm, steps, steps + 1, name
        self.climb, self.step_size, self.momentum, self.random_start = loss_named(loss), step_size, momentum, random_start

    def begin(self, s: State, tasks: list[Task], points: Points) -> None:
        s["z"] = s["x"].clone()
        for i, task in enumerate(tasks):
            if task.start is not None:
                s["z"][i] = task.start
            elif self.random_start or task.run > 0:
                s["z"][i] = random_point(s["x"][i : i + 1], task.eps, self.norm, [points.keys[task.index]], task.run)[0]
        s["z"] = project(s["z"], s["x"], s["eps"], self.norm)
        if self.momentum:
            s["velocity"] = torch.zeros_like(s["z"])

    def query(self, s: State) -> torch.Tensor:
        return s["z"]

    def loss(self, s: State, logits: torch.Tensor) -> torch.Tensor:
        aimed = s["toward"] >= 0
        if not aimed.any():
            return self.climb(logits, s["y"], None)
        return self.climb(logits, s["y"], s["toward"])

    def update(self, s: State, seen: Seen) -> None:
        g = seen.gradient
        assert g is not None
        if self.momentum:
            s["velocity"] = self.momentum * s["velocity"] + g / rows(length(g, "l1").clamp_min(1e-12), g)
            g = s["velocity"]
        size = s["eps"] * self.schedule(s["t"]) if self.step_size is None else torch.full_like(s["eps"], self.step_size)
        share = 0.05 * (1 - s["t"] / self.steps).square()  # l1, l0: many values at first, in the end one
        s["z"] = project(s["z"] + rows(size, g) * steepest(g, self.norm, s["z"], share), s["x"], s["eps"], self.norm)

    def schedule(self, t: torch.Tensor) -> torch.Tensor:
        """Step sizes in parts of eps for the t-th step, t = 0..steps-1."""
        return (1 + torch.cos(math.pi * t / self.steps)).clamp_min(0.1)


def random_point(x: torch.Tensor, eps: float, norm: str, keys: list[int], *words: Any) -> torch.Tensor:
    """Return points (N, C, H, W) of the ball: uniform for linf; in a random direction, near the surface, for the others."""
    shape = tuple(x.shape[1:])
    size = torch.full((len(x),), float(eps))
    if norm == "linf":
        return project(x + eps * uniform(keys, shape, "start", *words), x, size, norm)
    d = gaussian(keys, shape, "start", *words)
    if norm == "l2":
        d *= rows(size / length(d, norm).clamp_min(1e-12), d)
    return project(x + d, x, size, norm)


def pgd(model: Any, x: Any, y: Any, eps: float | str, norm: Any = "linf", *, steps: int = 20, restarts: int = 1,
        target: Any = None, loss: str = "ce", step_size: float | str | None = None, momentum: float = 0.0,
        random_start: bool = False, precision: str = "uint8", seed: int = 0, batch_size: int | None = None,
        progress: bool | str = "auto", together: bool = False) -> AttackResult:
    """Attack `model` with projected gradient descent and return an AttackResult.

    Parameters
    ----------
    model : a `hubel.Model`, or an nn.Module from pixels in 0..1 (N, C, H, W) to logits (N, K).
    x, y : images as everywhere in Hubel, and their classes: N integers, or names out of `model.classes`.
    eps : size of the ball in pixels of 0..1: a number or '8/255'. For 'l0' the number of values that may change.
    norm : 'linf', 'l2', 'l1' or 'l0'.
    target : None: any wrong class will do; else a class (index or name), or one for each image.
    restarts : runs, the first from the image, the others from random points; only survivors go on.
    together : begin all runs at once: the same successes, sooner for a few small images, later for many.
    step_size : pixels of 0..1; None: a cosine from 2 eps to eps / 10.
    precision : 'uint8': adversarials are whole 8-bit images and survive being saved as PNG (the originals are rounded to
        8 bits first); 'float': any values.
    seed : with an image's content it names the image's random numbers, so batch size and order do not matter.

    Raises InputError for NaN, values outside 0..1, labels or targets out of range, an eps below one level with 'uint8'.
    """
    name = norm_name(norm)
    size = None if step_size is None else parse_eps(step_size)
    search = PGD(name, steps, loss, size, momentum, random_start)
    return attack(model, x, y, search, eps, name, runs=restarts, target=target, precision=precision, seed=seed,
                  batch_size=batch_size, progress=progress, together=together)


def fgsm(model: Any, x: Any, y: Any, eps: float | str, norm: Any = "linf", **options: Any) -> AttackResult:
    """Attack with one step to the border of the ball (Goodfellow et al. 2015, arXiv:1412.6572); options as in `pgd`."""
    name = norm_name(norm)
    search = PGD(name, 1, options.pop("loss", "ce"), parse_eps(eps), name="fgsm")
    return attack(model, x, y, search, eps, name, **options)
