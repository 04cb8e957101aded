"""How figures look: 16:9, few words, letters that the last row can read. Depends on Matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, RULE = "#22242a", "#666a73", "#e4e1d9"
MAIN, WORST, SECOND, GOOD, NOISE, MUTED = "#0b62a4", "#c4420c", "#7b5aa6", "#0a7d5a", "#3a9fb0", "#8d9199"
COLOURS = (MAIN, WORST, SECOND, GOOD, NOISE, MUTED)
STYLE: Any = {
    "font.size": 13, "axes.titlesize": 14, "axes.labelsize": 13, "legend.fontsize": 12, "xtick.labelsize": 12,
    "ytick.labelsize": 12, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": SOFT,
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": SOFT, "ytick.color": SOFT, "axes.grid": True,
    "grid.color": RULE, "grid.linewidth": 0.8, "axes.axisbelow": True, "legend.frameon": False, "lines.linewidth": 2.2,
    "lines.markersize": 6, "axes.titlelocation": "left", "figure.facecolor": "white", "axes.titlepad": 9,
}


def slide(rows: int = 1, columns: int = 1, height: float = 5.4, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure 9.6 inches wide and its axes, row by row."""
    figure = Figure(figsize=(9.6, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.ravel())


def line(axes: Axes, x: Any, runs: Any, name: str, colour: str, **options: Any) -> None:
    """Draw the mean over runs (R, X) and, as a band, what the runs span; or a plain line (X,)."""
    runs = np.atleast_2d(np.asarray(runs, dtype=float))
    axes.plot(x, np.nanmean(runs, 0), label=name, color=colour, **{"marker": "o", **options})
    if len(runs) > 1:
        axes.fill_between(x, np.nanmin(runs, 0), np.nanmax(runs, 0), color=colour, alpha=0.15, linewidth=0)


def bars(axes: Axes, names: Sequence[str], numbers: Sequence[Any], colours: Sequence[str], percent: bool = True) -> None:
    """Draw Numbers as bars with their intervals, and the values on top."""
    values = np.array([n.value for n in numbers])
    spans = np.array([[n.value - max(n.low, -1e9), min(n.high, 1e9) - n.value] for n in numbers]).clip(0).T
    spans[:, ~np.isfinite([n.low for n in numbers])] = 0
    axes.bar(range(len(names)), values, color=list(colours), width=0.62)
    axes.errorbar(range(len(names)), values, spans, fmt="none", ecolor=INK, capsize=4, linewidth=1.4)
    for i, v in enumerate(values):
        axes.annotate(f"{v:.1%}" if percent else f"{v:.3g}", (i, v + spans[1, i]), textcoords="offset points", xytext=(0, 4),
                      ha="center", color=INK)
    axes.set_xticks(range(len(names)), list(names))
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.14)
    if percent:
        as_percent(axes)


def as_percent(axes: Axes, which: str = "y") -> None:
    from matplotlib.ticker import PercentFormatter

    (axes.yaxis if which == "y" else axes.xaxis).set_major_formatter(PercentFormatter(1, decimals=None))


def pictures(axes: Sequence[Axes], images: Any, titles: Sequence[str] = (), **options: Any) -> None:
    """Show images (H, W) or (H, W, 3), one an axes, without ticks."""
    for i, (a, image) in enumerate(zip(axes, images, strict=False)):
        a.imshow(image, **{"cmap": "gray", "interpolation": "nearest", **options})
        if i < len(titles):
            a.set_title(titles[i], loc="center", fontsize=11)
    for a in axes:
        a.set_xticks([])
        a.set_yticks([])
        a.grid(False)
        a.spines[:].set_visible(False)
