"""What a report is made of: sections of prose and figures, and small pieces of HTML that escape what they are given.

Depends on markupsafe and, for pictures, on the folder of the study.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from hubel.dataurl import data_url

Facts = dict[str, Any]

NOTHING = Markup("")
_MEDIA = {".png": "image/png", ".webp": "image/webp", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Figure:
    """A picture, the finding it shows, what else must be known to read it, and the code that makes it again."""

    body: Markup
    finding: str
    detail: str | Markup
    command: str
    wide: bool = True


@dataclass(frozen=True)
class Section:
    """One section. `name` is its anchor, `lead` the paragraph under the title."""

    name: str
    title: str
    lead: Markup
    figures: Sequence[Figure] = ()
    after: Markup = NOTHING

    @property
    def command(self) -> str:
        return "\n".join(figure.command for figure in self.figures)

    @property
    def html(self) -> Markup:
        return Markup("").join([self.lead, *(figure.body for figure in self.figures), self.after])


class Pictures:
    """The pictures of a study, by the names that its facts give them, as data URIs. A missing one is left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def uri(self, name: str) -> str | None:
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError:
            return None
        return data_url(data, _MEDIA[path.suffix])

    def image(self, name: str | None, alt: str, small: bool = False) -> Markup:
        """`small` pictures of a few pixels are enlarged without smoothing."""
        uri = self.uri(name) if name else None
        if uri is None:
            return Markup("")
        return Markup('<img src="{}" alt="{}"{}>').format(uri, alt, Markup(' class="pixels"') if small else "")

    def tile(self, name: str | None, caption: str | Markup, alt: str = "", small: bool = False) -> Markup:
        """A picture with a line or two under it."""
        image = self.image(name, alt or str(Markup(caption).striptags()), small)
        return Markup('<div class="tile">{}<p>{}</p></div>').format(image, caption) if image else Markup("")


def grid(tiles: Iterable[Markup], size: int = 96, kind: str = "") -> Markup:
    """Tiles side by side, as many as fit; `size` is the least width of one in pixels."""
    return Markup('<div class="tiles {}" style="--tile:{}px">{}</div>').format(kind, size, Markup("").join(tiles))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], numeric: int = 1, kind: str = "") -> Markup:
    """A table whose columns from `numeric` on are numbers, set right."""
    def cell(tag: str, i: int, value: Any) -> Markup:
        return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), Markup(' class="n"') if i >= numeric else "", value)

    top = Markup("").join(cell("th", i, v) for i, v in enumerate(head))
    body = Markup("").join(Markup("<tr>{}</tr>").format(Markup("").join(cell("td", i, v) for i, v in enumerate(row)))
                           for row in rows)
    return Markup('<div class="scroll"><table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
                  ).format(kind, top, body)


def bar(value: float, text: str, role: str = "main") -> Markup:
    """A number with a bar of its size (0..1) behind it, for table cells."""
    share = f"{100 * min(max(value, 0.0), 1.0):.1f}"
    return Markup('<span class="bar {}" style="--share:{}%">{}</span>').format(role, share, text)


def p(text: str | Markup, *values: Any, **named: Any) -> Markup:
    """A paragraph: `text` is ours and may hold tags, the values are escaped."""
    return Markup("<p>{}</p>").format(Markup(text).format(*values, **named))


def bullets(items: Iterable[str | Markup]) -> Markup:
    return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(escape(i)) for i in items))


def pct(value: float, digits: int = 1) -> str:
    """0.9931 -> '99.3%'; neither 100% nor 0% is shown for what only rounds to it."""
    if not math.isfinite(value):
        return "–"
    shown = f"{100 * value:.{digits}f}"
    if float(shown) == 100 and value < 1:
        shown = f"{100 - 10.0 ** -digits:.{digits}f}"
    if float(shown) == 0 and value > 0:
        return f"<{10.0 ** -digits:.{digits}f}%"
    return f"{shown}%"


def interval(bounds: Sequence[float], digits: int = 1) -> str:
    return f"{pct(bounds[0], digits).rstrip('%')} to {pct(bounds[1], digits)}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """'1 image', '1,437 images'."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def eps_text(eps: float) -> str:
    """A perturbation in 256ths where it is one ('8/255'), else as it is."""
    levels = eps * 255
    if abs(levels - round(levels, 1)) < 1e-6:
        return f"{round(levels, 1):g}/255" if levels else "0"
    return f"{eps:.3g}"
