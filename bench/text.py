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
import string
from pathlib import Path
from typing import Any

import numpy as np
from bench._table import append_results, markdown
from PIL import Image, ImageDraw, ImageFont

from hubel.data import read_image
from hubel.features import text
from hubel.features._images import grey

TEXTLESS_SCENES = ("coast", "forest", "mountain", "opencountry", "bedroom", "livingroom", "tallbuilding", "highway")
TEXTUAL_OBJECTS = ("stop_sign", "dollar_bill", "yin_yang", "garfield", "snoopy", "inline_skate", "ferry", "airplanes",
                   "Motorbikes", "car_side", "watch", "cellphone", "stapler", "camera", "laptop", "metronome", "euphonium",
                   "Faces", "Faces_easy", "barrel", "accordion", "grand_piano", "headphone", "revolver", "soccer_ball",
                   "pizza", "cup", "binocular", "umbrella", "scissors", "wrench", "gramophone", "electric_guitar",
                   "chair", "lamp", "windsor_chair", "mandolin", "saxophone", "brain", "schooner", "ketch")  # fmt: skip
WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "open", "sale", "exit", "entrance", "coffee", "street", "station", "no", "parking", "hotel", "pizza", "police", "welcome", "north", "south", "market", "school", "please", "pay", "here", "push", "pull", "2024", "50%", "off", "fresh", "bread", "taxi", "bus", "stop", "danger", "keep", "out", "bank", "cafe", "bar", "wine", "books", "photo", "copy", "print", "repair", "garage", "rent", "museum", "theatre")


def fonts(half: int) -> list[Path]:
    """Return every second font file of Matplotlib's that holds letters."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = [p for p in sorted(folder.glob("*.ttf")) if p.stem.startswith(("DejaVuS", "STIXGeneral", "cmr", "cmss", "cmtt", "cmb"))
             and "Display" not in p.stem]
    return names[half::2]


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


def rendered(rng: np.random.Generator, faces: list[Path], ground: np.ndarray | None) -> np.ndarray:
    """Return a uint8 (H, W) picture of 1 to 4 lines of words, on `ground` or on a plain or graded one."""
    if ground is None:
        h, w = rng.integers(160, 400, 2)
        ground = rng.uniform(0, 255) + rng.uniform(-40, 40) * np.linspace(0, 1, w)[None] * np.ones((h, 1))
    canvas = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    w, h = canvas.size
    size = int(np.exp(rng.uniform(np.log(13), np.log(min(80, h / 3)))))
    face = ImageFont.truetype(str(faces[rng.integers(len(faces))]), size)
    layer = Image.new("L", canvas.size, 0)
    draw = ImageDraw.Draw(layer)
    x, y = int(rng.uniform(0.02, 0.3) * w), int(rng.uniform(0.05, 0.5) * h)
    for _ in range(rng.integers(1, 5)):
        line = " ".join(rng.choice(WORDS, rng.integers(1, 5)))
        line = (line.upper, line.title, line.lower)[rng.integers(3)]()
        if rng.random() < 0.15:
            line = "".join(rng.choice(list(string.ascii_uppercase + string.digits), 8))
        draw.text((x, y), line, fill=255, font=face)
        y += int(size * rng.uniform(1.15, 1.6))
        if y > h - size:
            break
    layer = layer.rotate(float(rng.normal(0, 3)), resample=Image.Resampling.BICUBIC)
    alpha = np.asarray(layer, np.float32) / 255
    below = np.asarray(canvas, np.float32)
    level = float((below * alpha).sum() / max(alpha.sum(), 1))
    ink = level + rng.uniform(50, 200) * (1 if level < 128 else -1)
    out = below * (1 - alpha) + np.clip(ink, 0, 255) * alpha
    return np.clip(out + rng.normal(0, rng.uniform(0, 6), out.shape), 0, 255).astype(np.uint8)


def as_grey(path: Path) -> np.ndarray:
    """Return a photograph as find_text sees it."""
    values = (grey(read_image(path))[0].numpy() * 255).astype(np.uint8)
    shrink = min(1.0, text.LONGEST / max(values.shape))
    return values if shrink == 1 else text._resize(values, round(values.shape[1] * shrink), round(values.shape[0] * shrink))


def collect(root: Path, half: int, seed: int, pictures: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (features, labels) of candidate rows. In a rendering, only rows that its ground had not are text."""
    rng = np.random.default_rng(seed)
    photos = photographs(root, half)
    faces = fonts(half)
    features, labels = [], []
    for path in photos:
        image = as_grey(path)
        if rows := text.candidates(image):
            found = text.describe(image, rows)
            features.append(found[rng.permutation(len(found))[:25]])
            labels += [0] * len(features[-1])
    for i in range(pictures):
        ground = as_grey(photos[rng.integers(len(photos))]) if i % 2 else None
        image = rendered(rng, faces, ground)
        old = text.candidates(ground) if ground is not None else []
        rows = [r for r in text.candidates(image) if not any(text._overlap(r.box, o.box) > 0.2 for o in old)]
        rows = [r for r in rows if len(r.parts) >= 4]
        if rows:
            found = text.describe(image, rows)
            features.append(found[:12])
            labels += [1] * len(features[-1])
    return np.concatenate(features), np.array(labels)


