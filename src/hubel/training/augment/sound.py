"""Transforms of recordings and series: shift in time, speed, gain, noise, colouring. Batches are float, (N, T) or (N, C, T)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.errors import InputError
from hubel.training.augment.transform import Transform, each
from hubel.training.randomness import Draws


class SignalTransform(Transform):
    """A transform whose batches are signals, not images."""

    exact = True
    ranks = (2, 3)


@dataclass(frozen=True)
class ShiftTime(SignalTransform):
    """Moves each recording by up to `share` of its length either way; what comes in is silence (zeros)."""

    share: float
    moves = True

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise InputError(f"ShiftTime({self.share}): give a share of the length from 0 to below 1")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        most = int(self.share * shape[-1])
        return draws.integers(-most, most)

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        length = x.shape[-1]
        places = torch.arange(length)[None] - plan[:, None]
        inside = (places >= 0) & (places < length)
        if x.ndim == 3:
            places, inside = places[:, None].expand(x.shape), inside[:, None]
        return x.gather(-1, places.clamp(0, length - 1).to(x.device)) * inside.to(x)


@dataclass(frozen=True)
class Speed(SignalTransform):
    """Plays each recording, about its middle, faster or slower by a factor from 1/`most` to `most`: pitch moves along, as
    between voices (Ko et al. 2015). Interpolated linearly, of which high frequencies lose some; beyond the ends is silence.
    """

    most: float
    moves = True

    def __post_init__(self) -> None:
        if not 1 <= self.most <= 4:
            raise InputError(f"Speed({self.most}): give a factor from 1 to 4")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        return draws.uniform(-math.log(self.most), math.log(self.most)).exp()

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        length = x.shape[-1]
        middle = (length - 1) / 2
        places = middle + (torch.arange(length) - middle)[None] * plan[:, None]
        left = places.floor()
        share = (places - left).to(x)
        padded = F.pad(x, (1, 2))  # zeros on either side
        index = (left.long() + 1).clamp(0, length + 1).to(x.device)
        if x.ndim == 3:
            index, share = index[:, None].expand(x.shape), share[:, None]
        return padded.gather(-1, index) * (1 - share) + padded.gather(-1, index + 1) * share


@dataclass(frozen=True)
class Gain(SignalTransform):
    """Multiplies each recording by a factor between -`decibels` and +`decibels`; sound beyond -1..1 is clipped there."""

    decibels: float

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        return 10 ** (draws.uniform(-self.decibels, self.decibels) / 20)

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        return (x * each(plan, x)).clamp_(-1, 1) if x.ndim == 2 else x * each(plan, x)


@dataclass(frozen=True)
class Noise(SignalTransform):
    """Adds white noise to each recording, at up to `share` of its own root mean square."""

    share: float

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        return draws.uniform(0, self.share), draws.integers(0, 2**31 - 1)

    def apply(self, x: Tensor, plan: tuple[Tensor, Tensor]) -> Tensor:
        generator = torch.Generator()
        noise = torch.stack([torch.randn(x.shape[1:], generator=generator.manual_seed(int(s))) for s in plan[1]])
        level = x.flatten(1).square().mean(1).sqrt() * plan[0].to(x.device)
        noisy = x + each(level, x) * noise.to(x)
        return noisy.clamp_(-1, 1) if x.ndim == 2 else noisy


@dataclass(frozen=True)
class Equalise(SignalTransform):
    """Colours each recording as another microphone or room would: every band of frequencies is louder or quieter by up to
    `decibels` at random, changing smoothly (in a line, in decibels) between `knots` evenly spaced ones."""

    decibels: float
    knots: int = 6

    def __post_init__(self) -> None:
        if self.knots < 2 or not self.decibels >= 0:
            raise InputError(f"{self!r}: give decibels from 0 up and at least 2 knots")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Tensor:
        return torch.stack([draws.uniform(-self.decibels, self.decibels) for _ in range(self.knots)], 1)

    def apply(self, x: Tensor, plan: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x)
        levels = F.interpolate(plan[:, None], spectrum.shape[-1], mode="linear", align_corners=True)[:, 0].to(x)
        gains = 10 ** (levels / 20)
        coloured = torch.fft.irfft(spectrum * (gains if x.ndim == 2 else gains[:, None]), x.shape[-1])
        return coloured.clamp_(-1, 1) if x.ndim == 2 else coloured
