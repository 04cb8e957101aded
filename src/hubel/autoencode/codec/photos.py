"""The photographs that the codec learns from: Caltech-101, ImageNet, Fifteen Scenes (grey). Depends on the data room.

Kodak's photographs are not among them: they are for the test alone.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hubel.autoencode.restore.pretraining import crops, data_root
from hubel.data import read_image
from hubel.data.resize import fit_image
from hubel.errors import DataError

# folder, pattern, how often a pixel of it is drawn, and the scales it is reduced to (a size each): below 1 the traces of its own
# JPEG fade; at 1 it is as smooth as a camera's picture, which small copies never are
SETS = (("caltech101", "*/*.jpg", 1.0, ((0.6, 1.0),)),
        ("imagenet", "*.JPEG", 2.5, ((0.55, 0.75), (0.75, 1.0))),
        ("scenes15", "*/*.jpg", 0.35, ((0.7, 1.0),)))
EVERY = 40  # one in so many photographs is held out


class Photographs:
    """uint8 (H, W, 3) each, in memory; no side below `side`."""

    def __init__(self, root: Path | None = None, side: int = 160, held_out: bool = False) -> None:
        root = data_root() if root is None else root
        found = [(path, worth, scales) for folder, pattern, worth, scales in SETS
                 for path in sorted((root / folder).glob(pattern))]
        draws = np.random.default_rng(0)
        self.images: list[np.ndarray] = []
        chances = []
        for i, (path, worth, scales) in enumerate(found):
            if (i % EVERY == 0) != held_out:
                continue
            image = read_image(path, channels=3)
            height, width = image.shape[:2]
            for low, high in scales:
                scale = min(1.0, max(draws.uniform(low, high), side / min(height, width)))
                if min(height, width) * scale < side:
                    continue
                self.images.append(fit_image(image, (round(height * scale), round(width * scale)), 3))
                chances.append(worth * self.images[-1][..., 0].size)
        if not self.images:
            raise DataError(f"{root} holds no caltech101/*/*.jpg, imagenet/*.JPEG or scenes15/*/*.jpg of at least {side} pixels")
        self.chances = np.array(chances) / sum(chances)

    def coloured(self) -> Photographs:
        """Those that are not grey."""
        keep = [k for k, i in enumerate(self.images) if (i[::7, ::7, 0] != i[::7, ::7, 2]).any()]
        other = copy(self)
        other.images, other.chances = [self.images[k] for k in keep], self.chances[keep] / self.chances[keep].sum()
        return other

    def patches(self, count: int, side: int, draws: np.random.Generator, turned: float = 0.15) -> Tensor:
        """Return float32 (count, 3, side, side), 0..255: random places, half of them mirrored, some turned."""
        out = np.empty((count, side, side, 3), np.uint8)
        for k, patch in enumerate(crops(self.images, self.chances, count, side, draws)):
            patch = patch[:, ::-1] if draws.random() < 0.5 else patch
            out[k] = np.rot90(patch) if draws.random() < turned else patch
        return torch.from_numpy(out).permute(0, 3, 1, 2).float()
