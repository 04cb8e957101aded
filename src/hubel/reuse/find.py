"""Find an object in photos from one example: pattern matching, on learned features. Depends on body, features.match.

    found = find(example, photos, box=(40, 20, 120, 130))      # box: left, top, width, height in the example
    found[0].matches[0].box, found[0].matches[0].score

The lecture's pattern matching slides a pattern of pixels over an image. Here pattern and image are maps of a network's
layer, (h, w) places of C features each: the pattern found again may be another one of its kind, in another light.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.errors import InputError
from hubel.features.match import Match
from hubel.look.draw import INK, MUTED, Shown, canvas
from hubel.model import Model, pretrained
from hubel.nets.embedding import Embedding, Reached
from hubel.pixels import as_batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYER = "blocks.10"  # of EfficientNet-Lite0: parts of things, at a stride of 16 pixels
SHARES = tuple(2 ** (-i / 2) for i in range(6))  # of a photo's longer side that the object may take: 1 to 0.18
SIDE = 112  # pixels of the pattern's longer side
OVERLAP = 0.3


@dataclass(frozen=True)
class Found(Shown):
    """Where the object may be in one photo: matches best first, boxes (left, top, width, height) in its pixels.

    score is the mean cosine between the features of pattern and place, less their common mean: 1 is the same picture,
    0 what two unrelated places have.
    """

    image: np.ndarray  # uint8 (H, W, 3)
    matches: tuple[Match, ...]
    threshold: float

    @property
    def best(self) -> Match:
        return self.matches[0]

    def to_dict(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "matches": [m.to_dict() for m in self.matches]}

    def plot(self) -> Figure:
        from matplotlib.patches import Rectangle

        height, width = self.image.shape[:2]
        figure = canvas(4.6 * height / width + 0.2)
        axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
        axes.imshow(self.image)
        axes.axis("off")
        for i, match in enumerate(self.matches):
            left, top, wide, high = match.box
            sure = match.score >= self.threshold
            axes.add_patch(Rectangle((left, top), wide, high, fill=False, linewidth=2.2 if i == 0 else 1.2,
                                     edgecolor="#00c2a8" if sure else "#ffb020", linestyle="-" if sure else "--"))
            axes.text(left + 3, top + 3, f"{match.score:.2f}", color="white", fontsize=8, va="top",
                      bbox={"facecolor": INK if sure else MUTED, "edgecolor": "none", "pad": 1.5})
        return figure


def find(example: Any, photos: Sequence[Any] | Any, box: Sequence[float] | None = None, *, model: Model | None = None,
         layer: str | None = None, shares: Sequence[float] = SHARES, threshold: float = 0.2, most: int = 5) -> list[Found]:
    """Locate what `example` (in `box`: left, top, width, height in pixels; None: all of it) shows in each photo.

    photos : an image or a list of images of any sizes, uint8 (H, W, C) or float 0..1.
    model, layer : whose maps are matched; None is EfficientNet-Lite0's eleventh block (stride 16).
    shares : the sizes to look for, as shares of a photo's longer side.
    threshold : boxes below it are not returned, but for the best, which always is (compare its score).

    Raises InputError for a box outside the example, a layer without places.
    """
    maps = Maps(model, layer)
    shape = np.asarray(example).shape
    left, top, width, height = box or (0, 0, shape[1], shape[0])
    if not (0 <= left < left + width <= shape[1] and 0 <= top < top + height <= shape[0]):
        raise InputError(f"box={box} leaves the example of {shape[1]} x {shape[0]} pixels: give left, top, width, height")
    pattern = _pattern(maps, example, (left, top, width, height))
    images = [photos] if isinstance(photos, np.ndarray) and photos.ndim in (2, 3) else list(photos)
    return [_search(maps, pattern, image, shares, threshold, most) for image in images]


class Maps:
    """Maps (C, h, w) of a layer for images of any size, and the stride of its places in pixels."""

    def __init__(self, model: Model | None = None, layer: str | None = None) -> None:
        self.model = model or pretrained()
        if layer is None:
            layer = LAYER if model is None else _deep_layer(self.model)
        self.model.layer(layer)
        self.network = Embedding(self.model.network, layer).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.channels = self.model.channels or 3
        probe = self(np.zeros((128, 128, 3), np.uint8), 128, 128)
        if probe.ndim != 3 or min(probe.shape[1:]) < 2:
            raise InputError(f"layer {layer!r} has no places: take a convolution's")
        self.stride = 128 / probe.shape[2]

    @torch.no_grad()
    def __call__(self, image: Any, height: int, width: int) -> Tensor:
        x = as_batch(image, self.channels)
        x = F.interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
        try:
            value = self.network.body(self.model.normalise(x).contiguous(memory_format=torch.channels_last))
        except Reached as reached:
            value = reached.value
        return value[0]


def _deep_layer(model: Model) -> str:
    """A convolution about two thirds of the way down."""
    names = [n for n, m in model.network.named_modules() if isinstance(m, torch.nn.Conv2d)]
    if not names:
        raise InputError("this network has no 2-D convolution, hence no places to match")
    return names[2 * len(names) // 3]


def _pattern(maps: Maps, example: Any, box: tuple[float, float, float, float]) -> Tensor:
    """The pattern's maps, seen within its surroundings, and cut to whole places."""
    height, width = np.asarray(example).shape[:2]
    scale = SIDE / max(box[2], box[3])
    sides = [max(32, round(side * scale)) for side in (height, width)]
    if max(sides) > 1024:  # a small thing in a large photo: its surroundings suffice
        left, top = max(0, int(box[0] - box[2])), max(0, int(box[1] - box[3]))
        right, bottom = min(width, math.ceil(box[0] + 2 * box[2])), min(height, math.ceil(box[1] + 2 * box[3]))
        return _pattern(maps, np.asarray(example)[top:bottom, left:right], (box[0] - left, box[1] - top, box[2], box[3]))
    found = maps(example, *sides)
    cut = []
    for start, length, side, places in ((box[1], box[3], height, found.shape[1]), (box[0], box[2], width, found.shape[2])):
        first = min(places - 1, round(start / side * places))
        cut.append(slice(first, max(first + 1, round((start + length) / side * places))))
    return found[:, cut[0], cut[1]]


