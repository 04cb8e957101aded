"""Charts as inline SVG: lines with bands, and a heat map. They take their colours from the page (light, dark, print).

Drawn by hand rather than with Matplotlib, since a picture that belongs to the page can follow its palette and its text
size (a phone shows the same chart with larger letters), weighs 3 KB and is drawn in a millisecond.
Depends on the standard library and markupsafe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 150, 40, 52


@dataclass(frozen=True)
class Line:
    """One series. `role` names a colour of the page: 'worst', 'noise', 'main', 'second', 'muted'."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    role: str = "main"
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False
    marks: bool = True


def percent(value: float) -> str:
    return f"{100 * value:.0f}%"


def plain(value: float) -> str:
    return f"{value:.3g}"


def lines(series: Sequence[Line], *, title: str, x_label: str, y_label: str, x_ticks: Sequence[tuple[float, str]],
          y_range: tuple[float, float] = (0.0, 1.0), y_format: Callable[[float], str] = percent, width: int = 640,
          height: int = 350, rule: tuple[float, str] | None = None) -> Markup:
    """A line chart whose series are named at their right ends. `rule` is a horizontal line with a name (chance)."""
    series = [s for s in series if len(s.x)]
    xs = [v for s in series for v in s.x] + [v for v, _ in x_ticks]
    x_low, x_high = min(xs), max(xs)
    y_low, y_high = y_range
    right, bottom = width - _RIGHT, height - _BOTTOM

    def px(v: float) -> float:
        return _LEFT + (v - x_low) / ((x_high - x_low) or 1) * (right - _LEFT)

    def py(v: float) -> float:
        return bottom - (min(max(v, y_low), y_high) - y_low) / ((y_high - y_low) or 1) * (bottom - _TOP)

    out = [f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">']
    for v in ticks(y_low, y_high):
        out.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{py(v):.1f}" y2="{py(v):.1f}"/>'
                   f'<text class="tick" x="{_LEFT - 8}" y="{py(v):.1f}" dy=".35em" text-anchor="end">'
                   f'{escape(y_format(v))}</text>')
    for v, name in x_ticks:
        out.append(f'<line class="grid" x1="{px(v):.1f}" x2="{px(v):.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
                   f'<text class="tick" x="{px(v):.1f}" y="{bottom + 20}" text-anchor="middle">{escape(name)}</text>')
    out.append(f'<text class="axis" x="{(_LEFT + right) / 2:.0f}" y="{height - 8}" text-anchor="middle">'
               f'{escape(x_label)}</text>')
    out.append(f'<text class="axis" x="0" y="16">{escape(y_label)}</text>' if y_label else "")
    if rule is not None:
        out.append(f'<line class="rule" x1="{_LEFT}" x2="{right}" y1="{py(rule[0]):.1f}" y2="{py(rule[0]):.1f}"/>')
    for s in series:
        if s.low is not None and s.high is not None:
            edge = [(px(x), py(y)) for x, y in zip(s.x, s.high, strict=True)]
            edge += [(px(x), py(y)) for x, y in reversed(list(zip(s.x, s.low, strict=True)))]
            out.append(f'<polygon class="band {s.role}" points="{_points(edge)}"/>')
    for s in series:
        path = [(px(x), py(y)) for x, y in zip(s.x, s.y, strict=True)]
        out.append(f'<polyline class="line {s.role}{" dashed" if s.dashed else ""}" points="{_points(path)}"/>')
        if s.marks:
            out += [f'<circle class="mark {s.role}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>'
                    f'{escape(f"{s.name}: {y_format(value)}")}</title></circle>'
                    for (x, y), value in zip(path, s.y, strict=True)]
    named = [(py(s.y[-1]), s.name, s.role) for s in series]
    if rule is not None:
        named.append((py(rule[0]), rule[1], "muted"))
    for y, name, role in spread(named, 25, _TOP + 4, bottom + 2):
        out.append(f'<text class="name {role}" x="{right + 10}" y="{y:.1f}" dy=".35em">{escape(name)}</text>')
    out.append("</svg>")
    return Markup("".join(out))


