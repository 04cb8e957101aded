"""An adversarial patch: a picture that, laid anywhere on an image, makes it what the attacker wants (Brown et al. 2017,
arXiv:1712.09665). Trained over places, sizes and angles. Depends on subject, running, losses and streams.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.attack.intervals import exact_interval
from hubel.attack.losses import cross_entropy
from hubel.attack.progress import Bar
from hubel.attack.running import as_classes, opened
from hubel.attack.subject import Subject
from hubel.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Patch:
    """A round patch: `picture` (S, S, C) uint8 and `mask` (S, S) bool. `success` (N,): the share of random placements on each
    image of another class that are taken for the target; `example` one image with it (H, W, C)."""

    picture: np.ndarray
    mask: np.ndarray
    target: str
    share: float
    success: np.ndarray
    by_chance: float
    example: np.ndarray
    seconds: float

    @property
    def rate(self) -> float:
        return float(self.success.mean()) if len(self.success) else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """As for one placement an image."""
        return exact_interval(round(float(self.success.sum())), len(self.success))

    def __str__(self) -> str:
        return (f"a patch of {self.share:.0%} of the image makes {self.rate:.1%} of placements on {len(self.success)} images "
                f"{self.target!r}; a patch of noise {self.by_chance:.1%}")

    def to_dict(self) -> dict[str, Any]:
        return {"target": self.target, "share": self.share, "rate": self.rate, "interval": list(self.interval),
                "by_chance": self.by_chance, "success": self.success.tolist(), "seconds": self.seconds}

    def plot(self) -> Figure:
        """Draw the patch and an image that wears it."""
        from hubel.look.draw import Group, as_tile, sheet

        shown = np.where(self.mask[..., None], self.picture, 255).astype(np.uint8)
        return sheet([Group([as_tile(shown)], "the patch", f"towards {self.target.split(',')[0]}"),
                      Group([as_tile(self.example)], "worn", f"works on {self.rate:.0%} of placements")], 1, 2, title="Adversarial patch")


def patch(model: Any, x: Any, y: Any, target: Any, *, share: float = 0.1, steps: int = 200, batch_size: int = 16,
          rate: float = 0.05, angle: float = 20.0, judge: tuple[Any, Any] | None = None, placements: int = 4, seed: int = 0,
          progress: bool | str = "auto") -> Patch:
    """Train a patch that covers `share` of an image to be taken for `target`. Returns a Patch.

    judge : other images (x, y) to judge it on. angle : it is turned by up to so many degrees either way, and scaled by up to
    a tenth. Success is counted in float32 over `placements` random placements on each image.
    """
    began = time.perf_counter()
    if not 0.005 <= share <= 0.5 or steps < 1 or batch_size < 1 or placements < 1:
        raise InputError(f"share={share} lies in 0.005..0.5; steps={steps}, batch_size={batch_size} and placements={placements} >= 1")
    subject = Subject(model)
    points, _, _ = opened(subject, x, y, "linf", None, "float", seed)
    names = subject.names(subject.outputs(points.x))
    aim = int(as_classes(target, 1, names, "targets")[0])
    c, h, w = points.x.shape[1:]
    side = max(4, round(math.sqrt(4 * share / math.pi * h * w)))
    if side > min(h, w):
        raise InputError(f"share={share} makes a patch of {side} pixels on images of {h} x {w}: give less")
    source = torch.Generator().manual_seed(seed)
    w_ = torch.zeros(1, c, side, side)  # the picture is a sigmoid of this: always valid pixels
    first, second = torch.zeros_like(w_), torch.zeros_like(w_)
    with Bar("patch", steps, progress) as bar:
        for t in range(1, steps + 1):
            index = torch.randint(len(points.x), (batch_size,), generator=source)
            w_.requires_grad_()
            with torch.enable_grad():
                worn = wear(points.x[index], torch.sigmoid(w_), source, angle)
            wanted = torch.full((batch_size,), aim)
            slope = subject.gradient(worn.detach(), partial(cross_entropy, y=wanted, target=wanted))[2]
            g = torch.autograd.grad(worn, w_, slope)[0]
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g.square()
            move = first / (1 - 0.9**t) / ((second / (1 - 0.999**t)).sqrt() + 1e-8)
            w_ = (w_.detach() + rate * 4 * move).clamp_(-8, 8)
            bar.advance()
    picture = (torch.sigmoid(w_) * 255).round() / 255
    images, labels = points.x, points.y
    if judge is not None:
        others, _, _ = opened(subject, *judge, "linf", None, "float", seed)
        images, labels = others.x, others.y
    images = images[labels != aim]
    success = _rates(subject, images, picture, aim, placements, angle, seed)
    noise = torch.rand(picture.shape, generator=source)
    example = wear(images[:1] if len(images) else points.x[:1], picture, torch.Generator().manual_seed(seed), angle)
    return Patch((picture[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy(), disc(side).bool().numpy(), names[aim], share,
                 success, float(_rates(subject, images, noise, aim, 1, angle, seed).mean()) if len(images) else 0.0,
                 (example[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy(), time.perf_counter() - began)


def _rates(subject: Subject, images: Tensor, picture: Tensor, aim: int, placements: int, angle: float, seed: int) -> np.ndarray:
    source = torch.Generator().manual_seed(seed + 1)
    hits = torch.zeros(len(images))
    for _ in range(placements):
        for part in torch.arange(len(images)).split(32):
            worn = (wear(images[part], picture, source, angle) * 255).round() / 255
            hits[part] += (subject.predictions(worn)[0] == aim).float()
    return (hits / placements).numpy()


def disc(side: int) -> Tensor:
    """A filled circle (side, side) of ones."""
    at = (torch.arange(side) + 0.5) / side * 2 - 1
    return (at[:, None].square() + at[None].square() <= 1).float()


def wear(x: Tensor, picture: Tensor, source: torch.Generator, angle: float) -> Tensor:
    """Return images with the picture (1, C, s, s) on each, at a random place, turned and scaled; differentiable in it."""
    n, _, h, w = x.shape
    side = picture.shape[-1]
    u = torch.rand(n, 4, generator=source)
    turn, scale = (2 * u[:, 0] - 1) * math.radians(angle), 0.9 + 0.2 * u[:, 1]
    reach_y, reach_x = side * scale / h, side * scale / w  # half a patch in coordinates of -1..1
    cy, cx = (2 * u[:, 2] - 1) * (1 - reach_y).clamp_min(0), (2 * u[:, 3] - 1) * (1 - reach_x).clamp_min(0)
    cos, sin = torch.cos(turn), torch.sin(turn)
    # from the image's coordinates to the patch's: shift to its centre, turn, scale
    rows_ = [torch.stack([cos / reach_x, sin * h / w / reach_x, -(cos * cx + sin * h / w * cy) / reach_x], dim=1),
             torch.stack([-sin * w / h / reach_y, cos / reach_y, -(-sin * w / h * cx + cos * cy) / reach_y], dim=1)]
    grid = F.affine_grid(torch.stack(rows_, dim=1), [n, 1, h, w], align_corners=False)
    mask = F.grid_sample(disc(side).expand(n, 1, side, side), grid, align_corners=False)
    laid = F.grid_sample(picture.expand(n, -1, -1, -1), grid, align_corners=False, padding_mode="border")
    return x * (1 - mask) + laid * mask
