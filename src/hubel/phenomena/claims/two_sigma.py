"""Claim 26: a Gaussian filter of k samples with k of at least 2 sigma captures its fall-off.

The lecture's Gaussian is exp(-(i - k/2)^2 / sigma^2), without the 2 that the usual one has below sigma^2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import GOOD, MAIN, WORST, Figure, as_percent, slide
from hubel.phenomena.statistics import Number

CLAIM = Claim(
    26, "The size of a Gaussian filter",
    "A size k of at least 2 sigma captures the fall-off of the Gaussian.",
    "Lecture 10, 'Smoothing in two dimensions'",
    needs=(Need("weight", "the filter's weight within k = 2 sigma samples, in the lecture's form", at_least=0.9,
                percent=True),
           Need("edge", "the outermost weight, in shares of the middle one", at_most=0.2, percent=True)),
    seconds=(0.1, 0.1, 0.1),
)
QUICK: dict[str, Any] = {}
SMALLEST: dict[str, Any] = {}


def measure(seed: int = 0, sigma: float = 20.0, ratios: Sequence[float] = (1, 1.5, 2, 2.5, 3, 4, 5, 6)) -> Findings:
    rows = []
    for two in (1.0, 2.0):  # the lecture's exponent, and the usual one
        i = np.arange(-2000, 2001)
        w = np.exp(-(i**2) / (two * sigma**2))
        rows.append([float(w[np.abs(i) <= ratio * sigma / 2].sum() / w.sum()) for ratio in ratios])
    at = list(ratios).index(2)
    numbers = {"weight": Number.exact(rows[0][at]), "edge": Number.exact(float(np.exp(-1.0))),
               "usual": Number.exact(rows[1][at]),
               "each_way": Number.exact(rows[1][list(ratios).index(4)])}
    remark = (f"k = 2 sigma keeps {rows[0][at]:.0%} of the weight and ends at {np.exp(-1):.0%} of the height: a step, not "
              f"a fall-off. Of the usual Gaussian (2 sigma² below) it keeps {rows[1][at]:.0%}. Read as 2 sigma each way, k "
              f"= 4 sigma, it is right: {rows[0][list(ratios).index(4)]:.1%} and {rows[1][list(ratios).index(4)]:.1%}.")
    return Findings(numbers, remark, {"ratios": list(ratios), "rows": rows})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    u = np.linspace(-3, 3, 400)
    left.plot(u, np.exp(-(u**2)), color=MAIN, label="the lecture's")
    left.fill_between(u, np.exp(-(u**2)), where=np.abs(u) <= 1, color=MAIN, alpha=0.18)
    left.plot(u, np.exp(-(u**2) / 2), color=WORST, label="the usual one")
    left.set(title="k = 2 sigma keeps the shaded part", xlabel="samples from the middle, in sigmas", ylim=(0, 1.3))
    left.legend(loc="upper right")
    for row, name, colour in zip(e["rows"], ("the lecture's", "the usual one"), (MAIN, WORST), strict=True):
        right.plot(e["ratios"], row, "o-", color=colour, label=name)
    right.axhline(0.9, color=GOOD, ls="--", label="needed")
    as_percent(right)
    right.set(title="Weight within the filter", xlabel="size k, in sigmas", ylim=(0.3, 1.03))
    right.legend(loc="lower right")
    return figure
