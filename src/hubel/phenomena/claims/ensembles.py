"""Claim 28: an ensemble is more accurate than its members, and more robust to noise.

The mean of the probabilities of networks that differ only in their initial weights and the order of the digits.
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
from hubel.phenomena.many import train_many
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    28, "Ensembles",
    "An ensemble of networks is more accurate than its members, and more robust to noise.",
    "Hansen and Salamon 1990; Lakshminarayanan, Pritzel and Blundell 2017 (arXiv:1612.01474)",
    needs=(Need("accuracy", "accuracy of ten together minus the mean of the ten", at_least=0.002, percent=True),
           Need("noise", "the same under noise of standard deviation 0.3", at_least=0.01, percent=True),
           Need("more_so", "what the ensemble gains under noise minus what it gains without", at_least=0.0, percent=True)),
    seconds=(22, 4, 2),
)
QUICK = {"runs": 4, "steps": 500}
SMALLEST = {"runs": 3, "steps": 200}


def measure(seed: int = 0, runs: int = 16, members: int = 10, steps: int = 800, train: int = 400,
            noises: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)) -> Findings:
    found = np.empty((runs, 2, len(noises)))  # the mean member, and the ensemble
    grown = np.empty((runs, members))
    for run in range(runs):
        split = data.digits(train, seed + run)
        many = train_many(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                                                nn.Linear(64, 10)), members,
                          split.x, split.y, steps=steps, batch_size=50, learning_rate=0.05, schedule="cosine", seed=seed
                          + run)
        rng = torch.Generator().manual_seed(seed + run)
        static = torch.randn(split.x_test.shape, generator=rng)
        for i, noise in enumerate(noises):
            p = many.logits(split.x_test + noise * static).softmax(-1)
            found[run, :, i] = [float((p.argmax(-1) == split.y_test).float().mean()),
                                float((p.mean(0).argmax(-1) == split.y_test).float().mean())]
            if noise == 0.3:
                so_far = p.cumsum(0).argmax(-1)  # the first member alone, the first two together, ...
                grown[run] = (so_far == split.y_test).float().mean(-1).numpy()
    gain = found[:, 1] - found[:, 0]
    at = list(noises).index(0.3)
    numbers = {"accuracy": mean(gain[:, 0]), "noise": mean(gain[:, at]), "more_so": mean(gain[:, at] - gain[:, 0])}
    m = found.mean(0)
    remark = (f"Clean: {m[0, 0]:.1%} for a member, {m[1, 0]:.1%} for {members} together; with noise of 0.3: {m[0, at]:.1%} "
              f"and {m[1, at]:.1%}. The first three give "
              f"{(grown.mean(0)[2] - grown.mean(0)[0]) / max(grown.mean(0)[-1] - grown.mean(0)[0], 1e-9):.0%} of that gain.")
    return Findings(numbers, remark, {"noises": list(noises), "found": found, "grown": grown})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    for i, (name, colour) in enumerate((("a member", WORST), ("ten together", MAIN))):
        line(left, e["noises"], e["found"][:, i], name, colour)
    left.set(title="Accuracy", xlabel="standard deviation of the noise")
    left.legend(loc="lower left")
    line(right, np.arange(e["grown"].shape[1]) + 1, e["grown"], "", MAIN)
    right.set(title="Accuracy under noise of 0.3", xlabel="networks together")
    for a in (left, right):
        as_percent(a)
    return figure
