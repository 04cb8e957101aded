from __future__ import annotations

from dataclasses import dataclass

from hubel.data.dataset import Dataset


@dataclass(frozen=True)
class Leak:
    train_index: int
    test_index: int
    exact: bool
    distance: float


def find_leaks(train: Dataset, test: Dataset) -> tuple[Leak, ...]:
    raise NotImplementedError
