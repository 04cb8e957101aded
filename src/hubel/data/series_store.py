"""Where recordings and series lie: in memory, in sound files, or in several places. Depends on `store` and `sound`.

The stores of a `SeriesDataset`: as those of images, with a rate, and the names of who or what each comes from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from hubel.data.sound import read_sound, resample
from hubel.data.store import FileStore, JoinedStore
from hubel.errors import DataError, InputError


def fit_length(x: np.ndarray, length: int) -> np.ndarray:
    """x (T, ...) cropped or padded with zeros to `length` along its first axis, the middle staying in the middle."""
    spare = length - len(x)
    if spare < 0:
        return x[-spare // 2 : -spare // 2 + length]
    return np.pad(x, ((spare // 2, spare - spare // 2), *((0, 0) for _ in x.shape[1:])))


class ArraySeries:
    """Series in memory: float32 (T, C) each, of any lengths; `groups` names who or what each comes from."""

    chunk = 256
    failures: Mapping[int, str] = MappingProxyType({})

    def __init__(self, series: np.ndarray | Sequence[np.ndarray], rate: int | None = None,
                 groups: Sequence[str] | None = None) -> None:
        self.series, self.rate, self.groups = series, rate, groups
        self.sizes = np.array([s.shape for s in series], dtype=np.int32).reshape(-1, 2)

    def at(self, rate: int) -> ArraySeries:
        """The same at another rate."""
        if self.rate is None:
            raise InputError(f"the series have no rate, hence none can be brought to {rate} samples a second")
        have = self.rate
        return self if rate == have else ArraySeries([resample(s, have, rate) for s in self.series], rate, self.groups)

    def read(self, index: int) -> np.ndarray:
        return self.series[index]

    def fill(self, out: np.ndarray, indices: np.ndarray, fit: Any) -> None:
        for place, index in enumerate(indices):
            out[place] = fit_length(self.series[index], out.shape[1])

    def path(self, index: int) -> None:
        return None

    def identity(self, indices: np.ndarray) -> bytes:
        digest = hashlib.blake2b(f"{self.rate}".encode(), digest_size=16)
        for index in indices:
            series = np.ascontiguousarray(self.series[index], dtype=np.float32)
            digest.update(str(series.shape).encode() + series.data)
        return digest.digest()


class SoundFiles(FileStore):
    """Sound files, brought to one rate and one channel when they are read. `sizes` are (samples at that rate, 1)."""

    def __init__(self, root: Path, paths: Sequence[Path], sizes: np.ndarray, rate: int,
                 groups: Sequence[str] | None = None) -> None:
        super().__init__(root, paths, sizes)
        self.rate, self.groups = rate, groups

    def at(self, rate: int) -> SoundFiles:
        """The same files at another rate."""
        sizes = self.sizes.astype(np.int64)
        sizes[:, 0] = -(-sizes[:, 0] * rate // self.rate)
        return SoundFiles(self.root, self.paths, sizes, rate, self.groups)

    def read(self, index: int) -> np.ndarray:
        return read_sound(self.paths[index], self.rate)[0][:, None]

    def fill(self, out: np.ndarray, indices: np.ndarray, fit: Any) -> None:
        for place, index in enumerate(indices):
            try:
                out[place] = fit_length(self.read(int(index)), out.shape[1])
            except DataError as error:
                out[place] = 0
                self.failures[int(index)] = str(error)


class JoinedSeries(JoinedStore):
    """Several stores of series of one rate, one after the other."""

    @property
    def rate(self) -> int | None:
        return self.parts[0].rate  # type: ignore[attr-defined]

    @property
    def groups(self) -> list[str] | None:
        found = [part.groups for part in self.parts]  # type: ignore[attr-defined]
        return None if any(g is None for g in found) else [name for g in found for name in g]

    def at(self, rate: int) -> JoinedSeries:
        return JoinedSeries([part.at(rate) for part in self.parts])  # type: ignore[attr-defined]
