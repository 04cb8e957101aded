"""Long kernels by FFT: whole images, or overlapping tiles (overlap-save) where the kernel is small against them.

A circular correlation of length n >= d is exact at the d - k + 1 places of 'valid', so nothing beyond the padded input
is transformed. Buffers are reused: fresh memory costs as much as the transforms. Depends on torch's FFT.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

from hubel.convolve._borders import empty, pad, zeros

Pads = list[tuple[int, int]]
_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
_GROUP = 1 << 19  # points transformed at a time: buffers stay in the last-level cache


def run(x: Tensor, w: Tensor, mode: str, pads: Pads) -> Tensor:
    """x (N, C, *S), w (F, C, *K) -> correlation of the padded x (N, F, *O), stride 1."""
    if x.requires_grad or w.requires_grad or x.device.type != "cpu":
        return _differentiable(pad(x, mode, pads), w)
    if mode != "zeros":
        x, pads = pad(x, mode, pads), [(0, 0)] * len(pads)
    shape = [s + b + a for s, (b, a) in zip(x.shape[2:], pads, strict=True)]
    tile = _tile(tuple(shape), tuple(w.shape[2:]))
    before = [b for b, _ in pads]
    return _whole(x, w, shape, before) if tile is None else _tiled(x, w, shape, before, tile)


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
    if len(shape) == 2 and max(k) <= 32 and min(shape) >= 384:
        return (128, 128) if max(k) <= 24 else (160, 160)
    return None


def _axes(dims: int) -> tuple[int, ...]:
    return tuple(range(-dims, 0))


def _spectra(w: Tensor, n: list[int]) -> Tensor:
    """Return the conjugate spectrum of w padded to n, axis by axis: the zeros are only transformed once they are not."""
    out = torch.fft.rfft(w, n[-1])
    for axis in range(2, len(n) + 1):
        out = torch.fft.fft(out, n[-axis], dim=-axis)
    return out.conj().resolve_conj()


def _differentiable(x: Tensor, w: Tensor) -> Tensor:
    dims = w.ndim - 2
    n = [fast_length(s) for s in x.shape[2:]]
    a = torch.fft.rfftn(x, n, dim=_axes(dims))
    b = torch.fft.rfftn(w, n, dim=_axes(dims)).conj()
    products = (a * b[:, 0]) if w.shape[1] == 1 else torch.einsum("nc...,fc...->nf...", a, b)
    y = torch.fft.irfftn(products, n, dim=_axes(dims))
    return y[(..., *(slice(s - k + 1) for s, k in zip(x.shape[2:], w.shape[2:], strict=True)))]


def _place(x: Tensor, before: list[int], room: Tensor) -> None:
    """Copy x into a zeroed buffer."""
    room[(..., *(slice(b, b + s) for b, s in zip(before, x.shape[-len(before) :], strict=True)))] = x


def _whole(x: Tensor, w: Tensor, shape: list[int], before: list[int]) -> Tensor:
    dims, channels, filters = w.ndim - 2, x.shape[1], w.shape[0]
    n = [fast_length(s) for s in shape]
    half = [*n[:-1], n[-1] // 2 + 1]
    out_shape = [s - k + 1 for s, k in zip(shape, w.shape[2:], strict=True)]
    crop = (..., *(slice(o) for o in out_shape))
    spectra = _spectra(w, n)  # (F, C, *half)
    out = empty((len(x), filters, *out_shape), x.dtype)
    at_once = max(1, _GROUP // math.prod(n))
    planes = max(1, min(len(x), at_once // max(filters, channels)))
    group = max(1, min(filters, at_once // planes))
    room = zeros((planes, channels, *n), x.dtype)
    a = empty((planes, channels, *half), _COMPLEX[x.dtype])
    products = empty((planes, group, *half), _COMPLEX[x.dtype])
    y = empty((planes, group, *n), x.dtype)
    for i in range(0, len(x), planes):
        p = min(planes, len(x) - i)
        _place(x[i : i + p], before, room[:p])
        torch.fft.rfftn(room[:p], dim=_axes(dims), out=a[:p])
        for f in range(0, filters, group):
            g = min(group, filters - f)
            part = products[:p, :g]
            torch.mul(a[:p, :1], spectra[f : f + g, 0], out=part)
            for c in range(1, channels):
                part.addcmul_(a[:p, c : c + 1], spectra[f : f + g, c])
            torch.fft.irfftn(part, n, dim=_axes(dims), out=y[:p, :g])
            out[i : i + p, f : f + g] = y[:p, :g][crop]
    return out


def _tiled(x: Tensor, w: Tensor, shape: list[int], before: list[int], tile: tuple[int, ...]) -> Tensor:
    dims, filters = w.ndim - 2, w.shape[0]
    k = w.shape[2:]
    step = [t - kk + 1 for t, kk in zip(tile, k, strict=True)]
    out_shape = [s - kk + 1 for s, kk in zip(shape, k, strict=True)]
    counts = [-(-o // s) for o, s in zip(out_shape, step, strict=True)]
    spectra = _spectra(w, list(tile))
    spectra = spectra.view(filters, w.shape[1], *([1] * dims), *spectra.shape[2:])
    out = empty((len(x), filters, *out_shape), x.dtype)
    room = zeros((x.shape[1], *((c - 1) * s + t for c, s, t in zip(counts, step, tile, strict=True))), x.dtype)
    windows = room
    for axis, (t, s) in enumerate(zip(tile, step, strict=True), 1):
        windows = windows.unfold(axis, t, s)  # (C, *counts, *tile)
    half = (*counts, *tile[:-1], tile[-1] // 2 + 1)
    products, tiles = empty(half, _COMPLEX[x.dtype]), empty((*counts, *tile), x.dtype)
    a = empty((len(room), *half), _COMPLEX[x.dtype])
    for i in range(len(x)):
        _place(x[i], before, room)
        torch.fft.rfftn(windows, dim=_axes(dims), out=a)
        for f in range(filters):
            torch.mul(a[0], spectra[f, 0], out=products)
            for c in range(1, len(a)):
                products.addcmul_(a[c], spectra[f, c])
            torch.fft.irfftn(products, tile, dim=_axes(dims), out=tiles)
            _lay(tiles, out[i, f], step)
    return out


def _lay(tiles: Tensor, out: Tensor, step: list[int]) -> None:
    """Write the first `step` samples of tiles (*counts, *tile) side by side into out, cutting what hangs over."""
    dims = out.ndim
    ranges = [((0, n // s, s), (n // s, n // s + 1, n % s)) for n, s in zip(out.shape, step, strict=True)]
    for parts in product(*ranges):  # whole tiles, and along each axis the cut ones
        counts = [stop - start for start, stop, _ in parts]
        sizes = [size for _, _, size in parts]
        if 0 in counts or 0 in sizes:
            continue
        offset = sum(start * s * out.stride(i) for i, ((start, _, _), s) in enumerate(zip(parts, step, strict=True)))
        strides = [s * out.stride(i) for i, s in enumerate(step)] + [out.stride(i) for i in range(dims)]
        target = out.as_strided((*counts, *sizes), strides, out.storage_offset() + offset)
        source = tuple(slice(start, stop) for start, stop, _ in parts) + tuple(slice(size) for size in sizes)
        target.copy_(tiles[source])
