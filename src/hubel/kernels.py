"""The filters people make by hand: averages, edges at any angle, Gabor banks, lines. Depends on NumPy.

Every function returns a `Kernel`: weights that go wherever an array goes, and can show themselves. They are meant for
`hubel.convolve.correlate` (no flip). Angles are in degrees, counter-clockwise as seen; an edge or line of angle 0 is
horizontal, of 90 vertical.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Kernel", "bank", "difference", "edge", "edge_bank", "gabor", "gabor_bank", "gaussian", "laplacian",
           "laplacian_of_gaussian", "line", "prewitt", "scharr", "sobel", "uniform"]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Kernel:
    """float64 weights (k,), (k1, k2), (k1, k2, k3), or a bank of F filters (F, k1, k2), and their name."""

    weights: np.ndarray
    name: str
    names: tuple[str, ...] = ()  # of the filters of a bank

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.weights, dtype=dtype, copy=True if copy else None)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weights.shape

    def __len__(self) -> int:
        return len(self.weights)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "weights": self.weights.tolist(), "names": list(self.names)}

    def plot(self) -> Figure:
        """Return a figure: red adds, blue subtracts, white is nothing; small kernels with their numbers."""
        from matplotlib.figure import Figure

        if self.weights.ndim == 1:
            return _plot_taps(self.weights, self.name)
        panels = list(self.weights) if self.weights.ndim == 3 else [self.weights]
        titles = list(self.names) or ([self.name] if len(panels) == 1 else [f"slice {i}" for i in range(len(panels))])
        columns = min(len(panels), math.ceil(math.sqrt(len(panels)) * 1.3))
        rows = -(-len(panels) // columns)
        figure = Figure(figsize=(max(2.6 * columns, 3.2), 2.8 * rows), layout="constrained")
        top = max(float(np.abs(self.weights).max()), 1e-12)
        shown = None
        for i, (panel, title) in enumerate(zip(panels, titles, strict=True)):
            axes = figure.add_subplot(rows, columns, i + 1)
            shown = axes.imshow(panel, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
            axes.set_title(title, fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
            numbers = np.where(np.abs(panel) < 1e-9 * top, 0.0, panel)
            if max(panel.shape) * max(len(f"{value:.2g}") for value in numbers.flat) <= 24:  # else they would overlap
                for (r, c), value in np.ndenumerate(numbers):
                    colour = "white" if abs(value) > 0.6 * top else "black"
                    axes.text(c, r, f"{value:.2g}", ha="center", va="center", fontsize=8, color=colour)
        assert shown is not None
        figure.colorbar(shown, ax=figure.axes, shrink=0.8)
        if len(panels) > 1:
            figure.suptitle(self.name, fontsize=11)
        return figure


def _plot_taps(weights: np.ndarray, name: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(np.arange(len(weights)), weights, color=np.where(weights >= 0, "#b2182b", "#2166ac"), width=0.9)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(title=name, xlabel="sample", ylabel="weight")
    return figure


def uniform(size: int | Sequence[int], dims: int = 2) -> Kernel:
    """Return the local average: 1/(k1 k2) everywhere. `size` is k for every axis, or one number an axis."""
    shape = (size,) * dims if isinstance(size, int) else tuple(size)
    if not all(isinstance(k, int) and k >= 1 for k in shape):
        raise InputError(f"size={size!r} must be a whole number of at least 1, or one an axis")
    return Kernel(np.full(shape, 1 / math.prod(shape)), f"uniform {'x'.join(map(str, shape))}")


def gaussian(sigma: float, size: int | None = None, dims: int = 2) -> Kernel:
    """Return w_i ~ exp(-i^2 / (2 sigma^2)), i from the centre, summing to 1.

    The size is 2 ceil(3 sigma) + 1 unless one is given; below 2 sigma each way a warning says what is cut off.
    (The lecture writes sigma^2 for 2 sigma^2.)
    """
    line_ = _gauss(sigma, size)
    weights = line_
    for _ in range(dims - 1):
        weights = np.multiply.outer(weights, line_)
    return Kernel(weights, f"Gaussian, sigma {sigma:g}")


def _gauss(sigma: float, size: int | None) -> np.ndarray:
    if not (isinstance(sigma, (int, float, np.floating)) and math.isfinite(sigma) and sigma > 0):
        raise InputError(f"sigma={sigma!r} must be a positive number of samples")
    i = _offsets(size, 3 * sigma)
    if len(i) < 4 * sigma:
        kept = math.erf(len(i) / 2 / sigma / math.sqrt(2))
        warnings.warn(f"a Gaussian of sigma {sigma:g} cut to {len(i)} samples keeps {kept:.0%} of its weight: "
                      f"use at least {2 * math.ceil(2 * sigma) + 1}", stacklevel=3)
    w = np.exp(-(i**2) / (2 * sigma**2))
    return w / w.sum()


def _offsets(size: int | None, reach: float) -> np.ndarray:
    """Return positions from the centre; `size` samples, or as many as reach `reach` each way."""
    if size is None:
        size = 2 * math.ceil(reach) + 1
    if not isinstance(size, (int, np.integer)) or size < 1:
        raise InputError(f"size={size!r} must be a whole number of at least 1")
    return np.arange(size) - (size - 1) / 2


def difference(edges: str = "vertical") -> Kernel:
    """Return the lecture's [1 -1], which answers to vertical edges, or its transpose for horizontal ones."""
    w = np.array([[1.0, -1.0]])
    return Kernel(_turned(w, edges), f"difference, {edges} edges")


