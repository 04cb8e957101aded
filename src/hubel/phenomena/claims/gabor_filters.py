"""Claim 6: gradient descent finds edge detectors in the first layer.

A small network learns which photograph a patch comes from; its first filters are compared with Gabor functions, and so are
those of the same network before training, and after training on labels that were shuffled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel import Model, look, training
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, MUTED, SECOND, Figure, pictures, slide
from hubel.phenomena.statistics import bootstrap

CLAIM = Claim(
    6, "First filters are edge detectors",
    "The filters that gradient descent finds in the first layer are edge detectors.",
    "Lecture 10; Krizhevsky, Sutskever and Hinton 2012, figure 3; Hubel and Wiesel 1959",
    needs=(Need("learned", "share of learned filters nearer to a Gabor than 95% of random ones", at_least=0.5, percent=True),
           Need("over_random", "mean Gabor R² of learned filters minus that of filters before training", at_least=0.1),
           Need("over_shuffled", "mean Gabor R² of learned filters minus that after learning shuffled labels",
                at_least=0.05)),
    seconds=(30, 7, 2),
)
QUICK = {"runs": 1, "epochs": 5, "patches": 3000}
SMALLEST = {"runs": 1, "epochs": 3, "patches": 1000, "width": 8}


def network(classes: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, width, 9, stride=2, padding=4, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                         nn.MaxPool2d(2),
                         nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(2),
                         nn.Flatten(), nn.Linear(8 * width, classes))


def measure(seed: int = 0, runs: int = 3, epochs: int = 8, patches: int = 4000, width: int = 16) -> Findings:
    names = list(data.photographs())
    arms: dict[str, list[look.Filters]] = {"before training": [], "shuffled labels": [], "learned": []}
    accuracy = []
    for run in range(runs):
        x, y = data.patches(patches + 400, 32, seed + run)
        fresh, truth = x[patches:], y[patches:]
        x, y = x[:patches], y[:patches]
        rng = torch.Generator().manual_seed(seed + run)
        for arm, labels in (("before training", None), ("shuffled labels", y[torch.randperm(len(y), generator=rng)]),
                            ("learned", y)):
            torch.manual_seed(seed + run)
            model = Model(network(len(names), width), names, size=32, channels=1)
            if labels is not None:
                # Decay lets what no label pushes die away, so that what remains was learned.
                training.fit(model.network, (x - 0.5, labels), epochs=epochs, batch_size=50, optimizer="adam",
                             learning_rate=3e-3,
                             weight_decay=0.05, seed=seed, verbose=0)
            if arm == "learned":
                accuracy.append(float((model.network(fresh - 0.5).argmax(1) == truth).float().mean()))
            arms[arm].append(look.filters(model))
    fits = {arm: [f.fit() for f in found] for arm, found in arms.items()}
    r2 = {arm: np.concatenate([f.gabor_r2 for f in found]) for arm, found in fits.items()}
    threshold = np.quantile(fits["learned"][0].random_gabor_r2, 0.95)
    numbers = {"learned": bootstrap((r2["learned"] > threshold).astype(float)),
               "over_random": apart(r2["learned"], r2["before training"]),
               "over_shuffled": apart(r2["learned"], r2["shuffled labels"])}
    remark = (f"Mean Gabor R²: {r2['learned'].mean():.2f} learned, {r2['shuffled labels'].mean():.2f} after shuffled "
              f"labels, {r2['before training'].mean():.2f} before training; random filters of 9x9 exceed {threshold:.2f} "
              f"in 5% of cases. The networks name the photograph of a new patch in {np.mean(accuracy):.0%} of cases, of "
              f"{len(names)}.")
    if r2["shuffled labels"].mean() > r2["learned"].mean() - 0.05:
        remark += (" No true label is needed for edges: filters turn towards the main components of the patches, whatever "
                   "the labels say (Maennel et al. 2020, arXiv:2006.10455).")
    return Findings(numbers, remark, {"r2": r2, "threshold": threshold,
                                      "pictures": {arm: found[0].pictures()[:16] for arm, found in arms.items()}})


def apart(a: np.ndarray, b: np.ndarray) -> Any:
    """The difference of means, with a bootstrap over the filters of both."""
    n = min(len(a), len(b))
    return bootstrap(a[:n] - b[:n])


def draw(e: Mapping[str, Any]) -> Figure:
    figure, axes = slide(1, 2, width_ratios=(1.15, 1))
    axes[0].axis("off")
    for row, (arm, tiles) in enumerate(e["pictures"].items()):
        top = 0.7 - 0.345 * row
        cells = [axes[0].inset_axes((i % 8 / 8, top + 0.125 * (1 - i // 8), 0.115, 0.115)) for i in range(len(tiles))]
        pictures(cells, tiles)
        axes[0].text(0, top + 0.26, arm, fontsize=12)
    axes[0].set(xlim=(0, 1), ylim=(0, 1))
    for (arm, values), colour in zip(e["r2"].items(), (MUTED, SECOND, MAIN), strict=True):
        axes[1].plot(np.sort(values), np.linspace(0, 1, len(values)), color=colour, label=arm, drawstyle="steps-post")
    axes[1].axvline(e["threshold"], color=MUTED, ls=":")
    axes[1].set(xlabel="R² of the nearest Gabor", title="Share of filters up to this R²", xlim=(0, 1))
    axes[1].legend(loc="lower right")
    return figure
