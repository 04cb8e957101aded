"""Random perturbations of the same size: the control without which a worst case says little. Depends on running and streams.

uniform: every value of the ball equally likely (linf). sign: each value moved by exactly eps, up or down (linf).
gaussian: a random direction at distance eps (l2, l1; for linf clipped at eps, sigma = eps / 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.attack.intervals import exact_interval
from hubel.attack.progress import Bar
from hubel.attack.running import opened, radius
from hubel.attack.streams import gaussian, uniform
from hubel.attack.subject import Subject
from hubel.attack.tasks import Points
from hubel.attack.threat import length, norm_name, on_levels, project, rows
from hubel.errors import InputError
from hubel.pixels import as_arrays

KINDS = ("uniform", "sign", "gaussian")
PART = 64


@dataclass(frozen=True)
class NoiseResult:
    """N images under `draws` random perturbations of one size.

    changed : (N,) share of draws whose prediction is not that of the clean image. accuracy : mean over images and draws
    of being right. clean_accuracy : without noise.
    """

    kind: str
    norm: str
    eps: float
    draws: int
    changed: np.ndarray
    right: np.ndarray  # (N,) share of draws that are right
    clean_accuracy: float
    seed: int

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the accuracy, as for one draw an image: draws of one image are not independent."""
        return exact_interval(round(float(self.right.sum())), len(self.right))

    def __str__(self) -> str:
        return (f"{self.kind} noise, {self.norm} eps {self.eps:.4g}: accuracy {self.accuracy:.1%} (clean "
                f"{self.clean_accuracy:.1%}), {self.changed.mean():.1%} of predictions changed, {self.draws} draws an image")

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "norm": self.norm, "eps": self.eps, "draws": self.draws, "accuracy": self.accuracy,
                "interval": list(self.interval), "clean_accuracy": self.clean_accuracy, "seed": self.seed,
                "changed": self.changed.tolist(), "right": self.right.tolist()}


def noise(model: Any, x: Any, y: Any, eps: float | str, norm: Any = "linf", *, kind: str = "uniform", draws: int = 10,
          precision: str = "uint8", seed: int = 0, progress: bool | str = "auto") -> NoiseResult:
    """Perturb each image at random `draws` times and say how often that changes the prediction (see `pgd` for the rest)."""
    name = norm_name(norm)
    size = radius(eps, name, precision)
    if draws < 1:
        raise InputError(f"draws={draws} must be at least 1")
    subject = Subject(model)
    points, before, _ = opened(subject, x, y, name, None, precision, seed)
    with Bar(f"{kind} noise", len(points.x) * draws, progress) as bar:
        predicted = draw_predictions(subject, points, size, kind, draws, bar)
    clean = float((before == points.y).float().mean())
    return NoiseResult(kind, name, size, draws, (predicted != before[:, None]).double().mean(1).numpy(),
                       (predicted == points.y[:, None]).double().mean(1).numpy(), clean, seed)


def noisy(model: Any, x: Any, y: Any, eps: float | str, norm: Any = "linf", *, kind: str = "uniform", draw: int = 0,
          precision: str = "uint8", seed: int = 0) -> np.ndarray:
    """Return the images (N, H, W, C) of draw number `draw`, on which `noise` with the same arguments bases its answer."""
    name = norm_name(norm)
    size = radius(eps, name, precision)
    points, _, _ = opened(Subject(model), x, y, name, None, precision, seed)
    q = perturbed(points, torch.arange(len(points.x)), size, kind, draw)
    return as_arrays(q) if points.exact else q.permute(0, 2, 3, 1).contiguous().numpy()


def draw_predictions(subject: Subject, points: Points, eps: float, kind: str, draws: int, bar: Bar | None = None) -> Tensor:
    """Return the predictions (N, draws) under noise."""
    out = torch.empty(len(points.x), draws, dtype=torch.long)
    for index in torch.arange(len(points.x)).split(PART):
        for d in range(draws):
            out[index, d] = subject.predictions(perturbed(points, index, eps, kind, d))[0]
            if bar is not None:
                bar.advance(by=len(index))
    return out


def perturbed(points: Points, index: Tensor, eps: float, kind: str, draw: int) -> Tensor:
    """Return noisy images for the points of `index`: each image's d-th draw is the same in any batch."""
    if kind not in KINDS:
        raise InputError(f"kind={kind!r} is unknown: one of {', '.join(KINDS)}")
    if kind != "gaussian" and points.norm != "linf":
        raise InputError(f"{kind} noise belongs to norm='linf'; for {points.norm} take kind='gaussian'")
    x, shape = points.x[index], tuple(points.x.shape[1:])
    keys = [points.keys[i] for i in index.tolist()]
    size = torch.full((len(x),), float(eps))
    if kind == "gaussian":
        d = gaussian(keys, shape, kind, draw)
        if points.norm == "linf":
            d *= eps / 2
        elif points.norm == "l0":
            chosen = d.abs().reshape(len(d), -1).argsort(dim=1, descending=True).argsort(dim=1) < int(eps)
            d = d.sign() * chosen.view_as(d)
        else:
            d *= rows(size / length(d, points.norm).clamp_min(1e-12), d)
    else:
        d = uniform(keys, shape, kind, draw)
        # whole levels -k..k are equally likely when the range reaches half a level further before rounding
        d = d.sign() * eps if kind == "sign" else d * (eps + (0.5 / 255 if points.exact else 0.0))
    q = (x + d).clamp(0, 1) if points.norm == "linf" else project(x + d, x, size, points.norm)
    return on_levels(q, x, size, points.norm) if points.exact else q
