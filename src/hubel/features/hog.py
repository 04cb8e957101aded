"""Histograms of oriented gradients, for whole batches at a time. Depends on torch.

`variant="dalal-triggs"` is the paper's (N. Dalal, B. Triggs, CVPR 2005): votes are shared between neighbouring angles
and cells, and weighted by a Gaussian over each block. `variant="skimage"` is scikit-image's simplification (whole votes,
no weighting), number for number: its ties between channels and its bins' edges fall as they do in x's own dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.features._images import centred_differences, colour, exact_colour, is_batch, strongest_channel

_PIXELS = 1 << 17  # gathered at a time, so that the maps stay in cache
_TOGETHER = 7  # blocks


def hog(x: Any, *, orientations: int = 9, cell: int = 8, block: int = 2, norm: str = "L2-Hys",
        variant: str = "dalal-triggs") -> np.ndarray:
    """Return float32 descriptors: (rows, columns, block, block, orientations) for an image, with N in front for a batch.

    x : images as `hubel.pixels.as_batch` takes them, float 0..1 or uint8; colour votes with its strongest channel.
    orientations : bins over 180 degrees; cell : pixels a side; block : cells a side, in steps of one cell.
    norm : 'L2-Hys' (clip at 0.2 and again), 'L2', 'L1' or 'L1-sqrt', as in the paper.

    Raises InputError if not one block fits, or for an unknown name.
    """
    for name, value in (("orientations", orientations), ("cell", cell), ("block", block)):
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name}={value!r} must be a whole number of at least 1")
    if norm not in _NORMS or variant not in ("dalal-triggs", "skimage"):
        raise InputError(f"norm={norm!r} is one of {', '.join(_NORMS)}; variant={variant!r} dalal-triggs or skimage")
    images, unit = exact_colour(x) if variant == "skimage" else (colour(x), 1.0)
    h, w = images.shape[2] // cell, images.shape[3] // cell
    if min(h, w) < block:
        raise InputError(f"an image of {images.shape[2]}x{images.shape[3]} holds no block of {block}x{block} cells of "
                         f"{cell} pixels: resize it or use smaller cells")
    step = max(1, _PIXELS // (images.shape[2] * images.shape[3]))
    parts = []
    for i in range(0, len(images), step):
        part = images[i : i + step]
        if variant == "skimage":
            parts.append(_blocks(_cells(part, orientations, cell).div_(unit), block))
        else:
            parts.append(_shared_votes(part.sqrt(), orientations, cell, block))
        parts[-1] = _NORMS[norm](parts[-1])
    out = torch.cat(parts).numpy()
    return out if is_batch(x) else out[0]


def _cells(images: Tensor, orientations: int, cell: int) -> Tensor:
    """Return float32 (N, rows, columns, orientations): the mean over the cell of the magnitudes of each angle."""
    down, right, magnitude = strongest_channel(*centred_differences(images))
    n, rows, columns = len(images), images.shape[2] // cell, images.shape[3] // cell
    cut = (slice(None), slice(rows * cell), slice(columns * cell))
    which = _half_turns(down[cut], right[cut], orientations).to(torch.int32).clamp_(max=orientations - 1)
    place = torch.arange(n * rows, dtype=torch.int32).view(n, rows, 1, 1, 1) * columns
    place = (place + torch.arange(columns, dtype=torch.int32).view(1, 1, 1, columns, 1)) * orientations
    index = which.view(n, rows, cell, columns, cell) + place
    counts = torch.bincount(index.flatten(), magnitude[cut].flatten(), n * rows * columns * orientations)
    return counts.float().view(n, rows, columns, orientations).div_(cell * cell)


def _half_turns(down: Tensor, right: Tensor, orientations: int) -> Tensor:
    """Return the gradient's angle modulo 180 degrees, in bins: 0..orientations."""
    along = torch.mul(right, down.sign()).add_(0.0)  # adding 0 makes -0, whose angle would be 180 degrees, a plain 0
    return torch.atan2(down.abs(), along).mul_(orientations / math.pi)


def _blocks(cells: Tensor, block: int) -> Tensor:
    """Return (N, rows, columns, block, block, orientations): every block of neighbouring cells."""
    return cells.unfold(1, block, 1).unfold(2, block, 1).permute(0, 1, 2, 4, 5, 3).contiguous()


def _shared_votes(images: Tensor, orientations: int, cell: int, block: int) -> Tensor:
    """Return unnormalised blocks with votes shared linearly between 2 angles and 2x2 cells, under the block's Gaussian.

    Position weights are products of one of rows and one of columns, so all blocks are two matrix products.
    """
    down, right, magnitude = strongest_channel(*centred_differences(images))
    n, (h, w) = len(images), images.shape[2:]
    turns = _half_turns(down, right, orientations).add_(0.5)  # bins have their centres halfway
    first = turns.floor()
    far = turns.sub_(first).mul_(magnitude)  # what goes to the bin above
    place = first.long()[:, None]  # 0 is the last bin again, orientations + 1 the first
    votes = torch.zeros(n, orientations + 2, h, w)
    votes.scatter_(1, place, (magnitude - far)[:, None])
    votes.scatter_(1, place + 1, far[:, None])
    rows, columns = h // cell - block + 1, w // cell - block + 1
    weights = _position_weights(cell, block)
    by_rows = _pool(votes.flatten(0, 1), weights, cell, rows)  # (n o, rows block, w)
    both = _pool(by_rows.transpose(1, 2), weights, cell, columns)  # (n o, columns block, rows block)
    bins = both.view(n, orientations + 2, columns, block, rows, block)
    bins[:, orientations] += bins[:, 0]
    bins[:, 1] += bins[:, orientations + 1]
    return bins[:, 1:-1].permute(0, 4, 2, 5, 3, 1).contiguous()


def _pool(x: Tensor, weights: Tensor, cell: int, count: int) -> Tensor:
    """Return (B, count * block, ...): the weighted sums of `count` overlapping blocks along axis 1 of x (B, h, ...).

    A few blocks at a time are one matrix, mostly zeros: cheaper than copying every pixel for each block it is in.
    """
    block, size = weights.shape
    out = x.new_empty(len(x), count * block, x.shape[2])
    for start in range(0, count, _TOGETHER):
        some = min(_TOGETHER, count - start)
        band = x.new_zeros(some, block, (some - 1) * cell + size)
        for i in range(some):
            band[i, :, i * cell : i * cell + size] = weights
        part = x[:, start * cell : start * cell + band.shape[2]]
        out[:, start * block : (start + some) * block] = torch.matmul(band.flatten(0, 1), part)
    return out


def _position_weights(cell: int, block: int) -> Tensor:
    """Return how much a pixel of a block counts for each cell along one axis: (block, block * cell)."""
    size = block * cell
    pixel = torch.arange(size) + 0.5
    centres = (torch.arange(block) + 0.5) * cell
    shares = (1 - (pixel[None] - centres[:, None]).abs() / cell).clamp_min(0)
    gauss = torch.exp(-((pixel - size / 2) ** 2) / (2 * (0.5 * size) ** 2))
    return shares * gauss


def _unit(v: Tensor, eps: float = 1e-5) -> Tensor:
    return v / (v.flatten(3).square().sum(-1) + eps**2).sqrt()[..., None, None, None]


def _l1(v: Tensor, eps: float = 1e-5) -> Tensor:
    return v / (v.flatten(3).abs().sum(-1) + eps)[..., None, None, None]


_NORMS = {"L2-Hys": lambda v: _unit(_unit(v).clamp_max(0.2)), "L2": _unit, "L1": _l1, "L1-sqrt": lambda v: _l1(v).sqrt()}
