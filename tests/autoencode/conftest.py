"""Images and small autoencoders that the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hubel import autoencode


def _blobs(count: int, size: int = 16, channels: int = 1, seed: int = 0) -> np.ndarray:
    """uint8 (N, size, size, C): one bright round spot an image, described by three numbers (place and width)."""
    draw = np.random.default_rng(seed)
    y, x, width = draw.uniform(4, size - 4, count), draw.uniform(4, size - 4, count), draw.uniform(1.5, 3, count)
    grid = np.arange(size)
    rows = np.exp(-((grid[None] - y[:, None]) ** 2) / (2 * width[:, None] ** 2))
    columns = np.exp(-((grid[None] - x[:, None]) ** 2) / (2 * width[:, None] ** 2))
    images = (255 * rows[:, :, None] * columns[:, None, :]).round().astype(np.uint8)
    return np.repeat(images[..., None], channels, axis=3)


@pytest.fixture(scope="session")
def blobs() -> Callable[..., np.ndarray]:
    return _blobs


@pytest.fixture(scope="session")
def spots() -> np.ndarray:
    return _blobs(600)


@pytest.fixture(scope="session")
def coder(spots: np.ndarray) -> autoencode.Autoencoder:
    """A convolutional autoencoder of 8 numbers that has learned the spots. Not to be changed."""
    made = autoencode.build("convolutional", 16, 1, latents=8, width=8)
    made.fit(spots, epochs=12, batch_size=50, verbose=0)
    return made
