"""Finding an object from one example: learned features against grey template matching, on planted objects. Needs HUBEL_DATA.

    python bench/find.py [--scenes 60]

Into photos of ImageNet a cut-out of a Caltech-101 photo (its middle 80%) is laid, 0.2 to 0.6 of the photo's longer side, of
another brightness and contrast, mirrored or not. 'Same picture': the example is the very photo that was laid in. 'Another of its
class': it is another photo of the class. As many photos have nothing laid in. A box counts with an intersection over union of
0.5 or more.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from _table import append_results, markdown
from hubel import reuse
from hubel.data import read_image
from hubel.reuse.find import SHARES, overlap

HOME = Path(os.environ.get("HUBEL_DATA", "../shared/data"))
THINGS = ("stop_sign", "soccer_ball", "sunflower", "yin_yang", "dalmatian", "Motorbikes", "accordion", "pizza", "watch", "panda",
          "Faces_easy", "starfish", "cougar_face", "dollar_bill", "pagoda", "strawberry", "revolver", "grand_piano", "car_side", "laptop")
Box = tuple[float, float, float, float]
Answer = Callable[[np.ndarray, np.ndarray], list[tuple[float, Box]]]  # (example, photo) -> scored boxes, best first


@dataclass
class Case:
    photo: np.ndarray
    empty: np.ndarray
    same: np.ndarray
    other: np.ndarray
    box: Box


def cases(count: int) -> list[Case]:
    draw = np.random.default_rng(0)
    grounds = sorted((HOME / "imagenet").glob("*.JPEG"))
    order = draw.permutation(len(grounds))
    made = []
    for i in range(count):
        files = sorted((HOME / "caltech101" / THINGS[i % len(THINGS)]).glob("*.jpg"))
        one, two = draw.permutation(len(files))[:2]
        same, other = (middle(read_image(files[j], channels=3)) for j in (one, two))
        photo, empty = (shrunk(read_image(grounds[order[(2 * i + j) % len(order)]], channels=3), 480) for j in (0, 1))
        thing = same if draw.random() < 0.5 else same[:, ::-1]
        height, width = photo.shape[:2]
        scale = draw.uniform(0.2, 0.6) * max(height, width) / max(thing.shape[:2])
        scale = min(scale, 0.95 * height / thing.shape[0], 0.95 * width / thing.shape[1])
        thing = cv2.resize(np.ascontiguousarray(thing), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        thing = np.clip((thing.astype(np.float32) - 128) * draw.uniform(0.7, 1.2) + 128 + draw.uniform(-30, 30), 0, 255).astype(np.uint8)
        tall, wide = thing.shape[:2]
        top, left = int(draw.integers(0, height - tall + 1)), int(draw.integers(0, width - wide + 1))
        photo = photo.copy()
        photo[top : top + tall, left : left + wide] = thing
        made.append(Case(photo, empty, same, other, (left, top, wide, tall)))
    return made


def middle(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return image[height // 10 : height - height // 10, width // 10 : width - width // 10]


def shrunk(image: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def learned(example: np.ndarray, photo: np.ndarray) -> list[tuple[float, Box]]:
    return [(m.score, m.box) for m in reuse.find(example, photo, threshold=-1.0)[0].matches]


def template(example: np.ndarray, photo: np.ndarray) -> list[tuple[float, Box]]:
    """OpenCV's normalised cross-correlation of grey values, at twice as many sizes, mirrored and not; overlaps left out."""
    grey, pattern = (cv2.cvtColor(np.ascontiguousarray(a), cv2.COLOR_RGB2GRAY) for a in (photo, example))
    longer = max(grey.shape)
    sizes = sorted({*SHARES, *(s * 2**-0.25 for s in SHARES)})
    found: list[tuple[float, Box]] = []
    for share in sizes:
        scale = share * longer / max(pattern.shape)
        small = cv2.resize(pattern, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        tall, wide = small.shape
        if tall > grey.shape[0] or wide > grey.shape[1] or min(tall, wide) < 4:
            continue
        for turned in (small, small[:, ::-1]):
            scores = cv2.matchTemplate(grey, np.ascontiguousarray(turned), cv2.TM_CCOEFF_NORMED)
            for i in np.argsort(-scores, axis=None)[:20]:
                top, left = divmod(int(i), scores.shape[1])
                found.append((float(scores.flat[i]), (left, top, wide, tall)))
    found.sort(key=lambda f: -f[0])
    kept: list[tuple[float, Box]] = []
    for score, box in found:
        if len(kept) < 5 and all(overlap(box, other) < 0.3 for _, other in kept):
            kept.append((score, box))
    return kept


def measure(answer: Answer, made: list[Case], which: str) -> list[float]:
    """[share of photos whose best box is right, average precision over all boxes, seconds of this process a photo]"""
    boxes: list[tuple[float, bool]] = []
    hits, began = 0, time.process_time()
    for case in made:
        found = answer(getattr(case, which), case.photo)
        right = [overlap(box, case.box) >= 0.5 for _, box in found]
        hits += bool(right and right[0])
        first = right.index(True) if True in right else -1  # a second right box is a false one
        boxes += [(score, i == first) for i, (score, _) in enumerate(found)]
        boxes += [(score, False) for score, _ in answer(getattr(case, which), case.empty)]
    seconds = (time.process_time() - began) / 2 / len(made)
    flags = np.array([r for _, r in sorted(boxes, key=lambda b: -b[0])])
    precision = np.cumsum(flags) / np.arange(1, len(flags) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return [hits / len(made), float((envelope * flags).sum() / len(made)), seconds]


def main(count: int) -> None:
    made, rows = cases(count), []
    for which, words in (("same", "same picture"), ("other", "another of its class")):
        for name, answer in (("hubel: `find`", learned), ("grey template matching (OpenCV)", template)):
            hit, average, seconds = measure(answer, made, which)
            rows.append([words, name, f"{hit:.0%}", f"{average:.3f}", f"{seconds:.2f}"])
            print(rows[-1], flush=True)
    note = (f"{count} photos with a planted object and as many without ({', '.join(THINGS[:4])}, ... of Caltech-101 in ImageNet's photos of "
            "480 px; 0.2 to 0.6 of the longer side, other brightness and contrast, half of them mirrored). Average precision over all "
            "boxes, five a photo at most; right from an intersection over union of 0.5.")
    append_results("Finding an object from one example", markdown(
        ["example", "way", "best box right", "average precision", "CPU seconds a photo"], rows, note))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=60)
    main(parser.parse_args().scenes)