def spread(named: Sequence[tuple[float, str, str]], gap: float, low: float,
           high: float) -> list[tuple[float, str, str]]:
    """Move labels apart along y until neighbours are `gap` apart, keeping their order and as close as can be."""
    placed = sorted(named)
    for _ in range(60):
        moved = False
        for i in range(len(placed) - 1):
            (a, *rest_a), (b, *rest_b) = placed[i], placed[i + 1]
            if b - a < gap - 1e-6:
                push = (gap - (b - a)) / 2
                placed[i], placed[i + 1] = (a - push, *rest_a), (b + push, *rest_b)  # type: ignore[assignment]
                moved = True
        placed = [(min(max(y, low), high), *rest) for y, *rest in placed]  # type: ignore[misc]
        if not moved:
            break
    return placed


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high: steps of 1, 2 or 5 times a power of ten, at most `most` of them."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(m * power for m in (1, 2, 5, 10, 20) if span / (m * power) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def heat(matrix: Sequence[Sequence[int]], names: Sequence[str], *, title: str) -> Markup:
    """A confusion matrix: rows are the true classes, shades are shares of the row, the diagonal has its own hue."""
    count = len(names)
    # A letter is about 7 units wide at the chart's 13-unit text; 110 units hold any name that is shown whole.
    labels = [n if len(n) <= 15 else n[:14] + "…" for n in map(str, names)]
    show_names = count <= 40
    left = min(8 + 7.2 * max(map(len, labels)), 118) if show_names else 24
    top = left if show_names and max(map(len, labels)) > 3 else 26
    cell = (640 - left) / count if count > 11 else min((640 - left) / count, 46)
    width, height = left + cell * count + 2, top + cell * count + 4
    out = [f'<svg class="chart heat{" dense" if count > 20 else ""}" viewBox="0 0 {width:.0f} {height:.0f}" '
           f'style="max-width:{width:.0f}px" role="img" aria-label="{escape(title)}">']
    for i, row in enumerate(matrix):
        total = sum(row) or 1
        y = top + i * cell
        if show_names:
            out.append(f'<text class="tick" x="{left - 7}" y="{y + cell / 2:.1f}" dy=".35em" text-anchor="end">'
                       f'{escape(labels[i])}</text>')
            x = left + (i + .5) * cell
            turn = f' transform="rotate(-90 {x:.1f} {top - 7})" text-anchor="start" dy=".35em"' if top > 30 else \
                ' text-anchor="middle"'
            out.append(f'<text class="tick" x="{x:.1f}" y="{top - 7}"{turn}>{escape(labels[i])}</text>')
        for j, n in enumerate(row):
            x, share = left + j * cell, n / total
            hue = "right" if i == j else "wrong"
            # The eye sees a share of 2% if shades grow with the square root.
            shade = f"{math.sqrt(share):.2f}" if n else "0"
            about = f"{names[i]} taken for {names[j]}: {n} of {sum(row)}" if i != j else f"{names[i]}: {n} of {sum(row)}"
            if n or count <= 40:
                out.append(f'<rect class="{hue if n else "none"}" x="{x + .75:.1f}" y="{y + .75:.1f}" '
                           f'width="{cell - 1.5:.1f}" height="{cell - 1.5:.1f}" fill-opacity="{shade if n else 1}">'
                           f'<title>{escape(about)}</title></rect>')
            if n and count <= 20:
                tone = "on" if share > .3 else "off"
                out.append(f'<text class="count {tone}" x="{x + cell / 2:.1f}" y="{y + cell / 2:.1f}" dy=".36em" '
                           f'text-anchor="middle">{n}</text>')
    out.append("</svg>")
    return Markup("".join(out))


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
