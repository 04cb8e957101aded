"""Dense SIFT descriptors, for whole batches at a time. Depends on torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.features._images import centred_differences, grey, is_batch

_PIXELS = 1 << 18


def dense_sift(x: Any, *, step: int = 8, bin_size: int = 4, orientations: int = 8, bins: int = 4,
               threshold: float = 0.005) -> np.ndarray:
    """Return float32 descriptors (rows, columns, bins * bins * orientations), N in front for a batch.

    D. Lowe (IJCV 2004) on a grid: magnitudes of `orientations` signed directions, shared linearly between 2 directions
    and 2x2 of the bins x bins spatial bins of `bin_size` pixels, under a Gaussian of half the descriptor's width;
    unit length, clipped at 0.2, unit length again. Order: row of bins, column of bins, orientation; upright, without
    the search for keypoints. A descriptor covers (bins + 1) * bin_size pixels a side, and steps by `step`.

    threshold : descriptors whose root mean square gradient is less are 0: flat places have no direction.
    Raises InputError if not one descriptor fits.
    """
    for name, value in (("step", step), ("bin_size", bin_size), ("orientations", orientations), ("bins", bins)):
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name}={value!r} must be a whole number of at least 1")
    images = grey(x)
    span = (bins + 1) * bin_size
    h, w = images.shape[1:]
    if min(h, w) < span:
        raise InputError(f"an image of {h}x{w} holds no descriptor of {span} pixels: resize it or use a smaller bin_size")
    weights = _weights(bin_size, bins)
    group = max(1, _PIXELS // (h * w))
    out = torch.cat([_describe(images[i : i + group], weights, step, orientations, threshold)
                     for i in range(0, len(images), group)]).numpy()
    return out if is_batch(x) else out[0]


def _weights(bin_size: int, bins: int) -> Tensor:
    """Return how much a pixel of the span counts for each bin along one axis: (bins, span)."""
    span = (bins + 1) * bin_size
    pixel = torch.arange(span) + 0.5 - span / 2
    centres = (torch.arange(bins) - (bins - 1) / 2) * bin_size
    shares = (1 - (pixel[None] - centres[:, None]).abs() / bin_size).clamp_min(0)
    return shares * torch.exp(-(pixel**2) / (2 * (bins * bin_size / 2) ** 2))


def _describe(images: Tensor, weights: Tensor, step: int, orientations: int, threshold: float) -> Tensor:
    down, right = centred_differences(images)
    magnitude = torch.hypot(down, right)
    turns = torch.atan2(down, right).mul_(orientations / (2 * math.pi)) % orientations
    first = turns.floor()
    share = turns - first
    first = first.long() % orientations
    n, (h, w) = len(images), images.shape[1:]
    votes = torch.zeros(n, orientations, h, w)
    votes.scatter_(1, first[:, None], (magnitude * (1 - share))[:, None])
    votes.scatter_add_(1, ((first + 1) % orientations)[:, None], (magnitude * share)[:, None])
    span = weights.shape[1]
    by_rows = votes.unfold(2, span, step) @ weights.T  # (n, o, rows, w, bins)
    both = by_rows.unfold(3, span, step) @ weights.T  # (n, o, rows, columns, bins of rows, bins of columns)
    v = both.permute(0, 2, 3, 4, 5, 1).flatten(3)
    energy = (v.square().sum(-1, keepdim=True) / float(weights.sum()) ** 2).sqrt()
    v = v / v.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    v = v.clamp_max(0.2)
    v = v / v.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return torch.where(energy < threshold, 0.0, v)
