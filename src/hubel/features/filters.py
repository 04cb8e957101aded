"""The filters by name, as `hubel filter` applies them. Depends on `convolve`, `kernels` and the functions beside it.

    apply_filter("edges", photo, angle=45).picture()     # uint8, ready to be looked at
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hubel import kernels
from hubel.convolve import correlate
from hubel.errors import InputError
from hubel.features._images import grey
from hubel.features.hierarchy import line_response, winning_edges
from hubel.features.smooth import best_sigma, noise, pyramid, smooth
from hubel.kernels import Kernel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANGLES = tuple(22.5 * i for i in range(8))  # tried where no angle is asked for


@dataclass(frozen=True, eq=False)
class Filtered:
    """What a filter answered. `values`: float32, one an image's pixel (smoothing keeps the channels) or a sample.

    meaning : 'pixels' (0..1, as the input), 'strength' (0 and up) or 'signed'. kernel : what slid over the input, if it
    was one kernel (or a bank). note : what was chosen, in words.
    """

    kind: str
    values: np.ndarray = field(repr=False)
    meaning: str
    kernel: Kernel | None = field(repr=False, default=None)
    note: str = ""

    def picture(self) -> np.ndarray:
        """Return uint8 (H, W, C): pixels as they are; strengths from black at 0 to white at the 99.9th percentile; signed
        answers with 0 in middle grey."""
        v = self.values if self.values.ndim == 3 else self.values[..., None]
        if self.meaning == "pixels":
            shown = v
        else:
            top = float(np.quantile(np.abs(v), 0.999)) or float(np.abs(v).max()) or 1.0
            shown = v / top if self.meaning == "strength" else 0.5 + v / (2 * top)
        return np.round(np.clip(shown, 0, 1) * 255).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "shape": list(self.values.shape), "meaning": self.meaning, "note": self.note,
                "least": float(self.values.min()), "largest": float(self.values.max()), "mean": float(self.values.mean())}

    def plot(self) -> Figure:
        """Return the answer as a figure: an image, or a curve."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4) if self.values.ndim > 1 else (9, 2.6), layout="constrained")
        axes = figure.add_subplot()
        if self.values.ndim == 1:
            axes.plot(self.values, linewidth=0.7)
            axes.set_xlabel("sample")
        else:
            axes.imshow(self.picture().squeeze(), cmap="gray", vmin=0, vmax=255)
            axes.set_axis_off()
        axes.set_title(f"{self.kind}: {self.note}" if self.note else self.kind, fontsize=10)
        return figure


@dataclass(frozen=True)
class _Options:
    sigma: float | None
    angle: float | None
    size: int | None
    wavelength: float
    length: int
    weights: np.ndarray | None
    border: str


def apply_filter(kind: str, x: Any, *, sigma: float | None = None, angle: float | None = None, size: int | None = None,
                 wavelength: float = 6.0, length: int = 25, weights: Any = None, border: str = "mirror", stride: int = 1
                 ) -> Filtered:
    """Apply the filter called `kind` (one of `KINDS`) to an image (H, W[, C]), uint8 or 0..1, or a series (T,).

    sigma : of Gaussians, in pixels; angle : of edges and lines in degrees, 90 is vertical, None is whichever answers most;
    size : of a uniform average; wavelength : of Gabor filters; length : of lines; weights : of kind 'weights';
    border : see `hubel.convolve.BORDERS`; stride : only places 0, stride, 2 stride, ... of each axis are answered for.

    Raises InputError for an unknown kind, one that needs an image where x is a series, or a value it cannot use.
    """
    if kind not in KINDS:
        import difflib

        near = difflib.get_close_matches(kind, KINDS, 1)
        raise InputError(f"no filter {kind!r}: " + (f"did you mean {near[0]!r}?" if near else f"one of {', '.join(KINDS)}"))
    if isinstance(stride, bool) or not isinstance(stride, (int, np.integer)) or stride < 1:
        raise InputError(f"stride={stride!r} must be a whole number of at least 1")
    if stride > 1 and kind == "pyramid":
        raise InputError(f"stride={stride}: a pyramid has strides of its own, leave it out")
    x = np.asarray(x)
    if x.ndim == 1 and kind not in SERIES:
        raise InputError(f"filter {kind!r} is for images: series take {', '.join(SERIES)}")
    if x.ndim not in (1, 2, 3) or x.size == 0:
        raise InputError(f"x of shape {x.shape} is neither one image (H, W) or (H, W, C) nor one series (T,)")
    if x.dtype.kind not in "buif" or not np.isfinite(x.sum(dtype=float)):
        raise InputError(f"x ({x.dtype}) must hold finite real numbers")
    weights = None if weights is None else np.asarray(weights, dtype=float)
    options = _Options(sigma, angle, size, wavelength, length, weights, border)
    answer = KINDS[kind](kind, x, options)
    return answer if stride == 1 else replace(answer, values=answer.values[(slice(None, None, stride),) * min(x.ndim, 2)])


def _floats(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) / 255 if x.dtype == np.uint8 and x.ndim > 1 else x.astype(np.float32, copy=False)