def train(root: Path, pictures: int = 1500) -> None:
    """Learn the weights from the first halves and write text.json."""
    from sklearn.linear_model import LogisticRegression

    x, y = collect(root, 0, 0, pictures)
    print(f"{(y == 1).sum()} rows of text, {(y == 0).sum()} others")
    scale = x.std(0) + 1e-3
    model = LogisticRegression(C=0.05, max_iter=3000).fit(x / scale, y)
    print("accuracy on the rows learned from:", model.score(x / scale, y))
    weights = model.coef_[0] / scale
    # A row is called text only where few photographs have one: the bias puts 5% of the training photographs above 0.5.
    best = [float((text.describe(im, rows) @ weights).max()) for p in photographs(root, 0)
            if (rows := text.candidates(im := as_grey(p)))]
    total = len(photographs(root, 0))
    bias = -np.sort(best)[::-1][round(0.05 * total)]
    path = Path(text.__file__).with_name("text.json")
    stored: dict[str, Any] = {"about": "see text.py; learned by `python -m bench.text --train`",
                              "bias": round(float(bias), 4), "weights": [round(float(w), 4) for w in weights]}
    path.write_text(json.dumps(stored) + "\n")


def measure(root: Path, pictures: int = 200) -> list[list[Any]]:
    """Return rows: set, images, share said to contain text, what would be right."""
    rng = np.random.default_rng(1)
    photos = photographs(root, 1)
    faces = fonts(1)
    plain = [rendered(rng, faces, None) for _ in range(pictures)]
    over = [rendered(rng, faces, as_grey(photos[rng.integers(len(photos))])) for _ in range(pictures)]
    sets: list[tuple[str, list[np.ndarray], str]] = [
        ("rendered, plain ground, new fonts", plain, "all"), ("rendered over new photographs, new fonts", over, "all"),
        ("Caltech-101 stop signs (real)", [read_image(p) for p in sorted((root / "caltech101" / "stop_sign").iterdir())], "all"),
        ("Caltech-101 dollar bills (real)", [read_image(p) for p in sorted((root / "caltech101" / "dollar_bill").iterdir())], "all"),
    ]  # fmt: skip
    for kind in ("scenes15", "caltech101"):
        sets.append((f"{kind}, new photographs without text", [read_image(p) for p in photos if kind in p.parts], "none"))
    return [[name, len(images), f"{np.mean([text.find_text(i).contains for i in images]):.1%}", right]
            for name, images, right in sets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    root = Path(os.environ["HUBEL_DATA"])
    if options.train:
        train(root)
        text._weights.cache_clear()
    table = markdown(["images", "number", "said to contain text", "right"], measure(root))
    print(table)
    append_results("Text", table)


if __name__ == "__main__":
    main()