def _search(maps: Maps, pattern: Tensor, image: Any, shares: Sequence[float], threshold: float,
            most: int) -> Found:
    height, width = np.asarray(image).shape[:2]
    candidates: list[Match] = []
    for share, scores in _scores(maps, pattern, image, shares):
        rows, columns = scores.shape
        step_y, step_x = height / (rows + pattern.shape[1] - 1 - 2), width / (columns + pattern.shape[2] - 1 - 2)
        tall, wide = pattern.shape[1] * step_y, pattern.shape[2] * step_x
        for i in scores.flatten().argsort(descending=True)[:20].tolist():
            top, left = (i // columns - 1) * step_y, (i % columns - 1) * step_x
            candidates.append(Match(float(scores.flatten()[i]), _within((left, top, wide, tall), width, height), share))
    candidates.sort(key=lambda m: -m.score)
    kept: list[Match] = []
    for match in candidates:
        if (kept and match.score < threshold) or len(kept) == most:
            break
        if all(overlap(match.box, other.box) < OVERLAP for other in kept):
            kept.append(match)
    if not kept:
        raise InputError(f"a photo of {width} x {height} pixels is too small for the pattern at every size asked for")
    return Found(_rgb(image), tuple(kept), threshold)


def _scores(maps: Maps, pattern: Tensor, image: Any, shares: Sequence[float]) -> Iterator[tuple[float, Tensor]]:
    """For each size the mean cosine at each place (h', w'), one place beyond the border included."""
    height, width = np.asarray(image).shape[:2]
    for share in shares:
        scale = SIDE / share / max(height, width)
        found = maps(image, *(max(32, round(side * scale)) for side in (height, width)))
        if found.shape[1] + 2 < pattern.shape[1] or found.shape[2] + 2 < pattern.shape[2]:
            continue
        mean = (found.mean((1, 2)) + pattern.mean((1, 2)))[:, None, None] / 2
        there = F.pad(F.normalize(found - mean, dim=0), (1, 1, 1, 1))
        here = F.normalize(pattern - mean, dim=0)
        yield share, F.conv2d(there[None], here[None])[0, 0] / (here.shape[1] * here.shape[2])


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def _within(box: tuple[float, float, float, float], width: int, height: int) -> tuple[float, float, float, float]:
    left, top = max(0.0, box[0]), max(0.0, box[1])
    right, bottom = min(float(width), box[0] + box[2]), min(float(height), box[1] + box[3])
    return left, top, max(1.0, right - left), max(1.0, bottom - top)


def _rgb(image: Any) -> np.ndarray:
    return (as_batch(image, 3)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