def _turned(w: np.ndarray, edges: str) -> np.ndarray:
    if edges not in ("vertical", "horizontal"):
        raise InputError(f"edges={edges!r} must be 'vertical' or 'horizontal': use edge(angle) for others")
    return w if edges == "vertical" else w.T


def sobel(edges: str = "vertical") -> Kernel:
    """Return [1 2 1] across [1 0 -1]: positive where the left (or upper) side is brighter, as in the lecture.

    >>> sobel().weights.astype(int).tolist(), sobel("horizontal").weights[2].tolist()
    ([[1, 0, -1], [2, 0, -2], [1, 0, -1]], [-1.0, -2.0, -1.0])
    """
    return Kernel(_turned(np.outer([1.0, 2, 1], [1.0, 0, -1]), edges), f"Sobel, {edges} edges")


def scharr(edges: str = "vertical") -> Kernel:
    """Return [3 10 3] across [1 0 -1]: the 3x3 gradient whose angles err least (Scharr, 2000)."""
    return Kernel(_turned(np.outer([3.0, 10, 3], [1.0, 0, -1]), edges), f"Scharr, {edges} edges")


def prewitt(edges: str = "vertical") -> Kernel:
    """Return [1 1 1] across [1 0 -1] (Prewitt, 1970)."""
    return Kernel(_turned(np.outer([1.0, 1, 1], [1.0, 0, -1]), edges), f"Prewitt, {edges} edges")


def laplacian(diagonals: bool = False) -> Kernel:
    """Return the sum of second differences: 4 neighbours minus 4 times the centre, or 8 minus 8."""
    w = np.ones((3, 3)) if diagonals else np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    w[1, 1] = -w.sum() + w[1, 1]
    return Kernel(w, "Laplacian")


def laplacian_of_gaussian(sigma: float, size: int | None = None) -> Kernel:
    """Return the Laplacian of a Gaussian (Marr and Hildreth, 1980), made to sum to 0: blobs of radius sigma sqrt 2."""
    _gauss(sigma, None)
    i = _offsets(size, 4 * sigma)
    square = np.add.outer(i**2, i**2) / sigma**2
    w = (square - 2) / sigma**2 * np.exp(-square / 2) / (2 * math.pi * sigma**2)
    return Kernel(w - w.mean(), f"Laplacian of Gaussian, sigma {sigma:g}")


def edge(angle: float = 90.0, sigma: float = 1.0, size: int | None = None) -> Kernel:
    """Return a detector of edges along `angle` degrees: a steered derivative of a Gaussian (Freeman, Adelson 1991).

    At 90 (vertical edges) it is positive where the left side is brighter, at 0 where the upper side is, as `sobel`.
    Scaled so that an ideal step of height 1 gives 1 (once the kernel is wide enough). Rank 2 at most: two passes.
    """
    g = _gauss(sigma, size)
    i = _offsets(len(g), 0)
    slope = i * g
    slope = -slope / np.abs(slope).sum() * 2 if np.any(slope) else slope
    t = math.radians(_angle(angle))
    w = math.sin(t) * np.outer(g, slope) + math.cos(t) * np.outer(slope, g)
    return Kernel(w, f"edge at {angle:g}°, sigma {sigma:g}")


def _angle(angle: float) -> float:
    if not (isinstance(angle, (int, float, np.number)) and math.isfinite(angle)):
        raise InputError(f"angle={angle!r} must be a number of degrees")
    return float(angle)


def gabor(wavelength: float = 6.0, angle: float = 90.0, sigma: float | None = None, phase: float = 0.0,
          aspect: float = 0.5, size: int | None = None) -> Kernel:
    """Return a Gabor filter: a wave across a line of `angle` degrees under a Gaussian, made to sum to 0, norm 1.

    wavelength in pixels; sigma across the line (default 0.56 wavelengths: one octave of bandwidth); along it
    sigma / aspect; phase in degrees: 0 answers to lines, 90 to edges. (Daugman, 1985; Jones and Palmer, 1987.)
    """
    if not (math.isfinite(wavelength) and wavelength >= 2):
        raise InputError(f"wavelength={wavelength!r} must be at least 2 pixels: shorter waves cannot be sampled")
    sigma = 0.56 * wavelength if sigma is None else sigma
    if not (math.isfinite(sigma) and sigma > 0 and math.isfinite(aspect) and aspect > 0):
        raise InputError(f"sigma={sigma!r} and aspect={aspect!r} must be positive")
    i = _offsets(size, 3 * sigma / min(aspect, 1))
    y, x = -i[:, None], i[None, :]
    t = math.radians(_angle(angle))
    along, across = x * math.cos(t) + y * math.sin(t), -x * math.sin(t) + y * math.cos(t)
    envelope = np.exp(-(across**2 + (aspect * along) ** 2) / (2 * sigma**2))
    w = envelope * np.cos(2 * math.pi * across / wavelength + math.radians(phase))
    w -= envelope * (w.sum() / envelope.sum())
    norm = math.sqrt(float((w**2).sum()))
    return Kernel(w / norm if norm > 1e-9 else w, f"Gabor {angle:g}°, wavelength {wavelength:g}")


