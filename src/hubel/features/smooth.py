"""Smoothing and denoising of series, sound and images, at one scale or many. Depends on `convolve` and `kernels`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from hubel import kernels
from hubel.convolve import correlate
from hubel.errors import InputError

SIGMAS = (0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0)


def smooth(x: Any, sigma: float | None = None, *, kind: str = "gaussian", size: int | None = None,
           border: str = "mirror", layout: str | None = None) -> Any:
    """Return x with every value replaced by a local average; same shape, same unit, floating.

    x : a series (T,), images (H, W), (H, W, C), (N, H, W, C) in NumPy or the torch orders of `correlate`, of any range;
        or any axes named by `layout`: 'tc' for sound in channels, 'dhw' for a volume.
    sigma : of the Gaussian in samples; None takes the one `best_sigma` finds for the noise there is.
    kind : 'gaussian' or 'uniform' (size x size, default 5).
    """
    layout = _layout(x, layout)
    dims = sum(a not in "nc" for a in layout)
    if kind == "uniform":
        if sigma is not None:
            raise InputError("a uniform average has a size, not a sigma")
        return correlate(x, kernels.uniform(size or 5, dims).weights, border, layout=layout)
    if kind != "gaussian":
        raise InputError(f"kind={kind!r} must be 'gaussian' or 'uniform'")
    sigma = best_sigma(x, layout=layout) if sigma is None else sigma
    if sigma == 0:
        return correlate(x, np.ones((1,) * dims), "valid", layout=layout)
    return correlate(x, kernels.gaussian(sigma, size, dims).weights, border, layout=layout)


def _layout(x: Any, layout: str | None) -> str:
    if layout is not None:
        return layout.replace(" ", "").lower()
    rank = np.ndim(x)
    names = ("", "t", "hw", "chw", "nchw") if isinstance(x, Tensor) else ("", "t", "hw", "hwc", "nhwc")
    if not 1 <= rank <= 4:
        raise InputError(f"an input of {rank} dimensions needs layout=, such as 'dhw' for a volume")
    return names[rank]


def noise(x: Any, *, layout: str | None = None) -> float:
    """Return an estimate of the standard deviation of white noise in x, in x's unit.

    The median absolute answer to second differences along every axis, in which smooth content vanishes: for images
    the mask of Immerkaer (1996), with Donoho's median (1994) in place of the mean, so that edges count little. Texture
    finer than two pixels is taken for noise.
    """
    layout = _layout(x, layout)
    dims = sum(a not in "nc" for a in layout)
    taps = np.array([1.0, -2.0, 1.0])
    mask = taps
    for _ in range(dims - 1):
        mask = np.multiply.outer(mask, taps)
    shape = [n for n, a in zip(np.shape(x), layout, strict=True) if a not in "nc"]
    if min(shape, default=0) < 3:
        raise InputError(f"noise cannot be told in {'x'.join(map(str, shape))} samples: 3 an axis are the least")
    answer = np.abs(np.asarray(correlate(x, mask, layout=layout), dtype=float))
    return float(np.median(answer)) / 0.6744897501960817 / math.sqrt(float((mask**2).sum()))


def best_sigma(x: Any, *, layout: str | None = None, sd: float | None = None) -> float:
    """Return the Gaussian's sigma with the least expected squared error against the clean signal; 0: leave it alone.

    Stein's unbiased risk estimate of a linear filter (1981) for white noise of standard deviation `sd` (default:
    `noise(x)`): mean (Gx - x)^2 + 2 sd^2 g_0 - sd^2, with g_0 the kernel's centre; least over `SIGMAS` and 0.
    """
    layout = _layout(x, layout)
    variance = (noise(x, layout=layout) if sd is None else float(sd)) ** 2
    values = np.asarray(x, dtype=np.float32)
    dims = sum(a not in "nc" for a in layout)
    best, least = 0.0, variance
    shortest = min(n for n, a in zip(values.shape, layout, strict=True) if a not in "nc")
    for sigma in SIGMAS:
        if 2 * sigma > shortest:
            break
        w = kernels.gaussian(sigma, dims=dims).weights
        smoothed = np.asarray(correlate(values, w, "mirror", layout=layout))
        risk = float(np.mean((smoothed - values) ** 2, dtype=float)) + variance * (2 * float(w.max()) - 1)
        if risk < least:
            best, least = sigma, risk
    return best


def pyramid(x: Any, levels: int | None = None, *, layout: str | None = None) -> list[Any]:
    """Return [x, half, quarter, ...] (floating): each level smoothed by [1 4 6 4 1]/16 an axis and halved, sizes
    rounded up (Burt and Adelson, 1983; OpenCV's `pyrDown`). levels=None goes on until the shorter side is under 8.
    """
    layout = _layout(x, layout)
    space = [i for i, a in enumerate(layout) if a not in "nc"]
    taps = np.array([1.0, 4, 6, 4, 1]) / 16
    w = taps
    for _ in range(len(space) - 1):
        w = np.multiply.outer(w, taps)
    out = [correlate(x, np.ones((1,) * len(space)), layout=layout)]
    while (levels is None and min(out[-1].shape[i] for i in space) >= 16) or (levels is not None and len(out) < levels):
        if max(out[-1].shape[i] for i in space) == 1:
            raise InputError(f"levels={levels} is too many: {len(out)} levels end at a single sample")
        out.append(correlate(out[-1], w, "mirror", stride=2, layout=layout))
    return out


def scale_space(x: Any, sigmas: Sequence[float] = (1, 2, 4, 8), *, layout: str | None = None) -> list[Any]:
    """Return x smoothed by each sigma, all at full size (Witkin, 1983): what is left at each scale."""
    return [smooth(x, sigma, layout=layout) for sigma in sigmas]
