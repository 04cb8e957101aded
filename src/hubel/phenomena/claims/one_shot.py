"""Claim 20: with a pretrained network's features one labelled example a class goes a long way; with pixels it does not.

On classes of Caltech 101 where HUBEL_DATA has it, else on the question which of the built-in photographs a piece is from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hubel import data as sources
from hubel import pretrained, reuse
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import COLOURS, MUTED, Figure, as_percent, slide
from hubel.phenomena.statistics import mean
from hubel.pixels import as_arrays

CLAIM = Claim(
    20, "One-shot learning with learned features",
    "With a pretrained network's features one labelled example of each class goes a long way; with pixels it does not.",
    "Lecture 10, 'One-shot learning'; Donahue et al. 2014 (arXiv:1310.1531)",
    needs=(Need("features", "accuracy with one example a class, on features", at_least=0.6, percent=True),
           Need("pixels", "accuracy with one example a class, on pixels", at_most=0.3, percent=True),
           Need("worth", "accuracy of one example on features minus that of ten (or the most there are) on pixels",
                at_least=0.1, percent=True)),
    seconds=(8, 5, 2),
)
QUICK = {"classes": 12, "each": 16, "draws": 6}
SMALLEST = {"classes": 5, "each": 14, "draws": 4}


def images(classes: int, each: int, seed: int) -> tuple[Any, np.ndarray, str]:
    root = data.real("caltech101")
    if root is None:
        x, y = data.patches(11 * each, 96, seed, shrink=1, grey=False)
        return as_arrays(x), y.numpy(), f"pieces of {len(data.photographs())} photographs"
    every = sources.load(root, seed=seed)
    whole = every.train.concat(every.test)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(whole.classes))[:classes]
    places = np.concatenate([rng.permutation(np.flatnonzero(whole.labels == k))[:each] for k in chosen])
    found = whole.subset(places)
    return found, np.asarray(found.labels), f"{classes} classes of Caltech 101"


def measure(seed: int = 0, classes: int = 30, each: int = 20, draws: int = 10) -> Findings:
    x, y, about = images(classes, each, seed)
    features = reuse.embed(pretrained(), x, cache=False)
    small = (x.arrays(size=32, channels=3) if hasattr(x, "arrays") else x[:, 1::3, 1::3]).reshape(len(y),
        -1) / np.float32(255)
    test = np.zeros(len(y), dtype=bool)  # the last images of each class; the examples are drawn from the others
    for k in np.unique(y):
        test[np.flatnonzero(y == k)[11:]] = True
    curve = reuse.kshot_curve(y[~test], y[test], {"pretrained features": (features[~test], features[test]),
                                                  "pixels": (small[~test], small[test])},
                              shots=(1, 2, 5, 10), draws=draws, seed=seed, learner=reuse.NearestNeighbour())
    f, p = curve.draws  # (shots, draws)
    numbers = {"features": mean(f[0]), "pixels": mean(p[0]), "worth": mean(f[0] - p[-1])}
    k = len(np.unique(y))
    remark = (f"On {about}, by the nearest neighbour: one example a class gives {f[0].mean():.0%} on the features and "
              f"{p[0].mean():.0%} on pixels (chance {1 / k:.0%}); {curve.shots[-1]:g} examples give {f[-1].mean():.0%} and "
              f"{p[-1].mean():.0%}. Some of Caltech's classes are among ImageNet's, which the network has learned.")
    return Findings(numbers, remark, {"names": curve.names, "shots": curve.shots, "draws": curve.draws, "chance": 1 / k})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (axes,) = slide(1, 1)
    for name, draws, colour in zip(e["names"], e["draws"], COLOURS, strict=False):
        axes.plot(e["shots"], draws.mean(1), "o-", color=colour, label=name)
        axes.fill_between(e["shots"], draws.min(1), draws.max(1), color=colour, alpha=0.15, lw=0)
    axes.axhline(e["chance"], color=MUTED, ls=":", label="chance")
    axes.set(xscale="log", xlabel="labelled examples of each class", title="Accuracy of the nearest neighbour: mean and "
                                                                           "range over draws", ylim=(0, 1))
    axes.set_xticks(e["shots"], [f"{s:g}" for s in e["shots"]])
    axes.minorticks_off()
    as_percent(axes)
    axes.legend(loc="center right")
    return figure
