"""Long kernels by FFT: whole images, or overlapping tiles (overlap-save) where the kernel is small against them.

A circular correlation of length n >= d is exact at the d - k + 1 places of 'valid', so nothing beyond the (already
padded) input is transformed. Depends on torch's FFT and on SciPy for lengths that transform fast.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hubel.convolve._borders import empty

_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
_GROUP = 1 << 20  # points transformed at a time: buffers stay in the last-level cache


def run(x: Tensor, w: Tensor) -> Tensor:
    """x (N, C, *S), w (F, C, *K) -> valid correlation (N, F, *O), stride 1."""
    if x.requires_grad or w.requires_grad or x.device.type != "cpu":
        return _differentiable(x, w)
    tile = _tile(tuple(x.shape[2:]), tuple(w.shape[2:]))
    return _whole(x, w) if tile is None else _tiled(x, w, tile)


def fast_length(n: int) -> int:
    from scipy.fft import next_fast_len

    return int(next_fast_len(n, real=True))


def work(shape: tuple[int, ...], k: tuple[int, ...]) -> float:
    """Return how many points times log2 one forward transform of a padded plane costs, tiles included."""
    tile = _tile(shape, k)
    if tile is None:
        points = math.prod(fast_length(n) for n in shape)
        return points * math.log2(max(points, 2))
    tiles = math.prod(-(-(n - kk + 1) // (t - kk + 1)) for n, kk, t in zip(shape, k, tile, strict=True))
    return tiles * math.prod(tile) * math.log2(math.prod(tile))


def _tile(shape: tuple[int, ...], k: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the tile that is transformed at once, or None for the whole input. Tuned at 1024x1024 and 10^6 samples."""
    if len(shape) == 1:
        n = max(4096, 1 << (8 * k[0] - 1).bit_length())
        return (n,) if n * 2 <= shape[0] else None
    if len(shape) == 2 and max(k) <= 24 and min(shape) >= 384:
        return (128, 128)
    return None


def _axes(dims: int) -> tuple[int, ...]:
    return tuple(range(-dims, 0))


def _differentiable(x: Tensor, w: Tensor) -> Tensor:
    dims = w.ndim - 2
    n = [fast_length(s) for s in x.shape[2:]]
    a = torch.fft.rfftn(x, n, dim=_axes(dims))
    b = torch.fft.rfftn(w, n, dim=_axes(dims)).conj()
    products = (a * b[:, 0]) if w.shape[1] == 1 else torch.einsum("nc...,fc...->nf...", a, b)
    y = torch.fft.irfftn(products, n, dim=_axes(dims))
    return y[(..., *(slice(s - k + 1) for s, k in zip(x.shape[2:], w.shape[2:], strict=True)))]


def _whole(x: Tensor, w: Tensor) -> Tensor:
    dims, channels, filters = w.ndim - 2, x.shape[1], w.shape[0]
    n = [fast_length(s) for s in x.shape[2:]]
    half = [*n[:-1], n[-1] // 2 + 1]
    out_shape = [s - k + 1 for s, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    crop = (..., *(slice(o) for o in out_shape))
    spectra = torch.fft.rfftn(w, n, dim=_axes(dims)).conj().resolve_conj()  # (F, C, *half)
    out = empty((len(x), filters, *out_shape), x.dtype)
    group = max(1, min(filters, _GROUP // math.prod(n)))
    a = empty((channels, *half), _COMPLEX[x.dtype])
    product = empty((group, *half), _COMPLEX[x.dtype])
    y = empty((group, *n), x.dtype)
    for i in range(len(x)):
        _forward(x[i], n, dims, a)
        for f in range(0, filters, group):
            g = min(group, filters - f)
            torch.mul(a[0], spectra[f : f + g, 0], out=product[:g])
            for c in range(1, channels):
                product[:g].addcmul_(a[c].expand(g, *half), spectra[f : f + g, c])
            torch.fft.irfftn(product[:g], n, dim=_axes(dims), out=y[:g])
            out[i, f : f + g] = y[:g][crop]
    return out


def _forward(x: Tensor, n: list[int], dims: int, out: Tensor) -> None:
    if list(x.shape[1:]) == n:
        torch.fft.rfftn(x, dim=_axes(dims), out=out)
    else:
        torch.fft.rfftn(x, n, dim=_axes(dims), out=out)


def _tiled(x: Tensor, w: Tensor, tile: tuple[int, ...]) -> Tensor:
    dims, filters = w.ndim - 2, w.shape[0]
    k = w.shape[2:]
    step = [t - kk + 1 for t, kk in zip(tile, k, strict=True)]
    out_shape = [s - kk + 1 for s, kk in zip(x.shape[2:], k, strict=True)]
    counts = [-(-o // s) for o, s in zip(out_shape, step, strict=True)]
    full = [(c - 1) * s + t for c, s, t in zip(counts, step, tile, strict=True)]
    inside = tuple(slice(s) for s in x.shape[2:])
    spectra = torch.fft.rfftn(w, tile, dim=_axes(dims)).conj().resolve_conj()
    spectra = spectra.view(filters, w.shape[1], *([1] * dims), *spectra.shape[2:])
    out = empty((len(x), filters, *out_shape), x.dtype)
    padded = empty((x.shape[1], *full), x.dtype)
    for axis, s in enumerate(x.shape[2:], 1):
        padded.narrow(axis, s, padded.shape[axis] - s).zero_()
    windows = padded
    for axis, (t, s) in enumerate(zip(tile, step, strict=True), 1):
        windows = windows.unfold(axis, t, s)  # (C, *counts, *tile)
    for i in range(len(x)):
        padded[(slice(None), *inside)] = x[i]
        a = torch.fft.rfftn(windows, dim=_axes(dims))
        for f in range(filters):
            product = a[0] * spectra[f, 0]
            for c in range(1, len(a)):
                product.addcmul_(a[c], spectra[f, c])
            tiles = torch.fft.irfftn(product, tile, dim=_axes(dims))
            _lay(tiles[(..., *(slice(s) for s in step))], out[i, f], step)
    return out


def _lay(tiles: Tensor, out: Tensor, step: list[int]) -> None:
    """Write tiles (*counts, *step) side by side into out, cutting what hangs over."""
    dims = out.ndim
    order = [axis for pair in zip(range(dims), range(dims, 2 * dims), strict=True) for axis in pair]
    sheet = [c * s for c, s in zip(tiles.shape[:dims], step, strict=True)]
    joined = tiles.permute(order).reshape(sheet)
    out.copy_(joined[tuple(slice(n) for n in out.shape)])
