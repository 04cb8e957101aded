"""Do features become more abstract with depth? How far each layer separates the classes. Depends on layers, quick, sklearn.

For each layer, on features averaged over places: the accuracy of a linear probe (Alain and Bengio 2016, arXiv:1610.01644)
and of the nearest neighbour, both on held-out images, and how much each unit prefers one class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hubel.errors import DataError
from hubel.look.capture import Taps
from hubel.look.draw import INK, MUTED, WIDTH, Shown, canvas
from hubel.look.exciting import default_layers
from hubel.look.layers import layers
from hubel.look.progress import track
from hubel.look.quick import quick
from hubel.look.stream import at, batches, count

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Depth(Shown):
    """Per layer, in the order they run: accuracies in 0..1 of probe and neighbour, `chance` that of the commonest class.

    preferred : int64 (units,) per layer, the class whose images excite the unit most on average; selectivity : float
    (units,) per layer, that class's mean above the others' mean, in standard deviations over all images.
    """

    names: tuple[str, ...]
    fields: tuple[int, ...]
    probe: tuple[float, ...]
    neighbour: tuple[float, ...]
    chance: float
    images: int
    preferred: tuple[np.ndarray, ...]
    selectivity: tuple[np.ndarray, ...]
    classes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"layers": list(self.names), "receptive_field": list(self.fields), "probe": list(self.probe),
                "neighbour": list(self.neighbour), "chance": self.chance, "images": self.images,
                "median_selectivity": [float(np.median(s)) for s in self.selectivity]}

    def plot(self) -> Figure:
        figure = canvas(4.2)
        title = "How far each layer separates the classes"
        figure.text(0.12 / WIDTH, 0.975, title, size=10.5, weight="bold", color=INK, va="top")
        x = np.arange(len(self.names))
        axes = figure.add_axes((0.12, 0.62, 0.84, 0.26))
        axes.plot(x, self.probe, "o-", ms=3.5, color="#c2410c", label="linear probe")
        axes.plot(x, self.neighbour, "s-", ms=3, color="#1d4ed8", label="nearest neighbour")
        axes.axhline(self.chance, color=MUTED, lw=1, ls="--", label="chance")
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("accuracy", size=8, color=INK)
        axes.legend(fontsize=7.5, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 0.97), borderpad=0)
        below = figure.add_axes((0.12, 0.27, 0.84, 0.27))
        below.boxplot([np.asarray(s) for s in self.selectivity], positions=x, widths=0.6, showfliers=False,
                      medianprops={"color": "#c2410c"}, boxprops={"color": MUTED}, whiskerprops={"color": MUTED},
                      capprops={"color": MUTED})
        below.set_ylabel("units: best class\nabove others (s.d.)", size=8, color=INK)
        for a in (axes, below):
            a.set_xlim(-0.6, len(x) - 0.4)
            a.tick_params(labelsize=7.5, colors=MUTED)
            a.spines[["top", "right"]].set_visible(False)
        axes.set_xticks(x, [])
        step = max(1, -(-len(x) // 18))
        below.set_xticks(x[::step], list(self.names[::step]), rotation=90, fontsize=7.5)
        return figure


def pooled(model: Any, data: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return {layer: float32 (N, units)}: the activations of all images, averaged over places, in one pass."""
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in names}

    def take(name: str, activation: torch.Tensor) -> None:
        a = activation.detach().float()
        parts[name].append(a.mean((2, 3)) if a.ndim == 4 else a.clone())

    copy = quick(model, names, at(model, data, range(min(4, count(data)))))
    with Taps(copy.network, names, keep=take) as taps, torch.no_grad():
        for x, _ in track(batches(model, data), count(data), "looking", size=lambda step: len(step[1])):
            taps.run(copy.inputs(x))
    return {name: torch.cat(p).numpy() for name, p in parts.items()}


def depth(model: Any, data: Any, names: Sequence[str] | None = None, folds: int = 3, seed: int = 0) -> Depth:
    """Return how far the classes of `data` (a Dataset) are apart in each layer, by cross-validation.

    names : layers; None is every layer whose output the next one reads. Raises DataError with fewer than two images of a
    class, or fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.asarray(data.labels)
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    if len(counts) < 2 or counts.min() < 2:
        raise DataError(f"{len(counts)} classes with {counts.min() if len(counts) else 0} images in the smallest: depth "
                        "needs two classes of two images at least")
    listed = layers(model, at(model, data, [0]))
    names = default_layers(listed) if names is None else list(names)
    features = pooled(model, data, names)
    split = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=seed)
    probe, neighbour, preferred, selectivity = [], [], [], []
    for name in names:
        f = features[name]
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
        near = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
        probe.append(float(cross_val_score(linear, f, labels, cv=split).mean()))
        neighbour.append(float(cross_val_score(near, f, labels, cv=split).mean()))
        best, apart = _preferences(f, labels)
        preferred.append(best)
        selectivity.append(apart)
    fields = tuple(max(listed[name].receptive_field) for name in names)
    return Depth(tuple(names), fields, tuple(probe), tuple(neighbour), float(counts.max() / counts.sum()), len(labels),
                 tuple(preferred), tuple(selectivity), tuple(data.classes))


def _preferences(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    present = np.unique(labels)
    means = np.stack([features[labels == k].mean(0) for k in present])
    number = np.array([(labels == k).sum() for k in present])[:, None]
    best = means.argmax(0)
    top = np.take_along_axis(means, best[None], 0)[0]
    others = ((means * number).sum(0) - top * number[best, 0]) / (number.sum() - number[best, 0])
    deviation = features.std(0)
    return present[best], np.where(deviation > 1e-9, (top - others) / deviation.clip(1e-9), 0.0)
