"""Arrays of images and labels, as people have them, to the uint8 images and 0..K-1 labels of a Dataset. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hubel.errors import DataError

DIGITS = tuple("0123456789")


def as_images(x: Any, name: str = "x") -> np.ndarray | list[np.ndarray]:
    """Images as uint8 (N, H, W, 1 or 3).

    NumPy is (N, H, W) or channels-last (N, H, W, C), torch channels-first (N, C, H, W). Values are uint8, whole
    numbers in 0..255, bool, or floats in 0..1 (rounded to 8 bits). A fourth channel is transparency, laid over white.
    A list of (H, W) or (H, W, C) images of different sizes stays a list.
    """
    if isinstance(x, (list, tuple)) and len({np.shape(image) for image in x}) > 1:
        return [as_images(np.asarray(image)[None], f"{name}[{i}]")[0] for i, image in enumerate(x)]
    first = hasattr(x, "detach")  # a torch tensor
    a = x.detach().cpu().numpy() if first else np.asarray(x)
    if a.dtype.kind not in "uifb":
        raise DataError(f"{name} holds {a.dtype}, not numbers: give uint8 0..255 or float 0..1")
    if a.ndim not in (3, 4):
        raise DataError(f"{name} has shape {a.shape}: a set of images is (N, H, W) or (N, H, W, C)")
    if a.ndim == 3:
        a = a[..., None]
    elif first:
        a = a.transpose(0, 2, 3, 1)
    if a.shape[3] not in (1, 3, 4):
        hint = ": NumPy arrays are channels-last, use x.transpose(0, 2, 3, 1)" if a.shape[1] in (1, 3) else ""
        raise DataError(f"{name} has shape {a.shape}, {a.shape[3]} channels where 1, 3 or 4 are possible{hint}")
    if 0 in a.shape[1:]:
        raise DataError(f"{name} has shape {a.shape}: its images have no pixels")
    a = _eight_bits(a, name)
    if a.shape[3] == 4:
        alpha = a[..., 3:].astype(np.uint16)
        a = ((a[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(a)


def _eight_bits(a: np.ndarray, name: str) -> np.ndarray:
    if a.dtype == np.uint8:
        return a
    if a.dtype == bool:
        return a.astype(np.uint8) * np.uint8(255)
    low, high = (a.min(), a.max()) if a.size else (0, 0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name} holds NaN or infinite pixels: replace them first")
    if a.dtype.kind in "ui":
        if low < 0 or high > 255:
            raise DataError(f"{name} holds whole numbers {low}..{high}: pixels are 0..255")
        return a.astype(np.uint8)
    if low < -1e-6 or high > 1 + 1e-6:
        hint = "divide by 255" if low >= 0 and 1 < high <= 255 else "scale them to 0..1"
        raise DataError(f"{name} holds floats {low:.4g}..{high:.4g}: pixels are float 0..1 or uint8, {hint}")
    out = np.empty(a.shape, dtype=np.uint8)
    for start in range(0, len(a), 1024):  # no second float copy of the whole set
        out[start:start + 1024] = np.round(np.clip(a[start:start + 1024], 0, 1) * 255)
    return out


def are_rows(x: Any) -> bool:
    """Whether x is rows of numbers, (N, T): no images."""
    return not isinstance(x, list | tuple) and np.ndim(x) == 2


def as_series(x: Any, name: str = "x", kind: str = "series") -> list[np.ndarray]:
    """Series as float32 (T, C) each.

    NumPy is (N, T) or (N, T, C), torch (N, T) or (N, C, T); a list holds (T,) or (T, C) of any lengths. Sound has one
    channel and is float in -1..1, or int16. Raises DataError for NaN, wrong ranks, and sound beyond -1..1.
    """
    rows: Any = x if isinstance(x, list | tuple) else np.asarray(x)
    if hasattr(x, "detach"):
        rows = x.detach().cpu().numpy()
        rows = rows.transpose(0, 2, 1) if rows.ndim == 3 else rows
    if not hasattr(rows, "__len__") or np.ndim(rows[:1]) < 1 or len(rows) == 0:
        raise DataError(f"{name} holds no series: give (N, T), (N, T, C) or a list of them")
    return [_one_series(np.asarray(row), f"{name}[{i}]", kind) for i, row in enumerate(rows)]


def _one_series(a: np.ndarray, name: str, kind: str) -> np.ndarray:
    if a.dtype.kind not in "uifb":
        raise DataError(f"{name} holds {a.dtype}, not numbers")
    a = a[:, None] if a.ndim == 1 else a
    if a.ndim != 2 or 0 in a.shape:
        raise DataError(f"{name} has shape {a.shape}: a series is (T,) or (T, C) with at least one moment")
    values = a.astype(np.float32) / (32768 if kind == "sound" and a.dtype == np.int16 else 1)
    if not np.isfinite(values).all():
        raise DataError(f"{name} holds NaN or infinite numbers: replace them first")
    if kind == "sound" and values.shape[1] > 1:
        values = values.mean(1, keepdims=True)
    if kind == "sound" and np.abs(values).max() > 1 + 1e-6:
        raise DataError(f"{name} holds {values.min():.4g}..{values.max():.4g}: sound is float in -1..1 or int16")
    return np.ascontiguousarray(values)


def as_labels(y: Any, count: int, name: str = "y") -> np.ndarray:
    """One label each, (N,), integers or text. (N, 1) is flattened; one-hot and fractions are refused."""
    a = y.detach().cpu().numpy() if hasattr(y, "detach") else np.asarray(y)
    if a.ndim == 2 and a.shape[1] == 1:
        a = a[:, 0]
    if a.ndim != 1:
        hint = ": use y.argmax(1)" if a.ndim == 2 else ""
        raise DataError(f"{name} has shape {a.shape}: labels are one number or name for each image{hint}")
    if len(a) != count:
        raise DataError(f"{count} images with {len(a)} labels ({name}): give one label for each image")
    if a.dtype == object and all(isinstance(v, str) for v in a):
        a = a.astype(str)
    if a.dtype.kind == "S":
        a = np.char.decode(a, "utf-8")
    if a.dtype.kind == "f" and np.isfinite(a).all() and (a == np.round(a)).all():
        a = a.astype(np.int64)
    if a.dtype.kind not in "uibU":
        raise DataError(f"{name} holds {a.dtype}: labels are whole numbers or names")
    return a.astype(np.int64) if a.dtype.kind in "uib" else a


def number_labels(parts: Sequence[np.ndarray], classes: Sequence[str] | None) -> tuple[list[np.ndarray], list[str]]:
    """Labels of several parts as 0..K-1, and the classes' names.

    With `classes` whole numbers are places in it, names are looked up in it. Without, the values that occur, sorted,
    are the classes: labels 1, 2, 5 become 0, 1, 2 with the names '1', '2', '5'.
    """
    together = np.concatenate(parts)
    if classes is None:
        values = np.unique(together)
        return [np.searchsorted(values, part) for part in parts], [str(value) for value in values]
    if together.dtype.kind == "U":
        place = {name: k for k, name in enumerate(classes)}
        unknown = sorted(set(together.tolist()) - place.keys())
        if unknown:
            raise DataError(f"label {unknown[0]!r} is none of the classes {', '.join(classes[:5])}, ...")
        return [np.array([place[name] for name in part], dtype=np.int64) for part in parts], list(classes)
    if len(together) and not 0 <= together.min() <= together.max() < len(classes):
        raise DataError(f"labels {together.min()}..{together.max()} do not fit {len(classes)} classes "
                        f"(0..{len(classes) - 1})")
    return list(parts), list(classes)
