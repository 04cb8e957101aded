"""Claim 5: the image of highest vertical edge response is not the cityscape; edges, then long vertical lines, find it.

The lecture's hierarchy of two convolutions by hand and a mean, on 15 Scenes where HUBEL_DATA has it, else on the few built-in
photographs, of which one shows a building.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hubel import features
from hubel.data import read_images
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, pictures, slide
from hubel.phenomena.statistics import Number, rate

CLAIM = Claim(
    5, "Edges, then vertical lines",
    "The image with the highest vertical edge response is not the cityscape; of edges followed by long vertical lines it is.",
    "Lecture 10, 'Hierarchical convolutional features'",
    needs=(Need("edges_first", "share of cityscapes among the 20 highest mean vertical edge responses", at_most=0.6,
                percent=True),
           Need("lines_first", "share of cityscapes among the 20 highest responses of lines in the edges", at_least=0.6,
                percent=True),
           Need("better", "pairs (city, landscape) ordered rightly by lines minus by edges", at_least=0.05, percent=True)),
    seconds=(0.8, 0.8, 0.3),
)
QUICK = {"each": 30}
SMALLEST = {"each": 8}
CITY, LAND = ("tallbuilding", "insidecity", "street"), ("coast", "mountain", "opencountry", "forest")
BUILT = {"china": 1, "flower": 0, "chelsea": 0, "grass": 0, "gravel": 0, "coffee": 0, "rocket": 0, "camera": 0}


def scenes(each: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Grey photographs of 128 pixels a side, and 1 for cityscapes, 0 for landscapes; the same number of both."""
    root = data.real("scenes15")
    if root is None:
        found = {name: image for name, image in data.photographs().items() if name in BUILT}
        return list(found.values()), np.array([BUILT[name] for name in found])
    images: list[np.ndarray] = []
    for names in (CITY, LAND):
        paths = [path for name in names for path in sorted((root / name).iterdir())[: -(-each // len(names))]]
        images += list(read_images(paths[:each], size=128, channels=1))
    return images, np.repeat([1, 0], each)


def measure(seed: int = 0, each: int = 300, length: int = 25, top: int = 20) -> Findings:
    images, city = scenes(each)
    # Mean |vertical edge| of each image, and mean response of a line detector that slides over its winning edges.
    both = features.EdgeHierarchy(angles=(90,), lengths=(length,), log=False).fit(images).transform(images)
    edges, lines = both.T
    top = min(top, len(images) // 4) or 1
    first = {name: np.argsort(-values)[:top] for name, values in (("edges", edges), ("lines", lines))}
    hits = {name: rate(int(city[order].sum()), top) for name, order in first.items()}
    numbers = {"edges_first": hits["edges"], "lines_first": hits["lines"], "better": better(edges, lines, city, seed),
               "edges_auc": Number.exact(ordered(edges, city)), "lines_auc": Number.exact(ordered(lines, city))}
    what = {0: "a landscape", 1: "a cityscape"}
    remark = (f"Of {len(images)} photographs the one with the highest vertical edge response is "
              f"{what[int(city[first['edges'][0]])]}, the one with the highest line response "
              f"{what[int(city[first['lines'][0]])]}. Pairs are ordered rightly in {ordered(edges, city):.0%} by edges, "
              f"{ordered(lines, city):.0%} by lines." + ("" if data.real("scenes15") else " Without HUBEL_DATA there are "
                                                                                          "too few photographs to "
                                                                                          "conclude."))
    shown = {name: [np.asarray(images[i]) for i in order[:3]] for name, order in first.items()}
    return Findings(numbers, remark, {"edges": edges, "lines": lines, "city": city, "shown": shown})


def ordered(values: np.ndarray, city: np.ndarray) -> float:
    """The share of pairs (city, landscape) in which the city has the higher value: the area under the ROC curve."""
    a, b = values[city == 1][:, None], values[city == 0][None]
    return float((a > b).mean() + (a == b).mean() / 2)


def better(edges: np.ndarray, lines: np.ndarray, city: np.ndarray, seed: int, draws: int = 1000) -> Number:
    """The difference of the two areas, with a bootstrap over photographs of each kind."""
    rng, places = np.random.default_rng(seed), [np.flatnonzero(city == k) for k in (0, 1)]
    found = []
    for _ in range(draws):
        i = np.concatenate([rng.choice(p, len(p)) for p in places])
        found.append(ordered(lines[i], city[i]) - ordered(edges[i], city[i]))
    low, high = np.quantile(found, (0.025, 0.975))
    return Number(ordered(lines, city) - ordered(edges, city), float(low), float(high), len(city))


def draw(e: Mapping[str, Any]) -> Figure:
    figure, axes = slide(1, 2, width_ratios=(1.1, 1))
    axes[0].axis("off")
    for row, (name, title) in enumerate((("edges", "Highest mean vertical edge response"),
                                         ("lines", "Highest response of vertical lines in the edges"))):
        cells = [axes[0].inset_axes((i / 3, 0.52 - 0.52 * row, 0.32, 0.4)) for i in range(3)]
        pictures(cells, [image.squeeze() for image in e["shown"][name]])
        axes[0].text(0, 0.97 - 0.53 * row, title, fontsize=12)
    axes[0].set(xlim=(0, 1), ylim=(0, 1))
    for kind, name, colour in ((0, "landscapes", MAIN), (1, "cityscapes", WORST)):
        of = e["city"] == kind
        axes[1].loglog(e["edges"][of], e["lines"][of], "o", ms=4, alpha=0.6, color=colour, label=name)
    axes[1].set(xlabel="mean vertical edge response", ylabel="mean vertical line response")
    axes[1].legend()
    return figure
