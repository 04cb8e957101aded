"""Claim 29: Adam needs less tuning than SGD with momentum, which generalises as well or better once it is tuned.

Both optimisers over five decades of learning rates, several seeds each, all at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, as_percent, line, slide
from hubel.phenomena.many import train_many
from hubel.phenomena.statistics import mean

CLAIM = Claim(
    29, "Adam or SGD",
    "Adam needs less tuning than SGD; tuned SGD generalises as well or better.",
    "Wilson et al. 2017 (arXiv:1705.08292); Kingma and Ba 2015 (arXiv:1412.6980); Choi et al. 2019 (arXiv:1910.05446)",
    needs=(Need("range", "decades of rates within 1 point of the best test accuracy: Adam's minus SGD's", at_least=0.0),
           Need("generalises", "test accuracy of SGD minus that of Adam, each at the rate best on other digits",
                at_least=-0.002, percent=True)),
    seconds=(12, 5, 2),
)
QUICK = {"runs": 4, "steps": 400}
SMALLEST = {"runs": 3, "steps": 120, "per_decade": 1}


def measure(seed: int = 0, runs: int = 6, steps: int = 600, per_decade: int = 3, train: int = 500) -> Findings:
    split = data.digits(train, seed)
    half = len(split.x_test) // 2  # to choose the rate by, and to report
    rates = 10 ** np.arange(-5, 1 + 1e-9, 1 / per_decade)
    found = {}
    for name in ("adam", "sgd"):
        many = train_many(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(),
                                                nn.Linear(48, 10)),
                          len(rates) * runs, split.x, split.y, steps=steps, batch_size=50,
                          learning_rate=np.repeat(rates, runs).tolist(),
                          optimizer=name, schedule="cosine", seed=seed)
        right = (many.logits(split.x_test).argmax(-1) == split.y_test).float()
        found[name] = np.stack([right[:, :half].mean(1).numpy(), right[:, half:].mean(1).numpy()]).reshape(2, len(rates),
            runs)
    best = {name: int(f[0].mean(1).argmax()) for name, f in found.items()}
    widths = {name: (f[1] >= f[1].max(0) - 0.01).sum(0) / per_decade for name, f in found.items()}  # (runs,)
    numbers = {"range": mean(widths["adam"] - widths["sgd"]),
               "generalises": mean(found["sgd"][1, best["sgd"]] - found["adam"][1, best["adam"]])}
    remark = (f"At its best rate Adam reaches {found['adam'][1, best['adam']].mean():.1%} ({rates[best['adam']]:.2g}), SGD "
              f"with momentum {found['sgd'][1, best['sgd']].mean():.1%} ({rates[best['sgd']]:.2g}). Within a point of the "
              f"best are {widths['adam'].mean():.1f} decades of rates for Adam, {widths['sgd'].mean():.1f} for SGD: on a "
              "network this small and well scaled, both forgive much.")
    return Findings(numbers, remark, {"rates": rates, "found": found})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (axes,) = slide(1, 1)
    for (name, found), colour in zip(e["found"].items(), (WORST, MAIN), strict=True):
        line(axes, e["rates"], found[1].T, {"adam": "Adam", "sgd": "SGD with momentum 0.9"}[name], colour)
    axes.set(xscale="log", xlabel="learning rate (then a cosine to 0)", title="Test accuracy: mean and range over seeds")
    as_percent(axes)
    axes.legend(loc="lower center")
    return figure
