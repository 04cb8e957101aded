"""Claim 30: training on worst-case perturbations makes a network robust to them, at a cost in clean accuracy.

The same network trained on clean digits and on digits that PGD has perturbed, attacked with a stronger PGD than it was
trained with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hubel import Model, attack, nets, training
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, as_percent, line, slide
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    30, "Adversarial training",
    "Training on worst-case perturbations makes a network robust to them, at a cost in clean accuracy.",
    "Madry et al. 2018 (arXiv:1706.06083); Tsipras et al. 2019 (arXiv:1805.12152)",
    needs=(Need("robust", "accuracy in the worst case that adversarial training adds, at the size trained for", at_least=0.3,
                percent=True),
           Need("cost", "clean accuracy that it takes", at_least=0.0, percent=True)),
    seconds=(55, 10, 2),
)
QUICK = {"runs": 2, "epochs": 8, "points": 100, "sizes": (0.1,)}
SMALLEST = {"runs": 2, "epochs": 8, "points": 40, "train": 400, "sizes": (0.1,), "steps": 3}
EPS = 0.1


def measure(seed: int = 0, runs: int = 6, epochs: int = 12, train: int = 1000, points: int = 200,
            sizes: Sequence[float] = (0.025, 0.05, 0.1, 0.15, 0.2), steps: int = 5) -> Findings:
    found = np.empty((runs, 2, 1 + len(sizes)))  # trained clean, trained hardened; clean accuracy, then in the worst case
    for run in range(runs):
        split = data.digits(train, seed + run, points)
        for i, harden in enumerate((None, training.Harden(EPS, steps=steps))):
            model = Model(nets.build("small_resnet", 10, 1, seed=seed + run, width=8, stages=2), [str(k) for k in range(10)],
                          size=8, channels=1)
            training.fit(model.network, (split.x, split.y), epochs=epochs, batch_size=25, optimizer="adam",
                         learning_rate=0.02, harden=harden, seed=seed + run, verbose=0)
            curve = attack.robustness_curve(model, split.x_test, split.y_test, sizes, steps=20, restarts=2, draws=0,
                                            seed=seed, progress=False)
            found[run, i] = curve.worst
    at = 1 + list(sizes).index(EPS)
    numbers = {"robust": mean(found[:, 1, at] - found[:, 0, at]), "cost": mean(found[:, 0, 0] - found[:, 1, 0])}
    m = found.mean(0)
    remark = (f"In the worst case within {EPS:g} of each pixel: {m[0, at]:.0%} trained clean, {m[1, at]:.0%} hardened. "
              f"Clean accuracy: {m[0, 0]:.1%} and {m[1, 0]:.1%}.")
    return Findings(numbers, remark, {"sizes": [0, *sizes], "found": found})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (axes,) = slide(1, 1)
    for i, (name, colour) in enumerate((("trained on clean digits", WORST),
                                        (f"trained within {EPS:g} in the worst case", MAIN))):
        line(axes, e["sizes"], e["found"][:, i], name, colour)
    axes.axvline(EPS, color="gray", ls=":", lw=1)
    axes.set(title="Accuracy in the worst case: mean and range over seeds",
             xlabel="size of the perturbation of each pixel, of 0..1", ylim=(0, 1.03))
    as_percent(axes)
    axes.legend()
    return figure
