"""Find a pattern in an image or a recording, at several scales and angles. Depends on `score`; OpenCV to resize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.errors import InputError
from hubel.features.score import masked_score_map, score_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Match:
    """One place: `box` is (left, top, width, height) in pixels, or (start, length) in samples for a series."""

    score: float
    box: tuple[float, ...]
    scale: float = 1.0
    angle: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {"score": self.score, "box": list(self.box), "scale": self.scale, "angle": self.angle}


@dataclass(frozen=True, eq=False)
class Matches:
    """What `match` found, best first; `best` is the highest score anywhere, found or not."""

    found: tuple[Match, ...]
    best: float
    threshold: float
    x: np.ndarray = field(repr=False)
    rate: float | None = None  # samples a second, for sound

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Any:
        return iter(self.found)

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"best": self.best, "threshold": self.threshold, "found": [m.to_dict() for m in self.found]}
        if self.rate:
            for m, entry in zip(self.found, out["found"], strict=True):
                entry["seconds"] = [m.box[0] / self.rate, (m.box[0] + m.box[1]) / self.rate]
        return out

    def plot(self) -> Figure:
        """Return the image with the boxes, or the recording with the times, and their scores."""
        from matplotlib.figure import Figure
        from matplotlib.patches import Polygon

        if self.x.ndim == 1 or self.rate:
            return self._plot_series()
        h, w = self.x.shape[:2]
        figure = Figure(figsize=(8, max(2.0, 8 * h / w)), layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(self.x.squeeze(), cmap="gray")
        axes.set_axis_off()
        for m in reversed(self.found):
            corners = _corners(m)
            axes.add_patch(Polygon(corners, fill=False, edgecolor="black", linewidth=3.5))
            axes.add_patch(Polygon(corners, fill=False, edgecolor="#ffcc00", linewidth=1.8))
            at = corners[corners[:, 1].argmin()]
            axes.text(at[0], at[1], f"{m.score:.2f}", fontsize=9, color="black", va="bottom", clip_on=True,
                      bbox={"facecolor": "#ffcc00", "edgecolor": "none", "pad": 1})
        return figure

    def _plot_series(self) -> Figure:
        from matplotlib.figure import Figure

        rate = self.rate or 1.0
        figure = Figure(figsize=(9, 2.6), layout="constrained")
        axes = figure.add_subplot()
        values = self.x if self.x.ndim == 1 else self.x.mean(1)
        axes.plot(np.arange(len(values)) / rate, values, linewidth=0.5, color="#444444")
        axes.set_xlim(0, len(values) / rate)
        axes.set_xlabel("seconds" if self.rate else "sample")
        axes.spines[["top", "right"]].set_visible(False)
        for m in self.found:
            start, stop = m.box[0] / rate, (m.box[0] + m.box[1]) / rate
            axes.axvspan(start, stop, color="#ffcc00", alpha=0.5)
            axes.text((start + stop) / 2, 1.0, f"{m.score:.2f}", ha="center", va="bottom", fontsize=9,
                      transform=axes.get_xaxis_transform())
        return figure

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{m.score:.3f}</td><td>{', '.join(f'{v:g}' for v in m.box)}</td><td>{m.scale:g}</td>"
                       f"<td>{m.angle:g}</td></tr>" for m in self.found)
        return f"<table><tr><th>score</th><th>box</th><th>scale</th><th>angle</th></tr>{rows}</table>"


def match(pattern: Any, x: Any, *, scales: Sequence[float] = (1.0,), angles: Sequence[float] = (0.0,),
          threshold: float = 0.6, top: int = 20, overlap: float = 0.3, rate: float | None = None) -> Matches:
    """Return the places of x most like `pattern`, by normalised cross-correlation (see `score_map`), best first.

    pattern, x : images (H, W) or (H, W, C), both grey or both colour; or series (T,); or sound (T,) or (T, C) with its
        `rate`, samples a second.
    scales : factors the pattern is resized by (for series: stretched); those that no longer fit are left out.
    angles : degrees the pattern is turned by, counter-clockwise (images only).
    threshold : least score in -1..1; top : most places; overlap : boxes that share more than this of their union with
        a better one are dropped (non-maximum suppression).

    Raises InputError for NaN, ranks or channels that differ, an empty or flat pattern, a pattern that never fits.
    """
    x, pattern = np.asarray(x), np.asarray(pattern)
    series = x.ndim == 1 or rate is not None
    _check(pattern, x, series, scales, angles, threshold, top, overlap)
    layout = "tc" if series and x.ndim == 2 else None
    space = 1 if series else 2
    found: list[Match] = []
    best, fitted = -1.0, False
    for scale in scales:
        for angle in angles:
            turned = _stretch(pattern, scale) if series else _transform(pattern, scale, angle)
            if turned is None or any(k > n for k, n in zip(turned[0].shape[:space], x.shape[:space], strict=True)):
                continue
            fitted = True
            image, mask = turned
            scores = score_map(image, x, layout=layout) if mask is None else masked_score_map(image, mask, x)
            best = max(best, float(scores.max()))
            size = [max(1, round(n * scale)) for n in pattern.shape[:space]]
            found += _peaks(scores, image.shape, size, threshold, top, scale, angle)
    if not fitted:
        raise InputError(f"the pattern of shape {pattern.shape} is larger than x of shape {x.shape} at every scale: "
                         "add smaller scales")
    return Matches(tuple(_suppress(found, overlap)[:top]), best, threshold, x, rate)


def _check(pattern: np.ndarray, x: np.ndarray, series: bool, scales: Any, angles: Any, threshold: Any, top: Any,
           overlap: Any) -> None:
    if pattern.ndim != x.ndim:
        raise InputError(f"the pattern has {pattern.ndim} dimensions and x {x.ndim}: both grey, both colour or both sound")
    if x.ndim > (2 if series else 3) or x.ndim == 0:
        raise InputError(f"x of shape {x.shape} is not one image (H, W) or (H, W, C), or one series (T,)")
    if pattern.size == 0 or x.size == 0:
        raise InputError(f"shapes {pattern.shape} and {x.shape}: nothing to match")
    if pattern.dtype.kind not in "buif":
        raise InputError(f"the pattern is {pattern.dtype}: patterns are matched in real numbers")
    if pattern.ndim == (2 if series else 3) and pattern.shape[-1] != x.shape[-1]:
        raise InputError(f"the pattern has {pattern.shape[-1]} channels and x {x.shape[-1]}: bring both to one")
    if not len(scales) or not all(math.isfinite(s) and s > 0 for s in scales):
        raise InputError(f"scales={scales!r} must be positive numbers")
    if not len(angles) or not all(math.isfinite(a) for a in angles) or (series and any(angles)):
        raise InputError(f"angles={angles!r} must be numbers of degrees (and series do not turn)")
    if not (-1 <= threshold <= 1 and top >= 1 and 0 <= overlap <= 1):
        raise InputError(f"threshold={threshold!r}, top={top!r}, overlap={overlap!r}: use -1..1, at least 1, and 0..1")
    if float(np.ptp(pattern.astype(float))) == 0:
        raise InputError("the pattern is flat: nothing in it to look for")


def _stretch(pattern: np.ndarray, scale: float) -> tuple[np.ndarray, None] | None:
    """Return a series (T,) or sound (T, C) stretched by `scale`; None if nothing is left."""
    length = len(pattern) if scale == 1 else round(len(pattern) * scale)
    if length < 4 and scale != 1:
        return None
    if scale == 1:
        return pattern, None
    at = np.linspace(0, len(pattern) - 1, length)
    columns = [np.interp(at, np.arange(len(pattern)), column) for column in pattern.reshape(len(pattern), -1).T]
    return np.stack(columns, 1).reshape(length, *pattern.shape[1:]), None


def _transform(pattern: np.ndarray, scale: float, angle: float) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return an image resized and turned, and where it is defined (None: everywhere). None if nothing is left."""
    if scale == 1 and angle == 0:
        return pattern, None
    import cv2

    image = pattern.astype(np.float32)
    h, w = (max(1, round(n * scale)) for n in pattern.shape[:2])
    if min(h, w) < 4 and scale != 1:
        return None
    if scale != 1:
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (w, h), interpolation=way), np.float32).reshape(h, w, *pattern.shape[2:])
    if angle % 360 == 0:
        return image, None
    if angle % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, round(angle / 90) % 4)), None
    t = math.radians(angle)
    wide = math.ceil(abs(w * math.cos(t)) + abs(h * math.sin(t)))
    high = math.ceil(abs(w * math.sin(t)) + abs(h * math.cos(t)))
    turn = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), angle, 1)
    turn[:, 2] += (wide - w) / 2, (high - h) / 2
    turned = cv2.warpAffine(image, turn, (wide, high), flags=cv2.INTER_LINEAR).reshape(high, wide, *pattern.shape[2:])
    mask = cv2.warpAffine(np.ones((h, w), np.float32), turn, (wide, high), flags=cv2.INTER_LINEAR) > 0.999
    return (turned, mask) if mask.sum() >= 16 else None


