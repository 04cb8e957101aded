"""Claim 7: units deeper in the network hold more abstract concepts.

Measured as what a linear probe can read from each layer's units, averaged over places: the class of the image. On Caltech 101
with the pretrained network where HUBEL_DATA has it, else on digits with a network trained on other digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from hubel import Model, look, nets, pretrained
from hubel import data as sources
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, MUTED, WORST, Figure, as_percent, slide
from hubel.phenomena.statistics import Number, rate

CLAIM = Claim(
    7, "Deeper is more abstract",
    "Units in deeper layers hold more abstract concepts: class membership can be read from them more easily.",
    "Lecture 10; Alain and Bengio 2016 (arXiv:1610.01644)",
    needs=(Need("trend", "rank correlation of a layer's depth with its probe's accuracy", at_least=0.8),
           Need("gain", "probe accuracy at the last layer minus that at the first", at_least=0.2, percent=True),
           Need("selective", "median selectivity of units in the last layer over that in the first", at_least=1.2)),
    seconds=(12, 6, 2),
)
QUICK = {"classes": 8, "each": 10}
SMALLEST = {"classes": 0, "each": 0, "layers": 5}


def subject(classes: int, each: int, seed: int) -> tuple[Model, Any, str]:
    """A trained model, and labelled images it has not seen."""
    root = data.real("caltech101")
    if root is not None and classes:
        every = sources.load(root, seed=seed)
        whole = every.train.concat(every.test)
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(whole.classes))[:classes]
        places = [i for k in chosen for i in rng.permutation(np.flatnonzero(whole.labels == k))[:each]]
        return pretrained(), whole.subset(sorted(places)), f"the pretrained network on {classes} classes of Caltech 101"
    train, test = data.digit_sets(800, seed, 600)
    model = Model(nets.default(10, 1, (8, 8), seed=seed), train.classes, size=8, channels=1)
    model.compile(optimizer="adam")
    model.fit(train.arrays(), train.labels, epochs=6, batch_size=32, verbose=0)
    return model, test, "a network trained on 800 digits, on others"


def measure(seed: int = 0, classes: int = 20, each: int = 15, layers: int = 9) -> Findings:
    model, images, about = subject(classes, each, seed)
    names = evenly([layer.name for layer in look.layers(model, model.example(1)) if layer.convolves
                    and len(layer.shape) == 3], layers)
    found = look.depth(model, images, names=names, seed=seed)
    places = np.arange(len(names))
    trend = float(stats.spearmanr(places, found.probe).statistic)
    z, half = np.arctanh(np.clip(trend, -0.999, 0.999)), 1.96 / np.sqrt(max(len(names) - 3, 1))  # Fisher's interval
    n = found.images
    last, first = (rate(round(found.probe[i] * n), n) for i in (-1, 0))
    numbers = {"trend": Number(trend, float(np.tanh(z - half)), float(np.tanh(z + half)), len(names)),
               "gain": difference(last, first), "selective": ratio(found.selectivity[-1], found.selectivity[0], seed)}
    remark = (f"{about[0].upper()}{about[1:]}: a probe on the first layer finds {found.probe[0]:.0%} of the classes, on "
              f"the last {found.probe[-1]:.0%} (chance {found.chance:.0%}). That class membership grows readable is what "
              "is measured; 'abstract' is a word for it.")
    return Findings(numbers, remark, {"names": names, "probe": found.probe, "neighbour": found.neighbour,
                                      "chance": found.chance,
                                      "selectivity": [np.median(s) for s in found.selectivity]})


def evenly(names: list[str], most: int) -> list[str]:
    """At most so many, first and last included."""
    return [names[i] for i in sorted({round(i) for i in np.linspace(0, len(names) - 1, min(most, len(names)))})]


def difference(a: Number, b: Number) -> Number:
    """Newcombe's interval for a difference of two rates, from Wilson's."""
    d = a.value - b.value
    return Number(d, d - np.hypot(a.value - a.low, b.high - b.value), d + np.hypot(a.high - a.value, b.value - b.low), a.n)


def ratio(a: np.ndarray, b: np.ndarray, seed: int, draws: int = 1000) -> Number:
    """The ratio of two medians, with a bootstrap over units."""
    rng = np.random.default_rng(seed)
    drawn = [np.median(rng.choice(a, len(a))) / max(np.median(rng.choice(b, len(b))), 1e-9) for _ in range(draws)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Number(float(np.median(a) / np.median(b)), float(low), float(high), len(a))


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2, width_ratios=(1.4, 1))
    x = np.arange(len(e["names"]))
    left.plot(x, e["probe"], "o-", color=MAIN, label="linear probe")
    left.plot(x, e["neighbour"], "s-", color=WORST, label="nearest neighbour")
    left.axhline(e["chance"], color=MUTED, ls=":", label="chance")
    left.set(title="Class read from each layer", xlabel="layers, first to last", ylim=(0, 1.03))
    as_percent(left)
    left.legend(loc="best")
    right.plot(x, e["selectivity"], "o-", color=MAIN)
    right.set(title="Selectivity of the median unit", xlabel="layers, first to last", ylim=(0, None))
    for a in (left, right):
        a.set_xticks(x, [str(i + 1) for i in x])
    return figure
