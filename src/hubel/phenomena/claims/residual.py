"""Claim 10: residual connections let networks of 100 and more layers train where plain ones fail, in training already.

The paper's networks for small images, 6n + 2 layers with batch norm, and their plain twins, narrow enough for 8x8 digits.
(100 steps, tried first, left shallow and residual ones at 93% and 94%, across their bounds; all arms now get 160.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from hubel import nets
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, as_percent, line, slide
from hubel.phenomena.many import Curve, train_many
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    10, "Residual connections",
    "Residual connections let networks of 100 and more layers train, where plain ones of the same depth fail on the "
    "training set too.",
    "He, Zhang, Ren and Sun 2016 (arXiv:1512.03385), section 4.2; lecture 10",
    needs=(Need("residual", "training accuracy of the deepest residual networks", at_least=0.95, percent=True),
           Need("plain", "training accuracy of their plain twins, after the same steps", at_most=0.9, percent=True),
           Need("shallow", "training accuracy of plain networks of 8 layers", at_least=0.95, percent=True)),
    seconds=(46, 14, 2),
)
QUICK = {"runs": 2, "steps": 60, "depths": (8, 110)}
SMALLEST = {"runs": 3, "steps": 25, "depths": (8, 32), "train": 300}


def network(depth: int, kind: str) -> nn.Module:
    net = nets.build("cifar_resnet", 10, 1, depth=depth, width=4, residual=kind == "residual")
    net.pool = nets.GlobalAveragePooling2D()  # the same mean, in operations that vmap knows
    return net


def measure(seed: int = 0, runs: int = 3, steps: int = 160, train: int = 1000,
            depths: Sequence[int] = (8, 110)) -> Findings:
    split = data.digits(train, seed)
    accuracy = {kind: np.empty((runs, len(depths))) for kind in ("residual", "plain")}
    losses: dict[str, np.ndarray] = {}
    for j, depth in enumerate(depths):
        for kind in accuracy:
            curve = Curve(split.x[:16], split.y[:16])
            many = train_many(partial(network, depth, kind), runs, split.x, split.y, steps=steps, batch_size=64,
                              learning_rate=0.05,
                              schedule="cosine", seed=seed, watch=curve, every=5)
            accuracy[kind][:, j] = 1 - many.errors(split.x, split.y).numpy()
            losses[f"{kind}, {depth}"] = curve.losses.mean(0)
    numbers = {"residual": mean(accuracy["residual"][:, -1]), "plain": mean(accuracy["plain"][:, -1]),
               "shallow": mean(accuracy["plain"][:, 0]),
               "difference": mean(accuracy["residual"][:, -1] - accuracy["plain"][:, -1])}
    remark = (f"After {steps} steps of {depths[-1]} layers: {accuracy['residual'][:, -1].mean():.1%} with residual "
              f"connections, {accuracy['plain'][:, -1].mean():.1%} without, on the training set. Batch norm alone does not "
              "carry the gradient that far.")
    return Findings(numbers, remark, {"depths": list(depths), "accuracy": accuracy, "losses": losses})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    for kind, colour in (("residual", MAIN), ("plain", WORST)):
        for depth, style in ((e["depths"][0], ":"), (e["depths"][-1], "-")):
            left.plot(5 * np.arange(len(e["losses"][f"{kind}, {depth}"])) + 5, e["losses"][f"{kind}, {depth}"], style,
                      color=colour, label=f"{kind}, {depth} layers")
        line(right, e["depths"], e["accuracy"][kind], kind, colour)
    left.set(title="Training loss", xlabel="steps")
    right.set(title="Training accuracy at the end", xlabel="layers", ylim=(0, 1.04))
    as_percent(right)
    left.legend()
    right.legend(loc="lower left")
    return figure
