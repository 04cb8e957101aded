"""Curves as SVG, light enough to be drawn anew several times a second. Depends on the standard library."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

WIDE, HIGH, LEFT, BELOW = 460, 210, 44, 26
COLOURS = ("#1d5fbf", "#b45309", "#566072")

Line = tuple[str, Sequence[float], Sequence[float]]  # name, x, y


def chart(title: str, across: str, lines: Sequence[Line], percent: bool = False, low: float | None = None, high: float | None = None) -> str:
    """Return lines in one pair of axes as a figure; names stand in the legend, the last value of each beside them."""
    lines = [line for line in lines if len(line[1])]
    xs = [x for _, x_, _ in lines for x in x_] or [0.0, 1.0]
    ys = [y for _, _, y_ in lines for y in y_ if math.isfinite(y)] or [0.0, 1.0]
    x0, x1 = min(0.0, *xs), max(*xs, 1e-9)
    y0 = min(ys) if low is None else low
    y1 = max(max(ys), y0 + 1e-9) if high is None else high
    ticks = _ticks(y0, y1)
    y0, y1 = min(y0, ticks[0]), max(y1, ticks[-1])

    def at(x: float, y: float) -> str:
        return (f"{LEFT + (x - x0) / (x1 - x0) * (WIDE - LEFT - 8):.1f},"
                f"{8 + (y1 - min(max(y, y0), y1)) / (y1 - y0) * (HIGH - BELOW - 8):.1f}")

    grid = "".join(
        f'<line x1="{LEFT}" x2="{WIDE - 8}" y1="{at(x0, t).split(",")[1]}" y2="{at(x0, t).split(",")[1]}" class="hb-rule-line"/>'
        f'<text x="{LEFT - 6}" y="{float(at(x0, t).split(",")[1]) + 4:.1f}" text-anchor="end">{f"{t:.0%}" if percent else f"{t:g}"}</text>'
        for t in ticks)
    grid += "".join(f'<text x="{at(t, y0).split(",")[0]}" y="{HIGH - 8}" text-anchor="middle">{t:g}</text>' for t in _ticks(x0, x1))
    drawn = "".join(f'<polyline points="{" ".join(at(x, y) for x, y in zip(xs_, ys_, strict=True) if math.isfinite(y))}" '
                    f'stroke="{COLOURS[i % 3]}"/>' + (f'<circle r="4" cx="{at(xs_[0], ys_[0]).split(",")[0]}" cy="{at(xs_[0], ys_[0]).split(",")[1]}" '
                                                      f'fill="{COLOURS[i % 3]}"/>' if len(xs_) == 1 else "")
                    for i, (_, xs_, ys_) in enumerate(lines))
    names = "".join(f'<span><i style="background:{COLOURS[i % 3]}"></i>{html.escape(name)} <b>{f"{ys_[-1]:.1%}" if percent else f"{ys_[-1]:.3g}"}</b></span>'
                    for i, (name, _, ys_) in enumerate(lines))
    return (f'<figure class="hb-figure hb-chart"><figcaption><b>{html.escape(title)}</b> by {html.escape(across)}</figcaption>'
            f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{html.escape(title)}">{grid}{drawn}</svg><p class="hb-legend">{names}</p></figure>')


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from low to high, `most` at most."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / most))
    step = next(step * k for k in (1, 2, 5, 10, 20) if span / (step * k) <= most)
    first = math.ceil(low / step - 1e-9)
    found = [round(step * k, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return found or [low]
