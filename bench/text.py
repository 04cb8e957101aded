"""Train and measure the text detector: `python -m bench.text [--train]`. Needs HUBEL_DATA and Matplotlib's fonts.

Rendered lines of words (fonts, sizes, tilts, contrasts, over plain grounds and over photographs) against rows of like
shapes found in photographs without text. Training uses half of the fonts and half of each class of photographs; all that
is measured uses the other half. Real photographs with text: Caltech-101's stop signs and dollar bills (the latter are
not trained on).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench._lettering import Writer, fonts, outline_writer, rendered, stroke_writer
from bench._table import append_results, markdown
from sklearn.linear_model import LogisticRegression

from hubel.data import read_image
from hubel.features import text
from hubel.features._images import grey

TEXTLESS_SCENES = ("coast", "forest", "mountain", "opencountry", "bedroom", "livingroom", "tallbuilding")  # highways carry signs
TEXTUAL_OBJECTS = ("stop_sign", "dollar_bill", "yin_yang", "garfield", "snoopy", "inline_skate", "ferry", "airplanes",
                   "Motorbikes", "car_side", "watch", "cellphone", "stapler", "camera", "laptop", "metronome", "euphonium",
                   "Faces", "Faces_easy", "barrel", "accordion", "grand_piano", "headphone", "revolver", "soccer_ball",
                   "pizza", "cup", "binocular", "umbrella", "scissors", "wrench", "gramophone", "electric_guitar",
                   "chair", "lamp", "windsor_chair", "mandolin", "saxophone", "brain", "schooner", "ketch")  # fmt: skip


def photographs(root: Path, half: int) -> list[Path]:
    """Return photographs without text: some scene classes, and Caltech classes that carry none."""
    found: list[Path] = []
    for folder in sorted((root / "scenes15").iterdir()):
        if folder.name.lower().endswith(TEXTLESS_SCENES):
            found += sorted(folder.iterdir())[half::2]
    for folder in sorted((root / "caltech101").iterdir()):
        if folder.is_dir() and folder.name not in TEXTUAL_OBJECTS:
            found += sorted(folder.iterdir())[half::2]
    return found


def as_grey(path: Path) -> np.ndarray:
    """Return a photograph as find_text sees it."""
    values = (grey(read_image(path))[0].numpy() * 255).astype(np.uint8)
    shrink = min(1.0, text.LONGEST / max(values.shape))
    return values if shrink == 1 else text._resize(values, round(values.shape[1] * shrink), round(values.shape[0] * shrink))


def ink_rows(rows: list[text.Row], ink: np.ndarray) -> np.ndarray:
    """Return 1 for rows most of whose parts hold ink, 0 for those with hardly any, -1 for what is neither."""
    total = np.pad(ink.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    out = []
    for row in rows:
        left, top, w, h = row.parts.T
        inside = total[top + h, left + w] - total[top, left + w] - total[top + h, left] + total[top, left]
        share = float((inside > 0.15 * w * h).mean())
        out.append(1 if share >= 0.7 else 0 if share < 0.1 else -1)
    return np.array(out)


def collect(root: Path, half: int, seed: int, pictures: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (features, labels, image numbers) of candidate rows in photographs (numbers < 0) and renderings."""
    rng = np.random.default_rng(seed)
    photos, faces = photographs(root, half), fonts(half)
    features: list[np.ndarray] = []
    labels: list[int] = []
    images: list[int] = []

    def add(image: np.ndarray, rows: list[text.Row], y: np.ndarray, number: int, most: int) -> None:
        chosen = rng.permutation(np.flatnonzero(y >= 0))[:most]
        if len(chosen):
            features.append(text.describe(image, [rows[i] for i in chosen]))
            labels.extend(y[chosen])
            images.extend([number] * len(chosen))

    for i, path in enumerate(photos):
        image = as_grey(path)
        rows = text.candidates(image)
        add(image, rows, np.zeros(len(rows)), -1 - i, 40)
    for i in range(pictures):
        ground = as_grey(photos[rng.integers(len(photos))]) if i % 3 else None
        image, ink = rendered(rng, outline_writer(rng, faces), ground)
        rows = text.candidates(image)
        add(image, rows, ink_rows(rows, ink), i, 24)
    return np.concatenate(features), np.array(labels), np.array(images)


