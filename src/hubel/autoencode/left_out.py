"""The standard test of anomaly detection: one class is left out of the learning, and has to be noticed. Depends on anomalies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.errors import InputError
from hubel.look.draw import INK, Shown, canvas
from hubel.training.progress import Display

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scores = dict[str, np.ndarray]
Learn = Callable[[np.ndarray, np.ndarray, np.ndarray], Scores]


@dataclass(frozen=True)
class LeftOut(Shown):
    """AUROC of each way for each class that was left out: the probability that an image of it looks stranger than one of the
    other classes; 0.5 is chance. values: {way: (K,)}."""

    classes: tuple[str, ...]
    values: dict[str, tuple[float, ...]]
    tested: int

    @property
    def means(self) -> dict[str, float]:
        return {way: float(np.mean(v)) for way, v in self.values.items()}

    def to_dict(self) -> dict[str, Any]:
        return {"classes": list(self.classes), "auroc": {w: list(v) for w, v in self.values.items()}, "mean": self.means,
                "images": self.tested}

    def plot(self) -> Figure:
        legend = 0.08 + 0.17 * -(-len(self.values) // 3)  # inches
        figure = canvas(0.65 + legend + 0.27 * len(self.classes))
        height = figure.get_figheight()
        axes = figure.add_axes((0.16, (0.25 + legend) / height, 0.8, 1 - (0.6 + legend) / height))
        places = np.arange(len(self.classes))[::-1]
        colours = ("#2563eb", "#f59e0b", "#16a34a", "#dc2626", "#7c3aed", "#0891b2")
        for (way, values), colour, mark in zip(self.values.items(), colours, "osD^vP", strict=False):
            axes.plot(values, places, mark, color=colour, markersize=4.5, label=f"{way} ({self.means[way]:.3f})")
        axes.axvline(0.5, color="#98a2b3", linewidth=1, linestyle=":")
        axes.set_yticks(places, self.classes, size=8, color=INK)
        axes.set_xlim(min(0.45, *(min(v) for v in self.values.values())) - 0.02, 1.01)
        axes.tick_params(axis="x", labelsize=7.5)
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title("AUROC of each class, left out of the learning", size=10.5, color=INK, weight="bold", loc="left")
        figure.legend(frameon=False, fontsize=7.5, ncols=3, loc="lower left", bbox_to_anchor=(0.02, 0.0))
        return figure


def auroc(strange: np.ndarray, scores: np.ndarray) -> float:
    """The probability that a strange image scores higher than a normal one, ties counting half (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    strange = np.asarray(strange, bool)
    many, few = int((~strange).sum()), int(strange.sum())
    if not many or not few:
        raise InputError(f"{few} strange and {many} normal images: give some of both")
    return float((rankdata(scores)[strange].sum() - few * (few + 1) / 2) / (many * few))


def leave_one_out(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], learn: Learn, *,
                  classes: Sequence[str] | None = None, only: Iterable[int] | None = None, verbose: int = 1) -> LeftOut:
    """For each class, call `learn(normal images, their labels, test images) -> {way: scores}` and measure.

    train, test : (images uint8 (N, H, W, C), labels (N,)). `learn` sees no image of the class left out but among the
        unlabelled test images, which it may only score. Labels of the normal images are for ways that use them.
    """
    (x, y), (xt, yt) = train, test
    names = tuple(classes) if classes is not None else tuple(str(c) for c in range(int(max(y.max(), yt.max())) + 1))
    chosen, values, display = list(only if only is not None else range(len(names))), {}, Display(verbose, None)  # type: ignore[var-annotated]
    for c in chosen:
        normal = y != c
        _, labels = np.unique(y[normal], return_inverse=True)
        found = learn(x[normal], labels, xt)
        for way, scores in found.items():
            values.setdefault(way, []).append(auroc(yt == c, scores))
        display.line(f"without {names[c]}: " + ", ".join(f"{way} {v[-1]:.3f}" for way, v in values.items()))
    return LeftOut(tuple(names[c] for c in chosen), {w: tuple(v) for w, v in values.items()}, len(yt))
