"""Claim 2: hidden units become the features that a problem needs; more of them, and more layers, fit more complex ones.

Sigmoid networks on two made-up problems in the plane. 16 networks of each shape learn at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import COLOURS, INK, Figure, as_percent, line, pictures, slide
from hubel.phenomena.many import Many, train_many
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    2, "Hidden units learn features",
    "A few sigmoid units learn the features that a disc in a ring needs; spirals need more units or more layers, and with "
    "enough turns a given network fails.",
    "Lecture 10, demo keras_demo_synthetic",
    needs=(
        Need("ring_1", "accuracy of 1 unit on the ring", at_most=0.8, percent=True),
        Need("ring_4", "accuracy of 4 units on the ring", at_least=0.95, percent=True),
        Need("spiral_deeper", "accuracy on the spiral that three layers of 8 units gain over one of 8", at_least=0.05,
             percent=True),
        Need("spiral_wider", "accuracy on the spiral that 32 units in one layer gain over 8", at_least=0.05, percent=True),
        Need("limit", "accuracy of three layers of 8 units on a spiral of three turns", at_most=0.8, percent=True),
    ),
    seconds=(35, 10, 2),
)
SHAPES = {"ring": ("1", "2", "3", "4", "8"), "spiral": ("4", "8", "32", "8-8", "8-8-8"), "three turns": ("8", "32", "8-8-8")}
QUICK = {"runs": 8, "steps": 700}
SMALLEST = {"runs": 4, "steps": 300, "shapes": {"ring": ("1", "4"), "spiral": ("8", "32", "8-8-8"),
                                                "three turns": ("8-8-8",)}}


def network(shape: str) -> nn.Module:
    """'8-8' has two hidden layers of 8 units."""
    sizes = (2, *map(int, shape.split("-")))
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        linear = nn.Linear(a, b)
        nn.init.normal_(linear.weight, 0, 4 / np.sqrt(a))  # sigmoids are flat: small weights would never leave the middle
        layers += [linear, nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 2))


def measure(seed: int = 0, runs: int = 10, steps: int = 1500, points: int = 600,
            shapes: Mapping[str, Sequence[str]] = SHAPES) -> Findings:
    draw_from = {"ring": data.ring, "spiral": lambda n, s: data.spirals(n, 1.0, s), "three turns": lambda n,
                 s: data.spirals(n, 3.0, s)}
    accuracy: dict[str, dict[str, np.ndarray]] = {p: {} for p in shapes}
    kept: dict[str, Any] = {}
    for problem, names in shapes.items():
        x, y = draw_from[problem](points, seed)
        for name in names:
            many = train_many(partial(network, name), runs, x, y, steps=steps, batch_size=100, optimizer="adam",
                              learning_rate=0.05, schedule="cosine", seed=seed)
            right = 1 - many.errors(*draw_from[problem](2000, seed + 1)).numpy()
            accuracy[problem][name] = right
            if (problem, name) in (("ring", "4"), ("spiral", "8-8-8")):
                kept[problem] = responses(many, int(right.argmax()))
    ring, spiral, hard = (accuracy[p] for p in shapes)
    numbers = {
        "ring_1": mean(ring["1"]), "ring_4": mean(ring["4"]),
        "spiral_deeper": mean(spiral["8-8-8"] - spiral["8"]), "spiral_wider": mean(spiral["32"] - spiral["8"]),
        "limit": mean(hard["8-8-8"]),
    }
    remark = (f"The ring: {ring['1'].mean():.0%} with one unit, {ring['4'].mean():.0%} with four. The spiral: "
              f"{spiral['8'].mean():.0%} with 8 units, {spiral['32'].mean():.0%} with 32, {spiral['8-8-8'].mean():.0%} "
              f"with three layers of 8; three turns: {hard['8-8-8'].mean():.0%}. More units and more layers gain, on this "
              "spiral by less the nearer 8 units come to it alone.")
    return Findings(numbers, remark, {"accuracy": accuracy, "responses": kept})


def responses(many: Many, best: int, side: int = 80) -> dict[str, Any]:
    """What every hidden unit of the first layer, and the network, answer over the plane."""
    axis = torch.linspace(-1, 1, side)
    plane = torch.cartesian_prod(-axis, axis).flip(1)
    net = many.network(best)
    with torch.no_grad():
        hidden = net[:2](plane)  # type: ignore[index]
        answer = net(plane).softmax(1)[:, 1]
    return {"units": hidden.T.reshape(-1, side, side).numpy(), "answer": answer.reshape(side, side).numpy()}


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2, 5.8, width_ratios=(1.25, 1))
    left.axis("off")
    left.set(xlim=(0, 1), ylim=(0, 1))
    for problem, top in (("ring", 0.76), ("spiral", 0.36)):
        r = e["responses"][problem]
        left.text(0, top + 0.2, f"The {problem}: each unit of the first layer, and the answer", fontsize=12)
        for i, tile in enumerate([*r["units"], r["answer"]]):
            cell = left.inset_axes((i % 5 / 5, top - 0.2 * (i // 5), 0.18, 0.18))
            pictures([cell], [tile], cmap="RdBu_r", vmin=0, vmax=1)
            if i == len(r["units"]):
                cell.spines[:].set(visible=True, color=INK, linewidth=1.5)
    order = ["1", "2", "3", "4", "8", "32", "8-8", "8-8-8"]
    for (problem, found), colour in zip(e["accuracy"].items(), COLOURS, strict=False):
        line(right, [order.index(name) for name in found], np.stack(list(found.values()), 1), problem, colour)
    right.set_xticks(range(len(order)), order, rotation=30)
    right.set(title="Accuracy on new points", xlabel="units in each hidden layer")
    as_percent(right)
    right.legend()
    return figure
