"""Claim 16: test error peaks where the parameters just suffice to fit, and falls again with more; networks often show none.

Random ReLU features with least squares of the smallest norm, on digits with some wrong labels; then ordinary networks with
one hidden layer, trained as usual, on clean labels and on the noisy ones. Polynomials do it too: claim 15.

The bound on networks was changed after a first run. It was: the worst of the networks that fit errs at most 1.5 times as
often as the widest; measured 1.96 (1.48 to 2.59). But error fell there with every step to more units: a slope, and no peak.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import GOOD, MAIN, SECOND, WORST, Figure, as_percent, line, slide
from hubel.phenomena.many import train_many
from hubel.phenomena.statistics import geometric

CLAIM = Claim(
    16, "Double descent",
    "Test error peaks at the interpolation threshold and falls again with many more parameters; ordinary networks usually "
    "do not show the peak.",
    "Belkin, Hsu, Ma and Mandal 2019 (arXiv:1812.11118); Nakkiran et al. 2020 (arXiv:1912.02292); lecture 10",
    needs=(
        Need("peak", "random features: test error at the threshold over that with 20 times as many", at_least=1.5),
        Need("rise", "random features: test error at the threshold over the least below it", at_least=1.2),
        Need("network", "networks on clean labels: largest rise of test error with width, as a ratio", at_most=1.25),
    ),
    seconds=(27, 6, 2),
)
QUICK = {"runs": 3, "network_runs": 3, "steps": 500}
SMALLEST = {"runs": 3, "network_runs": 3, "steps": 150, "widths": (4, 16, 128), "counts": (50, 100, 200, 800, 4000)}
TRAIN = 200


def measure(seed: int = 0, runs: int = 8, network_runs: int = 6, steps: int = 1200, wrong: float = 0.15,
            counts: Sequence[int] = (10, 25, 50, 100, 150, 180, 200, 220, 260, 400, 800, 1600, 4000),
            widths: Sequence[int] = (2, 4, 8, 12, 16, 24, 32, 64, 128, 512)) -> Findings:
    features = np.stack([random_features(seed + run, counts, wrong) for run in range(runs)])
    split = data.digits(TRAIN, seed)
    clean, noisy = split.y, spoiled(split.y, wrong, seed)
    nets = {name: np.stack([networks(width, network_runs, split, y, steps, seed) for width in widths], 1)
            for name, y in (("clean labels", clean), ("15% wrong labels", noisy))}  # (2, widths, runs) -> train, test
    at = list(counts).index(TRAIN)
    peak = features[:, at]
    rises = {name: rise(test_error) for name, (_, test_error) in nets.items()}
    numbers = {"peak": geometric(peak / features[:, -1]), "rise": geometric(peak / features[:, :at].min(1)),
               "network": geometric(rises["clean labels"]),
               "network_noisy": geometric(rises["15% wrong labels"])}
    remark = (f"Random features err on {peak.mean():.0%} at {TRAIN} features for {TRAIN} digits, on "
              f"{features[:, :at].mean(0).min():.0%} below and on {features[:, -1].mean():.0%} with {counts[-1]:,}. The "
              f"test error of networks rises with width by a factor of {numbers['network'].value:.2f} at most on clean "
              f"labels (1 is not at all) and of {numbers['network_noisy'].value:.2f} with wrong ones.")
    return Findings(numbers, remark, {"counts": list(counts), "features": features, "widths": list(widths), "nets": nets})


def rise(errors: np.ndarray) -> np.ndarray:
    """Of errors (widths, runs) the largest over the least at any smaller width, for each run; below 1 where they only fall."""
    least = np.minimum.accumulate(errors, 0)[:-1]
    return np.max(errors[1:] / np.maximum(least, 1e-3), 0)


def spoiled(y: torch.Tensor, share: float, seed: int) -> torch.Tensor:
    """Labels of which `share` are drawn anew."""
    rng = np.random.default_rng(seed)
    hit = rng.random(len(y)) < share
    return torch.from_numpy(np.where(hit, rng.integers(0, 10, len(y)), y.numpy()))


def random_features(seed: int, counts: Sequence[int], wrong: float) -> np.ndarray:
    """Test errors of least squares on the first P of the random features relu(x v), for each P."""
    split = data.digits(TRAIN, seed)
    rng = np.random.default_rng(seed)
    v = rng.standard_normal((64, max(counts))) / 8
    a, b = (np.maximum(x.flatten(1).numpy() @ v, 0) for x in (split.x, split.x_test))
    y = np.eye(10)[spoiled(split.y, wrong, seed)] - 0.1
    return np.array([np.mean((b[:, :p] @ np.linalg.lstsq(a[:, :p], y, rcond=1e-10)[0]).argmax(1) != split.y_test.numpy())
                     for p in counts])


def networks(width: int, runs: int, split: data.Split, y: torch.Tensor, steps: int, seed: int) -> np.ndarray:
    """(2, runs): train and test errors of `runs` networks of one width."""
    many = train_many(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10)), runs,
                      split.x, y,
                      steps=steps, batch_size=50, learning_rate=0.1, schedule="cosine", seed=seed)
    return np.stack([many.errors(split.x, y).numpy(), many.errors(split.x_test, split.y_test).numpy()])


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    line(left, e["counts"], e["features"], "random features", MAIN)
    left.axvline(TRAIN, color=WORST, ls=":")
    left.set(xscale="log", xlabel="features", title="Least squares on random features:\ntest error, 15% wrong labels")
    for (name, found), colour in zip(e["nets"].items(), (GOOD, SECOND), strict=True):
        line(right, e["widths"], found[1].T, f"{name}: test", colour)
        line(right, e["widths"], found[0].T, f"{name}: training", colour, ls="--", marker="")
    right.set(xscale="log", xlabel="hidden units", title="Networks of one hidden layer:\nerror after training")
    right.legend(fontsize=10.5)
    for a in (left, right):
        as_percent(a)
        a.set_ylim(0)
    return figure
