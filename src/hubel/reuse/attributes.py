"""What can be measured about the thing in a picture: size in the frame, colour, roundness, texture. OpenCV.

The lecture's table of features per class ('red', 'round', ...), for the picture of one thing on a ground that differs from
it. The thing is what stands out from the colours of the picture's border; where little or nearly all does, or the border
itself is motley, `sure` is False and the numbers are not to be relied on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from hubel.pixels import as_batch

SIDE = 256
_HUES = ((10, "red"), (22, "orange"), (34, "yellow"), (80, "green"), (98, "cyan"), (130, "blue"), (160, "purple"), (180, "red"))


@dataclass(frozen=True)
class Attributes:
    """size : share of the frame, 0..1. colour : the commonest of black, grey, white and seven hues, and `colour_share` of
    the thing that has it. roundness : 4 pi area / perimeter^2 of the outline's hull-smoothed shape, 1 for a disc.
    texture : mean gradient magnitude within the thing, in grey levels of 0..1 a pixel. sure : see the module.
    """

    size: float
    colour: str
    colour_share: float
    roundness: float
    texture: float
    sure: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        shape = "round" if self.roundness > 0.85 else "compact" if self.roundness > 0.6 else "stretched or ragged"
        texture = "smooth" if self.texture < 0.03 else "textured" if self.texture < 0.09 else "busy"
        text = f"{self.colour} ({self.colour_share:.0%}), {shape} ({self.roundness:.2f}), {texture}, {self.size:.0%} of the frame"
        return text if self.sure else f"{text}; unsure: the ground is motley or does not differ"


def attributes(image: Any) -> Attributes:
    """Measure one image (H, W[, C]), uint8 or float 0..1."""
    rgb = (as_batch(image, 3)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    scale = SIDE / max(rgb.shape[:2])
    rgb = np.asarray(cv2.resize(rgb, (max(8, round(rgb.shape[1] * scale)), max(8, round(rgb.shape[0] * scale))),
                                interpolation=cv2.INTER_AREA), np.uint8)
    mask, plain = foreground(rgb)
    size = float(mask.mean())
    if not mask.any():
        return Attributes(0.0, colour_name(rgb, np.ones_like(mask))[0], 0.0, 0.0, 0.0, False)
    colour, share = colour_name(rgb, mask)
    return Attributes(size, colour, share, roundness(mask), texture(rgb, mask), plain and 0.02 < size < 0.9)


def foreground(rgb: np.ndarray) -> tuple[np.ndarray, bool]:
    """(mask (H, W) of the largest thing that stands out from the border's colours, whether the border is of few colours).

    Distances are CIE Lab's, to the nearest of three colours that make up the border (k-means); Otsu's threshold.
    """
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    edge = max(2, min(rgb.shape[:2]) // 32)
    border = np.concatenate([part.reshape(-1, 3) for part in (lab[:edge], lab[-edge:], lab[:, :edge], lab[:, -edge:])])
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    spread, _, centres = cv2.kmeans(border, 3, np.zeros((len(border), 1), np.int32), criteria, 2, cv2.KMEANS_PP_CENTERS)
    distance = np.sqrt(((lab[:, :, None] - centres) ** 2).sum(3)).min(2)
    levels = np.clip(cv2.GaussianBlur(distance, (0, 0), 1.5) * 3, 0, 255).astype(np.uint8)
    threshold, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return np.zeros(mask.shape, bool), False
    largest = (np.asarray(parts) == 1 + int(np.asarray(stats)[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    outlines, _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(largest), outlines, -1, 1, cv2.FILLED)
    return filled.astype(bool), bool(np.sqrt(spread / len(border)) < 8 and threshold > 15)


def roundness(mask: np.ndarray) -> float:
    """4 pi A / P^2 (1 for a disc, 0.785 for a square), after an opening that takes hairs off."""
    wide = max(3, round(np.sqrt(mask.sum()) / 12) | 1)
    smooth = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide)))
    soft = cv2.GaussianBlur((smooth * 255).astype(np.uint8), (0, 0), max(1.0, wide / 3))
    outlines, _ = cv2.findContours((soft > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return 0.0
    outline = max(outlines, key=cv2.contourArea)
    points = outline[:, 0].astype(np.float64)
    for axis in (0, 1):  # pixel stairs are no outline: smooth along the curve
        points[:, axis] = _circular_mean(points[:, axis], 7)
    area = 0.5 * abs(float(np.dot(points[:, 0], np.roll(points[:, 1], 1)) - np.dot(points[:, 1], np.roll(points[:, 0], 1))))
    length = float(np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).sum())
    return min(1.0, 4 * np.pi * area / max(length, 1e-9) ** 2)


def _circular_mean(values: np.ndarray, width: int) -> np.ndarray:
    if len(values) < 2 * width:
        return values
    half = width // 2
    padded = np.concatenate([values[-half:], values, values[:half]])
    return np.convolve(padded, np.ones(width) / width, "valid")


def texture(rgb: np.ndarray, mask: np.ndarray) -> float:
    """Mean gradient magnitude of the grey levels within the mask, its rim left out."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    inner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    gx, gy = (cv2.Sobel(grey, cv2.CV_32F, x, y, scale=1 / 8) for x, y in ((1, 0), (0, 1)))
    inside = inner if inner.any() else mask
    return float(np.hypot(gx, gy)[inside].mean())


def colour_name(rgb: np.ndarray, mask: np.ndarray) -> tuple[str, float]:
    """The commonest colour name within the mask, and its share."""
    hue, saturation, value = (cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)[mask].astype(int)).T
    names = np.array(["black", "grey", "white", *dict.fromkeys(name for _, name in _HUES)])
    found = np.empty(len(hue), int)
    for top, name in reversed(_HUES):
        found[hue < top] = int(np.flatnonzero(names == name)[0])
    pale = saturation < 45
    found[pale] = 1
    found[pale & (value > 190)] = 2
    found[value < 55] = 0
    counts = np.bincount(found, minlength=len(names))
    return str(names[counts.argmax()]), float(counts.max() / max(1, len(hue)))
