"""Claim 9: dropout prevents over-fitting.

Large networks on few digits, with and without dropout, trained until the training set is learned by heart.
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
    9, "Dropout",
    "Dropout prevents over-fitting.",
    "Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014; lecture 10",
    needs=(Need("gain", "test accuracy that dropout adds, mean over sizes of the training set", at_least=0.0, percent=True),
           Need("gap", "gap between training and test accuracy with dropout over that without", at_most=0.9)),
    seconds=(34, 6, 2),
)
QUICK = {"runs": 6, "steps": 500, "sizes": (50, 200)}
SMALLEST = {"runs": 4, "steps": 150, "sizes": (50,)}


def network(rate: float) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(rate / 2), nn.Linear(64, 200), nn.ReLU(), nn.Dropout(rate),
                         nn.Linear(200, 200),
                         nn.ReLU(), nn.Dropout(rate), nn.Linear(200, 10))


def measure(seed: int = 0, runs: int = 6, steps: int = 600, sizes: Sequence[int] = (50, 100, 200, 500),
            rate: float = 0.5) -> Findings:
    found = np.empty((2, len(sizes), 2, runs))  # without and with; size; training and test accuracy
    curves: dict[str, Curve] = {}
    for j, size in enumerate(sizes):
        split = data.digits(size, seed)
        for i, (name, p) in enumerate((("without", 0.0), ("with", rate))):
            curve = Curve(split.x_test, split.y_test)
            curves.setdefault(name, curve)  # of the smallest training set
            many = train_many(partial(network, p), runs, split.x, split.y, steps=steps, batch_size=min(50, size),
                              learning_rate=0.05,
                              seed=seed, watch=curve, every=max(steps // 25, 1))
            found[i, j] = 1 - np.stack([many.errors(split.x, split.y).numpy(),
                                        many.errors(split.x_test, split.y_test).numpy()])
    gaps = (found[:, :, 0] - found[:, :, 1]).mean(1)  # (2, runs)
    numbers = {"gain": mean((found[1, :, 1] - found[0, :, 1]).mean(0)), "gap": mean(gaps[1] / gaps[0]),
               "gap_without": mean(gaps[0]), "gap_with": mean(gaps[1])}
    changes = 100 * (found[1, :, 1] - found[0, :, 1]).mean(1)
    at = ", ".join(f"{change:+.1f} points with {size} digits" for change, size in zip(changes, sizes, strict=True))
    remark = (f"The gap between training and test shrinks from {gaps[0].mean():.1%} to {gaps[1].mean():.1%}; test accuracy "
              f"changes by {at}.")
    return Findings(numbers, remark, {"sizes": list(sizes), "found": found, "steps": curves["with"].steps,
                                      "curves": {name: curve.accuracy for name, curve in curves.items()}})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    for i, (name, colour) in enumerate((("without", WORST), ("with", MAIN))):
        line(left, e["steps"], e["curves"][name], f"{name} dropout", colour, marker="")
        line(right, e["sizes"], e["found"][i, :, 1].T, f"{name} dropout", colour)
    left.set(title=f"Test accuracy while learning {e['sizes'][0]} digits", xlabel="steps")
    right.set(title="Test accuracy at the end", xlabel="digits to learn from", xscale="log")
    right.set_xticks(e["sizes"], list(map(str, e["sizes"])))
    right.minorticks_off()
    for a in (left, right):
        as_percent(a)
        a.legend(loc="lower right")
    return figure
