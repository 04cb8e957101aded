"""One perturbation for all images: a universal adversarial perturbation (Moosavi-Dezfooli et al. 2017, arXiv:1610.08401), by
stochastic ascent on a loss that is cut off, so that no image outweighs the rest (Shafahi et al. 2020, arXiv:1811.11304).

Depends on running, subject, losses and threat.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hubel.attack.intervals import exact_interval
from hubel.attack.losses import margin
from hubel.attack.progress import Bar
from hubel.attack.result import eps_text
from hubel.attack.running import opened, radius
from hubel.attack.subject import Subject
from hubel.attack.threat import TINY, length, norm_name, on_levels, project, rows
from hubel.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENOUGH = 0.5  # spreads of the logits by which a wrong class leads: an image that far gone pulls no more


@dataclass(frozen=True)
class Universal:
    """A perturbation (H, W, C), float32 in -1..1, that changes `before` (N,) predictions to `after` (N,) when added to N images.

    fooled : the share of images, right before, that are wrong (or with a target: the target) after; found on the images it was
    made from, unless `judged_on` others were given.
    """

    perturbation: np.ndarray
    norm: str
    eps: float
    labels: np.ndarray
    before: np.ndarray
    after: np.ndarray
    target: int | None
    judged_on: str
    seconds: float

    @property
    def _eligible(self) -> np.ndarray:
        return self.before == self.labels if self.target is None else self.before != self.target

    @property
    def fooled(self) -> float:
        hit = self.after != self.labels if self.target is None else self.after == self.target
        return float(hit[self._eligible].mean()) if self._eligible.any() else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        n = int(self._eligible.sum())
        return exact_interval(round(self.fooled * n), n)

    def __str__(self) -> str:
        low, high = self.interval
        return (f"one perturbation of {self.norm} size {eps_text(self.eps, self.norm)} fools the network on {self.fooled:.1%} of "
                f"{int(self._eligible.sum())} {self.judged_on} images (95%: {low:.1%} to {high:.1%})")

    def to_dict(self) -> dict[str, Any]:
        return {"norm": self.norm, "eps": self.eps, "fooled": self.fooled, "interval": list(self.interval), "target": self.target,
                "labels": self.labels.tolist(), "before": self.before.tolist(), "after": self.after.tolist(),
                "judged_on": self.judged_on, "seconds": self.seconds}

    def plot(self) -> Figure:
        """Draw the perturbation, magnified as stated."""
        from hubel.attack.draw import magnified
        from hubel.look.draw import Group, as_tile, sheet

        picture, scale = magnified(np.full_like(self.perturbation, 0.5), 0.5 + self.perturbation)
        return sheet([Group([as_tile(picture)], f"change × {scale:g}", f"fools {self.fooled:.0%}")], 1, 1, title=str(self)[:60])


def universal(model: Any, x: Any, y: Any, eps: float | str, norm: Any = "linf", *, epochs: int = 10, batch_size: int = 32,
              target: Any = None, judge: tuple[Any, Any] | None = None, precision: str = "uint8", seed: int = 0,
              progress: bool | str = "auto") -> Universal:
    """Make one perturbation that breaks as many images as possible. Returns a Universal.

    x, y : the images it is made from. judge : others (x, y) to judge it on, as it should be. target : the class that all
    images shall be taken for. The rest as in `pgd`.
    """
    began = time.perf_counter()
    name = norm_name(norm)
    size = radius(eps, name, precision)
    if epochs < 1 or batch_size < 1 or name == "l0":
        raise InputError(f"epochs={epochs} and batch_size={batch_size} are at least 1, and norm is not l0")
    subject = Subject(model)
    points, before, _ = opened(subject, x, y, name, target, precision, seed)
    ball = torch.tensor([size])
    n = len(points.x)
    d = torch.zeros_like(points.x[:1])
    middle = torch.full_like(d, 0.5)  # perturbations are kept inside the ball here, images inside the box below
    source = torch.Generator().manual_seed(seed)
    moment = torch.zeros_like(d)
    steps, at = epochs * -(-n // batch_size), 0
    with Bar("universal perturbation", steps, progress) as bar:
        for _ in range(epochs):
            for part in torch.randperm(n, generator=source).split(batch_size):
                q = (points.x[part] + d).clamp(0, 1)
                wanted = None if points.targets is None else points.targets[part]

                def climb(z: torch.Tensor, part: torch.Tensor = part, wanted: Any = wanted) -> torch.Tensor:
                    lead = margin(z, points.y[part], wanted)
                    return torch.minimum(lead, ENOUGH * z.detach().std(dim=1))

                g = subject.gradient(q, climb)[2].mean(dim=0, keepdim=True)
                moment = 0.9 * moment + g / length(g, "l1").clamp_min(TINY).view(1, 1, 1, 1)
                step = size * (0.5 * (1 - at / steps) + 0.02)
                way = moment.sign() if name == "linf" else moment / rows(length(moment, name).clamp_min(TINY), moment)
                d = _kept(d + step * way, middle, ball, name)
                at += 1
                bar.advance()
    if precision == "uint8":
        d = on_levels((128 / 255 + d).clamp(0, 1), torch.full_like(d, 128 / 255), ball, name) - 128 / 255
    labels, clean, judged_on = points.y, before, "these"
    images = points.x
    if judge is not None:
        others, clean, _ = opened(subject, *judge, name, None, precision, seed)
        images, labels, judged_on = others.x, others.y, "other"
    after = torch.cat([subject.predictions((part + d).clamp(0, 1))[0] for part in images.split(64)])
    aim = None if points.targets is None else int(points.targets[0])
    return Universal(d[0].permute(1, 2, 0).numpy(), name, size, labels.numpy(), clean.numpy(), after.numpy(), aim, judged_on,
                     time.perf_counter() - began)


def _kept(d: torch.Tensor, middle: torch.Tensor, ball: torch.Tensor, norm: str) -> torch.Tensor:
    return project(middle + d, middle, ball, norm) - middle
