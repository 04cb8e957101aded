"""Lines of words drawn over pictures, for the text detector to learn from and to be measured on. Depends on Pillow, OpenCV
and the fonts that come with Matplotlib."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Writer = Callable[[str, float], np.ndarray]
WORDS = (
    "the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "open", "sale", "exit", "entrance",
    "coffee", "street", "station", "no", "parking", "hotel", "pizza", "police", "welcome", "north", "south",
    "market", "school", "please", "pay", "here", "push", "pull", "2024", "50%", "off", "fresh", "bread", "taxi",
    "bus", "stop", "danger", "keep", "out", "bank", "cafe", "bar", "wine", "books", "photo", "copy", "print",
    "repair", "garage", "rent", "museum", "theatre",
)  # fmt: skip


def fonts(half: int) -> list[Path]:
    """Return every second font file of Matplotlib's that holds letters."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = [p for p in sorted(folder.glob("*.ttf")) if p.stem.startswith(("DejaVuS", "STIXGeneral", "cmr", "cmss", "cmtt", "cmb"))
             and "Display" not in p.stem]
    return names[half::2]


def rendered(rng: np.random.Generator, write: Writer, ground: np.ndarray | None, size: float | None = None,
             contrast: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return a uint8 (H, W) picture of 1 to 4 lines of words, on `ground` or on a plain or graded one, and where its ink is.

    write(words, size) draws one line, uint8 coverage (h, w); size: pixels from line to line, 13..80; contrast: levels
    between the ink and the mean of what is below it, 50..200.
    """
    if ground is None:
        h, w = rng.integers(160, 400, 2)
        ground = rng.uniform(0, 255) + rng.uniform(-40, 40) * np.linspace(0, 1, w)[None] * np.ones((h, 1))
    below = np.clip(ground, 0, 255).astype(np.float32)
    h, w = below.shape
    size = size or float(np.exp(rng.uniform(np.log(13), np.log(min(80, h / 3)))))
    layer = np.zeros((h, w), np.uint8)
    x, y = int(rng.uniform(0.02, 0.3) * w), int(rng.uniform(0.05, 0.5) * h)
    for _ in range(rng.integers(1, 5)):
        words = " ".join(rng.choice(WORDS, rng.integers(1, 5)))
        words = (words.upper, words.title, words.lower)[rng.integers(3)]()
        if rng.random() < 0.15:
            words = "".join(rng.choice(list(string.ascii_uppercase + string.digits), 8))
        line = write(words, size)[: h - y, : w - x]
        layer[y : y + line.shape[0], x : x + line.shape[1]] = line
        y += int(size * rng.uniform(1.15, 1.6))
        if y > h - size:
            break
    tilted = Image.fromarray(layer).rotate(float(rng.normal(0, 3)), resample=Image.Resampling.BICUBIC)
    alpha = np.asarray(tilted, np.float32) / 255
    level = float((below * alpha).sum() / max(alpha.sum(), 1))
    ink = level + (contrast or rng.uniform(50, 200)) * (1 if level < 128 else -1)
    out = below * (1 - alpha) + np.clip(ink, 0, 255) * alpha
    return np.clip(out + rng.normal(0, rng.uniform(0, 6), out.shape), 0, 255).astype(np.uint8), alpha > 0.5


def outline_writer(rng: np.random.Generator, faces: list[Path]) -> Writer:
    """Return a writer in one of the font files."""
    path = str(faces[rng.integers(len(faces))])

    def write(words: str, size: float) -> np.ndarray:
        face = ImageFont.truetype(path, max(6, int(size)))
        picture = Image.new("L", (int(face.getlength(words)) + 4, int(1.5 * size) + 2), 0)
        ImageDraw.Draw(picture).text((1, 0), words, fill=255, font=face)
        return np.asarray(picture)

    return write


def stroke_writer(rng: np.random.Generator) -> Writer:
    """Return a writer in one of OpenCV's seven upright stroke fonts (Hershey, 1967): nothing like them is learned from."""
    number, heavy = int(rng.integers(0, 6)), int(rng.integers(1, 3))

    def write(words: str, size: float) -> np.ndarray:
        scale = size / 32
        thick = max(1, round(heavy * scale * 2))
        (w, h), below = cv2.getTextSize(words, number, scale, thick)
        picture = np.zeros((h + below + 2 * thick, w + 2 * thick), np.uint8)
        cv2.putText(picture, words, (thick, h + thick), number, scale, 255, thick, cv2.LINE_AA)
        return picture

    return write
