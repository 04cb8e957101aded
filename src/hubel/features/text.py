"""Does an image contain text, and where: rows of like shapes, judged by a linear classifier on their HOG.

Letters are components of one brightness, of like height, side by side. Rows of at least three such components are
candidates; each is cut out, brought to 24 pixels of height and described by the mean HOG of its windows and by how
regular it is. The weights (`text.json`) were learned from rendered lines and from rows found in photographs without text;
`python -m bench.text --train` learns them anew, and without --train measures them. Depends on `hog`, NumPy and OpenCV.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.errors import InputError
from hubel.features._images import grey
from hubel.features.hog import hog

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 1024  # pixels: larger images are reduced first
HEIGHT, WINDOW = 24, 48
CELL = 6


@dataclass(frozen=True)
class Row:
    """Candidate row of letters: box (left, top, width, height) and the boxes of its components, (n, 4)."""

    box: tuple[int, int, int, int]
    parts: np.ndarray = field(repr=False)
    bright: bool = False  # bright letters on a dark ground


@dataclass(frozen=True, eq=False)
class TextFound:
    """`contains` is `score` >= 0.5; boxes (left, top, width, height) of the rows found, with their scores, best first."""

    score: float
    contains: bool
    boxes: tuple[tuple[int, int, int, int], ...]
    scores: tuple[float, ...]
    x: np.ndarray = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {"score": self.score, "contains_text": self.contains,
                "found": [{"box": list(b), "score": s} for b, s in zip(self.boxes, self.scores, strict=True)]}

    def plot(self) -> Figure:
        """Return the image with a box around each row."""
        from hubel.features.match import Match, Matches

        found = tuple(Match(s, tuple(map(float, b))) for b, s in zip(self.boxes, self.scores, strict=True))
        return Matches(found, self.score, 0.5, self.x).plot()


def find_text(x: Any) -> TextFound:
    """Return whether the image (H, W) or (H, W, C), uint8 or float 0..1, contains text, and where.

    Finds horizontal rows (to about 15 degrees) of at least three separate letters at least 8 pixels tall, dark on bright
    or bright on dark. Joined script and single characters are missed; fences and rows of windows are its usual errors.
    """
    image = grey(x)
    if len(image) != 1:
        raise InputError(f"text is looked for in one image at a time, not in {len(image)}")
    values = (image[0].numpy() * 255).astype(np.uint8)
    shrink = min(1.0, LONGEST / max(values.shape))
    small = values if shrink == 1 else _resize(values, round(values.shape[1] * shrink), round(values.shape[0] * shrink))
    rows = candidates(small)
    scores = judge(describe(small, rows)) if rows else np.zeros(0)
    order = [i for i in scores.argsort()[::-1] if scores[i] >= 0.5]
    boxes: list[tuple[int, int, int, int]] = []
    kept: list[float] = []
    for i in order:
        box = rows[i].box
        if not any(_overlap(box, other) > 0.3 for other in boxes):
            boxes.append(box)
            kept.append(float(scores[i]))
    best = float(scores.max()) if len(scores) else 0.0
    full = [(round(left / shrink), round(top / shrink), round(w / shrink), round(h / shrink)) for left, top, w, h in boxes]
    return TextFound(best, best >= 0.5, tuple(full), tuple(kept), np.asarray(x))


def candidates(image: np.ndarray) -> list[Row]:
    """Return rows of at least three like components side by side, in a uint8 (H, W) image.

    Components are regions darker (brighter) than the mean of their surroundings, for surroundings of two sizes.
    """
    import cv2

    rows: list[Row] = []
    if min(image.shape) <= 8:
        return rows
    for size in (15, 41):
        for bright in (False, True):
            kind = cv2.THRESH_BINARY if bright else cv2.THRESH_BINARY_INV
            mask = cv2.adaptiveThreshold(image, 255, cv2.ADAPTIVE_THRESH_MEAN_C, kind, size, -12 if bright else 12)
            stats = np.asarray(cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:])
            rows += [Row(_around(parts), parts, bright) for parts in _chains(_letters(stats), image.shape)]
    return rows


def _letters(stats: np.ndarray) -> np.ndarray:
    """Return the boxes of components that might be letters: left, top, width, height."""
    w, h, area = stats[:, 2], stats[:, 3], stats[:, 4]
    fill = area / np.maximum(w * h, 1)
    good = (h >= 7) & (h <= 300) & (w >= 1) & (w <= 3 * h) & (h <= 12 * w) & (fill > 0.12) & (area >= 8)
    return stats[good, :4].astype(int)


def _chains(boxes: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return groups of at least 3 boxes linked by likeness: similar heights, on one line, little space between."""
    if len(boxes) < 3 or len(boxes) > 20_000:
        return []
    boxes = boxes[boxes[:, 0].argsort()]
    left, top, w, h = boxes.T
    parent = np.arange(len(boxes))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i in range(len(boxes)):
        stop = np.searchsorted(left, left[i] + w[i] + 1.2 * h[i], side="right")
        j = np.arange(i + 1, stop)
        if not len(j):
            continue
        low, high = np.minimum(h[i], h[j]), np.maximum(h[i], h[j])
        shared = np.minimum(top[i] + h[i], top[j] + h[j]) - np.maximum(top[i], top[j])
        gap = left[j] - (left[i] + w[i])
        like = (high <= 1.9 * low) & (shared >= 0.5 * low) & (gap <= 1.0 * low) & (gap >= -0.4 * np.minimum(w[i], w[j]))
        for other in j[like]:
            parent[root(int(other))] = root(i)
    roots = np.array([root(i) for i in range(len(boxes))])
    order = roots.argsort(kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(roots[order])) + 1)
    return [boxes[g] for g in groups if len(g) >= 3 and np.ptp(left[g]) > h[g].max()]


