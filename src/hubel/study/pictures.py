"""Arrays as pictures: thumbnails, signed values, heat over an image. uint8 (H, W, 3) out. Depends on NumPy and OpenCV.

The colour scales are three and five points long and their lightness is monotone, so that they survive grey printing and
colour-blind eyes.
"""

from __future__ import annotations

import numpy as np

_SIGNED = np.array([[11, 98, 164], [139, 185, 219], [247, 247, 245], [240, 165, 130], [180, 50, 5]], np.float32)
_HEAT = np.array([[20, 20, 40], [110, 28, 100], [205, 66, 62], [248, 150, 40], [252, 240, 170]], np.float32)


def scale(values: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Values (H, W) in 0..1 through a colour scale: float (H, W, 3) in 0..255."""
    place = np.clip(values, 0, 1) * (len(colours) - 1)
    below = np.minimum(place.astype(int), len(colours) - 2)
    share = (place - below)[..., None]
    return colours[below] * (1 - share) + colours[below + 1] * share


def signed(values: np.ndarray, high: float) -> np.ndarray:
    """Signed values (H, W): blue below 0, white at 0, red above; full colour at ±high."""
    return np.round(scale(values / (2 * max(high, 1e-30)) + 0.5, _SIGNED)).astype(np.uint8)


def overlay(image: np.ndarray, heat: np.ndarray, high: float, side: int = 160) -> np.ndarray:
    """Heat (h, w) >= 0 over an image (H, W, C) uint8 made grey; where it is 0 the image stays, at `high` it is hidden."""
    import cv2

    grey = image.astype(np.float32).mean(axis=2)
    factor = max(1.0, side / max(grey.shape))
    size = (round(grey.shape[1] * factor), round(grey.shape[0] * factor))
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST if max(image.shape[:2]) <= 64 else cv2.INTER_CUBIC)
    share = np.clip(cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) / max(high, 1e-30), 0, 1)
    cover = (0.85 * np.sqrt(share))[..., None]
    mixed = (1 - cover) * (0.8 * grey[..., None] + 20) + cover * scale(share, _HEAT)
    return np.clip(np.round(mixed), 0, 255).astype(np.uint8)


def change(delta: np.ndarray, magnified: float) -> np.ndarray:
    """A perturbation (H, W, C) in pixels of 0..1 as a picture: grey is no change, `magnified` times enlarged."""
    return np.clip(np.round(127.5 + 255 * delta * magnified), 0, 255).astype(np.uint8)


def magnification(delta: np.ndarray) -> float:
    """The round factor (1, 2, 5, 10, ...) that makes the largest entry of `delta` nearly half of the scale."""
    top = float(np.abs(delta).max(initial=0))
    room = 0.5 / top if top else 1.0
    return max((m for m in (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128) if m <= room), default=1)


def filter_tile(weights: np.ndarray) -> np.ndarray:
    """A filter (C, h, w) as a picture: for 3 channels the colours it likes, else its mean over channels, in grey.

    Zero is mid-grey and the largest magnitude is black or white, each filter on its own scale.
    """
    shown = weights if weights.shape[0] == 3 else weights.mean(axis=0, keepdims=True)
    top = float(np.abs(shown).max(initial=0)) or 1.0
    return np.round(127.5 + 127.5 * shown / top).astype(np.uint8).transpose(1, 2, 0)
