"""A smooth first guess of missing pixels: push-pull over a pyramid of averages. Depends on torch.

Gortler et al. 1996 ('The Lumigraph', section 3.4.2): averages of what is known go down to coarser levels until nothing is
missing; what is missing is then filled from the level below.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def filled(x: Tensor, missing: Tensor) -> Tensor:
    """Return x (N, C, H, W) with its missing pixels, 1 in `missing` (N, 1, H, W), filled; each image has a known one."""
    known = 1 - missing
    return torch.where(missing > 0, _filled(x * known, known), x)


def _filled(x: Tensor, known: Tensor) -> Tensor:
    """x is 0 where not known; `known` is the weight, 0..1, of each pixel."""
    if max(x.shape[2:]) == 1:
        return x / known.clamp_min(1e-12)
    size = (x.shape[2], x.shape[3])
    weights = F.avg_pool2d(known, 2, ceil_mode=True, count_include_pad=False)
    sums = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    # A coarse pixel half of whose pixels are known counts as one that is: its weight saturates
    full = (2 * weights).clamp_max(1.0)
    below = _filled(sums * (full / weights.clamp_min(1e-12)), full)
    grown = F.interpolate(below, size=size, mode="bilinear", align_corners=False)
    return x + (1 - known) * grown
