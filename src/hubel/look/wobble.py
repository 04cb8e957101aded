"""Small random shifts, turns and changes of size, one per image: what is recognisable survives them. Depends on torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class Draws:
    """Random numbers for image after image, each from a sequence of its own, whatever else is in its batch."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = generators

    def next(self) -> Tensor:
        """(n, 4), uniform in -1..1."""
        return torch.stack([torch.rand(4, generator=g) for g in self.generators]) * 2 - 1


def wobble(x: Tensor, draws: Tensor, shift: float = 0.0, turn: float = 0.0, scale: float = 0.0) -> Tensor:
    """Return images (N, C, H, W), each moved, turned and resized by its row of `draws` (N, 4) in -1..1.

    shift : most pixels down and to the right. turn : most degrees anticlockwise. scale : the size changes by a factor
    of at most 1 + scale either way. What comes in from outside repeats the border. Differentiable in x.
    """
    if not (shift or turn or scale):
        return x
    height, width = x.shape[2:]
    down, right, angle, size = draws.unbind(1)
    if not (turn or scale):  # whole pixels: no resampling
        pad = math.floor(shift)
        padded = F.pad(x, (pad, pad, pad, pad), mode="replicate")
        tops, lefts = ((pad - (d * (pad + 0.499)).round()).long().tolist() for d in (down, right))
        return torch.stack([p[:, t : t + height, s : s + width] for p, t, s in zip(padded, tops, lefts, strict=True)])
    angle, size = angle * math.radians(turn), torch.exp(-size * math.log1p(scale))
    cos, sin = angle.cos() * size, angle.sin() * size
    # affine_grid counts in halves of each side: where the sides differ, so do the units
    rows = torch.stack([cos, -sin * height / width, -2 * shift * right / width], 1)
    columns = torch.stack([sin * width / height, cos, -2 * shift * down / height], 1)
    grid = F.affine_grid(torch.stack([rows, columns], 1).to(x.dtype), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
