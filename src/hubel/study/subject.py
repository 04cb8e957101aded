"""The subject of a study: a model and the data it is studied on, and samples of the data as the verbs want them.

Depends on model and data. The same samples are drawn while a study is made and when it is opened again, so that the
Python under a figure makes the same figure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.data import Dataset, Source
from hubel.errors import DataError, ModelError


@dataclass(frozen=True)
class Subject:
    """`model` may have more classes than the data (a network for ImageNet on ten of its classes), by the same names."""

    model: Any
    source: Source
    seed: int = 0

    @cached_property
    def to_model(self) -> np.ndarray:
        """int64 (K,): for each class of the data the model's class of that name. ModelError if one has none."""
        return match_classes(self.source.classes, self.model.classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """The data's names for the model's classes where it has any."""
        names = list(self.model.classes)
        for name, place in zip(self.source.classes, self.to_model, strict=True):
            names[place] = name
        return tuple(names)

    @cached_property
    def test(self) -> Dataset:
        return self.source.test

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """`count` test images, each class in proportion: (x (N, C, H, W) in 0..1 at the model's size, y int64 (N,)).

        y are the model's classes. All test images, if there are no more.
        """
        return self.tensors(self.draw(count))

    def draw(self, count: int) -> Dataset:
        """The images of `sample` as a Dataset. Fewer than there are classes: any, drawn with the seed."""
        count = min(count, len(self.test))
        if count >= len(np.unique(self.test.labels)):
            return self.test.sample(count, self.seed)
        return self.test.subset(np.sort(np.random.default_rng([self.seed, 3]).permutation(len(self.test))[:count]))

    def images(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The test images at these places, as `sample` gives them."""
        return self.tensors(self.test.subset(np.asarray(indices)))

    def tensors(self, dataset: Dataset) -> tuple[Tensor, Tensor]:
        pixels = dataset.arrays(self.size, self.channels)
        return self.model.prepare(pixels), torch.from_numpy(self.to_model[dataset.labels])

    @property
    def size(self) -> tuple[int, int]:
        return self.model.size or self.test.size_hint()[0]

    @property
    def channels(self) -> int:
        if self.model.channels is None:
            raise ModelError("the model takes arrays of numbers, not images: hubel study is for images")
        return int(self.model.channels)


def match_classes(names: Sequence[str], of_model: Sequence[str]) -> np.ndarray:
    """For each name its place among the model's classes: by name, without regard to case, '_' and '-'."""
    places: dict[str, int] = {}
    for place, name in enumerate(of_model):
        for synonym in (name, *name.split(",")):
            places.setdefault(_plain(synonym), place)
    missing = [name for name in names if _plain(name) not in places]
    if missing:
        shown = ", ".join(list(of_model)[:4]) + (", ..." if len(of_model) > 4 else "")
        raise ModelError(f"the model has no class {missing[0]!r} ({len(missing)} of the data's {len(names)} are missing; "
                         f"it has {len(of_model)}: {shown}): give the folders its names, or train a model on the data")
    found = np.array([places[_plain(name)] for name in names], dtype=np.int64)
    if len(set(found.tolist())) < len(found):
        raise DataError("two classes of the data have the same name in the model: join their folders")
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().lower())
