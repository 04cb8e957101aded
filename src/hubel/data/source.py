"""Source: what `load` returns, a training and a test set with all that must be said about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from hubel.data.dataset import Dataset, Skipped
from hubel.data.leaks import Leak, find_leaks


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

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    def with_leaks(self) -> Source:
        """The same source with the test images that have a copy or near copy among the training images."""
        return replace(self, leaks=find_leaks(self.train, self.test))

    def describe(self) -> str:
        """A few lines for people."""
        split = "the source's own split" if self.own_split else f"split here, seed {self.seed}"
        lines = [self.train.describe().replace(f"{self.train.name}:", f"{self.name}, to train on:", 1),
                 f"{len(self.test)} images to test on ({split})"]
        if self.skipped:
            first = self.skipped[0]
            lines.append(f"{len(self.skipped)} files skipped, the first: {first.path}: {first.reason}")
        if self.leaks:
            exact = sum(leak.exact for leak in self.leaks)
            lines.append(f"{len(self.leaks)} test images are also in the training set ({exact} exactly)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {"name": self.name, "kind": self.kind, "own_split": self.own_split, "seed": self.seed,
                "train": self.train.to_dict(), "test": self.test.to_dict(),
                "skipped": [asdict(skipped) for skipped in self.skipped],
                "leaks": [asdict(leak) for leak in self.leaks]}
