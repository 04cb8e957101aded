"""Edge maps at any orientation, by steering two derivatives. Depends on `convolve` and `kernels`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel import kernels
from hubel.convolve import correlate
from hubel.errors import InputError
from hubel.features._images import grey, is_batch


def gradients(images: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Return the answers (N, H, W) to vertical and to horizontal edges; an ideal step of height 1 answers 1."""
    vertical = correlate(images, torch.from_numpy(kernels.edge(90, sigma).weights).float(), "nearest", layout="nhw")
    horizontal = correlate(images, torch.from_numpy(kernels.edge(0, sigma).weights).float(), "nearest", layout="nhw")
    return vertical, horizontal


def edges(x: Any, angle: float | None = None, sigma: float = 1.0) -> np.ndarray:
    """Return the edge response of images, float32 (H, W) for one or (N, H, W) for a batch; colour is made grey.

    angle : degrees, counter-clockwise: 0 finds horizontal edges, 90 vertical ones, with sign (positive where the upper,
        or left, side is brighter). None gives the strength of the edge of whichever angle is strongest at each pixel.
    sigma : of the Gaussian whose derivative is taken, in pixels.
    """
    vertical, horizontal = gradients(grey(x), sigma)
    if angle is None:
        out = torch.hypot(vertical, horizontal)
    else:
        if not math.isfinite(angle):
            raise InputError(f"angle={angle!r} must be a number of degrees")
        t = math.radians(angle)
        out = math.sin(t) * vertical + math.cos(t) * horizontal
    return out.numpy() if is_batch(x) else out[0].numpy()


def edge_maps(x: Any, orientations: int = 8, sigma: float = 1.0) -> np.ndarray:
    """Return |response| at `orientations` angles over 180 degrees, float32 (H, W, O), or (N, H, W, O) for a batch."""
    maps = oriented(grey(x), orientations, sigma).permute(0, 2, 3, 1).numpy()
    return maps if is_batch(x) else maps[0]


def oriented(images: Tensor, orientations: int, sigma: float) -> Tensor:
    """Return |response| (N, O, H, W) of grey images (N, H, W): each angle a mix of two convolutions."""
    if not isinstance(orientations, int) or orientations < 1:
        raise InputError(f"orientations={orientations!r} must be a whole number of at least 1")
    vertical, horizontal = gradients(images, sigma)
    angles = [math.pi * o / orientations for o in range(orientations)]
    return torch.stack([(math.sin(t) * vertical + math.cos(t) * horizontal).abs() for t in angles], 1)
