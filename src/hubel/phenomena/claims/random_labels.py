"""Claim 13: networks fit random labels to essentially 100% training accuracy.

The same network and the same training, on labels of which more and more are drawn at random, up to all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, as_percent, line, slide
from hubel.phenomena.many import Curve, train_many
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    13, "Random labels can be learned",
    "Networks fit random labels to essentially 100% training accuracy.",
    "Zhang, Bengio, Hardt, Recht and Vinyals 2017 (arXiv:1611.03530); lecture 10",
    needs=(Need("train", "training accuracy on labels that are all random", at_least=0.99, percent=True),
           Need("test", "test accuracy of the same networks: nothing was there to learn", at_most=0.15, percent=True)),
    seconds=(39, 12, 2),
)
QUICK = {"runs": 3, "shares": (0.0, 1.0)}
SMALLEST = {"runs": 2, "train": 100, "steps": 400, "shares": (0.0, 1.0)}


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


def measure(seed: int = 0, runs: int = 3, train: int = 1000, steps: int = 2000, every: int = 50,
            shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0)) -> Findings:
    split = data.digits(train, seed)
    rng = np.random.default_rng(seed)
    labels = np.tile(split.y.numpy(), (len(shares) * runs, 1))
    for row, share in zip(labels, np.repeat(shares, runs), strict=True):
        hit = rng.permutation(train)[: round(share * train)]
        row[hit] = rng.integers(0, 10, len(hit))
    y = torch.from_numpy(labels)
    curve = Curve(split.x, y)
    many = train_many(network, len(labels), split.x, y, steps=steps, batch_size=100, learning_rate=0.05, schedule="cosine",
                      seed=seed,
                      watch=curve, every=every)
    fit = curve.accuracy.reshape(len(shares), runs, -1)
    test = 1 - many.errors(split.x_test, split.y_test).numpy().reshape(len(shares), runs)
    numbers = {"train": mean(fit[-1, :, -1]), "test": mean(test[-1]), "test_true": mean(test[0])}
    remark = (f"{sum(p.numel() for p in network().parameters()):,} parameters learn {train} random labels to "
              f"{fit[-1, :, -1].mean():.1%}. On true labels the same networks reach {test[0].mean():.1%} on new digits, on "
              f"random ones {test[-1].mean():.1%}: capacity alone does not tell whether a network generalises.")
    return Findings(numbers, remark, {"fit": fit, "test": test, "shares": list(shares), "steps": curve.steps})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    for share, runs in zip(e["shares"], e["fit"], strict=True):
        colour = tuple(np.array([0.04, 0.38, 0.64]) * (1 - share) + np.array([0.77, 0.26, 0.05]) * share)
        line(left, e["steps"], runs, f"{share:.0%} random", colour, marker="")  # type: ignore[arg-type]
    left.set(title="Training accuracy", xlabel="steps", xscale="log", xlim=(None, 12 * e["steps"][-1]))
    left.legend(loc="lower right")
    line(right, e["shares"], e["fit"][:, :, -1].T, "on what was learned from", WORST)
    line(right, e["shares"], e["test"].T, "on new digits", MAIN)
    right.set(title="Accuracy at the end", xlabel="share of random labels", ylim=(0, 1.04))
    right.legend(loc="lower left")
    as_percent(right, "x")
    for a in (left, right):
        as_percent(a)
    return figure
