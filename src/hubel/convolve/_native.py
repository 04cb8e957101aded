"""The compiled ways: the definition itself, 1-D passes, and FFT on tiles. Calls native/native.c, where that was built.

Without a compiler at installation, or with HUBEL_NATIVE=0, `available()` is False and the other ways do its work.
Depends on NumPy, torch (tensors, how many threads) and ctypes.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hubel.convolve._borders import Pads, indices
from hubel.convolve._memory import empty
from hubel.convolve._rank import Factors

Tiling = tuple[int, int, int, float]  # tile_y, tile_x, bands of slabs, cost
_POINTERS = ("x", "y", "w", "taps", "zmap", "ymap", "xmap", "nonfinite")
_NUMBERS = ("bytes_x", "bytes_y", "twice", "threads", "images", "maps", "sum", "filters", "xn", "xc", "xz", "xy", "xx",
            "lines", "width", "before", "after", "depth", "rows", "cols", "kd", "kh", "kw", "dz", "dy", "dx",
            "terms", "kr", "dr", "tile_y", "tile_x", "twist", "bands")  # fmt: skip


class _Job(ctypes.Structure):
    """See native/job.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in _POINTERS] + [(name, ctypes.c_int64) for name in _NUMBERS]


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    if os.environ.get("HUBEL_NATIVE") == "0":
        return None
    for path in sorted(Path(__file__).parent.glob("_compiled*.so")):
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            continue
    return None


def available() -> bool:
    return library() is not None


def level() -> int:
    """Return what vectors the processor has: 0 plain, 1 AVX2, 2 AVX-512; -1 if nothing is compiled."""
    compiled = library()
    return -1 if compiled is None else int(compiled.hubel_level())


def usable(x: Tensor, w: Tensor) -> bool:
    """Return whether this is for the compiled ways: arrays on the CPU, no gradients."""
    return available() and x.device.type == "cpu" and w.device.type == "cpu" and not (x.requires_grad or w.requires_grad)


