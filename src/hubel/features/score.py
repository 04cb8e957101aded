"""Normalised cross-correlation: how alike each window is to a pattern, -1 to 1. Depends on `convolve`.

    score(i) = sum (x - mean x) (p - mean p) / sqrt(sum (x - mean x)^2 sum (p - mean p)^2)   over the window at i

with the means of each channel apart and the sums over all channels: the lecture's 3-D convolution of a colour image,
made blind to brightness and contrast. Windows or patterns without contrast score 0.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.convolve import correlate
from hubel.errors import InputError

FLAT = 1e-4  # of the range of x: a window whose standard deviation is less has no pattern, only rounding
_ROWS = 96  # of a map finished at a time: they stay in cache


def score_map(patterns: Any, x: Any, *, layout: str | None = None) -> np.ndarray:
    """Return the scores of one pattern, or of a stack of patterns of one size, at every place where it fits.

    x : NumPy (H, W), (H, W, C) image or (T,) series; any range (uint8, float). layout='tc' makes a 2-D x sound in
        channels.
    patterns : the same rank as x, or one more in front; not larger than x.

    Returns float32 (H-h+1, W-w+1) or (P, H-h+1, W-w+1); (T-t+1,) for series.
    Raises InputError for NaN, another number of channels, a pattern larger than x.
    """
    values, kernels, single = _arrays(patterns, x, layout)
    scores = _scores(values, kernels, None)
    return scores[0].numpy() if single else scores.numpy()


def masked_score_map(pattern: np.ndarray, mask: np.ndarray, x: Any, *, layout: str | None = None) -> np.ndarray:
    """Return the scores of one pattern of which only the places where `mask` is true count (rotated ones, say)."""
    values, kernels, _ = _arrays(pattern, x, layout)
    return _scores(values, kernels, torch.from_numpy(mask.astype(np.float32)))[0].numpy()


def _arrays(patterns: Any, x: Any, layout: str | None) -> tuple[Tensor, Tensor, bool]:
    """Return x (C, *S) and patterns (P, C, *K) in float32 on a range of about 1, and whether one pattern was given."""
    values, kernels = (np.asarray(a.numpy() if isinstance(a, Tensor) else a) for a in (x, patterns))
    for a, name in ((values, "x"), (kernels, "the pattern")):
        if a.dtype.kind not in "buif":
            raise InputError(f"{name} is {a.dtype}: patterns are matched in real numbers")
        if a.size == 0:
            raise InputError(f"{name} of shape {a.shape} is empty")
    layout = layout or {1: "t", 2: "hw", 3: "hwc"}.get(values.ndim, "")
    if layout not in ("t", "tc", "hw", "hwc") or len(layout) != values.ndim:
        raise InputError(f"x of shape {values.shape} is not one image (H, W) or (H, W, C), or one series (T,)")
    single = kernels.ndim == values.ndim
    if not single and kernels.ndim != values.ndim + 1:
        raise InputError(f"a pattern of shape {kernels.shape} does not go with x of shape {values.shape}")
    kernels = kernels[None] if single else kernels
    if "c" not in layout:
        values, kernels = values[..., None], kernels[..., None]
    if kernels.shape[-1] != values.shape[-1]:
        raise InputError(f"the pattern has {kernels.shape[-1]} channels and x {values.shape[-1]}: bring both to one")
    if any(k > n for k, n in zip(kernels.shape[1:], values.shape, strict=True)):
        raise InputError(f"the pattern covers {kernels.shape[1:-1]} and x only {values.shape[:-1]}: use a smaller scale")
    low, high = _span(values, "x")
    _span(kernels, "the pattern")
    middle, span = (low + high) / 2, max(high - low, 1.0 if values.dtype.kind in "biu" else 1e-30)

    def normal(a: np.ndarray) -> Tensor:
        a = np.ascontiguousarray(np.moveaxis(a, -1, -a.ndim if a.ndim == values.ndim else 1))
        a = a if a.dtype == np.uint8 else a.astype(np.float32 if a.dtype.kind in "biu" else a.dtype, copy=False)
        out = torch.from_numpy(a if a.flags.writeable else a.copy())
        return (out.float() if a.dtype == np.uint8 else out).sub(middle).div_(span).float()

    return normal(values), normal(kernels), single


def _span(a: np.ndarray, name: str) -> tuple[float, float]:
    """Return the least and the largest value, which are NaN or infinite if one is."""
    low, high = float(a.min()), float(a.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"{name} holds NaN or infinite values: replace them first")
    return low, high


def _scores(x: Tensor, patterns: Tensor, mask: Tensor | None) -> Tensor:
    """x (C, *S), patterns (P, C, *K), mask (*K) or None -> (P, *O) clipped to -1..1."""
    space = tuple(range(2, patterns.ndim))
    weight = torch.ones(patterns.shape[2:]) if mask is None else mask
    count = float(weight.sum())
    mean = (patterns * weight).sum(space, keepdim=True) / count
    centred = (patterns - mean) * weight
    length = centred.double().square().sum(tuple(range(1, patterns.ndim))).sqrt()
    least = FLAT * math.sqrt(count * patterns.shape[1])
    centred = centred / length.clamp_min(least).float().view(-1, *[1] * (patterns.ndim - 1))
    centred[length < least] = 0
    scores = correlate(x, centred, layout="c" + ("t" if x.ndim == 2 else "hw"))
    scale = _scale(x, patterns.shape[2:], mask, count)
    for rows in _bands(scale):
        for one in scores:
            one[rows].mul_(scale[rows]).clamp_(-1, 1)
    return scores


def _scale(x: Tensor, k: torch.Size, mask: Tensor | None, count: float) -> Tensor:
    """Return 1 / sqrt(sum over the window and the channels of (x - window's mean)^2), float32 (*O); 0 where flat."""
    pairs = [_window_sums(channel, tuple(k)) if mask is None else
             (correlate(channel.double(), mask.double()), correlate(channel.double().square(), mask.double()))
             for channel in x]
    out = torch.empty(pairs[0][0].shape)
    floor = FLAT**2 * count * len(x)
    for rows in _bands(out):
        total = torch.zeros(out[rows].shape, dtype=torch.float64)
        for sums, squares in pairs:
            total.add_(squares[rows]).addcmul_(sums[rows], sums[rows], value=-1 / count)
        out[rows] = total.masked_fill_(total <= floor, math.inf).rsqrt_()
    return out


def _bands(a: Tensor) -> list[slice]:
    """Return the rows of an image a few at a time, so that what is done to them stays in cache; all of a series."""
    return [slice(top, top + _ROWS) for top in range(0, len(a), _ROWS)] if a.ndim == 2 else [slice(None)]


def _window_sums(x: Tensor, k: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return float64 sums of x and of its squares over every window of size k: running sums, whatever the size."""
    if x.ndim == 1:
        wide = x.double()
        return _running(wide, k[0]), _running(wide.square(), k[0])
    import cv2

    image, size = x.numpy(), (k[1], k[0])

    def sums(filtered: Any) -> Tensor:
        return torch.from_numpy(filtered(image, cv2.CV_64F, size, anchor=(0, 0), normalize=False,
                                         borderType=cv2.BORDER_CONSTANT)[: x.shape[0] - k[0] + 1, : x.shape[1] - k[1] + 1])

    with ThreadPoolExecutor(2) as pool:  # each takes one core, and neither holds the interpreter's lock
        plain, squares = pool.map(sums, (cv2.boxFilter, cv2.sqrBoxFilter))
    return plain, squares


def _running(x: Tensor, k: int) -> Tensor:
    total = torch.cat([x.new_zeros(1), x.cumsum(0)])
    return total[k:] - total[:-k]
