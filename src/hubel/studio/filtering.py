"""What the Filter tab shows, without the page: settings to an answer, its arithmetic, and how to get it again.

Depends on features.filters, which computes; on kernels, links, pictures.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from hubel.errors import InputError
from hubel.studio.links import Again, Settings, command, setting, to_query
from hubel.studio.pictures import Picture, uri

NAMES = {"sobel": "Sobel: edges at an angle", "edges": "edge: derivative of a Gaussian", "gabor": "Gabor: waves at an angle",
         "line": "line at an angle", "smooth": "Gaussian blur", "uniform": "average", "difference": "difference [1 −1]",
         "laplacian": "Laplacian", "log": "blobs: Laplacian of Gaussian", "prewitt": "Prewitt", "scharr": "Scharr",
         "weights": "my own numbers"}
TAKES = {"sobel": ("angle",), "prewitt": ("angle",), "scharr": ("angle",), "edges": ("angle", "sigma"),
         "gabor": ("angle", "wavelength"), "line": ("angle", "length"), "smooth": ("sigma",), "uniform": ("size",),
         "difference": ("angle",), "log": ("sigma",), "laplacian": (), "weights": ("weights",)}
STEERED = ("sobel", "prewitt", "scharr", "edges")
EITHER = (*STEERED, "gabor", "line")  # that can also answer at whichever angle
OF_SOUND = ("smooth", "uniform", "difference", "weights")
BORDERS = {"mirror": "reflect", "symmetric": "symmetric", "nearest": "edge", "wrap": "wrap", "zeros": "constant"}  # NumPy's names
LARGEST = 9  # a kernel up to this size is shown and changed as numbers
OWN = "0 1 2; 2 2 0; 0 1 2"  # the lecture's


@dataclass(frozen=True)
class Filter(Settings):
    TAB: ClassVar[str] = "filter"
    picture: str = setting("")
    source: str = setting("picture", one_of=("picture", "drawing", "sound"))
    kernel: str = setting("sobel", one_of=tuple(NAMES))
    angle: int = setting(90, least=0, most=359)
    every_angle: bool = setting(False)
    sigma: float = setting(1.5, least=0.3, most=12)
    wavelength: float = setting(8.0, least=2, most=40)
    length: int = setting(15, least=1, most=61)
    size: int = setting(5, least=1, most=61)
    weights: str = setting(OWN)
    border: str = setting("mirror", one_of=tuple(BORDERS))
    stride: int = setting(1, least=1, most=16)
    row: int = setting(-1, least=-1, most=100_000)
    column: int = setting(-1, least=-1, most=100_000)


def rows_of(text: str) -> np.ndarray:
    """Return '0 1 2; 2 2 0' as an array of rows; raises InputError."""
    try:
        rows = [[float(v) for v in row.replace(",", " ").split()] for row in text.strip().strip(";").split(";")]
        found = np.array(rows)
    except ValueError as error:
        raise InputError(f"the kernel {text[:40]!r} is no rectangle of numbers: write rows such as '0 1 2; 2 2 0; 0 1 2'") from error
    if found.ndim != 2 or not found.size or max(found.shape) > 61 or not np.isfinite(found).all():
        raise InputError(f"the kernel {text[:40]!r} must have 1 to 61 finite numbers in each of its rows")
    return found


def text_of(rows: Any) -> str:
    return "; ".join(" ".join(f"{float(v):.6g}" for v in row) for row in rows)


def options(s: Filter) -> dict[str, Any]:
    """Return the arguments of `apply_filter` that differ from its defaults."""
    found: dict[str, Any] = {}
    for name in TAKES[s.kernel]:
        value = getattr(s, name)
        if name == "weights":
            rows = rows_of(value)
            value = rows[0] if s.source == "sound" else rows
        if name == "angle":
            if s.source == "sound" or (s.every_angle and s.kernel in EITHER):
                continue
            value = (0 if abs(math.sin(math.radians(value))) < 0.7 else 90) if s.kernel == "difference" else value
        found[name] = value
    if s.border != "mirror":
        found["border"] = s.border
    if s.stride != 1:
        found["stride"] = s.stride
    return found


def answer(x: np.ndarray, s: Filter) -> Any:
    """Return what the filter answers (`features.filters.Filtered`) for an image or a sound."""
    from hubel.features.filters import apply_filter

    return apply_filter(s.kernel, x, **options(s))


def kernels_at(found: Any, s: Filter) -> np.ndarray:
    """Return the kernel, or with every angle the two (or eight) kernels, whose sums the answer is made of: (F, h, w)."""
    from hubel import kernels

    if s.every_angle and s.kernel in STEERED:
        if s.kernel == "edges":
            return np.stack([kernels.edge(90, s.sigma).weights, kernels.edge(0, s.sigma).weights])
        make = getattr(kernels, s.kernel)
        return np.stack([make("vertical").weights, make("horizontal").weights])
    w = found.kernel.weights
    return w if w.ndim == 3 else w[None]


def window(x: np.ndarray, s: Filter, row: int, column: int, shape: Sequence[int]) -> np.ndarray:
    """Return the pixels 0..1 of the image (H, W, 1 or 3) that a kernel of `shape` meets for the answer at (row, column).

    Grey (ITU-R BT.601 luma), as the filters see it; blurring keeps colours: of them this is the first.
    """
    places = []
    for n, at, k in zip(x.shape[:2], (row * s.stride, column * s.stride), shape, strict=True):
        before = (k - 1) // 2
        padded: Any = np.pad(np.arange(n), (before, k - 1 - before), cast(Any, BORDERS[s.border]),
                             **({"constant_values": -1} if s.border == "zeros" else {}))
        places.append(padded[at : at + k])
    cut = x[np.ix_(*places)].astype(np.float64) / 255
    grey = cut[..., 0] if x.shape[2] == 1 or s.kernel in ("smooth", "uniform") else cut @ np.array([0.299, 0.587, 0.114])
    return np.where((places[0][:, None] < 0) | (places[1] < 0), 0.0, grey)


@dataclass(frozen=True)
class Answered:
    """A filter's answer to a picture as the page shows it: what the lens takes, and the kernel as rows of numbers."""

    found: Any
    lens: dict[str, Any]
    rows: list[list[float]]


