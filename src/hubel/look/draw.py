"""Pictures for every result of this room: contact sheets, heat over images, legends, tables. Depends on Matplotlib.

Figures are 4.8 inches wide (a phone's width at 200 dpi), text is never below 7.5 points.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hubel.dataurl import data_url

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 4.8  # inches
INK, MUTED, PAPER, BLANK = "#1f2430", "#667085", "#ffffff", (0.945, 0.949, 0.957)


class Shown:
    """What every result can do in a notebook: it is its figure. `plot()` and `to_dict()` belong to the result."""

    def plot(self) -> Figure:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return f'<img style="max-width:100%" alt="{html.escape(type(self).__name__)}" src="{data_uri(self.plot())}">'


@dataclass(frozen=True)
class Group:
    """A few tiles that belong together, with a title above and a line of small print below it."""

    tiles: Sequence[np.ndarray]  # each (h, w, 3) in 0..1
    title: str = ""
    note: str = ""


def data_uri(figure: Figure, dpi: int = 200) -> str:
    return data_url(png(figure, dpi), "image/png")


def png(figure: Figure, dpi: int = 200) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png", facecolor=PAPER)
    return buffer.getvalue()


def canvas(height: float, width: float = WIDTH) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor=PAPER)


def as_tile(x: Any) -> np.ndarray:
    """Return an image, torch (C, H, W) or NumPy (H, W[, C]) in 0..1, as a NumPy (H, W, 3) picture."""
    a = x.detach().float().cpu().numpy().transpose(1, 2, 0) if isinstance(x, Tensor) else np.asarray(x, dtype=np.float64)
    a = a[..., None] if a.ndim == 2 else a
    a = a / 255 if a.max(initial=0) > 1.5 else a
    return np.clip(a.repeat(3, axis=2) if a.shape[2] == 1 else a[..., :3], 0, 1)


def mosaic(tiles: Sequence[np.ndarray], columns: int, side: int | None = None) -> np.ndarray:
    """Lay tiles (h, w, 3) of any sizes out in a grid: each is enlarged to `side` pixels, keeping its shape, unsmoothed
    where it is small, and centred on a pale ground. Returns (H, W, 3) with gutters between."""
    side = side or max(96, *(max(t.shape[:2]) for t in tiles))
    gap = max(3, side // (8 if max(max(t.shape[:2]) for t in tiles) <= 11 else 24))  # filters run into each other
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    out = np.ones((rows * (side + gap) - gap, columns * (side + gap) - gap, 3))
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (side + gap), (i % columns) * (side + gap)
        out[top : top + side, left : left + side] = fitted(tile, side)
    return out


def fitted(tile: np.ndarray, side: int) -> np.ndarray:
    """Return `tile` enlarged or reduced to fill a square of `side` pixels, its proportions kept, on a pale ground."""
    import cv2

    h, w = tile.shape[:2]
    scale = side / max(h, w)
    height, width = max(1, round(h * scale)), max(1, round(w * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if max(h, w) <= 40 else cv2.INTER_CUBIC
    small = np.clip(cv2.resize(np.ascontiguousarray(tile, dtype=np.float32), (width, height), interpolation=way), 0, 1)
    out = np.empty((side, side, 3), dtype=np.float32)
    out[:] = BLANK
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = small
    return out


def sheet(groups: Sequence[Group], columns: int, across: int, *, title: str = "", foot: str = "") -> Figure:
    """Draw groups of tiles: `across` groups side by side, each `columns` tiles wide. Returns a phone-wide figure."""
    across = max(1, min(across, len(groups)))
    gap, margin = 0.14, 0.12
    width = (WIDTH - 2 * margin - gap * (across - 1)) / across
    pictures = [mosaic(g.tiles, columns) for g in groups]
    notes = max(g.note.count("\n") + 1 if g.note else 0 for g in groups)
    head = (0.17 if any(g.title for g in groups) else 0) + 0.14 * notes
    lines = [groups[i : i + across] for i in range(0, len(groups), across)]
    widest = max(p.shape[1] for p in pictures)
    heights = [max(p.shape[0] for p in pictures[i : i + across]) / widest * width for i in range(0, len(groups), across)]
    top = 0.16 + 0.21 * (title.count("\n") + 1) if title else margin
    bottom = 0.1 + 0.15 * (foot.count("\n") + 1) if foot else margin
    total = top + bottom + sum(heights) + len(lines) * head + (len(lines) - 1) * gap
    figure = canvas(total)
    if title:
        figure.text(margin / WIDTH, 1 - 0.1 / total, title, size=10.5, color=INK, weight="bold", va="top", linespacing=1.25)
    y, k = total - top, 0
    for line, height in zip(lines, heights, strict=True):
        for i, group in enumerate(line):
            left = margin + i * (width + gap)
            figure.text(left / WIDTH, (y - 0.02) / total, group.title, size=8.5, color=INK, va="top", weight="bold")
            below = y - (0.17 if group.title else 0.02)
            figure.text(left / WIDTH, below / total, group.note, size=7.5, color=MUTED, va="top", linespacing=1.15)
            picture = pictures[k]
            k += 1
            w, h = picture.shape[1] / widest * width, picture.shape[0] / widest * width
            axes = figure.add_axes((left / WIDTH, (y - head - h) / total, w / WIDTH, h / total))
            axes.imshow(picture, interpolation="antialiased", aspect="auto")
            axes.axis("off")
        y -= head + height + gap
    if foot:
        figure.text(margin / WIDTH, 0.08 / total, foot, size=7.5, color=MUTED, va="bottom", linespacing=1.25)
    return figure


def scale_bar(figure: Figure, colours: str, low: float, high: float, label: str,
              at: tuple[float, float, float, float]) -> None:
    """Draw a horizontal colour scale with numbers at both ends; `at` is (left, bottom, width, height) of the figure."""
    axes = figure.add_axes(at)
    axes.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=colours)
    axes.set_yticks([])
    ticks, values = ([0, 128, 255], [low, (low + high) / 2, high])
    axes.set_xticks(ticks, [f"{v:.2g}" for v in values])
    axes.tick_params(labelsize=7.5, colors=MUTED, length=2, pad=1)
    for number, text in enumerate(axes.get_xticklabels()):
        text.set_horizontalalignment("left" if number == 0 else "center" if number == 1 else "right")
    axes.set_title(label, size=7.5, color=MUTED, pad=2, loc="left")
    for spine in axes.spines.values():
        spine.set_visible(False)


def coloured(values: np.ndarray, low: float, high: float, colours: str) -> np.ndarray:
    """Return values (H, W) as a picture (H, W, 3) on the scale low..high."""
    from matplotlib import colormaps

    return colormaps[colours](np.clip((values - low) / max(high - low, 1e-30), 0, 1))[..., :3]


def overlay(image: np.ndarray, heat: np.ndarray, high: float, colours: str = "inferno") -> np.ndarray:
    """Lay heat (h, w) >= 0, on the scale 0..high, over a greyed image (H, W, 3): where it is 0 the image stays."""
    import cv2

    size = (max(image.shape[1], 192), max(image.shape[0], 192))
    way = cv2.INTER_NEAREST if image.shape[1] <= 40 else cv2.INTER_LINEAR
    grey = cv2.resize(image.mean(axis=2).astype(np.float32), size, interpolation=way)[..., None] * 0.75 + 0.12
    share = np.clip(cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) / max(high, 1e-30), 0, 1)
    alpha = (0.85 * share**0.6)[..., None]
    return (1 - alpha) * grey + alpha * coloured(share, 0, 1, colours)


def signed(values: np.ndarray, high: float) -> np.ndarray:
    """Return signed values (H, W) as a picture: blue below 0, white at 0, red above, on the scale -high..high."""
    return coloured(values, -high, high, "RdBu_r")


def robust_high(values: Tensor | np.ndarray, quantile: float = 0.995) -> float:
    """The magnitude that all but a few values stay below: the end of a colour scale."""
    magnitudes = torch.as_tensor(values).detach().abs().double().flatten()
    step = max(1, len(magnitudes) // 1_000_000)
    high = float(torch.quantile(magnitudes[::step], quantile)) if len(magnitudes) else 0.0
    return high or float(magnitudes.max() if len(magnitudes) else 1) or 1.0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table, every cell escaped."""
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    return f"<table><thead>{line(head, 'th')}</thead><tbody>{''.join(line(r, 'td') for r in rows)}</tbody></table>"
