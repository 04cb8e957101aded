"""Claim 12: depth matters more than width at equal parameters.

Convolutional networks of one budget of parameters, from one wide layer to many narrow ones, each with batch norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel import training
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, as_percent, line, slide
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    12, "Depth or width",
    "Depth matters more than width: at equal parameters, deeper networks are more accurate.",
    "Lecture 10, 'Depth more important than width'; Simonyan and Zisserman 2015",
    needs=(Need("gain", "test accuracy of four layers over one, of as many parameters", at_least=0.005, percent=True),
           Need("wider", "test accuracy of four layers minus that of one layer of four times the parameters", at_least=0.0,
                percent=True)),
    seconds=(40, 8, 2),
)
QUICK = {"runs": 3, "epochs": 8, "depths": (1, 4)}
SMALLEST = {"runs": 2, "epochs": 6, "depths": (1, 4), "train": 200}


def network(depth: int, width: int) -> nn.Module:
    """`depth` 3x3 convolutions of `width` channels, halved once on the way, averaged, classified."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(width if i else 1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        if i == depth // 2:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10))


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def widest(depth: int, budget: int) -> int:
    """The most channels that keep a network of `depth` layers within the budget."""
    width = 2
    while parameters(network(depth, width + 1)) <= budget:
        width += 1
    return width


def measure(seed: int = 0, runs: int = 8, epochs: int = 12, train: int = 600, budget: int = 6000,
            depths: Sequence[int] = (1, 2, 4, 8)) -> Findings:
    shapes = {f"{d}": (d, widest(d, budget)) for d in depths} | {"1, four times": (1, widest(1, 4 * budget))}
    found: dict[str, np.ndarray] = {name: np.empty((runs, 2)) for name in shapes}
    for run in range(runs):
        split = data.digits(train, seed + run)
        for name, (depth, width) in shapes.items():
            torch.manual_seed(seed + run)
            net = network(depth, width)
            training.fit(net, (split.x, split.y), epochs=epochs, batch_size=25, optimizer="adam", learning_rate=0.02,
                         seed=seed + run, verbose=0)
            with torch.no_grad():
                found[name][run] = [float((net(x).argmax(1) == y).float().mean()) for x,
                                    y in ((split.x, split.y), (split.x_test, split.y_test))]
    numbers = {"gain": mean(found["4"][:, 1] - found["1"][:, 1]),
               "wider": mean(found["4"][:, 1] - found["1, four times"][:, 1])}
    best = max(depths, key=lambda d: found[str(d)][:, 1].mean())
    remark = (f"With {budget:,} parameters: {', '.join(f'{found[str(d)][:, 1].mean():.1%} at {d}' for d in depths)} "
              f"layers; one layer of four times the parameters {found['1, four times'][:, 1].mean():.1%}. The best depth "
              f"here is {best}: beyond it, layers become too narrow and, without residual connections, hard to train.")
    return Findings(numbers, remark, {"depths": list(depths), "found": found, "widths": [shapes[str(d)][1] for d in depths]})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (axes,) = slide(1, 1)
    stacked = np.stack([e["found"][str(d)] for d in e["depths"]], 1)  # (runs, depths, 2)
    line(axes, e["depths"], stacked[..., 0], "training", WORST)
    line(axes, e["depths"], stacked[..., 1], "test", MAIN)
    axes.axhline(e["found"]["1, four times"][:, 1].mean(), color=MAIN, ls="--", lw=1.5,
                 label="test: one layer of four times the parameters")
    axes.set(xscale="log", title="Accuracy of networks of as many parameters")
    axes.set_xticks(e["depths"], [f"{d} layer{'s' * (d > 1)}\nof {w}" for d,
                                  w in zip(e["depths"], e["widths"], strict=True)])
    axes.minorticks_off()
    axes.legend(loc="lower right")
    as_percent(axes)
    return figure
