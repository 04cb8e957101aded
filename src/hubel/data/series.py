"""SeriesDataset: recordings and time series behind the same interface as images. Depends on `dataset`, `series_store`.

A recording is float32 in -1..1 at one rate; a series is rows of numbers, (T, C). Lengths may differ until a batch is made:
then every one is cropped or padded with zeros to one length, its middle staying in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hubel.data.dataset import Dataset
from hubel.data.parallel import pool
from hubel.data.series_store import JoinedSeries
from hubel.errors import DataError, InputError

if TYPE_CHECKING:
    from torch import Tensor

SERIES_KINDS = ("sound", "series")


class SeriesDataset(Dataset):
    """Labelled recordings or series: `ds[i] -> (float32 (T,) for sound, (T, C) for series, int)`.

    What a Dataset of images has, with the `size` of a batch being a number of samples (None: the common length), and:

    rate : samples a second; None for series that have none.
    groups : for each item the name of who or what it comes from (a speaker), or None.
    sizes : int32 (N, 2), samples and channels.
    """

    dtype: ClassVar[type] = np.float32
    joining: ClassVar[type] = JoinedSeries

    @property
    def noun(self) -> str:
        return "recordings" if self.kind == "sound" else "series"

    @property
    def rate(self) -> int | None:
        return self._store.rate  # type: ignore[attr-defined]

    @property
    def groups(self) -> tuple[str, ...] | None:
        groups = self._store.groups  # type: ignore[attr-defined]
        return None if groups is None else tuple(groups[int(i)] for i in self._indices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        series, label = super().__getitem__(index)
        return (series[:, 0] if self.kind == "sound" else series), label

    def size_hint(self) -> tuple[Any, bool]:
        """((median length,), whether all have it)."""
        (length, _), _ = super().size_hint()
        return (length,), bool((self.sizes[:, 0] == self.sizes[0, 0]).all())

    def channels_hint(self) -> int:
        """Numbers at each moment."""
        if not len(self):
            raise DataError(f"{self.name} has 0 recordings, hence no channels")
        return int(self.sizes[0, 1])

    def length_hint(self, share: float = 0.95) -> int:
        """The length in samples that `share` of the recordings do not exceed."""
        return int(np.quantile(self.sizes[:, 0], share, method="inverted_cdf"))

    def at_rate(self, rate: int) -> SeriesDataset:
        """The same recordings at another rate."""
        if rate == self.rate:
            return self
        return SeriesDataset(self._store.at(rate), self.labels, self.classes, self.name,  # type: ignore[attr-defined]
                             self.kind, self._indices)

    def hold_out(self, *groups: str) -> tuple[SeriesDataset, SeriesDataset]:
        """(rest, the recordings of these groups). Raises InputError for a group that is not there or is all there is."""
        names = self.groups
        if names is None:
            raise InputError(f"{self.name} does not say whom its recordings are of: name files CLASS_SPEAKER_TAKE.wav")
        missing = sorted(set(groups) - set(names))
        if missing:
            raise InputError(f"no {missing[0]!r} in {self.name}: there are {', '.join(sorted(set(names))[:10])}")
        part = np.isin(names, groups)
        if part.all():
            raise InputError(f"holding out {', '.join(groups)} leaves nothing to train on")
        return self.subset(~part), self.subset(part)  # type: ignore[return-value]

    def concat(self, other: Dataset) -> Dataset:
        if not isinstance(other, SeriesDataset) or (other.rate, other.kind) != (self.rate, self.kind):
            raise InputError(f"{self.name} and {other.name} differ in kind or rate: they cannot be joined")
        return super().concat(other)

    def arrays(self, size: Any = None, channels: int | None = None, fit: Any = "squash") -> np.ndarray:
        """All of them, float32 (N, T) for sound, (N, T, C) for series. A recording that cannot be read is silence and
        listed in `unreadable`."""
        (length,), channels = self._wanted(size, channels, fit)
        out = np.empty((len(self), length, channels), dtype=np.float32)
        with pool() as executor:
            for future in self._submit(executor, out, np.arange(len(self)), fit):
                future.result()
        return out[..., 0] if self.kind == "sound" else out

    def stream(self, batches: Iterable[np.ndarray], size: Any = None, channels: int | None = None, fit: Any = "squash"
               ) -> Iterator[tuple[Tensor, Tensor, np.ndarray]]:
        """For each array of indices (x float32 (n, T) or (n, C, T), y int64 (n,), the indices in it)."""
        for x, y, places in super().stream(batches, size, channels, fit):
            yield (x[:, 0] if self.kind == "sound" else x), y, places

    def describe(self) -> str:
        lines = [f"{self.name}: {len(self)} {self.noun} ({self.kind}), {len(self.classes)} classes"]
        if len(self):
            (length,), same = self.size_hint()
            seconds = f", {length / self.rate:.2g} s" if self.rate else ""
            rate = f", {self.rate:,} samples a second" if self.rate else ""
            lines.append(f"{'all' if same else 'median'} {length:,} samples{seconds}{rate}, {self.channels_hint()} channel"
                         + "s" * (self.channels_hint() > 1))
            if self.groups:
                lines.append(f"from {len(set(self.groups))}: {', '.join(sorted(set(self.groups))[:10])}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "rate": self.rate, "groups": sorted(set(self.groups)) if self.groups else None}

    def _wanted(self, size: Any, channels: int | None, fit: Any) -> tuple[Any, int]:
        have = self.channels_hint()
        if channels not in (None, have):
            raise InputError(f"channels={channels}: the {self.noun} of {self.name} have {have}")
        if size is None:
            size, same = self.size_hint()
            if not same:
                raise InputError(f"the {self.noun} of {self.name} differ in length: say size={self.length_hint()} (samples; "
                                 "95% are no longer) or another")
        length = size[0] if isinstance(size, tuple | list) and len(size) == 1 else size
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
            raise InputError(f"size={size!r}: give a length of 1 sample or more")
        return (int(length),), have
