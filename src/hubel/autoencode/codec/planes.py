"""What has been decoded so far, laid out so that sums over neighbours are plain matrix products. Depends on torch, context.

A plane of numbers lies flat, rows one after another, with a margin of zeros all around: the neighbour above is `width`
numbers before, and a convolution is one matrix product for each of its taps, over a shifted view. Sums of products of
integers below 2^24 are exact in float32, whatever their order; `dtype` is float64 where the machine's products are not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hubel.autoencode.codec.context import LATENTS, SIGNED

MARGIN = 2
KNOWN = SIGNED  # the row that says which places are known
STRIP = 1 << 16  # places summed at a time: bounds memory


class Plane:
    """y of a picture of (h, w) blocks while it becomes known."""

    def __init__(self, h: int, w: int, levels: Tensor, dtype: torch.dtype) -> None:
        self.h, self.w, self.width = h, w, w + 2 * MARGIN
        count = (h + 2 * MARGIN) * self.width
        self.levels = levels  # magnitude of |y|, y in units of 1/FINE
        # rows: signed magnitudes, the coarsest channel last; KNOWN; magnitudes, the coarsest first. So what a group is told,
        # the signs of s channels and the magnitudes of m, are neighbouring rows: `told(s, m)`
        self.rows = torch.zeros(SIGNED + 1 + LATENTS, count, dtype=dtype)
        self.y = torch.zeros(SIGNED, count, dtype=torch.float64)
        self.values = torch.zeros(LATENTS, count, dtype=torch.int32)

    def told(self, signed: int, channels: int) -> Tensor:
        return self.rows[KNOWN - signed : KNOWN + 1 + channels]

    def places(self, where: np.ndarray) -> Tensor:
        """Where the true places of (h, w) lie in a row."""
        i, j = np.nonzero(where)
        return torch.from_numpy((i + MARGIN) * self.width + j + MARGIN)

    def inside(self) -> tuple[int, int]:
        """The first place of the picture, and how many there are to its last, margins between rows counted."""
        return MARGIN * self.width + MARGIN, (self.h - 1) * self.width + self.w

    def know(self, places: Tensor, level: int) -> None:
        self.rows[KNOWN, places] = level

    def put(self, first: int, places: Tensor, y: Tensor) -> None:
        """y (n, P), int32 in units of 1/FINE, is now known of channels `first`... at `places`."""
        n = len(y)
        self.values[first : first + n, places] = y
        size = self.levels[y.abs().clamp_max(len(self.levels) - 1).long()].to(self.rows.dtype)
        self.rows[KNOWN + 1 + first : KNOWN + 1 + first + n, places] = size
        m = min(n, SIGNED - first)
        if m > 0:
            self.rows[KNOWN - first - m : KNOWN - first, places] = (size[:m] * y[:m].sign()).flip(0)
            self.y[first : first + m, places] = y[:m].double()

    def decoded(self) -> Tensor:
        """y (LATENTS, h, w), int32 in units of 1/FINE."""
        return self.values.view(LATENTS, -1, self.width)[:, MARGIN : MARGIN + self.h, MARGIN : MARGIN + self.w]


def offsets(kernel: int, width: int, taps: Tensor) -> Tensor:
    """How far before or behind a place lie the `taps` (row, column) of a kernel, in a plane of that width."""
    middle = kernel // 2
    return (taps[:, 0] - middle) * width + taps[:, 1] - middle


def gathered(rows: Tensor, places: Tensor, shifts: Tensor) -> Tensor:
    """(K, N) to (K x taps, P): each row's neighbours of each place."""
    found = rows[:, (places + shifts[:, None]).flatten()]
    return found.reshape(len(rows) * len(shifts), len(places))


def summed(rows: Tensor, weights: list[Tensor], shifts: Tensor, bias: Tensor, first: int, count: int) -> Tensor:
    """Sums (O, count) of bias (O,) and weights, one (O, K) for each tap, over rows (K, N), for `count` places from `first` on."""
    out = bias[:, None].repeat(1, count)
    for begin in range(0, count, STRIP):
        part = out[:, begin : begin + STRIP]
        for weight, shift in zip(weights, shifts.tolist(), strict=True):
            start = first + begin + shift
            part.addmm_(weight, rows[:, start : start + part.shape[1]])
    return out
