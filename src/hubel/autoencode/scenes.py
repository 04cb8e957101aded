"""Made pictures with known masks, where a data set has none: small shapes or digits on textured grounds. Depends on NumPy.

    images, masks = digit_scenes(digits, 200, size=64)      # masks: 0 the ground, 1 the digit
"""

from __future__ import annotations

import numpy as np

from hubel.errors import InputError


def digit_scenes(digits: np.ndarray, count: int, size: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Lay digits in random colours on textured grounds of random colours.

    digits : uint8 (N, h, w) or (N, h, w, 1), bright on black. Returns (images uint8 (count, size, size, 3), masks uint8
    (count, size, size)): 1 where the digit's own brightness is at least a half. Digits have half to all of the picture's
    size; grounds are two colours in half a wave to three, of random direction, with noise. The colours may be alike: no
    threshold will do.
    """
    import cv2

    digits = np.asarray(digits)
    digits = digits[..., 0] if digits.ndim == 4 else digits
    if digits.dtype != np.uint8 or digits.ndim != 3 or not len(digits):
        raise InputError(f"digits of type {digits.dtype} and shape {digits.shape}: give uint8 (N, H, W)")
    draw = np.random.default_rng(seed)
    images, masks = np.empty((count, size, size, 3), np.uint8), np.empty((count, size, size), np.uint8)
    grid = np.stack(np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size), indexing="ij"))
    for i in range(count):
        side = int(draw.integers(size // 2, size + 1))
        top, left = draw.integers(0, size - side + 1, 2)
        glyph = np.zeros((size, size), np.float32)
        one = digits[draw.integers(len(digits))].astype(np.float32) / 255
        glyph[top : top + side, left : left + side] = np.clip(cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
        angle, waves = draw.uniform(0, np.pi), draw.uniform(0.5, 3)
        wave = 0.5 + 0.5 * np.sin(2 * np.pi * (waves * (np.cos(angle) * grid[0] + np.sin(angle) * grid[1]) + draw.uniform()))
        first, second, ink = draw.uniform(0, 1, (3, 3))
        ground = first * wave[..., None] + second * (1 - wave[..., None])
        picture = ground * (1 - glyph[..., None]) + ink * glyph[..., None] + draw.normal(0, 0.06, (size, size, 3))
        images[i] = (255 * np.clip(picture, 0, 1)).round()
        masks[i] = glyph >= 0.5
    return images, masks