def _smooth(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    values = _floats(x)
    sigma = best_sigma(values) if o.sigma is None else o.sigma
    note = f"sigma {sigma:g}" + (f", chosen for noise of {noise(values):.2g}" if o.sigma is None else "")
    kernel = kernels.gaussian(sigma, dims=min(x.ndim, 2)) if sigma else None
    return Filtered(kind, smooth(values, sigma, border=o.border), "pixels", kernel, note)


def _uniform(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    kernel = kernels.uniform(o.size or 5, min(x.ndim, 2))
    return Filtered(kind, smooth(_floats(x), kind="uniform", size=o.size, border=o.border), "pixels", kernel, kernel.name)


def _weights(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    dims = min(x.ndim, 2)
    if o.weights is None or o.weights.ndim != dims or not np.isfinite(o.weights).all():
        raise InputError("the filter 'weights' needs numbers, such as --weights '0 1 2; 2 2 0; 0 1 2' for an image and "
                         "--weights '1 -1' for a series")
    values = _floats(x) if x.ndim == 1 else grey(x)[0].numpy()
    answer = np.asarray(correlate(values, o.weights, o.border))
    kernel = Kernel(o.weights, "x".join(map(str, o.weights.shape)))
    positive = (o.weights >= 0).all()
    return Filtered(kind, answer, "strength" if positive and x.ndim > 1 else "signed", kernel)


def _one(x: np.ndarray, kernel: Kernel, o: _Options) -> np.ndarray:
    return np.asarray(correlate(grey(x)[0].numpy(), kernel.weights, o.border))


def _steered(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    """Edges: two kernels, mixed for the angle, or the length of both."""
    if kind == "edges":
        sigma = 1.0 if o.sigma is None else o.sigma
        pair = [kernels.edge(90, sigma), kernels.edge(0, sigma)]
    else:
        make = getattr(kernels, kind)
        pair = [make("vertical"), make("horizontal")]
    vertical, horizontal = (_one(x, kernel, o) for kernel in pair)
    if o.angle is None:
        return Filtered(kind, np.hypot(vertical, horizontal), "strength", pair[0], "strength, at whichever angle")
    if not math.isfinite(o.angle):
        raise InputError(f"angle={o.angle!r} must be a number of degrees")
    t = math.radians(o.angle)
    mixed = math.sin(t) * pair[0].weights + math.cos(t) * pair[1].weights
    return Filtered(kind, math.sin(t) * vertical + math.cos(t) * horizontal, "signed",
                    Kernel(mixed, f"{kind} at {o.angle:g}°"), f"at {o.angle:g}°")


def _difference(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    if x.ndim == 1:
        kernel = Kernel(np.array([1.0, -1.0]), "difference")
        return Filtered(kind, np.asarray(correlate(_floats(x), kernel.weights, o.border)), "signed", kernel)
    if o.angle not in (None, 0, 90):
        raise InputError(f"angle={o.angle!r}: differences are taken at 90 (vertical edges) or 0; 'edges' takes any angle")
    kernel = kernels.difference("horizontal" if o.angle == 0 else "vertical")
    return Filtered(kind, _one(x, kernel, o), "signed", kernel, kernel.name)


def _laplacian(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    kernel = kernels.laplacian() if kind == "laplacian" else kernels.laplacian_of_gaussian(o.sigma or 2.0)
    return Filtered(kind, _one(x, kernel, o), "signed", kernel, kernel.name)


def _strongest(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    """Gabor filters and lines: one angle with its sign, or the largest answer of eight."""
    make: Callable[[float], Kernel]
    if kind == "gabor":
        def make(angle: float) -> Kernel:
            return kernels.gabor(o.wavelength, angle, o.sigma)
    else:
        def make(angle: float) -> Kernel:
            return kernels.line(o.length, angle)
    if o.angle is not None:
        kernel = make(o.angle)
        return Filtered(kind, _one(x, kernel, o), "signed", kernel, kernel.name)
    bank = kernels.bank([make(angle) for angle in ANGLES], kind)
    image, w = grey(x)[0], torch.from_numpy(bank.weights).float()
    answers: Tensor = correlate(image, w, o.border, layout="hw")
    return Filtered(kind, answers.clamp_min(0).amax(0).numpy(), "strength", bank, f"the most of {len(ANGLES)} angles")


def _hierarchy(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    angle = 90.0 if o.angle is None else o.angle
    _, winners = winning_edges(grey(x), [angle], 0.7 if o.sigma is None else o.sigma)
    lines = line_response(winners[:, 0], angle, o.length, 2.0)
    kernel = kernels.line(o.length, angle, 2.0)
    return Filtered(kind, lines[0].numpy(), "strength", kernel, f"edges at {angle:g}°, then lines of {o.length} in them")


def _pyramid(kind: str, x: np.ndarray, o: _Options) -> Filtered:
    """All levels in one picture: each beside the one before, on black."""
    levels = pyramid(_floats(x))
    h, w = levels[0].shape[:2]
    right = levels[1].shape[1] if len(levels) > 1 else 0
    below = sum(level.shape[0] for level in levels[1:])
    sheet = np.zeros((max(h, below), w + right, *levels[0].shape[2:]), np.float32)
    sheet[:h, :w] = levels[0]
    top = 0
    for level in levels[1:]:
        sheet[top : top + level.shape[0], w : w + level.shape[1]] = level
        top += level.shape[0]
    return Filtered(kind, sheet, "pixels", None, f"{len(levels)} levels")


KINDS: dict[str, Callable[[str, np.ndarray, _Options], Filtered]] = {
    "smooth": _smooth, "uniform": _uniform, "difference": _difference, "edges": _steered, "sobel": _steered,
    "scharr": _steered, "prewitt": _steered, "laplacian": _laplacian, "log": _laplacian, "gabor": _strongest,
    "line": _strongest, "hierarchy": _hierarchy, "pyramid": _pyramid, "weights": _weights,
}  # fmt: skip
SERIES = ("smooth", "uniform", "difference", "weights")
