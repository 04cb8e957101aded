"""Kernels of rank 1 and 2 as 1-D passes: compiled where there is a compiler, else OpenCV's.

Depends on the ways beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hubel.convolve import _direct, _native, _opencv
from hubel.convolve._borders import Pads
from hubel.convolve._rank import Factors


def run(x: Tensor, factors: Factors, mode: str, pads: Pads, dilation: tuple[int, ...],
        dtype: torch.dtype | None = None) -> Tensor:
    """x (N, C, *S) with one kernel of the given factors -> (N, C, *O), stride 1; uint8 if `dtype` is, maybe."""
    first = torch.from_numpy(factors[0][0])
    if x.ndim == 3:
        return _direct.run(x, first.view(1, 1, -1), mode, pads, dilation, dtype)
    if x.ndim == 5:  # slab by slab; then across the slabs, each of them a row
        n, c, depth = x.shape[:3]
        y = run(x.flatten(0, 1), [factors[0][1:]], mode, pads[1:], dilation[1:])
        across = y.reshape(n * c, 1, depth, -1), first.view(1, 1, -1, 1)
        return _direct.run(*across, mode, [pads[0], (0, 0)], (dilation[0], 1)).view(n, c, -1, *y.shape[2:])
    if _native.usable(x, first):
        return _native.passes(x, factors, mode, pads, dilation, dtype)
    return _opencv.separable(x.to(first.dtype), factors, mode, pads, dilation)
