"""Large images piece by piece: memory stays bounded, and the pieces fit without seams. Depends on NumPy and torch.

Pieces overlap by more than the network looks, and lie on the grid of its coarsest level, so that it answers as if it had
seen the whole. Sides that its levels do not divide are continued by mirroring.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

TILE = 768  # pixels a side, without the overlap


def by_tiles(run: Callable[[Tensor], Tensor], x: Tensor, multiple: int, reach: int, tile: int = TILE,
             wanted: np.ndarray | None = None, shrink: int = 1) -> Tensor:
    """Return run(x) for x (1, C, H, W) of any size, where `run` looks `reach` pixels far.

    `run` divides height and width by `shrink`, which divides `multiple`; H and W are then rounded up to it.
    `wanted` (H, W), bool: tiles where it is nowhere true are not computed, and are 0 in the answer.
    """
    height, width = x.shape[2:]
    padded = mirrored(x, multiple)
    overlap = -(-reach // multiple) * multiple
    tile = max(multiple, tile // multiple * multiple)
    full_height, full_width = padded.shape[2:]
    out: Tensor | None = None
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, full_height), min(left + tile, full_width)
            if wanted is not None and not wanted[top:bottom, left:right].any():
                continue
            t, l = max(0, top - overlap), max(0, left - overlap)
            part = run(padded[:, :, t : bottom + overlap, l : right + overlap])
            if out is None:
                out = part.new_zeros((1, part.shape[1], full_height // shrink, full_width // shrink))
            y, x0 = (top - t) // shrink, (left - l) // shrink
            h, w = (bottom - top) // shrink, (right - left) // shrink
            out[:, :, top // shrink : top // shrink + h, left // shrink : left // shrink + w] = part[:, :, y : y + h, x0 : x0 + w]
    return torch.zeros_like(x) if out is None else out[:, :, : -(-height // shrink), : -(-width // shrink)]


def mirrored(x: Tensor, multiple: int) -> Tensor:
    """Return x (1, C, H, W) continued to the right and below, by mirroring, to sides that `multiple` divides."""
    below, right = (-side % multiple for side in x.shape[2:])
    if not (below or right):
        return x
    return torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (0, below), (0, right)), mode="symmetric"))