def gabor_bank(wavelengths: Sequence[float] = (4, 8), orientations: int = 8, phases: Sequence[float] = (0, 90),
               size: int | None = None) -> Kernel:
    """Return all combinations as one bank (F, k, k) of one size; `names` say which is which."""
    size = size or 2 * math.ceil(3 * 0.56 * max(wavelengths) / 0.5) + 1
    return bank([gabor(wave, 180 * o / orientations, phase=phase, size=size)
                 for wave in wavelengths for o in range(orientations) for phase in phases], "Gabor bank",
                [f"{wave:g} px, {180 * o / orientations:g}°, {'line' if phase == 0 else 'edge' if phase == 90 else f'phase {phase:g}'}"
                 for wave in wavelengths for o in range(orientations) for phase in phases])  # fmt: skip


def edge_bank(orientations: int = 8, sigma: float = 1.0) -> Kernel:
    """Return edge detectors at `orientations` angles over 180 degrees, as a bank (F, k, k)."""
    if not isinstance(orientations, int) or orientations < 1:
        raise InputError(f"orientations={orientations!r} must be a whole number of at least 1")
    angles = [180 * o / orientations for o in range(orientations)]
    return bank([edge(a, sigma) for a in angles], "edges", [f"{a:g}°" for a in angles])


def line(length: int, angle: float = 90.0, width: float = 1.0, surround: float = 1.0) -> Kernel:
    """Return a detector of bright lines: +1 in all on a bar of `length` x `width` pixels at `angle`, -`surround` in all
    on a bar as wide on either side of it. `surround=0` only adds along the line, as the lecture's second layer does.

    Drawn at 8x8 points a pixel, so that slanted lines are as long and as heavy as upright ones.
    """
    if not (isinstance(length, (int, np.integer)) and length >= 1) or not (math.isfinite(width) and width > 0):
        raise InputError(f"length={length!r} must be a whole number of at least 1 and width={width!r} positive")
    t = math.radians(_angle(angle))
    reach_x = (abs(math.cos(t)) * length + abs(math.sin(t)) * width * (3 if surround else 1)) / 2
    reach_y = (abs(math.sin(t)) * length + abs(math.cos(t)) * width * (3 if surround else 1)) / 2
    x, y = _fine(reach_x), -_fine(reach_y)
    along = x[None, :] * math.cos(t) + y[:, None] * math.sin(t)
    across = np.abs(-x[None, :] * math.sin(t) + y[:, None] * math.cos(t))
    inside = np.abs(along) <= length / 2 + 1e-9
    bar, flanks = inside & (across <= width / 2), inside & (across > width / 2) & (across <= 1.5 * width)
    weights = _pixels(bar)
    weights /= weights.sum()
    if surround:
        sides = _pixels(flanks)
        weights = weights - surround * sides / sides.sum()
    return Kernel(weights, f"line of {length} at {angle:g}°")


def _fine(reach: float) -> np.ndarray:
    """Return 8 positions a pixel, over an odd number of pixels that covers `reach` each way."""
    size = 2 * max(math.ceil(reach - 0.5 - 1e-9), 0) + 1
    return (np.arange(size * 8) + 0.5) / 8 - size / 2


def _pixels(mask: np.ndarray) -> np.ndarray:
    h, w = mask.shape
    return mask.reshape(h // 8, 8, w // 8, 8).mean((1, 3))


def bank(kernels: Sequence[Kernel], name: str = "bank", names: Sequence[str] | None = None) -> Kernel:
    """Return 2-D kernels as one bank (F, k1, k2): smaller ones are centred among zeros."""
    if not kernels:
        raise InputError("a bank needs at least one kernel")
    if any(k.weights.ndim != 2 for k in kernels):
        raise InputError("a bank is made of 2-D kernels")
    shape = [max(k.shape[axis] for k in kernels) for axis in (0, 1)]
    out = np.zeros((len(kernels), *shape))
    for i, k in enumerate(kernels):
        top, left = ((n - 1) // 2 - (m - 1) // 2 for n, m in zip(shape, k.shape, strict=True))
        out[i, top : top + k.shape[0], left : left + k.shape[1]] = k.weights
    return Kernel(out, name, tuple(names if names is not None else (k.name for k in kernels)))
