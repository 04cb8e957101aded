"""Where the loop's batches come from: tensors in memory, or a data set decoded from disk as it is needed.

The protocol `BatchSource` is all the loop knows. Images are uint8 (0..255) or float (0..1), N x C x H x W; vectors
(N, d) and series (N, C, L) are float.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.training.randomness import permutation


class Batch(NamedTuple):
    x: Tensor  # uint8 or float, (n, ...)
    y: Tensor  # (n,) or (n, ...)
    places: np.ndarray  # int64 (n,): where in the source


@runtime_checkable
class BatchSource(Protocol):
    """A number of samples that come in batches, in an order that depends on (seed, epoch) only."""

    classes: int | None  # of integer labels, None for other targets

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, seed: int, batch_size: int, start_batch: int = 0,
              shuffle: bool = True) -> Iterator[Batch]:
        """The epoch's batches from `start_batch` on, `steps(len(self), batch_size)` in all, bounded by `bounds`."""
        ...

    def fetch(self, index: np.ndarray) -> tuple[Tensor, Tensor]:
        """The samples at these places."""
        ...

    def fingerprint(self) -> str:
        """A short hash that tells this data from other data."""
        ...


def steps(count: int, batch_size: int) -> int:
    return -(-count // batch_size)


def bounds(count: int, batch_size: int, batch: int) -> tuple[int, int]:
    """Begin and end of a batch. The batches of an epoch differ by one sample at most: no rump of one sample, on which
    batch norm would fail, and no sample left out."""
    number = steps(count, batch_size)
    return count * batch // number, count * (batch + 1) // number


def epoch_order(count: int, epoch: int, seed: int, shuffle: bool) -> np.ndarray:
    return permutation(seed, epoch, count) if shuffle else np.arange(count)


class ArraySource:
    """Tensors in memory; a batch is gathered from them when it is asked for, and nothing else is kept."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x = torch.as_tensor(x)
        self.y = torch.as_tensor(y)
        if len(self.x) != len(self.y):
            raise InputError(f"{len(self.x)} inputs with {len(self.y)} targets: give one target per input")
        if len(self.x) == 0:
            raise InputError("there are 0 samples to train on: give at least one")
        if self.x.dtype != torch.uint8 and not self.x.is_floating_point():
            raise InputError(f"inputs of type {self.x.dtype}: give uint8 0..255 or float 0..1")
        if self.x.dtype in (torch.float64, torch.float16, torch.bfloat16):
            self.x = self.x.float()
        self.classes = None
        if not self.y.is_floating_point() and self.y.reshape(len(self.y), -1).shape[1] == 1:
            self.y = self.y.reshape(-1).long()
            if int(self.y.min()) < 0:
                raise InputError(f"label {int(self.y.min())} is negative: classes are 0..K-1")
            self.classes = int(self.y.max()) + 1
        elif self.y.dtype == torch.float64:
            self.y = self.y.float()

    def __len__(self) -> int:
        return len(self.x)

    def epoch(self, epoch: int, seed: int, batch_size: int, start_batch: int = 0,
              shuffle: bool = True) -> Iterator[Batch]:
        order = epoch_order(len(self), epoch, seed, shuffle)
        for batch in range(start_batch, steps(len(self), batch_size)):
            begin, end = bounds(len(self), batch_size, batch)
            if shuffle:
                index = order[begin:end]
                yield Batch(*self.fetch(index), index)
            else:
                yield Batch(self.x[begin:end], self.y[begin:end], order[begin:end])

    def fetch(self, index: np.ndarray) -> tuple[Tensor, Tensor]:
        places = torch.from_numpy(np.ascontiguousarray(index)).to(self.x.device)
        return self.x.index_select(0, places), self.y.index_select(0, places.to(self.y.device))

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for tensor in (self.x, self.y):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            step = max(1, tensor.numel() * tensor.element_size() // 2**28)  # a quarter of a GB is read at most
            digest.update(tensor[::step].cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()


def as_source(data: Any) -> BatchSource:
    """A BatchSource as it is, or a pair (x, y) of arrays or tensors."""
    if isinstance(data, BatchSource):
        return data
    if isinstance(data, tuple | list) and len(data) == 2:
        return ArraySource(data[0], data[1])
    raise InputError(f"training data of type {type(data).__name__}: give a pair (x, y) or a BatchSource")


class DatasetSource:
    """A `hubel.data.Dataset` decoded from disk as it is needed, at one size, a few batches ahead of the network."""

    def __init__(self, dataset: Any, size: Any = None, channels: int | None = None, fit: str = "squash") -> None:
        self.dataset, self.size, self.channels, self.fit = dataset, size, channels, fit
        self.classes: int | None = len(dataset.classes)
        self.kind = dataset.kind
        if len(dataset) == 0:
            raise InputError("there are 0 samples to train on: give at least one")

    def __len__(self) -> int:
        return len(self.dataset)

    def epoch(self, epoch: int, seed: int, batch_size: int, start_batch: int = 0,
              shuffle: bool = True) -> Iterator[Batch]:
        order = epoch_order(len(self), epoch, seed, shuffle)
        cuts = (slice(*bounds(len(self), batch_size, b)) for b in range(start_batch, steps(len(self), batch_size)))
        stream = self.dataset.stream((order[cut] for cut in cuts), self.size, self.channels, self.fit)
        return (Batch(*found) for found in stream)

    def fetch(self, index: np.ndarray) -> tuple[Tensor, Tensor]:
        chosen = self.dataset.subset(index)
        pixels = torch.from_numpy(chosen.arrays(self.size, self.channels, self.fit))
        return pixels.permute(0, 3, 1, 2), torch.from_numpy(np.array(chosen.labels))

    def fingerprint(self) -> str:
        return f"{self.dataset.fingerprint()} {self.size} {self.channels} {self.fit}"
