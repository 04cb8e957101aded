"""Claim 3: a convolution is a dense layer with constraints: most weights forced to 0, the others copies of a few.

`hubel.nets.as_dense` writes the dense matrix of a convolution out. We compare what both compute, train both side by side,
and train a dense layer without the constraint. In double precision: in single, rounding errors grow along with 300 steps of
training to 3e-3 of the filters, above the bound on their difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.nets import as_dense
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, bars, slide
from hubel.phenomena.statistics import Number, mean

CLAIM = Claim(
    3, "Weight sharing",
    "A layer of n 5x5 filters on 28x28 pixels has 25n parameters where a dense layer that extracts the same features has "
    "451,584n; the dense layer with the constraint computes the same, and trains to the same.",
    "Lecture 10, 'Weight sharing'",
    needs=(
        Need("shared", "parameters of one filter", at_most=25),
        Need("dense", "entries of the dense matrix of one filter", at_least=451584),
        Need("same_output", "largest difference of outputs, relative to the largest output", at_most=1e-5),
        Need("same_training", "the same, of the filters after training", at_most=1e-3),
        Need("gain", "test accuracy that the constraint adds over a free dense layer", at_least=0.0, percent=True),
    ),
    seconds=(4, 3, 2),
)
QUICK = {"runs": 3, "steps": 150}
SMALLEST = {"runs": 2, "steps": 40, "train": 100}
FILTERS = 4


def measure(seed: int = 0, runs: int = 5, steps: int = 300, train: int = 200) -> Findings:
    conv = nn.Conv2d(1, 1, 5, bias=False)
    matrix, _ = as_dense(conv, (1, 28, 28))
    x = torch.rand(8, 1, 28, 28)
    out = conv(x).flatten(1)
    same = float(((x.flatten(1) @ matrix.T - out).abs().max() / out.abs().max()).detach())
    accuracy, apart = [], []
    counts: dict[str, int] = {}
    for run in range(runs):
        split = data.digits(train, seed + run)
        found, difference, counts = three_ways(split, steps, seed + run)
        accuracy.append(found)
        apart.append(difference)
    a = np.array(accuracy)  # (runs, 3): convolution, dense with the constraint, free dense
    numbers = {
        "shared": Number.exact(conv.weight.numel()), "dense": Number.exact(matrix.numel()),
        "same_output": Number.exact(same),
        "same_training": Number.exact(max(apart)), "gain": mean(a[:, 0] - a[:, 2]),
        "conv": mean(a[:, 0]), "tied": mean(a[:, 1]), "free": mean(a[:, 2]),
    }
    remark = (f"451,584 / 25 is {451584 / 25:,.0f}: the lecture's 'over 200,000x' is a slip. After {steps} steps on "
              f"{train} digits of 8x8 the filters of both ways differ by {max(apart):.0e}; a free dense layer of "
              f"{counts['free']:,} instead of {counts['conv']} weights, which starts as the same convolution, reaches "
              f"{a[:, 2].mean():.1%} against {a[:, 0].mean():.1%}: digits lie in the middle, and places need not be alike.")
    return Findings(numbers, remark, {"matrix": (as_dense(nn.Conv2d(1, 1, 3, bias=False), (1, 8, 8))[0]).detach().numpy(),
                                      "numbers": numbers, "counts": counts})


def three_ways(split: data.Split, steps: int, seed: int) -> tuple[list[float], float, dict[str, int]]:
    """Train the same network with its first layer as a convolution, as a constrained and as a free dense matrix."""
    torch.manual_seed(seed)
    split = data.Split(split.x.double(), split.y, split.x_test.double(), split.y_test)
    conv, head = nn.Conv2d(1, FILTERS, 3, bias=False).double(), nn.Linear(FILTERS * 36, 10).double()
    twin = nn.Conv2d(1, FILTERS, 3, bias=False).double()
    twin.load_state_dict(conv.state_dict())
    free = as_dense(conv, (1, 8, 8))[0].detach().clone().requires_grad_()  # starts as the convolution, then goes its way
    layers = {
        "conv": (lambda x: conv(x).flatten(1), [conv.weight]),
        "tied": (lambda x: x.flatten(1) @ as_dense(twin, (1, 8, 8))[0].T, [twin.weight]),  # gradients of copies add up
        "free": (lambda x: x.flatten(1) @ free.T, [free]),
    }
    accuracy = []
    for first, weights in layers.values():
        own = nn.Linear(FILTERS * 36, 10).double()
        own.load_state_dict(head.state_dict())
        _descend(first, own, weights, split, steps, seed)
        with torch.no_grad():
            accuracy.append(float((own(F.relu(first(split.x_test))).argmax(1) == split.y_test).float().mean()))
    apart = float(((conv.weight - twin.weight).abs().max() / conv.weight.abs().max()).detach())
    return accuracy, apart, {"conv": conv.weight.numel(), "free": free.numel()}


def _descend(first: Any, head: nn.Linear, weights: list[Tensor], split: data.Split, steps: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD([*weights, *head.parameters()], lr=0.05, momentum=0.9)
    for _ in range(steps):
        batch = torch.randint(len(split.x), (64,), generator=rng)
        optimizer.zero_grad()
        F.cross_entropy(head(F.relu(first(split.x[batch]))), split.y[batch]).backward()
        optimizer.step()


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    top = float(np.abs(e["matrix"]).max())
    left.imshow(e["matrix"], cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest", aspect="auto")
    left.set(title="One 3x3 filter as a dense matrix", xlabel="64 inputs", ylabel="36 outputs")
    left.grid(False)
    n, c = e["numbers"], e["counts"]
    bars(right, [f"convolution\n{c['conv']} weights", "dense,\nconstrained", f"dense, free\n{c['free']:,} weights"],
         [n["conv"], n["tied"], n["free"]], [MAIN, MAIN, WORST])
    right.set(title="Test accuracy on digits")
    return figure
