"""A folder of images with a subfolder for each class, looked through and checked. Depends on `decode` and `store`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hubel.data.dataset import Skipped
from hubel.data.decode import is_image_name, probe
from hubel.data.parallel import ordered_map
from hubel.errors import DataError

CHECK_ALL_BYTES = 2**31  # folders up to this are decoded once at loading (some 100 MB/s a core)
_TRAIN, _TEST, _VALIDATION = ("train", "training"), ("test", "testing"), ("val", "valid", "validation")


@dataclass(frozen=True)
class Listing:
    """Image files and their classes' names, by path."""

    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def find_parts(root: Path) -> tuple[list[Path], list[Path]]:
    """The folders to train on and those to test on; none of the latter if the source has no split of its own.

    train/ and test/ are the split, and val/ is trained on; without a usable test/, val/ is the test set.
    """
    folders = {path.name.lower(): path for path in _subfolders(root)}
    train, test, validation = ([folders[n] for n in names if n in folders] for names in (_TRAIN, _TEST, _VALIDATION))
    test = [path for path in test if _subfolders(path)]  # ImageNet's test images have no classes
    known = {path.name.lower() for path in _subfolders(root)} <= {*_TRAIN, *_TEST, *_VALIDATION}
    if not train or not (test or validation or known) or not all(_subfolders(path) for path in train):
        return [root], []
    return (train + validation, test) if test else (train, validation)


def list_images(root: Path, wanted: Callable[[Path], bool] = is_image_name, noun: str = "images") -> Listing:
    """All images below `root`, sorted by path; the class is the subfolder of `root`. Hidden files and files that are no
    images by name are passed over silently; images outside a class folder and class folders without images are not.
    `wanted` and `noun` are for other kinds of files."""
    paths: list[Path] = []
    labels: list[str] = []
    skipped = [Skipped(str(path), "lies outside a class folder") for path in sorted(root.iterdir())
               if path.is_file() and wanted(path)]
    for folder in sorted(_subfolders(root), key=lambda path: natural(path.name)):
        found = sorted(_walk(folder, wanted))
        if not found:
            skipped.append(Skipped(str(folder), f"a class folder without {noun}"))
        paths += found
        labels += [folder.name] * len(found)
    return Listing(tuple(paths), tuple(labels), tuple(skipped))


def check_images(paths: Sequence[Path]) -> tuple[np.ndarray, dict[int, str]]:
    """Look at every file, on all cores: sizes int32 (N, 2), and why which places cannot be used.

    Up to 2 GB in all every file is decoded to its end; beyond, its header is read.
    """
    total = sum(path.stat().st_size for path in paths if path.exists())
    sizes = np.zeros((len(paths), 2), dtype=np.int32)
    reasons: dict[int, str] = {}

    def look(path: Path) -> tuple[int, int] | str:
        try:
            return probe(path, full=total <= CHECK_ALL_BYTES)
        except DataError as error:
            return str(error)

    for place, (path, result) in enumerate(ordered_map(look, paths)):
        if isinstance(result, str):
            reasons[place] = result.removeprefix(f"{path} ")
        else:
            sizes[place] = result
    return sizes, reasons


def natural(name: str) -> tuple[int, int, str]:
    """Sort key: names that are numbers by value, before all others."""
    return (0, int(name), name) if name.isascii() and name.isdigit() and len(name) < 19 else (1, 0, name)


def explain_no_classes(root: Path) -> DataError:
    """Why a folder cannot be used, with what was found in it."""
    files = [path for path in root.iterdir() if path.is_file() and not path.name.startswith(".")]
    images = sum(is_image_name(path) for path in files)
    if images:
        return DataError(f"{root} holds {images} images but no subfolder for each class: move them to {root}/CLASS/")
    if _subfolders(root):
        return DataError(f"{root} has {len(_subfolders(root))} subfolders but no image in them: JPEG, PNG, "
                         "WebP, BMP or TIFF are read")
    if files:
        kinds = sorted({path.suffix or path.name for path in files})[:4]
        return DataError(f"{root} holds no images but {len(files)} other files ({', '.join(kinds)}): give a folder "
                         "with a subfolder for each class, MNIST's IDX files or CIFAR's .bin batches")
    return DataError(f"{root} is empty: give a folder with a subfolder of images for each class")


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__MACOSX"))]


def _walk(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    found, seen = [], set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:  # links that lead in a circle
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        found += [Path(where, name) for name in files if wanted(Path(name))]
    return found