def _peaks(scores: np.ndarray, shape: tuple[int, ...], size: list[int], threshold: float, top: int, scale: float,
           angle: float) -> list[Match]:
    """Return local maxima above the threshold, at most a few times `top`; boxes of the unturned `size` about the same
    centre."""
    import scipy.ndimage

    if not (scores >= threshold).any():
        return []
    reach = [max(1, min(k // 4, 15)) * 2 + 1 for k in shape[: scores.ndim]]
    peaks = (scores == scipy.ndimage.maximum_filter(scores, reach, mode="nearest")) & (scores >= threshold) & (scores != 0)
    places = np.argwhere(peaks)
    values = scores[peaks]
    order = values.argsort()[::-1][: 10 * top]
    out = []
    for place, value in zip(places[order], values[order], strict=True):
        corner = [p + (k - n) / 2 for p, k, n in zip(place, shape, size, strict=False)]
        box = (*(float(c) for c in reversed(corner)), *(float(n) for n in reversed(size)))
        out.append(Match(float(value), box, float(scale), float(angle)))
    return out


def _suppress(found: list[Match], overlap: float) -> list[Match]:
    """Greedy non-maximum suppression; turned boxes count as the upright box around the same centre."""
    kept: list[Match] = []
    for m in sorted(found, key=lambda m: -m.score):
        if all(_shared(m.box, other.box) <= overlap for other in kept):
            kept.append(m)
    return kept


def _shared(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return the intersection over the union of two boxes, in one or two dimensions."""
    dims = len(a) // 2
    both = math.prod(max(0.0, min(a[i] + a[i + dims], b[i] + b[i + dims]) - max(a[i], b[i])) for i in range(dims))
    return both / (math.prod(a[dims:]) + math.prod(b[dims:]) - both)


def _corners(m: Match) -> np.ndarray:
    left, top, w, h = m.box
    t = math.radians(m.angle)
    offsets = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2
    turn = np.array([[math.cos(t), math.sin(t)], [-math.sin(t), math.cos(t)]])
    return offsets @ turn.T + (left + w / 2 - 0.5, top + h / 2 - 0.5)
