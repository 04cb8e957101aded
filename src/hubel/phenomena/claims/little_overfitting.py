"""Claim 14: the networks that can learn any labels show little over-fitting when the labels are true.

Networks of growing size, up to several hundred parameters for each training digit, trained long after they fit them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, as_percent, line, slide
from hubel.phenomena.many import Curve, train_many
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    14, "Little over-fitting on true labels",
    "Networks that could learn random labels by heart show little over-fitting when they are trained on the true ones.",
    "Zhang et al. 2017 (arXiv:1611.03530); lecture 10, demo keras_demo_mnist",
    needs=(Need("train", "training accuracy of the largest networks", at_least=0.999, percent=True),
           Need("gap", "training minus test accuracy of the largest networks", at_most=0.05, percent=True),
           Need("longer", "test accuracy lost from its best moment to the end of training", at_most=0.01, percent=True),
           Need("larger", "test accuracy of the largest networks minus that of the smallest that fits", at_least=-0.005,
                percent=True)),
    seconds=(66, 10, 2),
)
QUICK = {"runs": 3, "steps": 800, "widths": (8, 64, 512)}
SMALLEST = {"runs": 3, "steps": 300, "widths": (16, 256), "train": 600}


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
                         nn.Linear(width, 10))


def measure(seed: int = 0, runs: int = 5, train: int = 1200, steps: int = 2500,
            widths: Sequence[int] = (4, 8, 16, 32, 64, 128, 512)) -> Findings:
    split = data.digits(train, seed)
    parameters, ends = [], []
    for width in widths:
        curve = Curve(split.x_test, split.y_test)
        many = train_many(partial(network, width), runs, split.x, split.y, steps=steps, batch_size=60, learning_rate=0.05,
                          seed=seed,
                          watch=curve, every=max(steps // 40, 1))
        parameters.append(sum(p.numel() for p in network(width).parameters()))
        curves = curve.accuracy
        ends.append([1 - many.errors(split.x, split.y).numpy(), curves[:, -1]])
    found = np.array(ends)  # (widths, train and test, runs)
    smallest = int((found[:, 0].mean(1) > 0.999).argmax())
    tail = curves[:, -max(len(curves[0]) // 10, 1):].mean(1)
    numbers = {"train": mean(found[-1, 0]), "gap": mean(found[-1, 0] - found[-1, 1]),
               "longer": mean(smoothed(curves).max(1) - tail),
               "larger": mean(found[-1, 1] - found[smallest, 1])}
    remark = (f"{parameters[-1]:,} parameters, {parameters[-1] / train:.0f} for each digit, and no regularisation but "
              f"descent itself: {found[-1, 0].mean():.1%} on the training set, {found[-1, 1].mean():.1%} on new digits. "
              "The gap is there; it does not grow with size or time.")
    return Findings(numbers, remark, {"parameters": parameters, "found": found, "curves": curves, "steps": curve.steps,
                                      "train": train})


def smoothed(curves: np.ndarray, over: int = 3) -> np.ndarray:
    """A running mean, so that the best moment is not the luckiest."""
    over = min(over, curves.shape[1])
    return np.apply_along_axis(lambda c: np.convolve(c, np.ones(over) / over, "valid"), 1, curves)


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    line(left, e["parameters"], e["found"][:, 0].T, "training", WORST)
    line(left, e["parameters"], e["found"][:, 1].T, "test", MAIN)
    left.axvline(10 * e["train"], color="gray", ls=":", lw=1)
    left.set(xscale="log", xlabel="parameters", title="Accuracy by size")
    left.legend(loc="lower right")
    line(right, e["steps"], e["curves"], "test", MAIN, marker="")
    right.set(xlabel="steps", title="Test accuracy of the largest, over time", ylim=(0.9, 1.0))
    for a in (left, right):
        as_percent(a)
    return figure
