"""Readers of the field's array files: Keras-style .npz, MNIST's IDX, CIFAR's binary batches. NumPy only.

Each returns `Parts`: the arrays as they lie in the files. Nothing is ever unpickled.
"""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hubel.errors import DataError

_IMAGES = re.compile(r"images[-.]idx3[-.]ubyte(\.gz)?$")


@dataclass(frozen=True)
class Parts:
    """Training images and labels, and where the source has its own split, test images and labels."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    rate: int | None = None  # samples a second, of recordings


def read_npz(path: Path) -> Parts:
    """Keys x, y (and `classes`), or x_train, y_train, x_test, y_test as in Keras' mnist.npz; `rate` for recordings."""
    try:
        with np.load(path, allow_pickle=False) as file:
            keys = set(file.files)
            wanted = ["x", "y"] if {"x", "y"} <= keys else ["x_train", "y_train", "x_test", "y_test"]
            if not set(wanted) <= keys:
                raise DataError(f"{path} holds {', '.join(sorted(keys)) or 'nothing'}: the keys x and y, or x_train, "
                                "y_train, x_test and y_test are needed")
            arrays = [file[key] for key in wanted]
            classes = tuple(str(c) for c in file["classes"].ravel()) if "classes" in keys else None
            rate = _rate(file["rate"], path) if "rate" in keys else None
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        pickled = "pickle" in str(error)
        raise DataError(f"{path} cannot be read: " + ("it holds pickled objects, which are never opened: save plain "
                                                      "arrays" if pickled else str(error))) from error
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, EOFError, AttributeError) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}") from error
    x_test, y_test = arrays[2:] or (None, None)
    return Parts(arrays[0], arrays[1], x_test, y_test, classes, rate)


def _rate(value: np.ndarray, path: Path) -> int:
    if value.size != 1 or value.dtype.kind not in "uif" or not 0 < value.item() == int(value.item()):
        raise DataError(f"{path}: rate must be one whole number of samples a second, it is {value.tolist()}")
    return int(value.item())


# ---- IDX: LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist --------------------------------------------------

def is_idx_folder(folder: Path) -> bool:
    return any(_IMAGES.search(path.name) for path in folder.iterdir())


def read_idx_folder(folder: Path) -> Parts:
    """train-images-idx3-ubyte and its labels, and t10k- (or test-), with or without .gz; MNIST's likes too."""
    pairs: dict[bool, tuple[Path, Path]] = {}
    for images in sorted(path for path in folder.iterdir() if _IMAGES.search(path.name)):
        stem = re.sub(r"\.gz$", "", images.name).replace("images", "labels").replace("idx3", "idx1")
        labels = next((folder / name for name in (stem, stem + ".gz") if (folder / name).is_file()), None)
        if labels is None:
            raise DataError(f"{images} has no labels beside it: {stem}(.gz) is missing")
        test = re.search(r"t10k|test", images.name) is not None
        known = pairs.get(test)
        if known and known[0].name.removesuffix(".gz") != images.name.removesuffix(".gz"):
            raise DataError(f"{folder} holds several sets ({known[0].name}, {images.name}): put each in its own folder")
        pairs.setdefault(test, (images, labels))
    if False not in pairs:
        raise DataError(f"{folder} holds test images only ({pairs[True][0].name}): the training images are missing")
    train = _idx_pair(*pairs[False])
    return Parts(*train, *(_idx_pair(*pairs[True]) if True in pairs else (None, None)))


def _idx_pair(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"{images.name} has shape {x.shape} and {labels.name} {y.shape}: one label an image is needed")
    return x, y


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of unsigned bytes: 0, 0, 8, rank, big-endian sizes, data."""
    try:
        with (gzip.open(path) if path.suffix == ".gz" else open(path, "rb")) as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not 1 <= magic[3] <= 4:
                raise DataError(f"{path} is not an IDX file of unsigned bytes (first bytes: {magic.hex() or 'none'})")
            shape = np.frombuffer(file.read(4 * magic[3]), dtype=">u4").astype(int)
            count = int(np.prod(shape.astype(object)))
            if count > 2**35:
                raise DataError(f"{path} claims {' x '.join(map(str, shape))} bytes: its header is damaged")
            data = file.read(count + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(shape) != magic[3] or len(data) != count:
        wrong = "cut short" if len(data) < count else "too long"
        raise DataError(f"{path} is {wrong}: its header promises {count} bytes")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


# ---- CIFAR: Krizhevsky, Learning multiple layers of features from tiny images, 2009 ----------------------------------

def is_cifar_folder(folder: Path) -> bool:
    return bool(_cifar_files(folder)[0])


def is_pickled_cifar(folder: Path) -> bool:
    return (folder / "batches.meta").is_file() or ((folder / "meta").is_file() and (folder / "train").is_file())


def _cifar_files(folder: Path) -> tuple[list[Path], list[Path], int, str]:
    """Training files, test files, label bytes a record, and the file of the names."""
    ten = sorted(folder.glob("data_batch_*.bin"), key=lambda p: (len(p.name), p.name))
    if ten:
        return ten, [p for p in (folder / "test_batch.bin",) if p.is_file()], 1, "batches.meta.txt"
    hundred = [p for p in (folder / "train.bin",) if p.is_file()]
    return hundred, [p for p in (folder / "test.bin",) if p.is_file()], 2, "fine_label_names.txt"


def read_cifar_folder(folder: Path) -> Parts:
    """data_batch_1.bin ... and test_batch.bin (CIFAR-10), or train.bin and test.bin (CIFAR-100, fine labels)."""
    train, test, label_bytes, names = _cifar_files(folder)
    classes = None
    if (folder / names).is_file():
        text = (folder / names).read_text(encoding="utf-8", errors="replace")
        classes = tuple(line.strip() for line in text.splitlines() if line.strip())
    x_test, y_test = _cifar_records(test, label_bytes) if test else (None, None)
    return Parts(*_cifar_records(train, label_bytes), x_test, y_test, classes)


def _cifar_records(paths: Sequence[Path], label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    record = label_bytes + 3072
    parts = []
    for path in paths:
        try:
            data = np.fromfile(path, dtype=np.uint8)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        if len(data) == 0 or len(data) % record:
            raise DataError(f"{path} has {len(data)} bytes, no multiple of {record}: it is cut short or no CIFAR batch")
        parts.append(data.reshape(-1, record))
    rows = np.concatenate(parts)
    pixels = rows[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), rows[:, label_bytes - 1].astype(np.int64)
