"""Dataset: a row of labelled images, wherever they lie. Depends on `store`, `split`, `parallel`; torch for batches."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hubel.data.parallel import pool, workers
from hubel.data.resize import Fit, check_channels, check_fit, parse_size
from hubel.data.split import sample_indices, split_indices
from hubel.data.store import JoinedStore, Store
from hubel.errors import DataError, InputError

if TYPE_CHECKING:
    from torch import Tensor

_GREY_TOLERANCE = 4  # levels between channels that JPEG's rounding may cause
_SAMPLE = 64


@dataclass(frozen=True)
class Skipped:
    """A file that could not be used."""

    path: str
    reason: str


class Dataset:
    """Labelled images: `len(ds)`, `ds[i] -> (uint8 (H, W, C), int)`, iteration. Never changes once made.

    Attributes
    ----------
    classes : the names, in the order of the labels.
    labels : int64 (N,), 0..K-1, read-only.
    noun : what its items are called, 'images'.
    name, kind : kind is 'photo', 'digit' (never mirrored) or 'image'; augmentation and the default network go by it.
    sizes : int32 (N, 2), heights and widths.
    """

    dtype: ClassVar[type] = np.uint8
    joining: ClassVar[type] = JoinedStore

    @property
    def noun(self) -> str:
        return "images"

    def __init__(self, store: Store, labels: np.ndarray, classes: Sequence[str], name: str, kind: str,
                 indices: np.ndarray | None = None) -> None:
        self._store = store
        self._indices = np.arange(len(store.sizes)) if indices is None else np.asarray(indices, dtype=np.int64)
        self.labels = np.array(labels, dtype=np.int64)
        self.labels.flags.writeable = False
        self.classes, self.name, self.kind = tuple(classes), name, kind
        if len(self.labels) != len(self._indices):
            raise DataError(f"{name}: {len(self._indices)} images with {len(self.labels)} labels: give one label each")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise DataError(f"{name}: labels {self.labels.min()}..{self.labels.max()} with {len(self.classes)} classes")
        self._channels: int | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        return self._store.read(int(self._indices[index])), int(self.labels[index])

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {len(self)} {self.noun}, {len(self.classes)} classes, {self.kind}>"

    # ---- what is in it -----------------------------------------------------------------------------------------

    @property
    def sizes(self) -> np.ndarray:
        return self._store.sizes[self._indices]

    @property
    def paths(self) -> tuple[Path, ...] | None:
        """The files, or None where the images are not files of their own."""
        paths = [self._store.path(int(i)) for i in self._indices]
        return None if any(path is None for path in paths) else tuple(p for p in paths if p is not None)

    @property
    def counts(self) -> np.ndarray:
        """int64 (K,): images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    def size_hint(self) -> tuple[tuple[int, int], bool]:
        """The median (H, W), and whether all images have that size."""
        if not len(self):
            raise DataError(f"{self.name} has 0 images, hence no size")
        median = np.median(self.sizes, axis=0)
        return (int(median[0]), int(median[1])), bool((self.sizes == self.sizes[0]).all())

    def channels_hint(self) -> int:
        """1 if all images of a sample (64, evenly spread) are grey, though they may be stored as colour; else 3."""
        if not len(self):
            raise DataError(f"{self.name} has 0 images, hence no channels")
        if self._channels is None:
            places = np.unique(np.linspace(0, len(self) - 1, min(len(self), _SAMPLE)).astype(np.int64))
            for batch in self._chunks([places], (64, 64), 3, "squash"):
                pixels = batch[0].astype(np.int16)
                spread = (pixels.max(axis=3) - pixels.min(axis=3)).max()
            self._channels = 1 if spread <= _GREY_TOLERANCE else 3
        return self._channels

    @property
    def unreadable(self) -> tuple[Skipped, ...]:
        """Files that were fine, or not fully checked, at loading and could not be decoded later."""
        failures = self._store.failures
        return tuple(Skipped(str(self._store.path(int(i))), failures[int(i)])
                     for i in self._indices if int(i) in failures)

    def fingerprint(self) -> str:
        """A short hash of images (of files: their names and lengths), labels and classes."""
        digest = hashlib.blake2b(self._store.identity(self._indices), digest_size=16)
        digest.update(self.labels.tobytes() + "\0".join(self.classes).encode())
        return digest.hexdigest()

    def describe(self) -> str:
        """A few lines for people."""
        counts = self.counts
        lines = [f"{self.name}: {len(self)} images ({self.kind}), {len(self.classes)} classes"]
        if len(self):
            (height, width), same = self.size_hint()
            colour = "grey" if self.channels_hint() == 1 else "colour"
            lines.append(f"{'all' if same else 'median'} {height} x {width} pixels (height x width), {colour}")
            each = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
            lines.append(f"{each} images a class: {', '.join(self.classes[:10])}{', ...' * (len(counts) > 10)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        hint = self.size_hint() if len(self) else None
        return {"name": self.name, "kind": self.kind, "images": len(self), "classes": list(self.classes),
                "counts": self.counts.tolist(), "size": list(hint[0]) if hint else None,
                "one_size": hint[1] if hint else None, "channels": self.channels_hint() if len(self) else None,
                "unreadable": [vars(skipped) for skipped in self.unreadable]}

    # ---- parts of it -------------------------------------------------------------------------------------------

    def subset(self, indices: Any) -> Dataset:
        """The images at `indices` (integers or a boolean mask), in that order, with the same classes."""
        chosen = np.asarray(indices)
        if chosen.dtype == bool and chosen.shape == (len(self),):
            chosen = np.flatnonzero(chosen)
        if chosen.size == 0:
            chosen = np.zeros(0, dtype=np.int64)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise InputError(f"indices of shape {chosen.shape} and type {chosen.dtype}: give a list of integers or a "
                             f"mask of {len(self)}")
        if chosen.size and not -len(self) <= chosen.min() <= chosen.max() < len(self):
            raise InputError(f"indices {chosen.min()}..{chosen.max()} of a set of {len(self)} images")
        return type(self)(self._store, self.labels[chosen], self.classes, self.name, self.kind, self._indices[chosen])

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """(rest, part): `part` has round(fraction * N) images, each class in proportion and at least one on either
        side. The same seed gives the same split. Raises DataError naming a class of one image."""
        rest, part = split_indices(self.labels, self.classes, fraction, seed)
        return self.subset(rest), self.subset(part)

    def sample(self, count: int, seed: int = 0) -> Dataset:
        """`count` images (all, if there are fewer), each class in proportion and with one at least."""
        return self.subset(sample_indices(self.labels, self.classes, count, seed))

    def readable(self) -> Dataset:
        """Without what has turned out `unreadable` so far."""
        failures = self._store.failures
        return self.subset(np.array([int(i) not in failures for i in self._indices], dtype=bool))

    def concat(self, other: Dataset) -> Dataset:
        """This set followed by another one with the same classes."""
        if self.classes != other.classes:
            raise InputError(f"{self.name} and {other.name} have different classes: they cannot be joined")
        places = np.concatenate([self._indices, other._indices + len(self._store.sizes)])
        labels = np.concatenate([self.labels, other.labels])
        return type(self)(self.joining([self._store, other._store]), labels, self.classes, self.name, self.kind, places)

    # ---- its pixels --------------------------------------------------------------------------------------------

    def arrays(self, size: Any = None, channels: int | None = None, fit: Fit = "squash") -> np.ndarray:
        """All images as uint8 (N, H, W, C), decoded by all cores straight into the result.

        `size` None is the images' own size if they share one, `channels` None is `channels_hint()`. Row i belongs to
        `labels[i]`, always: an image that cannot be decoded is mid-grey and listed in `unreadable`.
        """
        (height, width), channels = self._wanted(size, channels, fit)
        out = np.empty((len(self), height, width, channels), dtype=np.uint8)
        with pool() as executor:
            for future in self._submit(executor, out, np.arange(len(self)), fit):
                future.result()
        return out

    def batches(self, batch_size: int, size: Any = None, channels: int | None = None, *, shuffle: int | None = None,
                epoch: int = 0, fit: Fit = "squash") -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (uint8 (n, C, H, W), int64 (n,)) tensors, decoded a few batches ahead of the reader.

        `shuffle` is the seed of the order, new in each `epoch`; None keeps the order. The last batch may be smaller.
        Images that cannot be decoded are left out, with their labels.
        """
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: give at least 1")
        order = np.arange(len(self))
        if shuffle is not None:
            order = np.random.default_rng([shuffle, epoch]).permutation(len(self))
        cuts = (order[start:start + batch_size] for start in range(0, len(self), batch_size))
        return ((x, y) for x, y, _ in self.stream(cuts, size, channels, fit))

    def stream(self, batches: Iterable[np.ndarray], size: Any = None, channels: int | None = None,
               fit: Fit = "squash") -> Iterator[tuple[Tensor, Tensor, np.ndarray]]:
        """For each array of indices yield (x uint8 (n, C, H, W), y int64 (n,), the indices in it).

        x lies in memory as channels-last. A bounded number of batches is decoded ahead; what cannot be decoded is
        left out of all three.
        """
        import torch

        wanted, channels = self._wanted(size, channels, fit)
        for pixels, places in self._chunks(batches, wanted, channels, fit):
            failures = self._store.failures
            if failures:
                good = np.array([int(i) not in failures for i in self._indices[places]], dtype=bool)
                pixels, places = pixels[good], places[good]
            if len(places):
                yield torch.from_numpy(pixels).movedim(-1, 1), torch.from_numpy(self.labels[places]), places

    def _wanted(self, size: Any, channels: int | None, fit: Fit) -> tuple[tuple[int, int], int]:
        check_fit(fit)
        check_channels(channels)
        if size is None:
            size, same = self.size_hint()
            if not same:
                raise InputError(f"the images of {self.name} differ in size: say size=({size[0]}, {size[1]}) (their "
                                 "median) or another")
        return parse_size(size), channels or self.channels_hint()

    def _submit(self, executor: ThreadPoolExecutor, out: np.ndarray, places: np.ndarray, fit: Fit
                ) -> list[Future[None]]:
        rows, step = self._indices[places], self._store.chunk
        return [executor.submit(self._store.fill, out[i:i + step], rows[i:i + step], fit)
                for i in range(0, len(rows), step)]

    def _chunks(self, batches: Iterable[np.ndarray], size: tuple[int, int], channels: int, fit: Fit
                ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        waiting: deque[tuple[np.ndarray, np.ndarray, list[Future[None]]]] = deque()
        with pool() as executor:
            for places in batches:
                out: np.ndarray = np.empty((len(places), *size, channels), dtype=self.dtype)
                waiting.append((out, places, self._submit(executor, out, places, fit)))
                if len(waiting) > 2 and sum(len(futures) for _, _, futures in waiting) > 2 * workers():
                    yield _finished(waiting.popleft())
            while waiting:
                yield _finished(waiting.popleft())


def _finished(work: tuple[np.ndarray, np.ndarray, list[Future[None]]]) -> tuple[np.ndarray, np.ndarray]:
    out, places, futures = work
    for future in futures:
        future.result()
    return out, places
