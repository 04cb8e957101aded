"""Claim 15: polynomials of far more coefficients than points interpolate noise and still predict; the algorithm matters.

Legendre polynomials on 20 noisy points. Least squares of the smallest norm, which is what gradient descent from zero finds,
against descent from a random start, which interpolates just as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import GOOD, INK, MAIN, MUTED, WORST, Figure, slide
from hubel.phenomena.statistics import Number, geometric

CLAIM = Claim(
    15, "Over-parameterised polynomials",
    "Over-parameterised polynomials fit every point and still predict; which training algorithm is used matters.",
    "Lecture 10; Belkin 2021 (arXiv:2105.14368); demo with Legendre polynomials of minimum norm",
    needs=(
        Need("train", "largest squared error on the training points at the highest degree", at_most=1e-10),
        Need("recovers", "test error at the threshold (degree + 1 = points) over that at the highest degree", at_least=10.0),
        Need("useful", "test error at the highest degree over that of predicting the mean", at_most=0.5),
        Need("algorithm", "test error of descent from a random start over that of the smallest norm", at_least=2.0),
    ),
    seconds=(2, 1, 0.2),
)
QUICK = {"runs": 40}
SMALLEST = {"runs": 12, "degrees": (1, 5, 9, 19, 30, 100, 300)}


def target(x: np.ndarray) -> np.ndarray:
    return 2 * x + np.cos(25 * x) * 0.2 + np.sin(3 * x)


def basis(x: np.ndarray, degree: int) -> np.ndarray:
    """Legendre polynomials of norm 1, each divided by its degree + 1: smooth ones are cheaper."""
    k = np.arange(degree + 1)
    return legendre.legvander(x, degree) * np.sqrt((2 * k + 1) / 2) / (k + 1)


def measure(seed: int = 0, runs: int = 200, points: int = 20, noise: float = 0.3,
            degrees: Sequence[int] = (1, 2, 3, 5, 7, 9, 12, 15, 17, 19, 21, 25, 30, 50, 100, 300, 1000)) -> Findings:
    grid = np.linspace(-0.98, 0.98, 400)
    test, (other, flat, mean_only, train) = np.empty((runs, len(degrees))), np.empty((4, runs))
    fits: dict[int, np.ndarray] = {}
    on_grid = basis(grid, degrees[-1])
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        x = rng.uniform(-1, 1, points)
        y = target(x) + noise * rng.standard_normal(points)
        whole = basis(x, degrees[-1])
        for i, degree in enumerate(degrees):
            a = whole[:, : degree + 1]
            w = np.linalg.lstsq(a, y, rcond=1e-13)[0]  # of smallest norm, where many fit
            answer = on_grid[:, : degree + 1] @ w
            test[run, i] = np.mean((answer - target(grid)) ** 2)
            if run == 0:
                fits[degree] = answer
        train[run] = np.max((a @ w - y) ** 2)
        start = rng.standard_normal(a.shape[1])  # descent moves only within the rows of a: what lies across them stays
        descended = start + np.linalg.lstsq(a, y - a @ start, rcond=1e-13)[0]
        other[run] = np.mean((on_grid @ descended - target(grid)) ** 2)
        scale = np.arange(1, a.shape[1] + 1)  # without the weights of `basis`, descent from 0 ends elsewhere
        plain = scale * np.linalg.lstsq(a * scale, y, rcond=1e-13)[0]
        flat[run] = np.mean((on_grid @ plain - target(grid)) ** 2)
        mean_only[run] = np.mean((y.mean() - target(grid)) ** 2)
        if run == 0:
            fits[-1], shown = on_grid @ descended, (x, y)
    at = list(degrees).index(points - 1)
    numbers = {"train": Number.exact(train.max()), "recovers": geometric(test[:, at] / test[:, -1]),
               "useful": geometric(test[:, -1] / mean_only), "algorithm": geometric(other / test[:, -1]),
               "unweighted": geometric(flat / test[:, -1]), "best_small": geometric(test[:, -1] / test[:, : at].min(1))}
    remark = (f"Degree {degrees[-1]} fits all {points} points exactly and its test error is {numbers['useful'].value:.2f} "
              f"of the mean's, {numbers['recovers'].value:.2g} times less than at the threshold; the best small degree, "
              f"chosen with hindsight, is still {numbers['best_small'].value:.1f} times better. From a random start, "
              f"descent fits too and errs {numbers['algorithm'].value:.1f} times as much; from zero, but with all degrees "
              f"equally cheap, {numbers['unweighted'].value:.0f} times: which of the solutions descent ends in matters, "
              "that it starts at random here less than the factor of 2 that was asked for.")
    return Findings(numbers, remark, {"degrees": list(degrees), "test": test, "grid": grid, "fits": fits, "shown": shown,
                                      "points": points})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    grid, (x, y), last = e["grid"], e["shown"], e["degrees"][-1]
    left.plot(grid, target(grid), color=MUTED, lw=3, label="truth")
    for degree, name, colour in ((e["points"] - 1, f"degree {e['points'] - 1}", WORST),
                                 (last, f"degree {last}, smallest norm", MAIN),
                                 (-1, f"degree {last}, random start", GOOD)):
        left.plot(grid, e["fits"][degree], color=colour, lw=1.5, label=name)
    left.plot(x, y, "o", color=INK)
    left.set(ylim=(-5, 7.5), title=f"All but the truth pass through {e['points']} points")
    left.set_xticks([-1, -0.5, 0, 0.5, 1])
    left.legend(loc="upper left", fontsize=11, frameon=True, framealpha=1, edgecolor="none")
    low, middle, high = np.quantile(e["test"], (0.25, 0.5, 0.75), axis=0)
    right.fill_between(e["degrees"], low, high, color=MAIN, alpha=0.15, lw=0)
    right.plot(e["degrees"], middle, "o-", color=MAIN)
    right.axvline(e["points"] - 1, color=WORST, ls=":")
    right.set(xscale="log", yscale="log", xlabel="degree", title="Test error: median and quartiles")
    right.annotate("as many coefficients\nas points", (e["points"], high.max() / 3), color=WORST, fontsize=11)
    return figure