def direct(x: Tensor, w: Tensor, mode: str, pads: Pads, dilation: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
    """x (N, C, *S) of w's type or uint8, w (F, C or 1, *K) -> (N, F or C, *O), stride 1, in w's type or uint8 (rounded)."""
    w = w.contiguous()
    call = _Call(x, w, (1,) * (5 - w.ndim) + tuple(w.shape[2:]), mode, pads, dilation, dtype)
    call.job.filters, call.job.w = len(w), w.data_ptr()
    rows, planes = call.job.rows, call.job.images * call.job.maps
    call.job.bands = -(-rows // 24) if call.job.depth > 1 else max(1, min(-(-4 * call.job.threads // planes), rows // 8), min(4, rows // 64))
    return call.run("hubel_direct")


def passes(x: Tensor, factors: Factors, mode: str, pads: Pads, dilation: tuple[int, ...],
           dtype: torch.dtype | None = None) -> Tensor:
    """Images x (N, C, H, W) with one kernel that is a sum of (column, row) products -> (N, C, *O)."""
    column, row = factors[0]
    columns = torch.from_numpy(np.concatenate([c for c, _ in factors]))
    rows = torch.from_numpy(np.concatenate([r for _, r in factors]))
    kernel = columns.view(1, 1, -1, 1)
    call = _Call(x, kernel, (1, len(column), len(row)), mode, pads, dilation, dtype)
    job = call.job
    job.filters, job.w, job.taps = 1, columns.data_ptr(), rows.data_ptr()
    job.terms, job.kr, job.dr, job.kw, job.dx = len(factors), job.kw, job.dx, 1, 1
    planes = job.images * job.maps
    job.bands = max(1, min(-(-job.threads // planes), job.rows // 8)) if planes < 2 * job.threads else 1
    return call.run("hubel_direct")


def fourier(x: Tensor, w: Tensor, mode: str, pads: Pads, dilation: tuple[int, ...], tiles: Tiling,
            dtype: torch.dtype | None = None) -> Tensor | None:
    """As `direct`, by FFT. NaN or infinity in x spoils whole tiles: then the answer is not returned, but None."""
    w = w.contiguous()
    call = _Call(x, w, (1,) * (5 - w.ndim) + tuple(w.shape[2:]), mode, pads, dilation, dtype, interleave=False)
    job, spoilt = call.job, ctypes.c_int64(0)
    job.filters, job.w, job.nonfinite = len(w), w.data_ptr(), ctypes.addressof(spoilt)
    job.tile_y, job.tile_x, job.bands, _ = tiles
    job.twist = x.ndim == 3
    y = call.run("hubel_fourier")
    return None if spoilt.value else y


@dataclass(frozen=True)
class _Form:
    """What all calls with arrays of the same shapes share: a job without its data, and what it points at."""

    job: _Job
    maps: tuple[np.ndarray, ...]
    shape: tuple[int, ...]  # of the answer: images, maps, depth, rows, columns
    inner: int  # channels that lie together and are filtered as one long row


@lru_cache(maxsize=256)
def _form(shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype, compute: torch.dtype, out: torch.dtype,
          summed: bool, filters: int, k: tuple[int, ...], mode: str, pads: tuple[tuple[int, int], ...],
          dilation: tuple[int, ...], interleave: bool, threads: int) -> _Form:
    (n, c), lift = shape[:2], 5 - len(shape)  # series and images are volumes of one slab
    size, steps = (1,) * lift + shape[2:], (0,) * lift + strides[2:]
    (z0, z1), (y0, y1), (x0, x1) = ((0, 0),) * lift + pads
    spread = (1,) * lift + dilation
    inner = c if interleave and not summed and c > 1 and steps[2] == c and strides[1] == 1 else 1
    maps, job = (1 if summed else c // inner), _Job()
    reads = (indices(size[0], z0, z1, mode), indices(size[1], y0, y1, mode), _borders_only(size[2], x0, x1, mode, inner))
    reach = [(kk - 1) * d + 1 for kk, d in zip(k, spread, strict=True)]
    job.depth, job.rows, job.cols = (s + b + a - r + 1 for s, b, a, r in zip(
        size, (z0, y0, x0), (z1, y1, x1), reach, strict=True))
    answer = (n, maps * (filters if maps == 1 else 1), job.depth, job.rows, job.cols)
    small = math.prod(answer) * math.prod(k) * (c if summed else 1) < 3e5  # less than waking a thread takes
    job.cols *= inner
    job.zmap, job.ymap, job.xmap = (a.ctypes.data for a in reads)
    job.bytes_x, job.bytes_y, job.twice = dtype == torch.uint8, out == torch.uint8, compute == torch.float64
    job.threads = 1 if small else threads
    job.images, job.maps, job.sum = n, maps, c if summed else 1
    job.xn, job.xc, (job.xz, job.xy, job.xx) = strides[0], strides[1], steps
    if inner > 1:
        job.xx = 1
    job.lines, job.width, job.before, job.after = size[1], size[2] * inner, x0 * inner, x1 * inner
    job.kd, job.kh, job.kw = k
    job.dz, job.dy, job.dx = spread[0], spread[1], spread[2] * inner
    return _Form(job, reads, answer, inner)


class _Call:
    """A job, the arrays that it points at, and its answer."""

    def __init__(self, x: Tensor, w: Tensor, k: tuple[int, ...], mode: str, pads: Pads, dilation: tuple[int, ...],
                 dtype: torch.dtype | None, interleave: bool = True) -> None:
        out = torch.uint8 if dtype == torch.uint8 else w.dtype
        summed = x.shape[1] > 1 and w.shape[1] == x.shape[1]
        form = _form(x.shape, x.stride(), x.dtype, w.dtype, out, summed, len(w), k, mode, tuple(pads), dilation, interleave,
                     torch.get_num_threads())
        self.held = x, w, form  # until the call is over
        self.inner, self.shape, self.dims = form.inner, form.shape, x.ndim - 2
        self.job = _Job.from_buffer_copy(form.job)
        self.y = empty((*self.shape[:4], self.job.cols), out)
        self.job.x, self.job.y = x.data_ptr(), self.y.data_ptr()

    def run(self, name: str) -> Tensor:
        code = getattr(library(), name)(ctypes.byref(self.job))
        if code:
            raise MemoryError(f"no memory for the buffers of {name} (code {code})")
        y = self.y
        if self.inner > 1:
            n, _, depth, rows, cols = self.shape
            y = y.view(n, depth, rows, cols, self.inner).permute(0, 4, 1, 2, 3)
        return y.reshape(*y.shape[:2], *y.shape[5 - self.dims :]) if self.dims < 3 else y


@lru_cache(maxsize=128)
def _borders_only(n: int, before: int, after: int, mode: str, inner: int) -> np.ndarray:
    places = np.concatenate([indices(n, before, 0, mode, False), indices(n, 0, after, mode, False)])
    if inner > 1:
        places = np.where(places[:, None] < 0, -1, places[:, None] * inner + np.arange(inner)).reshape(-1)
    return np.ascontiguousarray(places)


# Lengths of a tile's side: multiples of 16 without prime factors above 5.
SIDES = (16, 32, 48, 64, 80, 96, 128, 144, 160, 192, 240, 256, 288, 320, 384, 400, 432, 480, 512, 576, 640, 768, 800,
         864, 960, 1024, 1200, 1280, 1440, 1536, 1600, 1920, 2048)  # fmt: skip


@lru_cache(maxsize=256)
def tiling(shape: tuple[int, ...], k: tuple[int, ...], planes: int, channels: int, filters: int,
           threads: int) -> Tiling | None:
    """Return (tile_y, tile_x, bands of slabs, cost) for a padded shape: what costs least. None: kernels too large or many.

    The cost counts point x log2 of complex transforms, done by pairs of tiles, and more where buffers leave the cache.
    """
    depth, kd = (shape[0] - k[0] + 1, k[0]) if len(shape) == 3 else (1, 1)
    best: Tiling | None = None
    for ty, tx, tiles in _candidates(shape[-2:], k[-2:]):
        points = ty * tx
        products = filters * kd * channels * points
        if products * 8 > 1 << 30:
            continue
        pairs = (planes * tiles + 1) // 2
        bands = 1 if depth == 1 else min(max(1, threads // pairs), depth)
        lines = -(-depth // bands)
        transform = points * (math.log2(points) + 6) + 5000  # 6: fetching, transposing, storing
        near = products * 8 <= 1 << 20  # the kernels' spectra stay in the second-level cache
        per_pair = bands * ((lines + kd - 1) * channels + lines * filters) * transform
        per_pair += bands * lines * products * (0.7 if near else 4.0)
        rounds = -(-pairs * bands // threads) * threads / (pairs * bands)
        away = 1 + 0.15 * max(0.0, math.log2(points * 8 * 3 / (1 << 20)))
        cost = per_pair * pairs * rounds * away + filters * kd * channels * transform
        if best is None or cost < best[3]:
            best = (ty, tx, bands, cost)
    return best


def _candidates(shape: tuple[int, ...], k: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Yield tiles (y, x) for a padded series or image, none much larger than it, and how many of them it takes."""
    if len(shape) == 1:
        for ty, tx in product(SIDES, SIDES):
            if ty <= tx <= 2 * ty and ty * tx > k[0]:
                yield ty, tx, -(-(shape[0] - k[0] + 1) // (ty * tx - k[0] + 1))
                if ty * tx >= shape[0]:
                    break
        return
    sides = [[s for i, s in enumerate(SIDES) if s >= kk and (i == 0 or SIDES[i - 1] < n)]
             for n, kk in zip(shape, k, strict=True)]
    for ty, tx in product(*sides):
        if ty * tx <= max(1 << 17, 8 * k[0] * k[1]):
            yield ty, tx, -(-(shape[0] - k[0] + 1) // (ty - k[0] + 1)) * -(-(shape[1] - k[1] + 1) // (tx - k[1] + 1))
