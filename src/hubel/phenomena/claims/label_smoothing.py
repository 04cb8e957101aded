"""Claim 27: label smoothing makes a network's confidence match its accuracy.

A network with and without smoothed labels on few digits; how far confidence and accuracy are apart, in 10 bins of confidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, MUTED, WORST, Figure, as_percent, slide
from hubel.phenomena.many import train_many
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    27, "Label smoothing",
    "Label smoothing calibrates: confidence comes nearer to accuracy, without loss of accuracy.",
    "Müller, Kornblith and Hinton 2019 (arXiv:1906.02629); Guo et al. 2017 (arXiv:1706.04599)",
    needs=(Need("calibration", "expected calibration error with smoothing of 0.1 minus that without", at_most=-0.005,
                percent=True),
           Need("accuracy", "accuracy with smoothing minus that without", at_least=-0.01, percent=True)),
    seconds=(7, 3, 2),
)
QUICK = {"runs": 8, "steps": 500}
SMALLEST = {"runs": 5, "steps": 200}
BINS = 10


def measure(seed: int = 0, runs: int = 16, steps: int = 1000, train: int = 150, smoothing: float = 0.1) -> Findings:
    split = data.digits(train, seed)

    def network() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))

    def smoothed(outputs: Tensor, y: Tensor) -> Tensor:
        each = -outputs.log_softmax(-1)
        return (1 - smoothing) * each.gather(-1, y[..., None])[..., 0] + smoothing * each.mean(-1)

    curves, gaps, accuracies = {}, {}, {}
    for name, loss in (("without", None), ("with", smoothed)):
        many = train_many(network, runs, split.x, split.y, steps=steps, batch_size=50, learning_rate=0.05, schedule="cosine",
                          loss=loss, seed=seed)
        p = many.logits(split.x_test).softmax(-1)
        confidence, answer = p.max(-1)
        right = answer == split.y_test
        accuracies[name] = right.float().mean(1).numpy()
        tables = [reliability(c, r) for c, r in zip(confidence.numpy(), right.numpy(), strict=True)]
        gaps[name] = np.array([expected_error(t) for t in tables])
        curves[name] = np.nansum([t[:, 2:] * t[:, :1] for t in tables],
                                 0) / np.maximum(np.sum([t[:, :1] for t in tables], 0), 1)
    numbers = {"calibration": mean(gaps["with"] - gaps["without"]),
               "accuracy": mean(accuracies["with"] - accuracies["without"]),
               "without": mean(gaps["without"]), "with": mean(gaps["with"])}
    remark = (f"Confidence and accuracy are {gaps['without'].mean():.1%} apart without smoothing, "
              f"{gaps['with'].mean():.1%} with it; accuracy is {accuracies['without'].mean():.1%} and "
              f"{accuracies['with'].mean():.1%}. Smoothing makes less confident; where a network was not too confident "
              "before, that is a step away from calibration.")
    return Findings(numbers, remark, {"curves": curves})


def reliability(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(bins, 4): how many answers, |gap|, mean confidence, accuracy; NaN where there are none."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = []
    for b in range(BINS):
        at = place == b
        c, a = (confidence[at].mean(), right[at].mean()) if at.any() else (np.nan, np.nan)
        rows.append([at.sum(), abs(c - a), c, a])
    return np.array(rows)


def expected_error(table: np.ndarray) -> float:
    """The mean gap, each bin by its answers (Naeini et al. 2015)."""
    return float(np.nansum(table[:, 0] * table[:, 1]) / table[:, 0].sum())


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (axes,) = slide(1, 1)
    axes.plot([0, 1], [0, 1], color=MUTED, ls=":", label="confidence = accuracy")
    for (name, curve), colour in zip(e["curves"].items(), (WORST, MAIN), strict=True):
        seen = curve[:, 0] > 0
        axes.plot(curve[seen, 0], curve[seen, 1], "o-", color=colour, label=f"{name} label smoothing")
    axes.set(title="What a confidence is worth", xlabel="confidence", ylabel="accuracy", xlim=(0.2, 1.02), ylim=(0, 1.02))
    as_percent(axes)
    as_percent(axes, "x")
    axes.legend(loc="upper left")
    return figure
