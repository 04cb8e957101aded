"""How much of everything a study does: samples and steps, from what one image costs and how much time there is.

The cost of a network is known from its multiply-adds, so that without `minutes` the plan, and with it every number of
the report, does not depend on how fast or busy the machine is. Depends on the standard library.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# What a core of the smallest machine in mind does in a second, forward and backward, in bf16 or not: multiply-adds.
# Measured with EfficientNet-Lite0 (0.4 G an image): 14.5 ms for an input gradient on two cores, three times a forward.
NOMINAL = 4e10
OVERHEAD = 2e5  # multiply-adds' worth of a tiny network's layers per image
EMBEDDED = 0.012  # seconds for the pretrained features of one image

# what a stage may take where nothing else is asked
SECONDS = {"exciting": 20.0, "classes": 15.0, "attack": 60.0, "labels": 60.0}
SHARES = {"training": 0.5, "exciting": 0.08, "classes": 0.07, "attack": 0.2, "labels": 0.1}  # of `minutes`


@dataclass(frozen=True)
class Plan:
    """Sizes of samples. Images are test images; steps are gradient steps."""

    attacked: int
    attack_steps: int
    excited: int
    layers: int
    units: int
    per_unit: int
    classes: int
    class_steps: int
    decisions: int
    mistakes: int
    draws: int
    labelled: int
    labelled_test: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def words(self) -> str:
        return (f"{self.attacked} images attacked with {self.attack_steps} steps, {self.excited:,} images searched for "
                f"exciting ones, {self.draws} draws of few labels")


def make_plan(multiply_adds: float, test_images: int, classes: int, minutes: float | None = None,
              rate: float = NOMINAL) -> Plan:
    """A plan for a network of `multiply_adds` an image. `rate` is what the machine does in a second, if it was measured."""
    forward = max(multiply_adds, OVERHEAD) / rate  # seconds
    gradient = 3 * forward
    seconds = {stage: 60 * minutes * SHARES[stage] if minutes else limit for stage, limit in SECONDS.items()}
    steps = 20
    # Nine sizes of eps, but a point broken at one size needs no search at the larger ones, and most break early in a
    # search: about three whole searches a point.
    attacked = _round(seconds["attack"] / (3 * steps * gradient))
    shown = min(classes, 12)
    embedded = max(20 * classes, int(seconds["labels"] / EMBEDDED / 3))  # a third are test images
    class_steps = int(min(256, max(96, seconds["classes"] / (max(shown, 1) * gradient))))
    return Plan(attacked=max(8, min(attacked, 256, test_images)), attack_steps=steps,
                excited=max(16, min(test_images, int(seconds["exciting"] / (2 * forward)), 10_000)),
                layers=2, units=8, per_unit=6, classes=shown, class_steps=class_steps, decisions=6, mistakes=12,
                draws=5 if minutes and minutes < 2 else 10, labelled=2 * embedded,
                labelled_test=max(1, min(test_images, embedded, 2000)))


def _round(number: float) -> int:
    """Down to 8, 16, 32, 64, 96, 128, 192, 256: numbers that say that they are choices."""
    return max((n for n in (8, 16, 32, 64, 96, 128, 192, 256) if n <= number), default=8)
