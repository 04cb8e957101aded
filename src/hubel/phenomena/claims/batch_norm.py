"""Claim 8: batch normalisation reaches the same accuracy in many times fewer steps, and does not change what can be expressed.

The network of the paper's section 4.1, three hidden layers of 100 sigmoid units, with and without batch norm; the learning
rate is swept in both arms, and each arm is judged at its own best. All rates and seeds of an arm learn at once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel.engine.fold import fold_batch_norm
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, as_percent, line, slide
from hubel.phenomena.many import Curve, train_many
from hubel.phenomena.statistics import Number, geometric

CLAIM = Claim(
    8, "Batch normalisation",
    "Batch normalisation reaches the same accuracy in many times fewer steps (the paper: 14 times), without changing what "
    "can be expressed.",
    "Ioffe and Szegedy 2015 (arXiv:1502.03167); lecture 10",
    needs=(Need("ratio", "steps without over steps with it, to the same test accuracy, each at its best rate", at_least=3.0),
           Need("folded", "largest difference of logits when it is folded into the weights", at_most=1e-4)),
    seconds=(88, 15, 2),
)
QUICK = {"runs": 3, "steps": 600}
SMALLEST = {"runs": 2, "steps": 160, "rates": (0.03, 0.3), "every": 5, "goal": 0.8}


def network(norm: bool) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (64, 100, 100):
        linear = nn.Linear(inputs, 100)
        nn.init.normal_(linear.weight, 0, inputs**-0.5)
        layers += [linear, *([nn.BatchNorm1d(100)] if norm else []), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(100, 10))


def measure(seed: int = 0, runs: int = 5, steps: int = 2400, rates: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0),
            every: int = 10, goal: float = 0.95) -> Findings:
    split = data.digits(1000, seed)
    curves = {}
    for name, norm in (("without", False), ("with", True)):
        curve = Curve(split.x_test, split.y_test)
        train_many(partial(network, norm), len(rates) * runs, split.x, split.y, steps=steps, batch_size=60, seed=seed,
                   learning_rate=np.repeat(rates, runs).tolist(), watch=curve, every=every)
        curves[name] = curve.accuracy.reshape(len(rates), runs, -1)
    first = {name: arrival(c, goal) * every for name, c in curves.items()}  # (rates, runs)
    best = {name: int(np.median(f, 1).argmin()) for name, f in first.items()}
    slow, fast = (first[name][best[name]] for name in ("without", "with"))
    numbers = {"ratio": geometric(np.minimum(slow, steps) / np.minimum(fast, steps)),
               "folded": Number.exact(folded(split, seed)),
               "steps_with": Number.exact(float(np.median(fast))), "steps_without": Number.exact(float(np.median(slow)))}
    fails = int(np.isinf(slow).sum())
    late = f" ({fails} of {runs} never within {steps} steps: the ratio is a lower bound)" if fails else ""
    remark = (f"To {goal:.0%}: {np.median(fast):.0f} steps with it at rate {rates[best['with']]:g}, {np.median(slow):.0f} "
              f"without at rate {rates[best['without']]:g}{late}. The paper's 14 was measured on Inception and at "
              "different rates.")
    return Findings(numbers, remark, {"curves": curves, "best": best, "every": every, "goal": goal, "first": first,
                                      "rates": list(rates)})


def arrival(curves: np.ndarray, goal: float) -> np.ndarray:
    """The first point (rates, runs), from 1, at which a curve (rates, runs, T) reaches the goal; infinite if it never does."""
    hit = curves >= goal
    return np.where(hit.any(-1), hit.argmax(-1) + 1.0, np.inf)


def folded(split: data.Split, seed: int) -> float:
    """Train one with running averages, fold its batch norms into the weights, compare."""
    torch.manual_seed(seed)
    net = network(True)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for batch in torch.arange(len(split.x)).split(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(split.x[batch]), split.y[batch]).backward()
        optimizer.step()
    plain = copy.deepcopy(net.eval())
    count = fold_batch_norm(plain, split.x[:1])
    assert count == 3, f"{count} of 3 batch norms were folded"
    with torch.no_grad():
        return float((net(split.x_test) - plain(split.x_test)).abs().max())


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    for name, colour in (("with", MAIN), ("without", WORST)):
        c, best = e["curves"][name], e["best"][name]
        line(left, e["every"] * (np.arange(c.shape[-1]) + 1), c[best], f"{name} (rate {e['rates'][best]:g})", colour,
             marker="")
        right.plot(e["rates"], np.median(e["first"][name], 1), "o-", color=colour, label=name)
    left.axhline(e["goal"], color="gray", lw=1, ls=":")
    left.set(title="Test accuracy, each at its best rate", xlabel="steps", xscale="log")
    as_percent(left)
    left.legend(loc="center left")
    right.set(title=f"Steps to {e['goal']:.0%}", xlabel="learning rate", xscale="log", yscale="log")
    right.legend()
    return figure
