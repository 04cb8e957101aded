"""What `robust_evaluation` hands back. Depends on result and intervals; drawing is in `draw`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.attack.distrust import Flag
from hubel.attack.intervals import exact_interval
from hubel.attack.result import AttackResult, eps_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class StageCount:
    """What one attack of the protocol did: on how many images (and sizes) it was tried, how many it broke, and its cost.
    After a kill -9, costs are those of the passes that were completed."""

    name: str
    tried: int
    broken: int
    forwards: int
    backwards: int
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """The robustness of N images at E sizes.

    epsilons : (E,) ascending. least : (N,) the smallest of them that broke an image; 0 for clean errors, NaN where it
        withstood all that was tried. broken_by : (N,) the attack that did it, 'clean' or ''.
    undecided : (E,) images on which not every attack was finished; they count as robust.
    smallest : an AttackResult with the adversarial of each image at its least eps, its distance and the step that found it.
    flags : reasons to distrust the numbers, in plain words. stopped : why it ended early, or None.
    """

    version: str
    epsilons: np.ndarray
    least: np.ndarray
    undecided: np.ndarray
    broken_by: np.ndarray
    stages: tuple[StageCount, ...]
    smallest: AttackResult
    flags: tuple[Flag, ...]
    stopped: str | None
    seconds: float

    def __len__(self) -> int:
        return len(self.least)

    @property
    def norm(self) -> str:
        return self.smallest.norm

    @property
    def clean_accuracy(self) -> float:
        return self.smallest.clean_accuracy

    def robust(self, eps: float | None = None) -> np.ndarray:
        """Return (N,) whether nothing broke an image at `eps`, by default the largest size."""
        size = self.epsilons[-1] if eps is None else eps
        return ~(self.least <= size * (1 + 1e-9))

    @property
    def accuracies(self) -> np.ndarray:
        """Robust accuracy (E,): upper bounds, as all found by attacking."""
        return np.array([self.robust(e).mean() for e in self.epsilons])

    @property
    def robust_accuracy(self) -> float:
        """At the largest size."""
        return float(self.robust().mean())

    @property
    def intervals(self) -> np.ndarray:
        """95% intervals (E, 2) of the accuracies (Clopper and Pearson)."""
        return np.array([exact_interval(int(self.robust(e).sum()), len(self)) for e in self.epsilons])

    @property
    def interval(self) -> tuple[float, float]:
        low, high = self.intervals[-1]
        return float(low), float(high)

    def __str__(self) -> str:
        lines = [f"{self.version} evaluation, {self.norm}, {len(self)} images, clean accuracy {self.clean_accuracy:.1%}, "
                 f"{self.seconds:.1f} s"]
        if self.stopped:
            lines.append(f"stopped early ({self.stopped}): undecided images count as robust")
        for e, a, (low, high), left in zip(self.epsilons, self.accuracies, self.intervals, self.undecided, strict=True):
            lines.append(f"  eps {eps_text(float(e), self.norm):>7}: robust accuracy {a:6.1%}  (95%: {low:.1%} to {high:.1%})"
                         + (f", {left} undecided" if left else ""))
        for s in self.stages:
            lines.append(f"  {s.name:9} broke {s.broken:4} of {s.tried:4}, {s.forwards:,} forward and {s.backwards:,} backward "
                         f"passes, {s.seconds:.1f} s")
        return "\n".join(lines + [str(flag) for flag in self.flags])

    def to_dict(self) -> dict[str, Any]:
        """Return everything but pixels, JSON-able."""
        return {
            "version": self.version, "norm": self.norm, "images": len(self), "epsilons": self.epsilons.tolist(),
            "clean_accuracy": self.clean_accuracy, "robust_accuracy": self.accuracies.tolist(),
            "intervals": self.intervals.tolist(), "undecided": self.undecided.tolist(),
            "least": [None if np.isnan(v) else float(v) for v in self.least], "broken_by": self.broken_by.tolist(),
            "stages": [vars(s) for s in self.stages], "flags": [f.to_dict() for f in self.flags], "stopped": self.stopped,
            "seconds": self.seconds, "smallest": self.smallest.to_dict(),
        }

    def plot(self) -> Figure:
        """Draw robust accuracy against eps with intervals, and under it which attack broke how much."""
        from hubel.attack.draw import evaluation

        return evaluation(self)

    def plot_examples(self, most: int = 4) -> Figure:
        """Draw the least robust images: original, perturbation, adversarial, and the least eps."""
        from hubel.attack.draw import examples

        known = np.flatnonzero((self.least > 0) & np.isfinite(self.least))
        order = known[np.lexsort((self.smallest.distances[known], self.least[known]))]
        return examples(self.smallest, order[:most], f"The least robust images ({self.norm})")

    def _repr_html_(self) -> str:
        from hubel.attack.draw import as_html

        return as_html(self.plot(), str(self))
