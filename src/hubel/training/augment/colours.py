"""Transforms of values: darken, lighten, contrast, shift colours. They work on float 0..1 and stay in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.training.augment.transform import Transform, each
from hubel.training.randomness import Draws


@dataclass(frozen=True)
class _Amount(Transform):
    amount: float

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= 1:
            raise InputError(f"{type(self).__name__}({self.amount}): give an amount from 0 to 1")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        return draws.uniform(0.0, self.amount)


class Darken(_Amount):
    """x (1 - a), a up to `amount`."""

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        return x * each(1 - plan, x)


class Lighten(_Amount):
    """x + a (1 - x), a up to `amount`."""

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        return x + each(plan, x) * (1 - x)


class Brightness(_Amount):
    """Darkens or lightens, by up to `amount`."""

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        return draws.uniform(-self.amount, self.amount)

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        return x * each(1 - plan.abs(), x) + each(plan.clamp_min(0.0), x)


class Contrast(_Amount):
    """Scales the distance from each image's mean by 1 - amount to 1 + amount."""

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        return draws.uniform(1 - self.amount, 1 + self.amount)

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        mean = x.mean((1, 2, 3), keepdim=True)
        return (mean + (x - mean) * each(plan, x)).clamp_(0.0, 1.0)


class ShiftColours(_Amount):
    """Adds a number from -amount to amount to each channel, its own."""

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        return torch.stack([draws.uniform(-self.amount, self.amount) for _ in range(shape[1])], 1)

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        return (x + each(plan, x)).clamp_(0.0, 1.0)
