"""Mixing samples, and their labels, with others of the data set: mixup and CutMix. Depends on SciPy and torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from scipy.special import betaincinv
from torch import Tensor

from hubel.errors import InputError
from hubel.training.augment.transform import as_float, each
from hubel.training.randomness import Draws


@dataclass(frozen=True)
class Mix:
    """Stands last in a list. The partner, any sample of the whole data set, goes through the same list by its own numbers,
    so that results do not depend on the batch. Labels become distributions over `classes`."""

    classes: int
    alpha: float

    def __post_init__(self) -> None:
        if self.classes < 1 or not self.alpha > 0:
            raise InputError(f"{self!r}: give the number of classes, and alpha above 0")

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Any:
        """The random numbers of a batch of this shape."""
        return self.share(draws)

    def share(self, draws: Draws) -> Tensor:
        """float32 (N,): each sample's own share, from Beta(alpha, alpha)."""
        return torch.from_numpy(betaincinv(self.alpha, self.alpha, draws.unit())).float()

    def mix(self, x: Tensor, y: Tensor, other: Tensor, other_y: Tensor, plan: Any) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def labels(self, y: Tensor, other_y: Tensor, share: Tensor) -> Tensor:
        """share y + (1 - share) y' as distributions (N, classes)."""
        a, b = (t.float() if t.is_floating_point() else F.one_hot(t, self.classes).float() for t in (y, other_y))
        return a * each(share, a) + b * each(1 - share, b)


@dataclass(frozen=True)
class Mixup(Mix):
    """l x + (1 - l) x', and the labels alike (Zhang et al. 2018, arXiv:1710.09412)."""

    alpha: float = 0.2

    def mix(self, x: Tensor, y: Tensor, other: Tensor, other_y: Tensor, plan: Tensor) -> tuple[Tensor, Tensor]:
        mixed = as_float(x) * each(plan, x) + as_float(other) * each(1 - plan, x)
        return mixed, self.labels(y, other_y, plan)


@dataclass(frozen=True)
class CutMix(Mix):
    """A rectangle of the picture, 1 - l of its area where it does not reach over the edge, is the partner's; the labels are
    mixed by the area that it really has (Yun et al. 2019, arXiv:1905.04899). uint8 stays uint8."""

    alpha: float = 1.0

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
        if len(shape) != 4:
            raise InputError(f"CutMix is for images (N, C, H, W), these inputs are {shape}")
        return self.share(draws), draws.integers(0, shape[-2] - 1), draws.integers(0, shape[-1] - 1)

    def mix(self, x: Tensor, y: Tensor, other: Tensor, other_y: Tensor, plan: tuple[Tensor, Tensor, Tensor]
            ) -> tuple[Tensor, Tensor]:
        share, row, column = plan
        side = (1 - share).sqrt()
        spans = []
        for centre, size in ((row, x.shape[-2]), (column, x.shape[-1])):
            length = (side * size).floor()
            offset = torch.arange(size)[None] - (centre - (length / 2).floor())[:, None]
            spans.append((offset >= 0) & (offset < length[:, None]))
        inside = spans[0][:, :, None] & spans[1][:, None, :]
        kept = 1 - inside.float().mean((1, 2))
        return torch.where(inside[:, None].to(x.device), other.to(x), x), self.labels(y, other_y, kept)
