"""What an attack hands back. Depends on NumPy; drawing is in `draw`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.attack.intervals import exact_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class AttackResult:
    """What one attack did to N images.

    originals, adversarials : (N, H, W, C), uint8, or float32 in 0..1 where `precision` is 'float'. Where the attack found
        nothing, or the clean image was wrong already, the adversarial is the original.
    success : (N,) bool: wrongly predicted (with `targets`: predicted as the target), verified in float32 one by one.
    eps : size of the ball; infinite for attacks that look for the smallest change, whose answer is `distances`.
    distances : (N,) from original to adversarial in `norm`, pixels of 0..1; 0 for clean errors, NaN where nothing was found.
    iterations : (N,) the step that broke it; 0 for clean errors, -1 where nothing was found.
    predicted_before, predicted_after, confidence_before, confidence_after : (N,) of original and adversarial.
    forwards, backwards : images that went through the network in each direction. seconds : wall-clock.
    """

    attack: str
    norm: str
    eps: float
    precision: str
    originals: np.ndarray
    adversarials: np.ndarray
    labels: np.ndarray
    targets: np.ndarray | None
    success: np.ndarray
    distances: np.ndarray
    iterations: np.ndarray
    predicted_before: np.ndarray
    predicted_after: np.ndarray
    confidence_before: np.ndarray
    confidence_after: np.ndarray
    classes: tuple[str, ...]
    seed: int
    forwards: int
    backwards: int
    seconds: float

    def __len__(self) -> int:
        return len(self.success)

    @property
    def clean_accuracy(self) -> float:
        return float((self.predicted_before == self.labels).mean())

    @property
    def robust_accuracy(self) -> float:
        """The share of images on which the attack had no success."""
        return float(1 - self.success.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval (Clopper and Pearson) of the robust accuracy."""
        return exact_interval(int((~self.success).sum()), len(self))

    def __str__(self) -> str:
        low, high = self.interval
        word = "withstand" if self.targets is None else "are not turned"
        size, standing = eps_text(self.eps, self.norm), int((~self.success).sum())
        return (f"{self.attack} {self.norm} eps {size}: {standing} of {len(self)} {word} "
                f"({self.robust_accuracy:.1%}, 95% interval {low:.1%} to {high:.1%}), clean {self.clean_accuracy:.1%}, "
                f"{self.forwards} forward and {self.backwards} backward passes, {self.seconds:.1f} s")

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pixels, JSON-able; NaN distances become None."""
        low, high = self.interval
        return {
            "attack": self.attack, "norm": self.norm, "eps": self.eps if np.isfinite(self.eps) else None, "precision": self.precision, "points": len(self),
            "targets": None if self.targets is None else self.targets.tolist(), "labels": self.labels.tolist(),
            "clean_accuracy": self.clean_accuracy, "robust_accuracy": self.robust_accuracy, "interval": [low, high],
            "success": self.success.tolist(), "iterations": self.iterations.tolist(),
            "distances": [None if np.isnan(d) else float(d) for d in self.distances],
            "predicted_before": self.predicted_before.tolist(), "predicted_after": self.predicted_after.tolist(),
            "confidence_before": [round(float(c), 6) for c in self.confidence_before],
            "confidence_after": [round(float(c), 6) for c in self.confidence_after],
            "seed": self.seed, "forwards": self.forwards, "backwards": self.backwards, "seconds": self.seconds,
        }

    def plot(self, most: int = 4) -> Figure:
        """Draw up to `most` broken images: original, perturbation magnified as stated, adversarial, both predictions."""
        from hubel.attack.draw import examples

        broken = np.flatnonzero(self.success & (self.iterations > 0))
        return examples(self, broken[:most])

    def _repr_html_(self) -> str:
        from hubel.attack.draw import as_html

        return as_html(self.plot(), str(self))


def eps_text(eps: float, norm: str = "linf") -> str:
    """'8/255' where it is that, else four digits; 'of any size' for an infinite one."""
    if eps == float("inf"):
        return "of any size"
    levels = eps * 255
    if norm == "linf" and eps > 0 and abs(levels - round(levels)) < 1e-3:
        return f"{round(levels)}/255"
    return f"{eps:.4g}"
