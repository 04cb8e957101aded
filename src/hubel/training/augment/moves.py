"""Transforms that move whole pixels: shift, flip, cut-out. uint8 stays uint8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.training.augment.transform import Transform
from hubel.training.randomness import Draws

Fill = Literal["edge", "reflect", "zero"]


@dataclass(frozen=True)
class Shift(Transform):
    """Moves each image by up to `pixels` in both directions; the same as a random crop after padding by `pixels`.

    `fill` is what comes in at the border: the edge repeated, the image reflected, or zeros.
    """

    pixels: int
    fill: Fill = "reflect"
    moves = True
    exact = True

    def __post_init__(self) -> None:
        if self.pixels < 0 or self.fill not in ("edge", "reflect", "zero"):
            raise InputError(f"Shift({self.pixels}, {self.fill!r}): give pixels from 0 up and 'edge', 'reflect' or 'zero'")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        if self.pixels >= min(shape[-2:]):
            raise InputError(f"Shift({self.pixels}) of images of {shape[-2]} x {shape[-1]} pixels: shift by less")
        return draws.integers(-self.pixels, self.pixels), draws.integers(-self.pixels, self.pixels)

    def apply(self, x: Tensor, plan: tuple[Tensor, Tensor]) -> Tensor:
        height, width = x.shape[-2:]
        rows, inside_rows = self._places(plan[0], height)
        columns, inside_columns = self._places(plan[1], width)
        places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1).to(x.device)
        moved = x.flatten(2).gather(2, places[:, None].expand(-1, x.shape[1], -1)).reshape(x.shape)
        if self.fill == "zero":
            moved *= (inside_rows[:, None, :, None] & inside_columns[:, None, None, :]).to(x)
        return moved

    def _places(self, offset: Tensor, size: int) -> tuple[Tensor, Tensor]:
        places = torch.arange(size)[None] + offset[:, None]
        inside = (places >= 0) & (places < size)
        if self.fill == "reflect":
            places = (size - 1) - ((size - 1) - places.abs()).abs()
        return places.clamp(0, size - 1), inside


@dataclass(frozen=True)
class Flip(Transform):
    """Mirrors left and right with `probability`. With `alternate`, every image is mirrored in every other epoch, half
    of them in the even ones: no image is seen in the same form twice running (Jordan 2024, 94% on CIFAR-10)."""

    probability: float = 0.5
    alternate: bool = False
    moves = True
    exact = True

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        if self.alternate:
            return torch.from_numpy((draws.fixed(0) < 0.5) ^ bool(draws.epoch % 2))
        return draws.chance(self.probability)

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        return torch.where(plan.to(x.device).reshape(-1, 1, 1, 1), x.flip(-1), x)

    def changes_meaning(self, kind: str) -> str | None:
        return "a mirrored digit or letter is another one, or none" if kind == "digit" else None


@dataclass(frozen=True)
class CutOut(Transform):
    """Blanks a square of side `size` around a random pixel with the image's mean (DeVries & Taylor 2017)."""

    size: int
    exact = True

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"CutOut({self.size}): give a side of at least 1 pixel")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        return draws.integers(0, shape[-2] - 1), draws.integers(0, shape[-1] - 1)

    def apply(self, x: Tensor, plan: tuple[Tensor, Tensor]) -> Tensor:
        hidden = self._span(plan[0], x.shape[-2])[:, None, :, None] & self._span(plan[1], x.shape[-1])[:, None, None, :]
        mean = x.float().mean((2, 3), keepdim=True)
        return torch.where(hidden.to(x.device), mean.round().to(x.dtype) if x.dtype == torch.uint8 else mean.to(x), x)

    def _span(self, centre: Tensor, size: int) -> Tensor:
        offset = torch.arange(size)[None] - (centre - self.size // 2)[:, None]
        return (offset >= 0) & (offset < self.size)
