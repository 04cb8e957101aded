"""From an image of any size to the size and channels a network wants. uint8 (H, W, C) in and out; depends on OpenCV.

Shrinking averages over the area each new pixel covers (antialiased), enlarging is bilinear; each axis for itself.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from hubel.errors import InputError

Fit = Literal["squash", "crop"]


def parse_size(size: Any) -> tuple[int, int]:
    """(H, W) from one number or a pair. Raises InputError for anything that is not one or two positive integers."""
    pair = tuple(size) if isinstance(size, (tuple, list, np.ndarray)) else (size, size)
    if len(pair) != 2 or not all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) and s > 0 for s in pair):
        raise InputError(f"size={size!r}: give one positive number of pixels or a pair (height, width)")
    return int(pair[0]), int(pair[1])


def check_fit(fit: str) -> None:
    if fit not in ("squash", "crop"):
        raise InputError(f"fit={fit!r}: 'squash' (both axes to the size) or 'crop' (shorter side, middle part)")


def check_channels(channels: int | None) -> None:
    if channels not in (None, 1, 3):
        raise InputError(f"channels={channels!r}: 1 (grey), 3 (colour) or None (as the image has them)")


def fit_image(image: np.ndarray, size: tuple[int, int] | None, channels: int | None, fit: Fit = "squash",
              extent: tuple[float, float] | None = None) -> np.ndarray:
    """Return the image (H, W, 1 or 3) at `size` (None: its own) with `channels` (None: its own).

    'squash' scales both axes to the size; 'crop' keeps the aspect ratio and the middle part. `extent` is the part of
    the array, from its upper left corner, that the picture really covers, where its last row or column is a rest.
    """
    if channels == 1 and image.shape[2] == 3:  # before resizing, while it saves work
        image = with_channels(image, 1)
    if size is not None and extent is not None and extent != image.shape[:2]:
        image = _resize_part(image, _part(extent, size) if fit == "crop" else (0, 0, *extent), size)
    elif size is not None:
        image = _resize(_middle(image, size) if fit == "crop" else image, size)
    return image if channels is None else with_channels(image, channels)


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """(..., H, W, 1 or 3) uint8 to `channels`: grey is repeated, colour becomes its ITU-R BT.601 luma."""
    have = image.shape[-1]
    if have == channels:
        return image
    if have == 1:
        return np.repeat(image, channels, axis=-1)
    import cv2

    flat = np.ascontiguousarray(image).reshape(-1, image.shape[-2], 3)
    return cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY).reshape(*image.shape[:-1], 1)


def _part(extent: tuple[float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """(top, left, height, width) of the largest centred part with the aspect ratio of `size`."""
    height = min(extent[0], extent[1] * size[0] / size[1])
    width = min(extent[1], extent[0] * size[1] / size[0])
    return (extent[0] - height) / 2, (extent[1] - width) / 2, height, width


def _middle(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    top, left, height, width = _part(image.shape[:2], size)
    rows, columns = max(1, round(height)), max(1, round(width))
    top, left = min(round(top), image.shape[0] - rows), min(round(left), image.shape[1] - columns)
    return image[top:top + rows, left:left + columns]


def _resize_part(image: np.ndarray, part: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """Shrink a part with fractional borders, which OpenCV cannot: rounding them would shift the picture."""
    from PIL import Image

    top, left, height, width = part
    box = (left, top, min(left + width, image.shape[1]), min(top + height, image.shape[0]))
    whole = Image.fromarray(image if image.shape[2] == 3 else image[..., 0])
    shrunk = np.asarray(whole.resize(size[::-1], Image.Resampling.HAMMING, box=box))
    return shrunk if shrunk.ndim == 3 else shrunk[..., None]


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    image = np.ascontiguousarray(image)
    shrunk = min(height, size[0]), min(width, size[1])
    if shrunk != (height, width):
        image = cv2.resize(image, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if shrunk != size:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return image if image.ndim == 3 else image[..., None]
