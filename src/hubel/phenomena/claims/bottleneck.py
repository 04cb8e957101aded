"""Claim 22: autoencoders without a bottleneck learn nothing useful; with one they do.

Dense autoencoders of digits whose code has from 2 to 256 numbers, 64 being the image itself. What is useful is measured by
what a linear classifier gets from the code with few labels, and by whether the autoencoder tells digits from static.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hubel import autoencode
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, SECOND, WORST, Figure, as_percent, line, slide
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    22, "Autoencoders need a bottleneck",
    "Without a bottleneck an autoencoder learns the identity and nothing useful; with one it distils high-level features.",
    "Lecture 10, 'Important property of autoencoders'",
    needs=(Need("identity", "reconstruction error of what is no digit, in digits' contrast, without a bottleneck",
                at_most=0.1, percent=True),
           Need("stranger", "digits told from shuffled digits by their error (AUC) with a bottleneck of 8", at_least=0.95),
           Need("labels", "accuracy with 5 labels a class on 8 numbers of code minus that on 256", at_least=0.0,
                percent=True)),
    seconds=(25, 8, 2),
)
QUICK = {"runs": 2, "epochs": 25, "codes": (4, 8, 64, 256)}
SMALLEST = {"runs": 2, "epochs": 8, "codes": (8, 256), "train": 500}


def coder(latents: int, seed: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", autoencode.BottleneckWarning)  # the library warns of what this claim is about
        return autoencode.build("dense", size=8, channels=1, latents=latents, widths=(256,), seed=seed)


def shuffled(x: torch.Tensor, seed: int) -> torch.Tensor:
    """The same pixels of each image in another order: the contrast of a digit, and no digit."""
    order = torch.rand(x.flatten(1).shape, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return x.flatten(1).gather(1, order).view_as(x)


def measure(seed: int = 0, runs: int = 3, train: int = 1200, epochs: int = 50,
            codes: Sequence[int] = (2, 4, 8, 32, 64, 256)) -> Findings:
    found = np.empty((runs, len(codes), 4))  # error on digits, error on shuffled ones, AUC, accuracy with few labels
    for run in range(runs):
        split = data.digits(train, seed + run)
        strange = shuffled(split.x_test, seed + run)
        contrast = float(strange.var(0).mean())
        for i, latents in enumerate(codes):
            model = coder(latents, seed + run)
            model.fit(split.x, epochs=epochs, learning_rate=3e-3, seed=seed + run, verbose=0)
            errors, others = model.error(split.x_test), model.error(strange)
            auc = roc_auc_score(np.repeat([0, 1], [len(errors), len(others)]), np.concatenate([errors, others]))
            found[run, i] = errors.mean() / contrast, others.mean() / contrast, auc, few_labels(model.encode(split.x_test),
                split.y_test.numpy(), seed)
    at = {k: i for i, k in enumerate(codes)}
    numbers = {"identity": mean(found[:, -1, 1]), "stranger": mean(found[:, at[8], 2]),
               "labels": mean(found[:, at[8], 3] - found[:, -1, 3]),
               "wide_auc": mean(found[:, -1, 2]), "wide_labels": mean(found[:, -1, 3]),
               "narrow_labels": mean(found[:, at[8], 3])}
    why = "It copies anything."
    if found[:, -1, 1].mean() > 0.1:
        why = ("Even the wide one is no identity: descent learns to copy what it has seen, and what is no digit passes badly "
               "without any bottleneck.")
    remark = (f"With {codes[-1]} numbers for 64 pixels, shuffled digits come back with {found[:, -1, 1].mean():.0%} of "
              f"their contrast missing (AUC {found[:, -1, 2].mean():.2f}), with 8 with {found[:, at[8], 1].mean():.0%} "
              f"(AUC {found[:, at[8], 2].mean():.2f}). Five labels a class give {found[:, at[8], 3].mean():.0%} on a code "
              f"of 8 and {found[:, -1, 3].mean():.0%} on the wide one. {why}")
    return Findings(numbers, remark, {"codes": list(codes), "found": found})


def few_labels(codes: np.ndarray, y: np.ndarray, seed: int, draws: int = 10, labels: int = 5) -> float:
    """Accuracy of a linear classifier on the codes, with so many labels a class."""
    right = []
    for i in range(draws):
        rng = np.random.default_rng((seed, i))
        shown = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:labels] for k in range(10)])
        rest = np.setdiff1d(np.arange(len(y)), shown)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(codes[shown], y[shown])
        right.append(model.score(codes[rest], y[rest]))
    return float(np.mean(right))


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    line(left, e["codes"], e["found"][..., 0], "digits", MAIN)
    line(left, e["codes"], e["found"][..., 1], "digits with their pixels shuffled", WORST)
    left.set(title="Contrast lost on the way", ylim=(0, 1.6))
    line(right, e["codes"], e["found"][..., 2], "digits told from shuffled ones (AUC)", WORST)
    line(right, e["codes"], e["found"][..., 3], "accuracy, 5 labels a class", SECOND)
    right.set(title="What the code is good for", ylim=(0.4, 1.03))
    for a in (left, right):
        a.set(xscale="log", xlabel="numbers in the code")
        a.set_xticks(e["codes"], list(map(str, e["codes"])))
        a.minorticks_off()
        a.axvline(64, color="gray", ls=":", lw=1)
        as_percent(a)
        a.legend(loc="upper right" if a is left else "lower right")
    return figure
