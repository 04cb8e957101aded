"""Claim 4: smoothing before classifying helps at the right scale; larger filters smooth more.

Digits with static on them, smoothed by Gaussians of growing sigma, then classified by their nearest neighbour. (A linear
classifier would gain nothing: smoothing is linear, and it can learn it.) MNIST where HUBEL_DATA has it. The built-in digits
of 8x8 pixels were averaged over blocks of 4x4 when they were made: with strokes one pixel wide there is little left to smooth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from hubel import features
from hubel.data import Source, load
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, as_percent, line, pictures, slide
from hubel.phenomena.statistics import Number, mean

CLAIM = Claim(
    4, "Smoothing",
    "Smoothing before classifying helps at the right scale, and larger filters smooth more.",
    "Lecture 10, 'Smoothing for feature extraction'",
    needs=(
        Need("gain", "accuracy that the best sigma adds, chosen on other digits", at_least=0.02, percent=True),
        Need("too_much", "accuracy lost again at the largest sigma", at_least=0.02, percent=True),
        Need("monotone", "steps to a larger sigma that leave more of the static than the step before", at_most=0),
    ),
    seconds=(5, 2, 2),
)
QUICK = {"runs": 5}
SMALLEST = {"runs": 4, "train": 200, "test": 200}


def measure(seed: int = 0, runs: int = 12, train: int = 700, test: int = 400, noise: float = 0.35,
            sigmas: Sequence[float] = (0, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)) -> Findings:
    accuracy = np.empty((runs, 2, len(sigmas)))  # on digits to choose by, and on others to report
    left = np.empty((runs, len(sigmas)))
    shown: list[np.ndarray] = []
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        x, y, x_test, y_test = handwriting(train, 2 * test, seed + run)
        static = [noise * rng.standard_normal(v.shape).astype(np.float32) for v in (x, x_test)]
        for i, sigma in enumerate(sigmas):
            a, b = (blurred(v + s, sigma) for v, s in zip((x, x_test), static, strict=True))
            near = KNeighborsClassifier(1).fit(a.reshape(len(a), -1), y)
            right = near.predict(b.reshape(len(b), -1)) == y_test
            accuracy[run, :, i] = right[:test].mean(), right[test:].mean()
            left[run, i] = blurred(static[1], sigma).std() / noise
            if run == 0:
                shown.append(b[0])
    best = accuracy[:, 0].argmax(1)
    at_best = np.take_along_axis(accuracy[:, 1], best[:, None], 1)[:, 0]
    numbers = {
        "gain": mean(at_best - accuracy[:, 1, 0]),
        "too_much": mean(at_best - accuracy[:, 1, -1]),
        "monotone": Number.exact(float((np.diff(left.mean(0)) > 0).sum())),
    }
    on = "MNIST" if data.real("mnist") else "digits of 8x8"
    remark = (f"On {on} static of {noise:g} costs the nearest neighbour much: {accuracy[:, 1, 0].mean():.0%} are right; "
              f"the best sigma is {np.median(np.array(sigmas)[best]):g} pixels and gains {100 * numbers['gain'].value:.0f} "
              f"points, {sigmas[-1]:g} pixels lose {100 * numbers['too_much'].value:.0f} again.")
    return Findings(numbers, remark, {"sigmas": list(sigmas), "accuracy": accuracy[:, 1], "left": left,
                                      "shown": np.stack(shown)})


def handwriting(train: int, test: int, seed: int) -> tuple[np.ndarray, ...]:
    """x (N, H, W) in 0..1 and y, to learn from and to be tested on."""
    root = data.real("mnist")
    if root is None:
        split = data.digits(train, seed, test)
        return split.x[:, 0].numpy(), split.y.numpy(), split.x_test[:, 0].numpy(), split.y_test.numpy()
    source = mnist(root)
    found: list[np.ndarray] = []
    for part, count in ((source.train, train), (source.test, test)):
        chosen = part.subset(np.random.default_rng(seed).permutation(len(part))[:count])
        found += [chosen.arrays()[..., 0].astype(np.float32) / 255, np.asarray(chosen.labels)]
    return tuple(found)


@cache
def mnist(root: Path) -> Source:
    return load(root)


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """(N, H, W), smoothed within each image."""
    return np.asarray(features.smooth(images[..., None], sigma))[..., 0] if sigma else images


def draw(e: Mapping[str, Any]) -> Figure:
    figure, axes = slide(2, 1, 5.4, height_ratios=(1, 2.6))
    axes[0].axis("off")
    cells = [axes[0].inset_axes((i / len(e["shown"]), 0, 0.94 / len(e["shown"]), 0.85)) for i in range(len(e["shown"]))]
    pictures(cells, e["shown"], [f"σ = {s:g}" for s in e["sigmas"]])
    below = axes[1]
    line(below, e["sigmas"], e["accuracy"], "accuracy of the nearest neighbour", MAIN)
    line(below, e["sigmas"], e["left"], "static that is left", WORST)
    as_percent(below)
    below.set(xlabel="sigma of the Gaussian, in pixels", ylim=(0, 1.02))
    below.legend(loc="upper right")
    return figure
