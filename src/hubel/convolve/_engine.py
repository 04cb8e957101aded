"""The network engine's convolution: many channels, strides, gradients, other devices. Depends on torch.

Batches run a few images at a time into one preallocated answer: fresh memory costs more than the arithmetic.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hubel.convolve._memory import empty

_CONV = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
_BYTES = 4 << 20  # of output computed at a time


def run(x: Tensor, w: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
    """x (N, C, *S), w (F, C, *K) -> valid correlation (N, F, *O); w (1, 1, *K) goes over every channel: (N, C, *O)."""
    n, c = x.shape[:2]
    if w.shape[1] != c:
        y = run(x.reshape(n * c, 1, *x.shape[2:]), w, stride, dilation)
        return y.reshape(n, c, *y.shape[2:])
    conv = _CONV[w.ndim - 2]
    shape = [(s - (k - 1) * d - 1) // step + 1
             for s, k, d, step in zip(x.shape[2:], w.shape[2:], dilation, stride, strict=True)]
    each = len(w) * math.prod(shape) * x.element_size()
    count = max(1, _BYTES // each)
    if n <= count or x.requires_grad or w.requires_grad or x.device.type != "cpu":
        return conv(x, w, stride=stride, dilation=dilation)
    out = empty((n, len(w), *shape), x.dtype)
    for i in range(0, n, count):
        out[i : i + count] = conv(x[i : i + count], w, stride=stride, dilation=dilation)
    return out
