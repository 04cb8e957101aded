"""How near an image is to a clean reference: PSNR and SSIM. Depends on `convolve` and `kernels`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hubel import kernels
from hubel.convolve import correlate
from hubel.errors import InputError


def psnr(x: Any, reference: Any, peak: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB: 10 log10(peak^2 / mean (x - reference)^2); inf if equal.

    peak: the largest value there could be; default 255 for uint8 and 1 for floats.
    """
    a, b, peak = _pair(x, reference, peak)
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def ssim(x: Any, reference: Any, peak: float | None = None) -> float:
    """Return the mean structural similarity (Wang, Bovik, Sheikh, Simoncelli, 2004), 1 if equal.

    Images (H, W) or (H, W, C) of at least 11x11; the paper's Gaussian window (11x11, sigma 1.5) and constants, over
    all places where the window fits; channels are averaged.
    """
    a, b, peak = _pair(x, reference, peak)
    if a.ndim not in (2, 3) or min(a.shape[:2]) < 11:
        raise InputError(f"SSIM needs images of at least 11x11, not {a.shape}")
    w = kernels.gaussian(1.5, 11).weights

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(correlate(values, w))

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    return float(np.mean((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))))


def _pair(x: Any, reference: Any, peak: float | None) -> tuple[np.ndarray, np.ndarray, float]:
    x, reference = np.asarray(x), np.asarray(reference)
    if x.shape != reference.shape or x.size == 0:
        raise InputError(f"the two images must have one shape, not {x.shape} and {reference.shape}")
    if x.dtype.kind not in "buif" or reference.dtype.kind not in "buif":
        raise InputError(f"images are real numbers, not {x.dtype} and {reference.dtype}")
    if peak is None:
        kinds = {x.dtype.kind in "biu", reference.dtype.kind in "biu"}
        if len(kinds) > 1:
            raise InputError(f"one image is {x.dtype}, the other {reference.dtype}: bring both to one range, or give peak=")
        peak = float(np.iinfo(reference.dtype).max) if reference.dtype.kind in "iu" else 1.0
    return x.astype(float), reference.astype(float), float(peak)
