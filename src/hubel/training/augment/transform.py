"""What a transform is: a plan drawn per sample, and its application to a whole batch.

Batches are (N, C, H, W), uint8 0..255 or float 0..1. A plan depends on each sample's own stream of numbers
(`randomness.Draws`), so a sample turns out the same in a batch of any size; masks are moved by the image's own plan.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hubel.training.randomness import Draws


class Transform:
    """Override `plan` and `apply`. `moves` says that pixels change place, so that masks must go along; `exact` that
    uint8 stays uint8 (others make float 0..1 of it)."""

    moves = False
    exact = False
    ranks: tuple[int, ...] = (4,)  # of the batches it takes

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> Any:
        """The random numbers of a batch of this shape."""
        raise NotImplementedError

    def apply(self, x: Tensor, plan: Any) -> Tensor:
        """The batch transformed by the plan."""
        raise NotImplementedError

    def apply_mask(self, masks: Tensor, plan: Any) -> Tensor:
        """Masks (N, C, H, W) moved like the images; values are never mixed."""
        return self.apply(masks, plan) if self.moves else masks

    def changes_meaning(self, kind: str) -> str | None:
        """Why this transform may change the label of images of this kind, None if it does not."""
        return None

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        return self.apply(x if self.exact else as_float(x), self.plan(draws, tuple(x.shape)))


def as_float(x: Tensor) -> Tensor:
    """uint8 0..255 to float32 0..1; floats as they are."""
    return x.to(torch.float32).div_(255.0) if x.dtype == torch.uint8 else x


def each(values: Tensor, x: Tensor) -> Tensor:
    """(N,) or (N, C) values shaped to multiply (N, C, H, W)."""
    return values.to(x.device).reshape(*values.shape, *[1] * (x.ndim - values.ndim))
