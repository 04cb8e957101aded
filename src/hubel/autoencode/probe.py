"""How good are codes as features? The same simple learners on codes, pixels, hand-made and supervised features. Depends on reuse.

    table = probe({"codes": (coder.encode(x), coder.encode(xt)), "pixels": pixels(x, xt)}, y, yt)
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.errors import InputError
from hubel.look.draw import INK, MUTED, Shown, canvas
from hubel.look.draw import table as html_table
from hubel.reuse import NormalisedCentroid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Probed:
    """One kind of features: how many numbers, the linear probe's test accuracy with all labels, and with so many labels a
    class (mean and standard deviation over draws)."""

    name: str
    numbers: int
    linear: float
    few: dict[int, tuple[float, float]]


@dataclass(frozen=True)
class FeatureTable(Shown):
    """Kinds of features, in the order given; labels: how many the linear probe had; draws: of few labels."""

    rows: tuple[Probed, ...]
    labels: int
    tested: int
    draws: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and body of the table, as text."""
        shots = list(self.rows[0].few)
        head = ["features", "numbers", *(f"{k} a class" for k in shots), f"linear probe, {self.labels:,} labels"]
        body = [[r.name, f"{r.numbers:,}", *(f"{r.few[k][0]:.1%} ± {r.few[k][1]:.1%}" for k in shots), f"{r.linear:.1%}"]
                for r in self.rows]
        return head, body

    def __str__(self) -> str:
        head, body = self.cells()
        widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
        return "\n".join("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
                         for row in (head, *body))

    def _repr_html_(self) -> str:
        return html_table(*self.cells())

    def plot(self) -> Figure:
        figure = canvas(1.0 + 0.42 * len(self.rows))
        axes = figure.add_axes((0.3, 0.55 / figure.get_figheight(), 0.64, 1 - 1.0 / figure.get_figheight()))
        places = np.arange(len(self.rows))[::-1]
        shots = list(self.rows[0].few)
        series = [(f"{shots[-1]} labels a class", [r.few[shots[-1]][0] for r in self.rows], "#9db7f5"),
                  (f"{self.labels:,} labels", [r.linear for r in self.rows], "#2563eb")]
        for offset, (name, values, colour) in zip((0.2, -0.2), series, strict=True):
            axes.barh(places + offset, values, 0.38, color=colour, label=name)
            for place, value in zip(places, values, strict=True):
                axes.text(value + 0.01, place + offset, f"{value:.1%}", size=7.5, va="center", color=MUTED)
        axes.set_yticks(places, [r.name for r in self.rows], size=8, color=INK)
        axes.set_xlim(0, 1.13)
        axes.set_xticks([0, 0.5, 1], ["0", "50%", "100%"], size=7.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(f"Accuracy on {self.tested:,} test images", size=10.5, color=INK, weight="bold", loc="left")
        figure.legend(frameon=False, fontsize=7.5, ncols=2, loc="lower right", bbox_to_anchor=(0.97, 0.0))
        return figure


def probe(features: Mapping[str, tuple[Any, Any]], y: Any, y_test: Any, *, shots: Sequence[int] = (1, 5, 10), draws: int = 20,
          seed: int = 0) -> FeatureTable:
    """Compare kinds of features {name: (train (N, ...), test (M, ...))} for labels y (N,), y_test (M,).

    The linear probe is logistic regression on standardised features, its strength chosen from 4 by holding out a tenth of
    the training rows. With few labels, the nearest class mean by angle (SimpleShot, Wang et al. 2019), centred by all
    training rows, whose labels it does not see; the same draws for all kinds.
    """
    y, y_test = np.asarray(y), np.asarray(y_test)
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < max(shots):
        raise InputError(f"class {classes[counts.argmin()]} has {counts.min()} images, {max(shots)} are asked for")
    draw = np.random.default_rng(seed)
    chosen = {k: [np.concatenate([draw.choice(np.flatnonzero(y == c), k, replace=False) for c in classes]) for _ in range(draws)]
              for k in shots}
    rows = []
    for name, (train, test) in features.items():
        a, b = (np.asarray(f, dtype=np.float32).reshape(len(f), -1) for f in (train, test))
        if len(a) != len(y) or len(b) != len(y_test):
            raise InputError(f"{name}: {len(a)} and {len(b)} rows for {len(y)} and {len(y_test)} labels")
        mean, spread = a.mean(0), a.std(0)
        keep = spread > 1e-6 * max(float(spread.max()), 1e-12)
        a, b = ((f[:, keep] - mean[keep]) / spread[keep] for f in (a, b))
        few = {}
        for k, sets in chosen.items():
            scores = [float(np.mean(NormalisedCentroid().fit(a[i], y[i]).predict(b) == y_test)) for i in sets]
            few[k] = (float(np.mean(scores)), float(np.std(scores)))
        rows.append(Probed(name, int(keep.sum()), linear_probe(a, y, b, y_test, seed), few))
    return FeatureTable(tuple(rows), len(y), len(y_test), draws)


def linear_probe(a: np.ndarray, y: np.ndarray, b: np.ndarray, y_test: np.ndarray, seed: int = 0) -> float:
    """Test accuracy of logistic regression on features of spread 1."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    order = np.random.default_rng(seed).permutation(len(y))
    held, learn = order[: max(1, len(y) // 10)], order[max(1, len(y) // 10) :]

    def fitted(rows: np.ndarray, strength: float) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is the usual thing here
            return LogisticRegression(C=strength / a.shape[1], max_iter=60).fit(a[rows], y[rows])

    best = max((0.1, 1.0, 10.0, 100.0), key=lambda c: fitted(learn, c).score(a[held], y[held]))
    return float(fitted(order, best).score(b, y_test))
