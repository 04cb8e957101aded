"""What the loop works on: points to attack, tasks, and hits. Depends on streams and threat."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from hubel.attack.streams import sample_keys
from hubel.attack.threat import length


@dataclass(frozen=True)
class Task:
    """One sample in one run. `eps` in pixels of 0..1; `toward` the class a loss aims at, or -1; `start` a point."""

    index: int
    eps: float
    run: int = 0
    toward: int = -1
    start: Tensor | None = None


@dataclass(frozen=True)
class Hit:
    """A confirmed success: the point (C, H, W), its distance, what it is taken for and how surely, and when."""

    task: Task
    point: Tensor
    distance: float
    predicted: int
    confidence: float
    step: int


@dataclass(frozen=True)
class Ended:
    """A search for the smallest change that has ended: the nearest point (C, H, W) that broke the fast copy, and when."""

    task: Task
    nearest: Tensor
    step: int


@dataclass
class Points:
    """What is attacked: `x` (N, C, H, W) in 0..1 (8-bit levels where `exact`), `y` (N,), and wanted classes or None.

    `success` is a wrong prediction, or where `targets` are given the wanted one.
    """

    x: Tensor
    y: Tensor
    norm: str
    exact: bool = True
    targets: Tensor | None = None
    seed: int = 0
    keys: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.keys:
            self.keys = sample_keys((self.x * 255).round().to(torch.uint8) if self.exact else self.x, self.y, self.seed)

    def distance(self, q: Tensor, index: Tensor) -> Tensor:
        """Return the sizes (N,) of the changes from the originals to `q`, in double precision."""
        d = q.double() - self.x[index].double()
        if not self.exact or self.norm == "l0":
            return length(d, self.norm).double()
        return length((d * 255).round_(), self.norm).double() / 255

    def broken(self, predicted: Tensor, index: Tensor) -> Tensor:
        return predicted != self.y[index] if self.targets is None else predicted == self.targets[index]
