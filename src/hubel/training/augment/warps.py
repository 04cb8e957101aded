"""Transforms that resample: rotate, skew, zoom, crop. Neighbours in a list become one affine map and one resampling.

Maps are 2 x 3 matrices from output to input coordinates in pixels from the centre, in units of pixels, so that rotation
is rotation in images that are not square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.errors import InputError
from hubel.training.augment.transform import Transform, as_float
from hubel.training.randomness import Draws

Fill = Literal["edge", "reflect", "zero"]
_PADDING = {"edge": "border", "reflect": "reflection", "zero": "zeros"}


class Warp(Transform):
    """An affine map per sample. `fill` is what comes in from outside."""

    fill: Fill
    moves = True

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        """float32 (N, 3, 3), homogeneous, output to input coordinates."""
        raise NotImplementedError

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        return resample(x, plan, self.fill, "bilinear")

    def apply_mask(self, masks: Tensor, plan: Tensor) -> Tensor:
        return resample(masks, plan, self.fill, "nearest")


def resample(x: Tensor, maps: Tensor, fill: Fill, mode: str) -> Tensor:
    """Images resampled along affine maps (N, 3, 3); 'nearest' keeps the values and the type, 'bilinear' gives float."""
    height, width = x.shape[-2:]
    to_pixels = torch.diag(torch.tensor([width / 2, height / 2, 1.0]))
    theta = torch.linalg.inv(to_pixels) @ maps @ to_pixels
    grid = F.affine_grid(theta[:, :2].to(x.device), [len(x), 1, height, width], align_corners=False)
    values = as_float(x) if mode == "bilinear" else x.float()
    moved = F.grid_sample(values, grid, mode=mode, padding_mode=_PADDING[fill], align_corners=False)
    return moved if mode == "bilinear" else moved.to(x.dtype)


def _maps(count: int, **entries: Tensor | float) -> Tensor:
    """(N, 3, 3) identities with some entries set: a b c / d e f."""
    maps = torch.eye(3).repeat(count, 1, 1)
    for name, value in entries.items():
        place = "abcdef".index(name)
        maps[:, place // 3, place % 3] = value
    return maps


@dataclass(frozen=True)
class Rotate(Warp):
    """Turns each image about its centre by up to `degrees` either way."""

    degrees: float
    fill: Fill = "reflect"

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        angle = draws.uniform(-self.degrees, self.degrees) * (math.pi / 180)
        cos, sin = angle.cos(), angle.sin()
        return _maps(len(draws), a=cos, b=-sin, d=sin, e=cos)

    def changes_meaning(self, kind: str) -> str | None:
        return "6 and 9 are one digit turned round" if kind == "digit" and self.degrees > 45 else None


@dataclass(frozen=True)
class Skew(Warp):
    """Shears each image, horizontally and vertically, by up to `degrees` either way."""

    degrees: float
    fill: Fill = "reflect"

    def __post_init__(self) -> None:
        if not 0 <= self.degrees < 80:
            raise InputError(f"Skew({self.degrees}): give degrees from 0 to below 80")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        most = self.degrees * math.pi / 180
        return _maps(len(draws), b=draws.uniform(-most, most).tan(), d=draws.uniform(-most, most).tan())


@dataclass(frozen=True)
class Zoom(Warp):
    """Scales each image by a factor from `low` to `high`, evenly in the logarithm; above 1 is larger."""

    low: float
    high: float
    fill: Fill = "reflect"

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise InputError(f"Zoom({self.low}, {self.high}): give 0 < low <= high, 1 being the size as it is")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        factor = 1 / draws.uniform(math.log(self.low), math.log(self.high)).exp()
        return _maps(len(draws), a=factor, e=factor)


@dataclass(frozen=True)
class Crop(Warp):
    """Cuts out a part with `least` to all of the image's area, of about its own proportions (`ratio` either way), and
    brings it to full size (Szegedy et al. 2015)."""

    least: float = 0.5
    ratio: float = 4 / 3
    fill: Fill = "reflect"

    def __post_init__(self) -> None:
        if not 0 < self.least <= 1 or self.ratio < 1:
            raise InputError(f"Crop({self.least}, {self.ratio}): give a share of the area in 0..1 and a ratio from 1 up")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        area = draws.uniform(self.least, 1.0)
        stretch = draws.uniform(-math.log(self.ratio) / 2, math.log(self.ratio) / 2).exp()
        wide, high = (area.sqrt() * stretch).clamp_max(1.0), (area.sqrt() / stretch).clamp_max(1.0)
        x, y = draws.uniform(-0.5, 0.5) * (1 - wide) * shape[-1], draws.uniform(-0.5, 0.5) * (1 - high) * shape[-2]
        return _maps(len(draws), a=wide, c=x, e=high, f=y)


@dataclass(frozen=True)
class Joined(Warp):
    """Several warps as one: what `Compose` makes of neighbours."""

    parts: tuple[Warp, ...]
    fill: Fill = "reflect"

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        maps = self.parts[0].plan(draws, shape)
        for part in self.parts[1:]:
            maps = maps @ part.plan(draws, shape)  # output to input: the last warp is undone first
        return maps
