"""load: any source of labelled images or recordings to a Source. It decides what the source is; others here read it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hubel.data import folder, formats
from hubel.data.arrays import DIGITS, are_rows, as_images, as_labels, as_series, number_labels
from hubel.data.dataset import Dataset, Skipped
from hubel.data.formats import Parts
from hubel.data.series import SERIES_KINDS, SeriesDataset
from hubel.data.series_store import ArraySeries
from hubel.data.sound_folder import holds_sounds, load_sounds, split_by_group
from hubel.data.source import Source, divided, limited
from hubel.data.store import ArrayStore, FileStore
from hubel.errors import DataError, InputError

PHOTO_SIZE = 96  # pixels: from here on, images are taken for photos


class Ask(NamedTuple):
    """What `load` was asked for."""

    seed: int
    fraction: float
    limit: int | None
    kind: str | None
    rate: int | None
    hold_out: Any


def load(source: Any, *, seed: int = 0, test_fraction: float = 0.2, limit: int | None = None, kind: str | None = None,
         rate: int | None = None, hold_out: Any = None) -> Source:
    """Load labelled images, recordings or series from wherever they are.

    Parameters
    ----------
    source : 'digits' (scikit-learn's 1,797 digits of 8 x 8 pixels); 'samples' (the photographs of `data.samples`);
        a folder with a subfolder of images for each class, or with train/ and test/ (or val/) that hold such;
        a folder with MNIST's IDX files (.gz or not) or with CIFAR-10's or -100's binary batches;
        the same of sound files (WAV; FLAC, OGG, MP3 with soundfile), or sound files named CLASS_SPEAKER_TAKE.wav;
        an .npz file with x, y or x_train, y_train, x_test, y_test, and for recordings `rate`;
        a pair (x, y) of arrays or ((x_train, y_train), (x_test, y_test)), see `hubel.data.arrays.as_images`, `as_series`.
    seed, test_fraction : a source without a split of its own is split by class, so that round(test_fraction * N) images
        are for testing. Where recordings say whose they are, whole speakers are held out instead.
    limit : at most so many images in all (training and test), each class in proportion.
    kind : 'sound' or 'series' where it cannot be seen: of arrays (N, T, C) or lists, and of folders that hold images too.
        Rows of numbers (N, T) are series; with a `rate`, sound.
    rate : samples a second: of arrays, the one they have; of files, the one to bring them to (None: what most have).
    hold_out : the speaker or speakers to test on; False splits recordings by class alone.

    Files that cannot be read are left out and listed in `Source.skipped`. Folders of up to 2 GB are decoded once to
    find them all; beyond, files that fail later are listed in `Dataset.unreadable`.

    Raises DataError if the source is missing, unknown, empty, unreadable or of one class, if labels do not match, or if
    a class has too few images to split; InputError for options out of range.
    """
    if not 0 < test_fraction < 1:
        raise InputError(f"test_fraction={test_fraction!r}: give a number between 0 and 1")
    if limit is not None and limit < 1:
        raise InputError(f"limit={limit}: give at least 1, or None for all")
    if kind not in (None, "image", *SERIES_KINDS):
        raise InputError(f"kind={kind!r}: give 'sound', 'series', 'image' or None")
    if rate is not None and (isinstance(rate, bool) or int(rate) != rate or rate < 1):
        raise InputError(f"rate={rate!r}: give a whole number of samples a second")
    if isinstance(source, Source):
        raise InputError(f"{source.name} is loaded already: use it as it is")
    ask = Ask(seed, test_fraction, limit, kind, rate, hold_out)
    if isinstance(source, str) and source == "digits" and not Path(source).exists():
        return _from_parts(_builtin_digits(), "digits", ask, digit=True)
    if isinstance(source, str) and source == "samples" and not Path(source).exists():
        from hubel.data.samples import samples_parts

        return _from_parts(samples_parts(), "samples", ask)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source).expanduser(), ask)
    if isinstance(source, (tuple, list)) and len(source) == 2:
        return _from_parts(_pairs(source), "arrays", ask)
    raise InputError(f"a source of type {type(source).__name__}: give 'digits', a path, or a pair of arrays (x, y)")


def _from_path(path: Path, ask: Ask) -> Source:
    if not path.exists():
        raise _missing(path)
    name = path.resolve().name
    if path.is_file():
        if path.suffix.lower() != ".npz":
            raise DataError(f"{path} is a file of unknown format: give a folder of images or an .npz file with x and y")
        return _from_parts(formats.read_npz(path), path.stem, ask)
    try:
        if formats.is_idx_folder(path):
            return _from_parts(formats.read_idx_folder(path), name, ask, digit=True)
        if formats.is_cifar_folder(path):
            return _from_parts(formats.read_cifar_folder(path), name, ask)
        if formats.is_pickled_cifar(path):
            raise DataError(f"{path} holds CIFAR's Python version, pickled and never opened: get the binary one")
        return _from_folder(path, name, ask)
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


def _from_parts(parts: Parts, name: str, ask: Ask, digit: bool = False) -> Source:
    rate = ask.rate or parts.rate
    if ask.kind in SERIES_KINDS or (ask.kind is None and (rate or are_rows(parts.x))):
        kind = ask.kind or ("sound" if rate else "series")
        return _series_from_parts(parts, name, ask, kind, rate)
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
    return divided(name, limited(sets, ask.limit, ask.seed), (), ask.seed, ask.fraction)


def _series_from_parts(parts: Parts, name: str, ask: Ask, kind: str, rate: int | None) -> Source:
    if kind == "sound" and rate is None:
        raise InputError(f"{name}: kind='sound' needs rate=, the number of samples a second")
    series = [as_series(parts.x, "x", kind)]
    labels = [as_labels(parts.y, len(series[0]), "y")]
    if parts.x_test is not None:
        series.append(as_series(parts.x_test, "x_test", kind))
        labels.append(as_labels(parts.y_test, len(series[1]), "y_test"))
    if len({s.shape[1] for part in series for s in part}) > 1:
        raise DataError(f"{name}: its series have different numbers of channels: give (T, C) with one C")
    numbered, classes = number_labels(labels, parts.classes)
    sets = [SeriesDataset(ArraySeries(x, rate), y, classes, name, kind) for x, y in zip(series, numbered, strict=True)]
    return split_by_group(name, limited(sets, ask.limit, ask.seed), (), ask.hold_out or False, ask.seed, ask.fraction)


def _kind_by_size(sizes: np.ndarray) -> str:
    return "photo" if np.median(sizes, axis=0).min() >= PHOTO_SIZE else "image"


# ---- folders -------------------------------------------------------------------------------------------------------

def _from_folder(root: Path, name: str, ask: Ask) -> Source:
    if ask.kind == "sound":
        return load_sounds(root, name, ask.rate, ask.hold_out, ask.seed, ask.fraction, ask.limit)
    groups = [[folder.list_images(part) for part in parts] for parts in folder.find_parts(root) if parts]
    skipped = [s for group in groups for listing in group for s in listing.skipped]
    names = sorted({label for group in groups for listing in group for label in listing.labels}, key=folder.natural)
    if not names and ask.kind is None and holds_sounds(root):
        return load_sounds(root, name, ask.rate, ask.hold_out, ask.seed, ask.fraction, ask.limit)
    if not names:
        raise folder.explain_no_classes(root)
    sets = []
    for group in groups:
        paths = [path for listing in group for path in listing.paths]
        place = {label: k for k, label in enumerate(names)}
        labels = np.array([place[label] for listing in group for label in listing.labels], dtype=np.int64)
        # sizes are not known yet: files are chosen first, then looked at
        sets.append(Dataset(FileStore(root, paths, np.zeros((len(paths), 2))), labels, names, name, "image"))
    sets = limited(sets, ask.limit, ask.seed)
    checked = [_checked(part, root, skipped) for part in sets]
    sizes = np.concatenate([part.sizes for part in checked])
    if not len(sizes):
        raise DataError(f"{root}: none of its {sum(map(len, sets))} images can be read, the first: {skipped[-1].path} "
                        f"{skipped[-1].reason}")
    kind = "digit" if tuple(names) == DIGITS else _kind_by_size(sizes)
    used = [k for k in range(len(names)) if any((part.labels == k).any() for part in checked)]
    sets = [Dataset(part._store, np.searchsorted(used, part.labels), [names[k] for k in used], name, kind)
            for part in checked]
    return divided(name, sets, tuple(skipped), ask.seed, ask.fraction)


def _checked(part: Dataset, root: Path, skipped: list[Skipped]) -> Dataset:
    """Without the files that cannot be read, which are added to `skipped`."""
    paths = part.paths or ()
    sizes, reasons = folder.check_images(paths)
    skipped += [Skipped(str(paths[place]), reason) for place, reason in reasons.items()]
    good = np.array([place not in reasons for place in range(len(paths))], dtype=bool)
    store = FileStore(root, [path for path, fine in zip(paths, good, strict=True) if fine], sizes[good])
    return Dataset(store, part.labels[good], part.classes, part.name, part.kind)
