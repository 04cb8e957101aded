"""The inputs a verb goes over: a data set, an array or a tensor, in batches at the model's size. Depends on torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import DataError

BATCH = 16


def count(data: Any) -> int:
    """How many images there are; raises DataError when none."""
    number = len(data)
    if number == 0:
        raise DataError("there are 0 images to look at: give at least one")
    return number


def batches(model: Any, data: Any, batch_size: int = BATCH, start: int = 0) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Yield (images (n, C, H, W) float 0..1 at the model's size, their places int64 (n,)) from place `start` on.

    `data` is a `hubel.data.Dataset` (decoded ahead, in bounded memory), or any indexable batch of images that
    `model.prepare` takes.
    """
    cuts = [np.arange(i, min(i + batch_size, count(data))) for i in range(start, count(data), batch_size)]
    if hasattr(data, "stream"):
        for pixels, _, places in data.stream(iter(cuts), size=model.size, channels=model.channels):
            yield pixels.float().div_(255), places
    else:
        for places in cuts:
            yield model.prepare(data[int(places[0]) : int(places[-1]) + 1]).float(), places


def at(model: Any, data: Any, places: Sequence[int]) -> Tensor:
    """Return the images at these places (n, C, H, W) in 0..1 at the model's size."""
    order = np.asarray(places, dtype=np.int64)
    if hasattr(data, "stream"):
        parts = list(data.stream(iter([order]), size=model.size, channels=model.channels))
        if not parts or len(parts[0][2]) != len(order):
            raise DataError("an image that could be read before cannot be read now: check the files of the data set")
        return parts[0][0].float() / 255
    if isinstance(data, Tensor):
        return model.prepare(data[torch.from_numpy(order)]).float()
    return model.prepare([data[int(i)] for i in order] if isinstance(data, list) else np.asarray(data)[order]).float()


def spread(number: int, most: int) -> list[int]:
    """Return up to `most` places evenly spread over 0..number - 1."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(np.int64)).tolist()
