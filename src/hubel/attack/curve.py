"""Accuracy against the size of a perturbation, worst case and noise, and the least eps of every image, in one run.

Every image starts at the largest eps. What breaks it there is shrunk onto the next smaller ball and goes on from there;
a hit counts for every eps it fits into. The first eps it withstands ends it: it withstands all smaller ones too. So an
image costs a few steps for each eps that breaks it, and one full run. Depends on running, pgd and noise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hubel.attack.intervals import exact_interval
from hubel.attack.loop import run
from hubel.attack.noise import draw_predictions
from hubel.attack.pgd import PGD
from hubel.attack.progress import Bar
from hubel.attack.result import AttackResult, eps_text
from hubel.attack.running import collected, opened, radius
from hubel.attack.subject import Subject
from hubel.attack.tasks import Hit, Points, Task
from hubel.attack.threat import norm_name
from hubel.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPSILONS = {"linf": tuple(k / 255 for k in (1, 2, 4, 8, 16, 32)), "l2": (0.125, 0.25, 0.5, 1.0, 2.0, 4.0),
            "l1": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0), "l0": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)}


@dataclass(frozen=True)
class RobustnessCurve:
    """Accuracy of N images under perturbations of each size.

    epsilons : (E,) ascending, the first is 0: the clean images. worst, worst_interval : accuracy (E,) after the attack and
        its 95% interval (E, 2). noise : by kind, accuracy (E,) under random perturbations of the same size.
    least : (N,) the smallest size among `epsilons` that broke an image: 0 for clean errors, NaN where it withstood all.
    smallest : an AttackResult with, for each image, the hit at its least eps, and its distance.
    """

    epsilons: np.ndarray
    worst: np.ndarray
    worst_interval: np.ndarray
    noise: dict[str, np.ndarray]
    least: np.ndarray
    smallest: AttackResult
    steps: int
    restarts: int
    draws: int
    seconds: float

    @property
    def norm(self) -> str:
        return self.smallest.norm

    @property
    def half(self) -> float | None:
        """The smallest eps at which at most half of the clean accuracy is left; None if there is none."""
        under = np.flatnonzero(self.worst <= self.worst[0] / 2)
        return float(self.epsilons[under[0]]) if len(under) and self.worst[0] > 0 else None

    def fragile(self, most: int = 4) -> np.ndarray:
        """Return the indices of the least robust images, clean errors left out: by least eps, then by confidence after."""
        known = np.flatnonzero((self.least > 0) & np.isfinite(self.least))
        found = self.smallest
        order = np.lexsort((known, -found.confidence_after[known], found.distances[known], self.least[known]))
        return known[order][:most]

    def sturdy(self, most: int = 4) -> np.ndarray:
        """Return the indices of the most robust images, those that withstood everything first."""
        size = np.where(np.isnan(self.least), np.inf, self.least)
        known = np.flatnonzero(size > 0)
        order = np.lexsort((known, self.smallest.confidence_after[known], -size[known]))
        return known[order][:most]

    def __str__(self) -> str:
        lines = [f"{'eps':>8}  worst case (95% interval)   " + "  ".join(f"{k} noise" for k in self.noise)]
        for i, eps in enumerate(self.epsilons):
            low, high = self.worst_interval[i]
            lines.append(f"{eps_text(eps, self.norm):>8}  {self.worst[i]:6.1%} ({low:.1%} to {high:.1%})       "
                         + "  ".join(f"{v[i]:>{len(k) + 6}.1%}" for k, v in self.noise.items()))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {"epsilons": self.epsilons.tolist(), "worst": self.worst.tolist(),
                "worst_interval": self.worst_interval.tolist(), "noise": {k: v.tolist() for k, v in self.noise.items()},
                "least": [None if np.isnan(v) else float(v) for v in self.least], "half": self.half, "steps": self.steps,
                "restarts": self.restarts, "draws": self.draws, "seconds": self.seconds, "smallest": self.smallest.to_dict()}

    def plot(self) -> Figure:
        """Draw both curves in one plot, with the interval of the worst case."""
        from hubel.attack.draw import curve

        return curve(self)

    def plot_examples(self, most: int = 3) -> Figure:
        """Draw the least and the most robust images with their perturbations."""
        from hubel.attack.draw import extremes

        return extremes(self, most)

    def _repr_html_(self) -> str:
        from hubel.attack.draw import as_html

        return as_html(self.plot(), str(self))


def robustness_curve(model: Any, x: Any, y: Any, epsilons: Sequence[float | str] | None = None, norm: Any = "linf",
                     steps: int = 20, *, restarts: int = 1, draws: int = 2, loss: str = "ce", precision: str = "uint8",
                     seed: int = 0, batch_size: int | None = None, progress: bool | str = "auto") -> RobustnessCurve:
    """Measure how accuracy falls with the size of a worst-case perturbation (PGD), and of noise of the same size.

    Parameters as in `pgd`; `epsilons` None: six sizes, each twice the one before, from 1/255 (linf); `draws` is how many
    random perturbations of each kind and size every image gets (0: none).
    """
    began = time.perf_counter()
    name = norm_name(norm)
    sizes = sorted({radius(e, name, precision) for e in (EPSILONS[name] if epsilons is None else epsilons)} - {0.0})
    if not sizes:
        raise InputError("epsilons holds no size above 0")
    if restarts < 1 or draws < 0:
        raise InputError(f"restarts={restarts} must be at least 1 and draws={draws} at least 0")
    subject = Subject(model)
    points, before, confidence = opened(subject, x, y, name, None, precision, seed)
    hits = _descend(subject, PGD(name, steps, loss), points, torch.nonzero(before == points.y).flatten().tolist(), sizes,
                    restarts, batch_size, progress)
    kinds = ("uniform", "sign") if name == "linf" else ("gaussian",)
    under = _under_noise(subject, points, sizes, kinds, draws, progress) if draws else {}
    n, wrong = len(points.x), (before != points.y).numpy()
    least = np.where(wrong, 0.0, np.nan)
    for i, hit in hits.items():
        least[i] = hit.task.eps
    grid = np.array([0.0, *sizes])
    standing = [int((~(least <= e)).sum()) for e in grid]
    clean = float((~wrong).mean())
    smallest = collected(subject, points, before, confidence, hits, f"pgd ({steps} steps)", sizes[-1],
                         time.perf_counter() - began)
    return RobustnessCurve(grid, np.array(standing) / n, np.array([exact_interval(s, n) for s in standing]),
                           {k: np.array([clean, *v]) for k, v in under.items()}, least, smallest, steps, restarts, draws,
                           time.perf_counter() - began)


def _descend(subject: Subject, search: PGD, points: Points, right: list[int], sizes: list[float], restarts: int,
             batch_size: int | None, progress: bool | str) -> dict[int, Hit]:
    """Return for each broken image its hit at the smallest size; `hit.task.eps` is that size."""
    hits: dict[int, Hit] = {}

    def follow(task: Task, hit: Hit | None) -> Task | None:
        if hit is not None:
            fits = next((e for e in sizes if e >= hit.distance * (1 - 1e-5)), task.eps)  # the size it fits into
            smaller = [e for e in sizes if e < min(fits, task.eps)]
            hits[task.index] = replace(hit, task=replace(hit.task, eps=min(fits, task.eps)))
            if smaller:
                return Task(task.index, smaller[-1], start=hit.point)
        elif task.run + 1 < restarts:
            return Task(task.index, task.eps, task.run + 1)
        bar.advance(broke=task.index in hits)
        return None

    with Bar("worst case", len(right), progress) as bar:
        run(subject, search, points, [Task(i, sizes[-1]) for i in right], follow, batch_size)
    return hits


def _under_noise(subject: Subject, points: Points, sizes: list[float], kinds: tuple[str, ...], draws: int,
                 progress: bool | str) -> dict[str, list[float]]:
    under: dict[str, list[float]] = {}
    with Bar("noise", len(kinds) * len(sizes) * draws * len(points.x), progress) as bar:
        for kind in kinds:
            for eps in sizes:
                predicted = draw_predictions(subject, points, eps, kind, draws, bar)
                under.setdefault(kind, []).append(float((predicted == points.y[:, None]).double().mean()))
    return under
