"""Claim 24: features of autoencoders fall short of supervised ones.

An autoencoder and a classifier with the same encoder learn from the same digits 0 to 4, the first without labels. Both encoders
are then judged on digits 5 to 9, of which neither has seen one: a fair question, since the classifier's labels do not answer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel import autoencode, reuse, training
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, MUTED, WORST, Figure, as_percent, line, slide
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    24, "Autoencoders' features fall short",
    "The features of the best autoencoders do not work as well as those of supervised learning.",
    "Lecture 10, 'Autoencoders for feature extraction'",
    needs=(Need("same", "accuracy on the classes that were labelled: supervised minus autoencoder, 5 examples a class",
                at_least=0.02, percent=True),
           Need("other", "accuracy on classes that neither has seen: supervised minus autoencoder, 5 examples a class",
                at_least=0.0, percent=True)),
    seconds=(7, 4, 2),
)
QUICK = {"runs": 3, "epochs": 15}
SMALLEST = {"runs": 2, "epochs": 6, "shots": (5,)}
LATENTS = 16


def measure(seed: int = 0, runs: int = 6, epochs: int = 40, shots: Sequence[int] = (1, 2, 5, 10, 20)) -> Findings:
    found = np.empty((runs, 2, 3, len(shots)))  # classes 0 to 4 (new images) or 5 to 9; features; shots
    for run in range(runs):
        split = data.digits(1797, seed + run)
        low, high = torch.nonzero(split.y < 5)[:, 0], torch.nonzero(split.y >= 5)[:, 0]
        learn, fresh = low[:500], low[500:]
        coder = autoencode.build("convolutional", size=8, channels=1, latents=LATENTS, width=16, seed=seed + run)
        coder.fit(split.x[learn], epochs=epochs, batch_size=64, learning_rate=3e-3, seed=seed + run, verbose=0)
        twin: Any = autoencode.build("convolutional", size=8, channels=1, latents=LATENTS, width=16, seed=seed
                                     + run).network.encoder
        torch.manual_seed(seed + run)
        classifier = nn.Sequential(twin, nn.ReLU(), nn.Linear(LATENTS, 5))
        training.fit(classifier, (split.x[learn], split.y[learn]), normalise=coder.normalise, epochs=epochs, batch_size=64,
                     optimizer="adam",
                     learning_rate=3e-3, seed=seed + run, verbose=0)
        for i, use in enumerate((fresh, high)):
            x, y = split.x[use], split.y[use].numpy()
            with torch.no_grad():
                supervised = twin(coder.normalise(x)).numpy()
            features = {"supervised": supervised, "autoencoder": coder.encode(x), "pixels": x.flatten(1).numpy()}
            for j, f in enumerate(features.values()):
                found[run, i, j] = [few(f, y, k, seed + run) for k in shots]
    at = list(shots).index(5)
    gap = found[:, :, 0] - found[:, :, 1]  # (runs, classes, shots)
    numbers = {"same": mean(gap[:, 0, at]), "other": mean(gap[:, 1, at]),
               "over_pixels": mean(found[:, 1, 1, at] - found[:, 1, 2, at])}
    a = found.mean(0)
    remark = (f"Five examples a class, new images of the labelled classes: supervised {a[0, 0, at]:.0%}, autoencoder "
              f"{a[0, 1, at]:.0%}, pixels {a[0, 2, at]:.0%}; classes that neither has seen: {a[1, 0, at]:.0%}, "
              f"{a[1, 1, at]:.0%}, {a[1, 2, at]:.0%}. Five classes of small digits teach a classifier little that other "
              "classes need.")
    return Findings(numbers, remark, {"found": found, "shots": list(shots)})


def few(features: np.ndarray, y: np.ndarray, shots: int, seed: int, draws: int = 10) -> float:
    """Mean accuracy of a linear discriminant over draws of `shots` examples a class."""
    right = []
    for i in range(draws):
        shown = reuse.fewshot.draw_examples(y, shots, seed=100 * seed + i)
        rest = np.setdiff1d(np.arange(len(y)), shown)
        right.append((reuse.Discriminant().fit(features[shown], y[shown]).predict(features[rest]) == y[rest]).mean())
    return float(np.mean(right))


def draw(e: Mapping[str, Any]) -> Figure:
    figure, axes = slide(1, 2, sharey=True)
    for i, (a, title) in enumerate(zip(axes, ("New images of the labelled classes", "Classes that neither has seen"),
                                       strict=True)):
        for j, (name, colour) in enumerate((("supervised", MAIN), ("autoencoder", WORST), ("pixels", MUTED))):
            line(a, e["shots"], e["found"][:, i, j], name, colour)
        a.set(title=title, xscale="log", xlabel="labelled examples a class")
        a.set_xticks(e["shots"], list(map(str, e["shots"])))
        a.minorticks_off()
        as_percent(a)
    axes[0].legend(loc="lower right")
    return figure