def _around(parts: np.ndarray) -> tuple[int, int, int, int]:
    left, top = parts[:, 0].min(), parts[:, 1].min()
    right, bottom = (parts[:, 0] + parts[:, 2]).max(), (parts[:, 1] + parts[:, 3]).max()
    return int(left), int(top), int(right - left), int(bottom - top)


def describe(image: np.ndarray, rows: list[Row]) -> np.ndarray:
    """Return features (len(rows), D) float32: mean HOG over windows of the row, then its regularity."""
    crops, owners = [], []
    for i, row in enumerate(rows):
        left, top, w, h = row.box
        margin = max(1, round(0.15 * h))
        crop = image[max(0, top - margin) : top + h + margin, max(0, left - margin) : left + w + margin]
        crop = 255 - crop if row.bright else crop
        strip = _resize(crop, max(WINDOW, round(crop.shape[1] * HEIGHT / crop.shape[0])), HEIGHT)
        starts = np.linspace(0, strip.shape[1] - WINDOW, min(6, 1 + strip.shape[1] // WINDOW)).astype(int)
        crops += [strip[:, s : s + WINDOW] for s in starts]
        owners += [i] * len(starts)
    found = hog(np.stack(crops)[..., None], cell=CELL).reshape(len(crops), -1)
    sums = np.zeros((len(rows), found.shape[1]))
    np.add.at(sums, owners, found)
    means = sums / np.bincount(owners, minlength=len(rows))[:, None]
    return np.hstack([means, np.stack([_regularity(r.parts) for r in rows])]).astype(np.float32)


def _regularity(parts: np.ndarray) -> np.ndarray:
    left, top, w, h = parts.T.astype(float)
    height = np.median(h)
    gaps = np.diff(np.sort(left)) / height
    bottom = top + h
    drift = np.polyfit(left, bottom, 1)
    off = np.abs(bottom - np.polyval(drift, left))
    return np.array([np.log(len(parts)), h.std() / height, (w / height).std(), np.median(w) / height, gaps.std(),
                     np.median(off) / height, abs(drift[0]), np.ptp(left) / height / len(parts)])  # fmt: skip


def judge(features: np.ndarray) -> np.ndarray:
    """Return the probability that each described row is text."""
    weights, bias = _weights()
    return 1 / (1 + np.exp(-(features @ weights + bias)))


@lru_cache(maxsize=1)
def _weights() -> tuple[np.ndarray, float]:
    stored = json.loads(files("hubel.features").joinpath("text.json").read_text())
    return np.array(stored["weights"]), float(stored["bias"])


def _resize(image: np.ndarray, w: int, h: int) -> np.ndarray:
    import cv2

    smaller = h < image.shape[0]
    return np.asarray(cv2.resize(image, (max(w, 1), max(h, 1)), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR))


def _overlap(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """Return the intersection over the smaller of two boxes."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, w) * max(0, h) / max(1, min(a[2] * a[3], b[2] * b[3]))