def train(root: Path, pictures: int = 1500, alarms: float = 0.03) -> None:
    """Learn the weights from the first halves and write text.json.

    The bias lets the given share of photographs without text have a row above 0.5, each judged by weights that were learned
    without it.
    """
    x, y, images = collect(root, 0, 0, pictures)
    print(f"{(y == 1).sum()} rows of text, {(y == 0).sum()} others")
    scale = x.std(0) + 1e-3

    def learn(some: np.ndarray) -> np.ndarray:
        return np.asarray(LogisticRegression(C=0.003, max_iter=1000).fit(x[some] / scale, y[some]).coef_[0] / scale)

    fold = np.random.default_rng(0).integers(0, 2, np.ptp(images) + 1)[images - images.min()]
    score = np.where(fold == 0, x @ learn(fold == 1), x @ learn(fold == 0))
    photos = len(photographs(root, 0))
    best = np.full(photos, -np.inf)
    np.maximum.at(best, -1 - images[images < 0], score[images < 0])
    stored: dict[str, Any] = {"about": "see text.py; learned by `python -m bench.text --train`",
              "bias": round(float(-np.sort(best)[::-1][round(alarms * photos)]), 4),
              "weights": [round(float(w), 4) for w in learn(np.ones(len(y), bool))]}
    found = [score[(images >= 0) & (images % 3 == k)].size and np.mean([score[images == i].max() > -stored["bias"]
             for i in np.unique(images[(images >= 0) & (images % 3 == k)])]) for k in (0, 1)]
    print(f"renderings with rows that are found: {found[0]:.1%} on plain ground, {found[1]:.1%} over photographs")
    path = Path(text.__file__).with_name("text.json")
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(stored) + "\n")
    partial.replace(path)
    text._weights.cache_clear()


def measure(root: Path, pictures: int = 200) -> list[list[Any]]:
    """Return rows: set, images, share said to contain text, what would be right. Nothing here was learned from."""
    rng = np.random.default_rng(1)
    photos, faces = photographs(root, 1), fonts(1)

    def renderings(make: Callable[[], Writer], over: bool) -> Iterator[np.ndarray]:
        for _ in range(pictures):
            yield rendered(rng, make(), as_grey(photos[rng.integers(len(photos))]) if over else None)[0]

    def real(paths: Iterable[Path]) -> Iterator[np.ndarray]:
        return (read_image(p) for p in paths)

    caltech, files = root / "caltech101", {k: [p for p in photos if k in p.parts] for k in ("scenes15", "caltech101")}
    sets: list[tuple[str, Iterator[np.ndarray], str]] = [
        ("rendered on plain ground, other styles of the fonts", renderings(lambda: outline_writer(rng, faces), False), "all"),
        ("rendered on plain ground, stroke fonts unlike any learned", renderings(lambda: stroke_writer(rng), False), "all"),
        ("rendered over other photographs, other styles", renderings(lambda: outline_writer(rng, faces), True), "all"),
        ("Caltech-101 stop signs (real)", real(sorted((caltech / "stop_sign").iterdir())), "all"),
        ("Caltech-101 dollar bills (real)", real(sorted((caltech / "dollar_bill").iterdir())), "all"),
        *((f"{kind}, other photographs without text", real(files[kind]), "none") for kind in files),
        *((f"{kind}, photographs as they come", real(sorted(p for p in (root / kind).iterdir() if p.suffix != ".txt")), "few")
          for kind in ("imagenet", "kodak")),
    ]  # fmt: skip
    rows = []
    for name, images, right in sets:
        said = [text.find_text(image).contains for image in images]
        rows.append([name, len(said), f"{np.mean(said):.1%}", right])
    return rows


def by_size_and_contrast(root: Path, pictures: int = 40) -> list[list[Any]]:
    """Return the share of renderings found for each size, ground and contrast."""
    rng = np.random.default_rng(2)
    photos, faces = photographs(root, 1), fonts(1)
    rows = []
    for over in (False, True):
        for size in (14, 20, 32, 56):
            cells = []
            for contrast in (30, 60, 120):
                found = 0
                for _ in range(pictures):
                    ground = as_grey(photos[rng.integers(len(photos))]) if over else None
                    found += text.find_text(rendered(rng, outline_writer(rng, faces), ground, size, contrast)[0]).contains
                cells.append(f"{found / pictures:.0%}")
            rows.append(["photographs" if over else "plain", size, *cells])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    root = Path(os.environ["HUBEL_DATA"])
    if options.train:
        train(root)
    table = markdown(["images", "number", "said to contain text", "right"], measure(root))
    sizes = markdown(["ground", "pixels a line", "30 levels apart", "60", "120"], by_size_and_contrast(root),
                     "Share of renderings in which text was found, 40 a cell; line heights of 14 have letters of 7 to 10 pixels.")
    print(table, sizes, sep="\n")
    append_results("Text", f"{table}\n{sizes}")


if __name__ == "__main__":
    main()
