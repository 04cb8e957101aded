"""Which units tell two classes apart best? Depends on depth's features, exciting, SciPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.errors import DataError, InputError
from hubel.look.depth import pooled
from hubel.look.draw import INK, MUTED, WIDTH, Shown, canvas
from hubel.look.layers import layers
from hubel.look.stream import at

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Separating(Shown):
    """The units of a layer, those that separate class a from class b best first.

    units : int64 (units,). areas : float64 (units,), under the ROC curve of the unit's mean activation, in 0..1: 1 where it
    is always larger for a, 0 where always for b, 0.5 where it says nothing. values_a, values_b : float32 (units, images), the
    mean activations themselves.
    """

    layer: str
    a: str
    b: str
    units: np.ndarray
    areas: np.ndarray
    values_a: np.ndarray
    values_b: np.ndarray
    model: str = ""

    def plot(self, most: int = 8) -> Figure:
        """Draw the activations of both classes for the best units, as dots with their medians."""
        n = min(most, len(self.units))
        total = 0.95 + 0.42 * n
        figure = canvas(total)
        title = f"Units of {self.layer} that tell {self.a} from {self.b}"
        figure.text(0.12 / WIDTH, 1 - 0.1 / total, title, size=10.5, weight="bold", color=INK, va="top")
        axes = figure.add_axes((0.2, 0.32 / total, 0.66, (total - 0.85) / total))
        rng = np.random.default_rng(0)
        for row in range(n):
            both = np.concatenate([self.values_a[row], self.values_b[row]])
            low, span = both.min(), max(float(np.ptp(both)), 1e-12)
            for values, up, colour in ((self.values_a[row], -0.17, "#c2410c"), (self.values_b[row], 0.17, "#1d4ed8")):
                x = (values - low) / span
                axes.scatter(x, row + up + rng.uniform(-0.1, 0.1, len(x)), s=5, color=colour, alpha=0.35, lw=0)
                axes.plot([np.median(x)] * 2, [row + up - 0.14, row + up + 0.14], color=colour, lw=2)
            axes.text(1.03, row, f"area {self.areas[row]:.2f}", size=7.5, color=MUTED, va="center")
        axes.set_yticks(range(n), [f"unit {u}" for u in self.units[:n]], fontsize=8)
        axes.set(xlim=(-0.02, 1.02), ylim=(n - 0.5, -0.5), xticks=[])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        foot = figure.text(0.12 / WIDTH, 0.1 / total, "mean activation, least to most of the unit:  ", size=7.5, color=MUTED)
        foot.set_in_layout(False)
        figure.text(0.56, 0.1 / total, f"● {self.a[:16]}", size=7.5, color="#c2410c")
        figure.text(0.78, 0.1 / total, f"● {self.b[:16]}", size=7.5, color="#1d4ed8")
        return figure

    def to_dict(self) -> dict[str, Any]:
        return {"layer": self.layer, "model": self.model, "a": self.a, "b": self.b, "units": self.units.tolist(),
                "areas": self.areas.tolist(), "images": [self.values_a.shape[1], self.values_b.shape[1]]}


def separating(model: Any, data: Any, a: int | str, b: int | str, layer: str | None = None) -> Separating:
    """Return the units of `layer` that tell class a from class b of the Dataset best (Mann and Whitney 1947).

    a, b : classes of `data`, by number or name. layer : None is the last that tells places apart. Raises InputError for a
    class that is none, DataError for one without an image.
    """
    from scipy.stats import rankdata

    labels = np.asarray(data.labels)
    numbers = [_number(data.classes, k) for k in (a, b)]
    for k in numbers:
        if not (labels == k).any():
            raise DataError(f"there is no image of class {k}: the data have {np.unique(labels)[:10].tolist()}")
    if numbers[0] == numbers[1]:
        raise InputError(f"class {a!r} twice: give two that differ")
    listed = layers(model, at(model, data, [0]))
    name = listed.last_map().name if layer is None else listed[layer].name
    chosen = data.subset(np.flatnonzero(np.isin(labels, numbers)))
    features, is_a = pooled(model, chosen, [name])[name], np.asarray(chosen.labels) == numbers[0]
    ranks = rankdata(features, axis=0)
    n, m = int(is_a.sum()), int((~is_a).sum())
    areas = (ranks[is_a].sum(0) - n * (n + 1) / 2) / (n * m)
    order = np.argsort(-np.abs(areas - 0.5), kind="stable")
    word_a, word_b = (str(data.classes[k]) if k < len(data.classes) else str(k) for k in numbers)
    return Separating(name, word_a, word_b, order, areas[order], features[is_a].T[order], features[~is_a].T[order], model.hash)


def _number(classes: Any, wanted: int | str) -> int:
    if not isinstance(wanted, str):
        return int(wanted)
    if wanted not in classes:
        import difflib

        near = difflib.get_close_matches(wanted, classes, 3, 0.3) or list(classes[:3])
        raise InputError(f"the data have no class {wanted!r}: did you mean {', '.join(near)}?")
    return list(classes).index(wanted)
