"""Omniglot: handwritten characters, and Lake et al.'s twenty one-shot runs. Standard library, Pillow, NumPy.

The protocol of the runs (Lake, Salakhutdinov, Tenenbaum 2015, 'within alphabet'): one drawing of each of twenty
characters of ONE alphabet to learn from, twenty drawings by somebody else to name. Characters of one alphabet resemble
each other: accuracies are 10 points below those of twenty characters from anywhere ('between alphabets'), and the two
must never be compared.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hubel.errors import DataError


@dataclass(frozen=True)
class Characters:
    """Drawings uint8 (N, 105, 105), ink 255 on 0; characters and alphabets as numbers (N,), and the alphabets' names."""

    images: np.ndarray
    labels: np.ndarray
    alphabets: np.ndarray
    names: tuple[str, ...]

    def of(self, chosen: np.ndarray) -> Characters:
        """The drawings where `chosen` (N,) is true, with characters counted anew."""
        labels = np.unique(self.labels[chosen], return_inverse=True)[1]
        return Characters(self.images[chosen], labels, self.alphabets[chosen], self.names)


@dataclass(frozen=True)
class Run:
    """One one-shot run: the drawing to learn from of each of K characters, M drawings to name, and what they are."""

    train: np.ndarray  # uint8 (K, 105, 105)
    test: np.ndarray  # uint8 (M, 105, 105)
    truth: np.ndarray  # int64 (M,), 0..K-1


def read_background(path: str | os.PathLike[str]) -> Characters:
    """The drawings of images_background*.zip. Raises DataError for a file of another kind."""
    with _opened(path) as archive:
        names = sorted(n for n in archive.namelist() if re.search(r"[^/]+/[^/]+/[^/]+\.png$", n) and "__MACOSX" not in n)
        if not names:
            raise DataError(f"{path} holds no ALPHABET/CHARACTER/DRAWING.png: give images_background.zip of Omniglot")
        images = np.stack([_ink(archive.read(name)) for name in names])
    parts = [Path(name).parts[-3:-1] for name in names]
    alphabets, of_alphabet = np.unique([a for a, _ in parts], return_inverse=True)
    labels = np.unique([f"{a}/{c}" for a, c in parts], return_inverse=True)[1]
    return Characters(images, labels, of_alphabet, tuple(map(str, alphabets)))


def read_runs(path: str | os.PathLike[str]) -> list[Run]:
    """Lake et al.'s runs from all_runs.zip, in order. Raises DataError for a file of another kind."""
    with _opened(path) as archive:
        keys = sorted(n for n in archive.namelist() if n.endswith("class_labels.txt") and "__MACOSX" not in n)
        if not keys:
            raise DataError(f"{path} holds no run*/class_labels.txt: give all_runs.zip of Omniglot")
        return [_run(archive, key) for key in keys]


def _run(archive: zipfile.ZipFile, key: str) -> Run:
    above = str(Path(key).parent.parent)
    prefix = "" if above == "." else f"{above}/"
    pairs = [line.split() for line in archive.read(key).decode().splitlines() if line.strip()]
    classes = sorted({train for _, train in pairs})
    read = {name: _ink(archive.read(prefix + name)) for pair in pairs for name in pair}
    return Run(np.stack([read[c] for c in classes]), np.stack([read[test] for test, _ in pairs]),
               np.array([classes.index(train) for _, train in pairs]))


def _ink(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return 255 - np.asarray(image.convert("L"))


def _opened(path: str | os.PathLike[str]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: give one of Omniglot's zip files") from error
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is no zip file ({error}): give one of Omniglot's") from error
