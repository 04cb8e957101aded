"""The linear transform that learning begins with: cosines of blocks, over principal colours. Depends on NumPy and torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hubel.autoencode.codec.network import BLOCK


def cosines(n: int) -> np.ndarray:
    """The orthonormal cosine transform (n, n), type II: a row a frequency."""
    k = np.arange(n)[:, None]
    rows = np.cos(np.pi * (2 * np.arange(n) + 1) * k / (2 * n)) * np.sqrt(2 / n)
    rows[0] /= np.sqrt(2)
    return rows


def principal_colours(photos: list[np.ndarray]) -> np.ndarray:
    """Three orthonormal rows, the colour that varies most first (about grey), of every third pixel each way."""
    pixels = np.concatenate([image[::3, ::3].reshape(-1, 3) for image in photos]).astype(np.float64)
    rows = np.linalg.eigh(np.cov(pixels.T))[1][:, ::-1].T
    return np.asarray(rows * np.sign(rows[:, 1:2]))


def block_transform(photos: list[np.ndarray], blocks: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Return the rows (channels, 768) that give most on `blocks` (N, 768), pixels less 128, largest first, and the log of the
    root mean square of what each gives."""
    d, colours = cosines(BLOCK), principal_colours(photos)
    rows = np.einsum("cd,ui,vj->cuvdij", colours, d, d).reshape(3 * BLOCK**2, 3 * BLOCK**2)
    power = (blocks.double() @ torch.from_numpy(rows).T).square().mean(dim=0)
    most = power.argsort(descending=True)[:channels]
    return torch.from_numpy(rows)[most].float(), power[most].sqrt().log().float()
