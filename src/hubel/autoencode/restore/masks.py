"""Holes to learn from and to measure on: missing pixels, blocks, strokes. Depends on NumPy and OpenCV."""

from __future__ import annotations

import numpy as np

from hubel.errors import InputError

KINDS = ("pixels", "blocks", "strokes")


def random_mask(kind: str, shape: tuple[int, int], share: float, draws: np.random.Generator, size: int = 16) -> np.ndarray:
    """Return a bool mask (H, W), true where pixels are missing: at least about `share` of them, where that is possible.

    Parameters
    ----------
    kind : 'pixels' (each by itself), 'blocks' (squares of `size` pixels), 'strokes' (broken lines `size` pixels wide).
    """
    if kind not in KINDS:
        raise InputError(f"masks of kind {kind!r} are unknown: there are {', '.join(KINDS)}")
    if not 0 < share < 1:
        raise InputError(f"share={share} of the pixels: choose a number between 0 and 1")
    height, width = shape
    if kind == "pixels":
        return draws.random(shape) < share
    mask = np.zeros(shape, np.uint8)
    for _ in range(10_000):
        if mask.mean() >= share:
            break
        if kind == "blocks":
            top, left = (int(draws.integers(max(1, side - size + 1))) for side in shape)
            mask[top : top + size, left : left + size] = 1
        else:
            _stroke(mask, size, draws)
    if mask.all():  # something must be known
        mask[int(draws.integers(height)), int(draws.integers(width))] = 0
    return mask.astype(bool)


def _stroke(mask: np.ndarray, width: int, draws: np.random.Generator) -> None:
    import cv2

    side = max(mask.shape)
    point = np.array([draws.uniform(0, mask.shape[1]), draws.uniform(0, mask.shape[0])])
    angle = draws.uniform(0, 2 * np.pi)
    for _ in range(int(draws.integers(2, 6))):
        angle += draws.uniform(-1, 1)
        to = point + draws.uniform(0.1, 0.4) * side * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(mask, tuple(point.astype(int).tolist()), tuple(to.astype(int).tolist()), 1, width)
        point = to
