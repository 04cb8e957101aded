"""A labelled sheet of what filters answered: inputs, kernel, answers, one row a file. Depends on Matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hubel.features.filters import Filtered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 10.0  # inches


def contact_sheet(results: Sequence[tuple[str, np.ndarray, Filtered]]) -> Figure:
    """Return a figure with a row for each (name, input, what the filter answered); at most 24 rows."""
    from matplotlib.figure import Figure

    results = list(results)[:24]
    heights = [0.35 + min(4.2, _shape(x, answer)) for _, x, answer in results]
    figure = Figure(figsize=(_WIDE, sum(heights) + 0.5), layout="constrained")
    figure.suptitle(_title(results), fontsize=12, x=0.01, ha="left")
    grid = figure.add_gridspec(len(results), 3, width_ratios=(4, 1.1, 4), height_ratios=heights)
    for row, (name, x, answer) in enumerate(results):
        _draw(figure.add_subplot(grid[row, 0]), x, name)
        side = figure.add_subplot(grid[row, 1])
        if answer.kernel is None:
            side.set_axis_off()
        else:
            _draw_kernel(side, answer)
        shown = answer.values if x.ndim == 1 else answer.picture()
        _draw(figure.add_subplot(grid[row, 2]), shown, _caption(answer))
    return figure


def _title(results: Sequence[tuple[str, np.ndarray, Filtered]]) -> str:
    meaning = results[0][2].meaning
    words = {"strength": ", black 0 to white the strongest", "signed": ", 0 is middle grey, white positive, black negative"}
    return f"hubel filter {results[0][2].kind}" + (words.get(meaning, "") if results[0][1].ndim > 1 else "")


def _caption(answer: Filtered) -> str:
    spread = f"{answer.values.min():.2g} to {answer.values.max():.2g}"
    return f"{answer.note} ({spread})" if answer.note and len(answer.note) < 40 else answer.note or spread


def _shape(x: np.ndarray, answer: Filtered) -> float:
    """Inches of height that a row needs."""
    if x.ndim == 1:
        return 1.4
    return max(a.shape[0] / a.shape[1] for a in (x, answer.values)) * _WIDE * 0.42


def _draw(axes: Axes, values: np.ndarray, title: str) -> None:
    axes.set_title(title if len(title) < 60 else f"{title[:57]}...", fontsize=9, loc="left")
    if values.ndim == 1:
        axes.plot(values, linewidth=0.5, color="#30363d")
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0)
        return
    axes.imshow(values.squeeze(), cmap="gray", vmin=0, vmax=255 if values.dtype == np.uint8 else 1)
    axes.set_axis_off()


def _draw_kernel(axes: Axes, answer: Filtered) -> None:
    assert answer.kernel is not None
    w = answer.kernel.weights
    axes.set_title("kernel" if w.ndim < 3 else f"kernel 1 of {len(w)}", fontsize=8)
    if w.ndim == 1:
        axes.stem(w, basefmt=" ", markerfmt=".")
        axes.tick_params(labelsize=7)
        return
    panel = w[0] if w.ndim == 3 else w
    top = max(float(np.abs(panel).max()), 1e-12)
    axes.imshow(panel, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    if max(panel.shape) <= 3:
        for (r, c), value in np.ndenumerate(panel):
            axes.text(c, r, f"{value:.2g}", ha="center", va="center", fontsize=8,
                      color="white" if abs(value) > 0.6 * top else "black")
