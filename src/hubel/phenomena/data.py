"""What claims are tried on: built-in digits and photographs, problems made up in two dimensions, real sets where there are any.

Real sets come from the folder that the environment variable HUBEL_DATA names; nothing is downloaded. Depends on hubel.data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hubel import data
from hubel.data.dataset import Dataset

PHOTOS = ("astronaut", "brick", "camera", "chelsea", "coffee", "grass", "gravel", "motorcycle_left", "rocket")


@dataclass(frozen=True)
class Split:
    """x (N, ...) float32 and y (N,) int64, to learn from and to be tested on."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def real(name: str) -> Path | None:
    """The folder of a real data set, if HUBEL_DATA has it."""
    root = os.environ.get("HUBEL_DATA")
    path = Path(root, name) if root else None
    return path if path is not None and path.is_dir() else None


@cache
def _digits() -> tuple[Tensor, Tensor]:
    source = data.load("digits")
    whole = source.train.concat(source.test)
    x = torch.from_numpy(whole.arrays().astype(np.float32)).permute(0, 3, 1, 2) / 255
    return x.contiguous(), torch.from_numpy(np.array(whole.labels))


def digits(train: int = 1000, seed: int = 0, test: int | None = None) -> Split:
    """scikit-learn's handwritten digits, (N, 1, 8, 8) in 0..1: `train` of the 1,797 drawn at random, tested on the others."""
    x, y = _digits()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(x)))
    a, b = order[:train], order[train:][:test]
    return Split(x[a], y[a], x[b], y[b])


def digit_sets(train: int = 1000, seed: int = 0, test: int = 300) -> tuple[Dataset, Dataset]:
    """The same as Datasets, for the library's verbs."""
    source = data.load("digits")
    whole = source.train.concat(source.test)
    order = np.random.default_rng(seed).permutation(len(whole))
    return whole.subset(order[:train]), whole.subset(order[train:][:test])


@cache
def photographs() -> dict[str, np.ndarray]:
    """Built-in photographs by name, uint8 (H, W, 3): two of scikit-learn's, nine more where scikit-image is installed."""
    from sklearn.datasets import load_sample_images

    bunch = load_sample_images()
    found = {Path(name).stem: np.asarray(image) for name, image in zip(bunch.filenames, bunch.images, strict=True)}
    try:
        import skimage
    except ImportError:
        return found
    for name in PHOTOS:
        path = Path(skimage.__file__).parent / "data" / f"{name}.png"
        for candidate in (path, path.with_suffix(".jpg")):
            if candidate.is_file():
                image = data.read_image(candidate)
                found[name.removesuffix("_left")] = image.repeat(3, 2) if image.shape[2] == 1 else image[..., :3]
    return found


def patches(count: int, side: int = 32, seed: int = 0, shrink: int = 2, grey: bool = True) -> tuple[Tensor, Tensor]:
    """`count` random pieces of `side` pixels of the built-in photographs, at 1/`shrink` of their size: (N, C, side, side) in
    0..1, and which photograph each is of."""
    import cv2

    rng = np.random.default_rng(seed)
    small = [cv2.resize(p, (p.shape[1] // shrink, p.shape[0] // shrink), interpolation=cv2.INTER_AREA)
             for p in photographs().values()]
    y = rng.integers(0, len(small), count)
    out = np.empty((count, side, side, 3), np.uint8)
    for i, k in enumerate(y):
        h, w = small[k].shape[:2]
        top, left = rng.integers(0, h - side + 1), rng.integers(0, w - side + 1)
        out[i] = small[k][top : top + side, left : left + side]
    x = torch.from_numpy(out).permute(0, 3, 1, 2).float() / 255
    if grey:
        x = (x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    return x.contiguous(), torch.from_numpy(y)


def ring(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A disc of one class in a ring of the other: points (n, 2) in -1..1. No straight line separates them."""
    return _polar(n, seed, lambda r, angle: r < 0.55)


def spirals(n: int, turns: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two arms that wind `turns` times around each other: points (n, 2) in -1..1."""
    return _polar(n, seed, lambda r, angle: (angle / np.pi - 2 * turns * r) % 2 < 1)


def _polar(n: int, seed: int, inside: object) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    r, angle = np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    x = np.stack([r * np.cos(angle), r * np.sin(angle)], 1)
    return torch.from_numpy(x).float(), torch.from_numpy(inside(r, angle)).long()  # type: ignore[operator]
