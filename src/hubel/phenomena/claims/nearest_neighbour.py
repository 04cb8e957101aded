"""Claim 21: where features separate the classes, the nearest neighbour suffices.

Clouds of ten classes that move apart, with one or five examples of each; then digits that a network has never seen a class of,
by its features and by their pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hubel import Model, nets, reuse
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import GOOD, MAIN, MUTED, WORST, Figure, as_percent, bars, line, slide
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    21, "The nearest neighbour suffices",
    "If the features separate the classes, it suffices to classify by the nearest of a handful of labelled examples.",
    "Lecture 10, 'Feature learning'",
    needs=(Need("apart", "accuracy lost to the best possible, five examples of each of ten clouds that hardly overlap",
                at_most=0.02, percent=True),
           Need("overlap", "the same, of clouds that overlap: what the condition is for", at_least=0.1, percent=True),
           Need("transfer", "accuracy that features learned on digits 0 to 4 add over pixels on 5 to 9, one example each",
                at_least=0.0, percent=True)),
    seconds=(12, 6, 2),
)
QUICK = {"runs": 6, "draws": 10}
SMALLEST = {"runs": 3, "draws": 5, "apart": (2.0, 6.0), "epochs": 4}
DIMENSIONS, CLASSES = 20, 10


def clouds(distance: float, examples: int, rng: np.random.Generator, test: int = 2000) -> tuple[float, float]:
    """Accuracy of the nearest of `examples` a class, and the best possible, for normal clouds with centres `distance` apart."""
    centres = np.eye(CLASSES, DIMENSIONS) * distance / np.sqrt(2)
    x = np.repeat(centres, examples, 0) + rng.standard_normal((CLASSES * examples, DIMENSIONS))
    y = rng.integers(0, CLASSES, test)
    z = centres[y] + rng.standard_normal((test, DIMENSIONS))
    near = ((z[:, None] - x[None]) ** 2).sum(-1).argmin(1) // examples
    best = ((z[:, None] - centres[None]) ** 2).sum(-1).argmin(1)  # equal round clouds: the nearest centre is Bayes' answer
    return float((near == y).mean()), float((best == y).mean())


def measure(seed: int = 0, runs: int = 12, draws: int = 20, epochs: int = 8,
            apart: Sequence[float] = (0.5, 1, 2, 3, 4, 5, 6, 8)) -> Findings:
    found = np.array([[[clouds(d, k, np.random.default_rng((seed, run, i, k))) for i, d in enumerate(apart)]
                       for run in range(runs)] for k in (1, 5)])
    lost = found[..., 1] - found[..., 0]  # (examples, runs, distances)
    nets_found = np.array([transfer(seed + run, epochs, draws)
                           for run in range(max(runs // 3, 2))])  # (runs, features or pixels)
    at = {d: i for i, d in enumerate(apart)}
    numbers = {"apart": mean(lost[1, :, at[6]]), "overlap": mean(lost[1, :, at[2]]),
               "transfer": mean(nets_found[:, 0] - nets_found[:, 1]),
               "features": mean(nets_found[:, 0]), "pixels": mean(nets_found[:, 1])}
    further = "" if 8 not in at else (f", {lost[1, :, at[8]].mean():.1%} where they are 8: in {DIMENSIONS} dimensions two "
                                      f"points of one cloud are {np.sqrt(2 * DIMENSIONS):.1f} apart")
    remark = (f"Five examples lose {numbers['apart'].value:.1%} to the best possible where centres are 6 deviations apart, "
              f"{numbers['overlap'].value:.0%} where they are 2{further}. A network that learned 0 to 4 tells 5 to 9 apart "
              f"from one example each in {numbers['features'].value:.0%} of cases by its features, "
              f"{numbers['pixels'].value:.0%} by pixels.")
    return Findings(numbers, remark, {"apart": list(apart), "found": found, "numbers": numbers})


def transfer(seed: int, epochs: int, draws: int) -> tuple[float, float]:
    """Mean accuracy on digits 5 to 9 from one example each, by features of a network that learned 0 to 4, and by pixels."""
    split = data.digits(1797, seed)
    low = split.y < 5
    model = Model(nets.default(5, 1, (8, 8), seed=seed), list("01234"), size=8, channels=1)
    model.compile(optimizer="adam")
    model.fit(split.x[low], split.y[low], epochs=epochs, batch_size=32, verbose=0)
    x, y = split.x[~low], split.y[~low].numpy()
    scores = []
    for features in (model.features(x), x.flatten(1).numpy()):
        right = []
        for i in range(draws):
            shown = reuse.fewshot.draw_examples(y, 1, seed=seed + i)
            rest = np.setdiff1d(np.arange(len(y)), shown)
            right.append((reuse.NearestNeighbour().fit(features[shown], y[shown]).predict(features[rest]) == y[rest]).mean())
        scores.append(float(np.mean(right)))
    return scores[0], scores[1]


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2, width_ratios=(1.4, 1))
    line(left, e["apart"], e["found"][1, ..., 1], "best possible", MUTED, ls="--", marker="")
    for i, (name, colour) in enumerate((("nearest of 1 example a class", WORST), ("nearest of 5", MAIN))):
        line(left, e["apart"], e["found"][i, ..., 0], name, colour)
    left.set(title="Ten clouds: accuracy", xlabel="distance of the centres, in deviations", ylim=(0, 1.03))
    as_percent(left)
    left.legend(loc="lower right")
    n = e["numbers"]
    bars(right, ["pixels", "features of\n0 to 4"], [n["pixels"], n["features"]], [WORST, GOOD])
    right.set(title="Digits 5 to 9, one example each")
    return figure
