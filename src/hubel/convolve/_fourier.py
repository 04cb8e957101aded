"""Long kernels by FFT: compiled, on tiles; else, and for gradients and other devices, torch's, on the whole input.

A circular correlation of length n >= d is exact at the d - k + 1 places of 'valid', so nothing beyond the padded input
is transformed. Depends on the compiled ways and torch.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from hubel.convolve import _direct, _native
from hubel.convolve._borders import Pads, dilated, pad

_POINTS = 1 << 24  # transformed at a time


def run(x: Tensor, w: Tensor, mode: str, pads: Pads, dilation: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
    """x (N, C, *S) of w's type or uint8, w (F, C or 1, *K) -> (N, F or C, *O), stride 1; uint8 if `dtype` is, maybe."""
    n, c = x.shape[:2]
    if _native.usable(x, w) and (tiles := _tiles(x, w, pads, dilation)) is not None:
        y = _native.fourier(x, w, mode, pads, dilation, tiles, dtype)
        return _around_nonfinite(x, w, mode, pads, dilation) if y is None else y
    x = x.to(w.dtype)
    if not math.isfinite(float(x.detach().sum())) and not bool(torch.isfinite(x).all()):
        return _around_nonfinite(x, w, mode, pads, dilation)
    x, w = pad(x, mode, pads), dilated(w, dilation)
    if w.shape[1] != c:
        y = _whole(x.reshape(n * c, 1, *x.shape[2:]), w)
        return y.reshape(n, c, *y.shape[2:])
    return _whole(x, w)


def _tiles(x: Tensor, w: Tensor, pads: Pads, dilation: tuple[int, ...]) -> _native.Tiling | None:
    n, c = x.shape[:2]
    shape = tuple(s + b + a for s, (b, a) in zip(x.shape[2:], pads, strict=True))
    reach = tuple((k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True))
    planes, channels = (n, c) if w.shape[1] == c else (n * c, 1)
    return _native.tiling(shape, reach, planes, channels, len(w), torch.get_num_threads())


def _around_nonfinite(x: Tensor, w: Tensor, mode: str, pads: Pads, dilation: tuple[int, ...]) -> Tensor:
    """Transform with the bad values as zeros, then put NaN wherever a window touches one."""
    bad = ~torch.isfinite(x)
    if not bool(bad.any()):
        return _direct.run(x, w, mode, pads, dilation)  # only the sums overflow
    y = run(torch.where(bad, 0.0, x), w, mode, pads, dilation)
    if w.shape[1] > 1:
        bad = bad.any(1, keepdim=True)
    touched = run(bad.to(x.dtype), torch.ones_like(w[:1, :1]), mode, pads, dilation)
    return torch.where(touched > 0.5, torch.nan, y)


def _whole(x: Tensor, w: Tensor) -> Tensor:
    axes = tuple(range(2 - w.ndim, 0))
    n = [fast_length(s) for s in x.shape[2:]]
    spectra = torch.fft.rfftn(w, n, dim=axes).conj()
    crop = (..., *(slice(s - k + 1) for s, k in zip(x.shape[2:], w.shape[2:], strict=True)))

    def some(images: Tensor) -> Tensor:
        a = torch.fft.rfftn(images, n, dim=axes)
        products = a * spectra[:, 0] if w.shape[1] == 1 else torch.einsum("nc...,fc...->nf...", a, spectra)
        return torch.fft.irfftn(products, n, dim=axes)[crop]

    at_once = max(1, _POINTS // (math.prod(n) * max(w.shape[:2])))
    return some(x) if len(x) <= at_once else torch.cat([some(part) for part in x.split(at_once)])


@lru_cache(maxsize=256)
def fast_length(n: int) -> int:
    """Return the least length from n on that is a multiple of 4 and has no prime factor above 5 (7: half as fast)."""
    if n <= 16:
        return n
    n = -(-n // 4) * 4
    while True:
        rest = n
        for p in (2, 3, 5):
            while rest % p == 0:
                rest //= p
        if rest == 1:
            return n
        n += 4


def work(shape: tuple[int, ...], k: tuple[int, ...], n: int, c: int, filters: int) -> float:
    """Return what the planner multiplies by the measured cost of a point: points x log2 transformed, here or on tiles."""
    if _native.available() and (plan := _native.tiling(shape, k, n, c, filters, torch.get_num_threads())) is not None:
        return plan[3]
    points = math.prod(fast_length(s) for s in shape)
    return points * math.log2(max(points, 2)) * (n * (c + filters) + c * filters)
