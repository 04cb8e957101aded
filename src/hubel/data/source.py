"""Source: what `load` returns, a training and a test set with all that must be said about them, and how it is split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hubel.data.dataset import Dataset, Skipped
from hubel.data.leaks import Leak, find_leaks
from hubel.data.split import sample_indices
from hubel.errors import DataError


@dataclass(frozen=True)
class Source:
    """A data set, split. `skipped` are the files left out at loading; `leaks` is filled by `with_leaks`."""

    name: str
    kind: str
    train: Dataset
    test: Dataset
    skipped: tuple[Skipped, ...] = ()
    leaks: tuple[Leak, ...] = ()
    own_split: bool = False  # whether the source came split, or `load` did it
    seed: int = 0
    held_out: tuple[str, ...] = ()  # of recordings, the speakers that are in the test set alone

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    def with_leaks(self) -> Source:
        """The same source with the test images that have a copy or near copy among the training images."""
        return replace(self, leaks=find_leaks(self.train, self.test))

    def describe(self) -> str:
        """A few lines for people."""
        split = "the source's own split" if self.own_split else f"split here, seed {self.seed}"
        if self.held_out:
            split += f", {', '.join(self.held_out)} held out"
        lines = [self.train.describe().replace(f"{self.train.name}:", f"{self.name}, to train on:", 1),
                 f"{len(self.test)} {self.test.noun} to test on ({split})"]
        if self.skipped:
            first = self.skipped[0]
            lines.append(f"{len(self.skipped)} files skipped, the first: {first.path}: {first.reason}")
        if self.leaks:
            exact = sum(leak.exact for leak in self.leaks)
            lines.append(f"{len(self.leaks)} test {self.test.noun} are also in the training set ({exact} exactly)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {"name": self.name, "kind": self.kind, "own_split": self.own_split, "seed": self.seed,
                "held_out": list(self.held_out),
                "train": self.train.to_dict(), "test": self.test.to_dict(),
                "skipped": [asdict(skipped) for skipped in self.skipped],
                "leaks": [asdict(leak) for leak in self.leaks]}


def limited(sets: Sequence[Any], limit: int | None, seed: int) -> list[Any]:
    """The sets with at most `limit` items in all (None: as they are), each class in proportion."""
    total = sum(map(len, sets))
    if limit is None or limit >= total:
        return list(sets)
    if len(sets) == 1:
        return [sets[0].subset(sample_indices(sets[0].labels, sets[0].classes, limit, seed, least=2))]
    train = min(max(1, round(limit * len(sets[0]) / total)), limit - 1)
    return [part.sample(count, seed) for part, count in zip(sets, (train, limit - train), strict=True)]


def divided(name: str, sets: Sequence[Dataset], skipped: tuple[Skipped, ...], seed: int, fraction: float) -> Source:
    """A Source from one set, split here by class, or from a training and a test set. DataError where that cannot be."""
    train = sets[0]
    present = [train.classes[k] for k in np.flatnonzero(train.counts)]
    if len(present) < 2:
        what = f"only one class, {present[0]!r}" if present else "nothing to train on"
        raise DataError(f"{name} has {what}{f' ({len(skipped)} files skipped)' if skipped else ''}: at least two "
                        "classes are needed")
    if len(sets) == 1:
        train, test = train.split(fraction, seed)
        return Source(name, train.kind, train, test, skipped, seed=seed)
    test = sets[1]
    unseen = [test.classes[k] for k in np.flatnonzero((test.counts > 0) & (train.counts == 0))]
    if unseen:
        raise DataError(f"{name}: class {unseen[0]!r} occurs in the test set only")
    if not len(test):
        raise DataError(f"{name} has nothing to test on")
    return Source(name, train.kind, train, test, skipped, own_split=True, seed=seed)
