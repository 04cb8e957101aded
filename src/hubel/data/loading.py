"""load: any source of labelled images to a Source. It decides what the source is; others here read it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hubel.data import folder, formats
from hubel.data.arrays import DIGITS, as_images, as_labels, number_labels
from hubel.data.dataset import Dataset, Skipped
from hubel.data.formats import Parts
from hubel.data.source import Source
from hubel.data.split import sample_indices
from hubel.data.store import ArrayStore, FileStore
from hubel.errors import DataError, InputError

PHOTO_SIZE = 96  # pixels: from here on, images are taken for photos


def load(source: Any, *, seed: int = 0, test_fraction: float = 0.2, limit: int | None = None) -> Source:
    """Load labelled images from wherever they are.

    Parameters
    ----------
    source : 'digits' (scikit-learn's 1,797 digits of 8 x 8 pixels);
        a folder with a subfolder of images for each class, or with train/ and test/ (or val/) that hold such;
        a folder with MNIST's IDX files (.gz or not) or with CIFAR-10's or -100's binary batches;
        an .npz file with x, y or x_train, y_train, x_test, y_test;
        a pair (x, y) of arrays or ((x_train, y_train), (x_test, y_test)), see `hubel.data.arrays.as_images`.
    seed, test_fraction : a source without a split of its own is split by class, so that round(test_fraction * N) images
        are for testing.
    limit : at most so many images in all (training and test), each class in proportion.

    Files that cannot be read are left out and listed in `Source.skipped`. Folders of up to 2 GB are decoded once to
    find them all; beyond, files that fail later are listed in `Dataset.unreadable`.

    Raises DataError if the source is missing, unknown, empty, unreadable or of one class, if labels do not match, or if
    a class has too few images to split; InputError for a bad test_fraction or limit.
    """
    if not 0 < test_fraction < 1:
        raise InputError(f"test_fraction={test_fraction!r}: give a number between 0 and 1")
    if limit is not None and limit < 1:
        raise InputError(f"limit={limit}: give at least 1, or None for all")
    if isinstance(source, Source):
        raise InputError(f"{source.name} is loaded already: use it as it is")
    if isinstance(source, str) and source == "digits" and not Path(source).exists():
        return _from_parts(_builtin_digits(), "digits", seed, test_fraction, limit, digit=True)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source).expanduser(), seed, test_fraction, limit)
    if isinstance(source, (tuple, list)) and len(source) == 2:
        return _from_parts(_pairs(source), "arrays", seed, test_fraction, limit)
    raise InputError(f"a source of type {type(source).__name__}: give 'digits', a path, or a pair of arrays (x, y)")


def _from_path(path: Path, seed: int, fraction: float, limit: int | None) -> Source:
    if not path.exists():
        raise _missing(path)
    name = path.resolve().name
    if path.is_file():
        if path.suffix.lower() != ".npz":
            raise DataError(f"{path} is a file of unknown format: give a folder of images or an .npz file with x and y")
        return _from_parts(formats.read_npz(path), path.stem, seed, fraction, limit)
    try:
        if formats.is_idx_folder(path):
            return _from_parts(formats.read_idx_folder(path), name, seed, fraction, limit, digit=True)
        if formats.is_cifar_folder(path):
            return _from_parts(formats.read_cifar_folder(path), name, seed, fraction, limit)
        if formats.is_pickled_cifar(path):
            raise DataError(f"{path} holds CIFAR's Python version, pickled and never opened: get the binary one")
        return _from_folder(path, name, seed, fraction, limit)
    except PermissionError as error:
        raise DataError(f"{error.filename} may not be read: {error.strerror}") from error


def _missing(path: Path) -> DataError:
    parent = path
    while not parent.is_dir() and parent != parent.parent:
        parent = parent.parent
    missing = path.relative_to(parent).parts[0] if path != parent else path.name
    names = sorted(p.name for p in parent.iterdir() if not p.name.startswith(".")) if os.access(parent, os.R_OK) else []
    if parent == Path() and len(path.parts) == 1:
        names.append("digits")
    close = difflib.get_close_matches(missing, names, 1, 0.5)
    if close:
        what = f"did you mean '{close[0] if close[0] == 'digits' else parent / close[0]}'?"
    else:
        what = f"{parent.resolve()} holds {', '.join(names[:5]) or 'nothing'}{', ...' * (len(names) > 5)}"
    return DataError(f"{path} does not exist: {what}")


# ---- arrays --------------------------------------------------------------------------------------------------------

def _builtin_digits() -> Parts:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Parts(np.round(bunch.images * (255 / 16)).astype(np.uint8), bunch.target, classes=DIGITS)


def _pairs(source: Sequence[Any]) -> Parts:
    if all(isinstance(part, (tuple, list)) and len(part) == 2 for part in source) and np.ndim(source[1][1]):
        (x, y), (x_test, y_test) = source
        return Parts(x, y, x_test, y_test)
    return Parts(source[0], source[1])


def _from_parts(parts: Parts, name: str, seed: int, fraction: float, limit: int | None, digit: bool = False) -> Source:
    images = [as_images(parts.x, "x")]
    labels = [as_labels(parts.y, len(images[0]), "y")]
    if parts.x_test is not None:
        images.append(as_images(parts.x_test, "x_test"))
        labels.append(as_labels(parts.y_test, len(images[1]), "y_test"))
    if not len(images[0]):
        raise DataError(f"{name} has 0 images: give at least 2 of each class")
    numbered, classes = number_labels(labels, parts.classes)
    stores = [ArrayStore(x) for x in images]
    if not digit:
        grey = all(image.shape[2] == 1 for x in images for image in (x[:1] if isinstance(x, np.ndarray) else x))
        digit = tuple(classes) == DIGITS and (parts.classes is not None or grey)  # numbers may stand for other things
    kind = "digit" if digit else _kind_by_size(np.concatenate([store.sizes for store in stores]))
    sets = [Dataset(store, y, classes, name, kind) for store, y in zip(stores, numbered, strict=True)]
    if limit is not None:
        sets = _limited(sets, limit, seed)
    return _finish(name, sets, (), seed, fraction)


def _kind_by_size(sizes: np.ndarray) -> str:
    return "photo" if np.median(sizes, axis=0).min() >= PHOTO_SIZE else "image"


def _limited(sets: list[Dataset], limit: int, seed: int) -> list[Dataset]:
    total = sum(map(len, sets))
    if limit >= total:
        return sets
    if len(sets) == 1:
        return [sets[0].subset(sample_indices(sets[0].labels, sets[0].classes, limit, seed, least=2))]
    train = min(max(1, round(limit * len(sets[0]) / total)), limit - 1)
    return [part.sample(count, seed) for part, count in zip(sets, (train, limit - train), strict=True)]


# ---- folders -------------------------------------------------------------------------------------------------------

def _from_folder(root: Path, name: str, seed: int, fraction: float, limit: int | None) -> Source:
    groups = [[folder.list_images(part) for part in parts] for parts in folder.find_parts(root) if parts]
    skipped = [s for group in groups for listing in group for s in listing.skipped]
    names = sorted({label for group in groups for listing in group for label in listing.labels}, key=folder.natural)
    if not names:
        raise folder.explain_no_classes(root)
    sets = []
    for group in groups:
        paths = [path for listing in group for path in listing.paths]
        place = {label: k for k, label in enumerate(names)}
        labels = np.array([place[label] for listing in group for label in listing.labels], dtype=np.int64)
        # sizes are not known yet: files are chosen first, then looked at
        sets.append(Dataset(FileStore(root, paths, np.zeros((len(paths), 2))), labels, names, name, "image"))
    if limit is not None:
        sets = _limited(sets, limit, seed)
    checked = [_checked(part, root, skipped) for part in sets]
    sizes = np.concatenate([part.sizes for part in checked])
    if not len(sizes):
        raise DataError(f"{root}: none of its {sum(map(len, sets))} images can be read, the first: {skipped[-1].path} "
                        f"{skipped[-1].reason}")
    kind = "digit" if tuple(names) == DIGITS else _kind_by_size(sizes)
    used = [k for k in range(len(names)) if any((part.labels == k).any() for part in checked)]
    sets = [Dataset(part._store, np.searchsorted(used, part.labels), [names[k] for k in used], name, kind)
            for part in checked]
    return _finish(name, sets, tuple(skipped), seed, fraction)


def _checked(part: Dataset, root: Path, skipped: list[Skipped]) -> Dataset:
    """Without the files that cannot be read, which are added to `skipped`."""
    paths = part.paths or ()
    sizes, reasons = folder.check_images(paths)
    skipped += [Skipped(str(paths[place]), reason) for place, reason in reasons.items()]
    good = np.array([place not in reasons for place in range(len(paths))], dtype=bool)
    store = FileStore(root, [path for path, fine in zip(paths, good, strict=True) if fine], sizes[good])
    return Dataset(store, part.labels[good], part.classes, part.name, part.kind)


# ---- the split -----------------------------------------------------------------------------------------------------

def _finish(name: str, sets: list[Dataset], skipped: tuple[Skipped, ...], seed: int, fraction: float) -> Source:
    train = sets[0]
    present = [train.classes[k] for k in np.flatnonzero(train.counts)]
    if len(present) < 2:
        what = f"only one class, {present[0]!r}" if present else "no images to train on"
        raise DataError(f"{name} has {what}{f' ({len(skipped)} files skipped)' if skipped else ''}: at least two "
                        "classes are needed")
    if len(sets) == 1:
        train, test = train.split(fraction, seed)
        return Source(name, train.kind, train, test, skipped, seed=seed)
    test = sets[1]
    unseen = [test.classes[k] for k in np.flatnonzero((test.counts > 0) & (train.counts == 0))]
    if unseen:
        raise DataError(f"{name}: class {unseen[0]!r} occurs among the test images only")
    if not len(test):
        raise DataError(f"{name} has no images to test on")
    return Source(name, train.kind, train, test, skipped, own_split=True, seed=seed)
