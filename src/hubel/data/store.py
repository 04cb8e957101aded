"""Where the pixels of a data set lie: in memory, in files, or in several places. A `Dataset` is labels on a store.

A new kind of source (sound, series) is a new class with the members of `Store`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from hubel.data.decode import read_image
from hubel.data.resize import Fit, fit_image, with_channels
from hubel.errors import DataError


class Store(Protocol):
    """A row of images, addressed 0..N-1."""

    chunk: int  # images a thread takes at a time
    sizes: np.ndarray  # int32 (N, 2): heights and widths

    @property
    def failures(self) -> Mapping[int, str]:
        """Images that could not be read when they were asked for, and why."""
        ...

    def read(self, index: int) -> np.ndarray:
        """One image at its own size, uint8 (H, W, C). Raises DataError."""
        ...

    def fill(self, out: np.ndarray, indices: np.ndarray, fit: Fit) -> None:
        """Write images into `out`, uint8 (n, H, W, C), resized. One that cannot be read becomes mid-grey and is
        entered in `failures`. Called from several threads."""
        ...

    def path(self, index: int) -> Path | None: ...

    def identity(self, indices: np.ndarray) -> bytes:
        """A digest that tells these images from others."""
        ...


class ArrayStore:
    """Images in memory: one uint8 array (N, H, W, C), or a list of (H, W, C) of different sizes."""

    chunk = 256
    failures: Mapping[int, str] = MappingProxyType({})

    def __init__(self, images: np.ndarray | Sequence[np.ndarray]) -> None:
        self.images = images
        if isinstance(images, np.ndarray):
            self.sizes = np.broadcast_to(np.array(images.shape[1:3], dtype=np.int32), (len(images), 2))
        else:
            self.sizes = np.array([image.shape[:2] for image in images], dtype=np.int32).reshape(-1, 2)

    def read(self, index: int) -> np.ndarray:
        return self.images[index]

    def fill(self, out: np.ndarray, indices: np.ndarray, fit: Fit) -> None:
        size, channels = out.shape[1:3], out.shape[3]
        if isinstance(self.images, np.ndarray) and self.images.shape[1:3] == size:
            out[:] = with_channels(self.images[indices], channels)
            return
        for place, index in enumerate(indices):
            out[place] = fit_image(self.images[index], size, channels, fit)

    def path(self, index: int) -> None:
        return None

    def identity(self, indices: np.ndarray) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for index in indices:
            image = self.images[index]
            digest.update(str(image.shape).encode() + np.ascontiguousarray(image).data)
        return digest.digest()


class FileStore:
    """Image files. They were looked at when the data set was loaded; one that fails later is noted, not fatal."""

    chunk = 16

    def __init__(self, root: Path, paths: Sequence[Path], sizes: np.ndarray) -> None:
        self.root, self.paths = root, tuple(paths)
        self.sizes = np.asarray(sizes, dtype=np.int32).reshape(-1, 2)
        self.failures: dict[int, str] = {}

    def read(self, index: int) -> np.ndarray:
        return read_image(self.paths[index])

    def fill(self, out: np.ndarray, indices: np.ndarray, fit: Fit) -> None:
        size, channels = out.shape[1:3], out.shape[3]
        for place, index in enumerate(indices):
            try:
                out[place] = read_image(self.paths[index], size, channels, fit)
            except DataError as error:
                out[place] = 128
                self.failures[int(index)] = str(error)

    def path(self, index: int) -> Path:
        return self.paths[index]

    def identity(self, indices: np.ndarray) -> bytes:
        """Of the files' places under the root and their lengths: reading all of them would cost as much as training
        on them."""
        digest = hashlib.blake2b(digest_size=16)
        for index in indices:
            path = self.paths[index]
            length = path.stat().st_size if path.exists() else -1
            digest.update(f"{path.relative_to(self.root).as_posix()}\0{length}\0".encode())
        return digest.digest()


class JoinedStore:
    """Several stores one after the other."""

    chunk = 64

    def __init__(self, parts: Sequence[Store]) -> None:
        self.parts = tuple(parts)
        self.sizes = np.concatenate([part.sizes for part in parts])
        self.starts = np.cumsum([0] + [len(part.sizes) for part in parts])

    @property
    def failures(self) -> dict[int, str]:
        return {int(start) + index: reason for start, part in zip(self.starts, self.parts, strict=False)
                for index, reason in dict(part.failures).items()}

    def _find(self, index: int) -> tuple[Store, int]:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part], int(index - self.starts[part])

    def read(self, index: int) -> np.ndarray:
        part, place = self._find(index)
        return part.read(place)

    def fill(self, out: np.ndarray, indices: np.ndarray, fit: Fit) -> None:
        owners = np.searchsorted(self.starts, indices, side="right") - 1
        for owner in np.unique(owners):
            places = np.flatnonzero(owners == owner)
            rows = np.empty((len(places), *out.shape[1:]), dtype=out.dtype)
            self.parts[owner].fill(rows, indices[places] - self.starts[owner], fit)
            out[places] = rows

    def path(self, index: int) -> Path | None:
        part, place = self._find(index)
        return part.path(place)

    def identity(self, indices: np.ndarray) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for index in indices:
            part, place = self._find(index)
            digest.update(part.identity(np.array([place])))
        return digest.digest()
