"""Kernels of rank 1 and 2 as 1-D passes: OpenCV's where short, matrix products with a banded matrix where long.

A pass of k taps over blocks of B outputs is a product of (B + k - 1) x B with the block's inputs: more arithmetic than
the definition, at several times its speed, because matrix products are what processors do best. Depends on torch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hubel.convolve import _opencv
from hubel.convolve._borders import empty, pad
from hubel.convolve._rank import Factors

LONG = 24  # taps from which the matrix product wins over OpenCV's passes on the machines tried (20 to 30)


def run(x: Tensor, factors: Factors, mode: str, pads: list[tuple[int, int]]) -> Tensor:
    """x (N, C, *S) with one kernel of the given factors -> (N, C, *O), stride 1."""
    dims = x.ndim - 2
    taps = max(len(f) for f in factors[0])
    narrow = min(x.shape[2:]) < 2 * LONG
    if dims == 2 and (taps < LONG or narrow) and _opencv.usable(x, x, False):
        return _opencv.separable(x, factors, mode, pads)
    total: Tensor | None = None
    for term in factors:
        y = x
        for axis, f in enumerate(term):
            only = [(0, 0)] * dims
            only[axis] = pads[axis]
            weights = torch.as_tensor(f, dtype=x.dtype, device=x.device)
            y = _pass(pad(y, mode, only), weights, axis - dims)
        total = y if total is None else total.add_(y)
    assert total is not None
    return total


def _pass(x: Tensor, w: Tensor, axis: int) -> Tensor:
    """Valid correlation of x with the 1-D w along `axis` (negative)."""
    k, out = len(w), x.shape[axis] - len(w) + 1
    if axis == -1:
        return _along_rows(x.reshape(-1, x.shape[-1]), w, out).reshape(*x.shape[:-1], out)
    x = x.contiguous()
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    planes = x.view(before.numel(), x.shape[axis], after.numel())
    y = empty((before.numel(), out, after.numel()), x.dtype)
    block, across = _block(k, out), after.numel()
    for n in range(len(planes)):
        done = 0
        for size in (block, out % block):
            count = (out - done) // size if size else 0
            if count:
                windows = planes[n].as_strided((count, size + k - 1, across), (size * across, across, 1),
                                               planes[n].storage_offset() + done * across)
                band = _band(w, size).T.expand(count, -1, -1)
                torch.bmm(band, windows, out=y[n, done : done + count * size].view(count, size, across))
                done += count * size
    return y.view(*before, out, *after)


def _along_rows(x: Tensor, w: Tensor, out: int) -> Tensor:
    k, rows = len(w), len(x)
    x = x.contiguous()
    y = empty((rows, out), x.dtype)
    block, done = _block(k, out), 0
    for size in (block, out % block):
        count = (out - done) // size if size else 0
        if count:
            windows = x.as_strided((rows, count, size + k - 1), (x.stride(0), size, 1), x.storage_offset() + done)
            product = windows.reshape(rows * count, size + k - 1) @ _band(w, size)
            y[:, done : done + count * size] = product.view(rows, count * size)
            done += count * size
    return y


def _block(k: int, out: int) -> int:
    return min(out, 16 if k < 24 else 32)


def _band(w: Tensor, size: int) -> Tensor:
    """Return the (size + k - 1, size) matrix whose column i holds w from row i on."""
    band = torch.zeros(size + len(w) - 1, size, dtype=w.dtype, device=w.device)
    band.as_strided((size, len(w)), (size + 1, size)).copy_(w.expand(size, -1))
    return band
