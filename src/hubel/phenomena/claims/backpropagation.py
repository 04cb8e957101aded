"""Claim 1: all derivatives cost about as much as a few evaluations of the function, however many there are.

Central differences would need two evaluations for each parameter; backpropagation goes once forwards and once back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, MUTED, WORST, Figure, slide
from hubel.phenomena.statistics import Number, mean, slope

CLAIM = Claim(
    1, "Backpropagation is cheap",
    "Backpropagation computes the derivatives with respect to all d parameters in O(d) time.",
    "Lecture 10; Rumelhart, Hinton and Williams 1986; Griewank's cheap gradient principle",
    needs=(
        Need("operations", "slope of log(operations) over log(parameters)", at_most=1.05),
        Need("time", "slope of log(seconds) over log(parameters), among the larger half of the networks", at_most=1.15),
        Need("times_forward", "operations of forward and backward pass, in forward passes", at_most=4.0),
        Need("error", "largest relative difference from central differences", at_most=1e-5),
    ),
    seconds=(3, 2, 2),
)
QUICK = {"widths": (32, 64, 128, 256, 512, 1024), "repeats": 5}
SMALLEST = {"widths": (64, 128, 256, 512), "repeats": 3}


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(64, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10))


def measure(seed: int = 0, widths: Sequence[int] = (32, 64, 128, 256, 362, 512, 724, 1024, 1448, 2048),
            repeats: int = 9) -> Findings:
    x, y = torch.randn(16, 64), torch.randint(0, 10, (16,))
    parameters, operations, forward, seconds = [], [], [], []
    for width in widths:
        net = network(width)
        parameters.append(sum(w.numel() for w in net.parameters()))
        with FlopCounterMode(display=False) as count, torch.no_grad():
            net(x)
        forward.append(count.get_total_flops())
        with FlopCounterMode(display=False) as count:
            F.cross_entropy(net(x), y).backward()
        operations.append(count.get_total_flops())
        seconds.append(min(timed(net, x, y) for _ in range(repeats)))  # the least disturbed of several runs
    half = len(widths) // 2
    numbers = {
        "operations": slope(np.log(parameters), np.log(operations)),
        "time": slope(np.log(parameters[half:]), np.log(seconds[half:])),
        "times_forward": mean(np.array(operations) / np.array(forward)),
        "error": Number.exact(difference(network(8).double(), x.double(), y)),
    }
    saved = 2 * parameters[-1] / numbers["times_forward"].value
    remark = (f"{parameters[-1]:,} derivatives cost {numbers['times_forward'].value:.1f} forward passes; central "
              f"differences would take {2 * parameters[-1]:,}, that is {saved:,.0f} times as long.")
    return Findings(numbers, remark, {"parameters": parameters, "seconds": seconds, "operations": operations,
                                      "forward": forward})


def timed(net: nn.Module, x: torch.Tensor, y: torch.Tensor, calls: int = 6) -> float:
    """CPU seconds of one gradient."""
    began = time.process_time()
    for _ in range(calls):
        torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))
    return max((time.process_time() - began) / calls, 1e-7)


def difference(net: nn.Module, x: torch.Tensor, y: torch.Tensor, h: float = 1e-5) -> float:
    """Backpropagation against central differences, on every weight of the first layer."""
    weight = net[0].weight  # type: ignore[index]
    exact = torch.autograd.grad(F.cross_entropy(net(x), y), weight)[0]
    by_hand = torch.empty_like(exact)
    with torch.no_grad():
        for i in np.ndindex(*weight.shape):
            kept = weight[i].item()
            ends = []
            for step in (h, -h):
                weight[i] = kept + step
                ends.append(F.cross_entropy(net(x), y).item())
            weight[i] = kept
            by_hand[i] = (ends[0] - ends[1]) / (2 * h)
    return float((exact - by_hand).abs().max() / exact.abs().max())


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    d = np.array(e["parameters"])
    left.loglog(d, e["operations"], "o-", color=MAIN, label="all derivatives")
    left.loglog(d, e["forward"], "o-", color=MUTED, label="the function")
    left.loglog(d, 2 * d * np.array(e["forward"]), "--", color=WORST, label="by central differences")
    left.set(title="Operations", xlabel="parameters d")
    left.legend()
    right.loglog(d, 1e3 * np.array(e["seconds"]), "o-", color=MAIN, label="measured")
    right.loglog(d, 1e3 * e["seconds"][-1] * d / d[-1], ":", color=MUTED, label="proportional to d")
    right.set(title="Milliseconds for all derivatives", xlabel="parameters d")
    right.legend()
    return figure
