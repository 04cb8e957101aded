"""Before and after, side by side, at the pixels' own size. Depends on Matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CROP = 320  # pixels: the most detailed square of this size is shown
MOST = 12  # rows


def before_after(rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]]) -> Figure:
    """Return a figure with a row for each (name, [(caption, uint8 (H, W) or (H, W, C)), ...]); at most MOST rows.

    Images of a row have one size; of larger ones the square with the most detail is shown, the same in all, since noise and
    blocks vanish when a picture is reduced.
    """
    from matplotlib.figure import Figure

    rows = list(rows)[:MOST]
    columns = max(len(pictures) for _, pictures in rows)
    parts = [detail(pictures[0][1]) for _, pictures in rows]
    ratios = [(p[0].stop - p[0].start) / (p[1].stop - p[1].start) for p in parts]
    width = 3.4
    heights = [min(ratio, 2.0) * width + 0.4 for ratio in ratios]
    figure = Figure(figsize=(columns * width, sum(heights)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, (name, pictures), part in zip(grid, rows, parts, strict=True):
        for a in axes:
            a.set_axis_off()
        for k, (a, (caption, picture)) in enumerate(zip(axes, pictures, strict=False)):
            a.imshow(np.atleast_3d(picture)[part].squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            a.set_title(f"{_short(name)}: {caption}" if k == 0 else caption, fontsize=8, loc="left")
    return figure


def detail(image: np.ndarray, side: int = CROP) -> tuple[slice, slice]:
    """Return the square of `side` pixels (the whole image, if smaller) where brightness changes most."""
    grey = np.atleast_3d(image).mean(axis=2)
    height, width = grey.shape
    h, w = min(side, height), min(side, width)
    change = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    sums = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(top), int(top) + h), slice(int(left), int(left) + w)


def _short(name: str) -> str:
    return name if len(name) < 28 else f"{name[:25]}..."