def look_through(picture: Picture, s: Filter) -> Answered:
    """Filter a picture; the pixel that is explained is the one of the settings, or the middle."""
    found = answer(picture.pixels, s)
    height, width = found.values.shape[:2]
    at = [min(s.row, height - 1) if s.row >= 0 else height // 2, min(s.column, width - 1) if s.column >= 0 else width // 2]
    kernel = kernels_at(found, s)
    low, high = float(found.values.min()), float(found.values.max())
    what = {"pixels": "the answer", "strength": "the answer, black 0 to white", "signed": "the answer, 0 in middle grey"}
    lens = {"input": uri(picture.pixels), "output": uri(found.picture()), "size_in": list(picture.pixels.shape[:2]),
            "size_out": [height, width], "kernel": list(kernel.shape[1:]), "stride": s.stride, "at": at,
            "title_in": f"{picture.name}, {picture.pixels.shape[1]} × {picture.pixels.shape[0]}",
            "title_out": f"{what[found.meaning]} ({low:.2g} to {high:.2g}), {width} × {height}"}
    return Answered(found, lens, rounded(kernel[0]))


def rounded(kernel: np.ndarray) -> list[list[float]]:
    return np.round(kernel, 6).tolist()


def explain(picture: Picture, found: Any, s: Filter, row: int, column: int) -> tuple[str, Again]:
    """Return the arithmetic of one pixel as HTML, and how to see it again."""
    done = arithmetic(picture.pixels, found, s, row, column)
    colour = " of its red" if s.kernel in ("smooth", "uniform") and picture.pixels.shape[2] == 3 else ""
    meaning = f"is {done.value:.4g}{colour}: the pixels under the kernel, times its weights, added up."
    return done.to_html(row, column, meaning), again(s, picture.file, replace(s, row=row, column=column))


@dataclass(frozen=True)
class Arithmetic:
    """The sums behind one pixel of the answer: pixels (h, w), kernels (F, h, w), their sums (F,), and what is made of them."""

    pixels: np.ndarray
    kernels: np.ndarray
    sums: np.ndarray
    rule: str
    value: float

    def to_html(self, row: int, column: int, meaning: str) -> str:
        best = int(np.abs(self.sums).argmax()) if len(self.sums) > 2 else 0
        parts = []
        for i in [best] if len(self.sums) > 2 else range(len(self.sums)):
            w = self.kernels[i]
            grids = (_grid(self.pixels, "grey"), "×", _grid(w, "signed"), "=", _grid(self.pixels * w, "signed"))
            parts.append('<div class="hb-sum">' + "".join(
                g if g.startswith("<") else f'<span class="hb-op">{g}</span>' for g in grids)
                + f'<span class="hb-op">Σ</span><output>{self.sums[i]:.4g}</output></div>')
        head = f'<p class="hb-head"><b>Pixel in row {row}, column {column}</b> {html.escape(meaning)}</p>'
        tail = f'<p class="hb-rule">{html.escape(self.rule)}</p>' if self.rule else ""
        return head + "".join(parts) + tail


def arithmetic(x: np.ndarray, found: Any, s: Filter, row: int, column: int) -> Arithmetic:
    """Return the sums whose result is `found.values[row, column]`."""
    w = kernels_at(found, s)
    pixels = window(x, s, row, column, w.shape[1:])
    sums = (w * pixels).sum((1, 2))
    value = found.values[row, column]
    value = float(value if np.ndim(value) == 0 else value[0])
    rule = ""
    if len(w) == 2:
        rule = f"strength at whichever angle: √({sums[0]:.3g}² + {sums[1]:.3g}²) = {value:.4g}"
    elif len(w) > 2:
        rule = f"the largest of {len(w)} angles, and 0 at least: {value:.4g}"
    return Arithmetic(pixels, w, sums, rule, value)


def _grid(values: np.ndarray, kind: str) -> str:
    numbers = max(values.shape) <= 7
    top = max(float(np.abs(values).max()), 1e-12)
    cells = []
    for v in values.flat:
        if kind == "grey":
            level = round(255 * float(np.clip(v, 0, 1)))
            colours = f"background:rgb({level},{level},{level});color:{'#000' if level > 140 else '#fff'}"
        else:
            part = abs(float(v)) / top
            end = (178, 24, 43) if v > 0 else (33, 102, 172)
            mixed = ",".join(str(round(255 + (c - 255) * part**0.8)) for c in end)
            colours = f"background:rgb({mixed});color:{'#fff' if part > 0.48 else '#1f2430'}"
        cells.append(f'<i style="{colours}">{_short(float(v)) if numbers else ""}</i>')
    return f'<span class="hb-grid{"" if numbers else " hb-fine"}" style="--n:{values.shape[1]}">{"".join(cells)}</span>'


def _short(v: float) -> str:
    if abs(v) < 0.005:
        return "0"
    text = f"{v:.2f}".rstrip("0").rstrip(".") if abs(v) < 10 else f"{v:.3g}"
    return text.replace("0.", ".", 1) if abs(v) < 1 else text


def again(s: Filter, file: str, resolved: Filter | None = None) -> Again:
    """Return how to see it again; `resolved` names the picture and pixel where the settings leave them open."""
    given = options(s)
    said = {k: v for k, v in given.items() if k != "weights"}
    words = [w for k, v in said.items() for w in (f"--{k}", f"{v:g}" if isinstance(v, float) else v)]
    if "weights" in given:
        rows = given["weights"]
        words += ["--weights", text_of(rows if rows.ndim == 2 else [rows])]
    line = command("hubel", "filter", s.kernel, file, *words)
    arguments = "".join(f", {k}={v!r}" for k, v in said.items())
    if "weights" in given:
        arguments = f", weights={given['weights'].tolist()!r}" + arguments
    if s.source == "sound":
        code = (f"from hubel.data import read_sound\nfrom hubel.features.filters import apply_filter\n\n"
                f"sound, rate = read_sound({file!r})\nanswer = apply_filter({s.kernel!r}, sound{arguments})\nanswer.plot()")
    else:
        code = (f"from hubel.data import read_image\nfrom hubel.features.filters import apply_filter\n\n"
                f"answer = apply_filter({s.kernel!r}, read_image({file!r}){arguments})\n"
                f"answer.picture()  # uint8; answer.values are the numbers")
        at = resolved or s
        if at.row >= 0:
            code += f"\nanswer.values[{at.row}, {at.column}]"
    return Again(to_query(replace(s)), line, code)
