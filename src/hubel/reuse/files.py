"""Folders of images in, one file of features out: streaming, resumable, damage listed. Depends on body, cache, table.

    done = embed_files(["photos/"], "features.npz")
    table = read_features("features.npz")              # features, files, labels
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hubel.data import Skipped, decode_image
from hubel.data.decode import EXTENSIONS
from hubel.data.decode import _read_bytes as read_bytes
from hubel.data.parallel import ordered_map, workers
from hubel.errors import DataError
from hubel.look.progress import track
from hubel.model import Model
from hubel.reuse.body import feature_model, name_of
from hubel.reuse.cache import FeatureCache, content_key
from hubel.reuse.table import Features, Writer, check_format, writing

BATCH = 32
SHARD = 1024  # rows a kill -9 can cost at most


@dataclass(frozen=True)
class Embedded:
    """What `embed_files` did. computed: images that went through the network; the others were known by their content."""

    path: str
    images: int
    width: int
    computed: int
    unreadable: tuple[Skipped, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        text = f"{self.path}: {self.images:,} images, {self.width:,} features each"
        known = self.images - self.computed
        return text + (f"; {known:,} were known already" if known else "") + (
            f"; {len(self.unreadable):,} files could not be read" if self.unreadable else "")


def embed_files(sources: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str], model: Model | None = None, *,
                precision: str = "auto", batch_size: int = BATCH, cache: bool = True) -> Embedded:
    """Write the features of all images in folders and files to `out` (.npz, .parquet), in the order of their paths.

    model : a Model (its layer before last), one of `feature_model`, or None for the pretrained default.
    precision : as in `embed`. cache : keep features in the user's cache folder, by the content of the file; without it
        they lie in a folder beside `out` until all are done. Either way, a run that was stopped, or killed, goes on where
        it was when called again, and memory holds a few batches, however many images there are.

    A file that cannot be read is listed in the result, and left out. Raises DataError where there is no image at all.
    """
    out, began = Path(out), time.monotonic()
    check_format(out)
    body = feature_model(model)
    name = name_of(body, precision)
    partial = out.with_name(f"{out.name}.partial")
    store = FeatureCache(name, None if cache else partial)
    skipped: list[Skipped] = []
    found = list(find_images(sources))
    if not found:
        raise DataError(f"{', '.join(map(str, sources))} holds no images: give a folder with JPEG, PNG, WebP, BMP or TIFF files")
    with writing(out) as (writer, _):
        images, computed, width = _pour(found, body, store, writer, precision, batch_size, skipped)
        if not images:
            raise DataError(f"none of {len(found)} files can be read; the first: {skipped[0].reason}")
        writer.close({"model": body.hash, "name": name, "unreadable": [vars(s) for s in skipped]})
    shutil.rmtree(partial, ignore_errors=True)
    return Embedded(str(out), images, width, computed, tuple(skipped), time.monotonic() - began)


def embed_paths(sources: Iterable[str | os.PathLike[str]], model: Model | None = None, *, precision: str = "auto",
                batch_size: int = BATCH) -> tuple[Features, tuple[Skipped, ...]]:
    """As `embed_files`, in memory: the features and what could not be read."""
    body = feature_model(model)
    skipped: list[Skipped] = []
    kept = _Kept()
    _pour(list(find_images(sources)), body, FeatureCache(name_of(body, precision)), kept, precision, batch_size, skipped)
    rows = np.concatenate(kept.rows) if kept.rows else np.zeros((0, len(body.classes)), np.float32)
    return Features(rows, tuple(kept.files), tuple(kept.labels)), tuple(skipped)


def find_images(sources: Iterable[str | os.PathLike[str]]) -> Iterator[tuple[Path, str]]:
    """Yield (file, name of its first folder below the source) of all images, sorted; hidden files are passed over."""
    for source in map(Path, sources):
        if not source.exists():
            raise DataError(f"{source} does not exist")
        if source.is_file():
            yield source, ""
            continue
        for path in sorted(_walk(source)):
            parts = path.relative_to(source).parts
            yield path, parts[0] if len(parts) > 1 else ""


class _Kept:
    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.files: list[str] = []
        self.labels: list[str] = []

    def add(self, rows: np.ndarray, files: Sequence[str], labels: Sequence[str]) -> None:
        self.rows.append(rows)
        self.files += files
        self.labels += labels

    def close(self, about: dict[str, Any]) -> None:
        pass


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS:
                yield Path(where, name)


def _pour(found: list[tuple[Path, str]], body: Model, store: FeatureCache, writer: Writer, precision: str,
          batch_size: int, skipped: list[Skipped]) -> tuple[int, int, int]:
    """(images written, computed, features each)."""
    images = computed = width = 0
    waiting: list[tuple[bytes, np.ndarray]] = []

    def read(item: tuple[Path, str]) -> tuple[bytes, np.ndarray | None] | str:
        try:
            data = read_bytes(item[0])
            key = content_key(data)
            return key, None if key in store else decode_image(data, body.size, body.channels, name=str(item[0]))
        except DataError as error:
            return str(error)

    work = ordered_map(read, found, ahead=max(batch_size, 8 * workers()))
    part: list[tuple[tuple[Path, str], bytes, np.ndarray | None]] = []

    def pour() -> None:
        nonlocal images, computed, width
        rows, new = _rows(part, body, store, waiting, precision, batch_size)
        writer.add(rows, [str(path) for (path, _), _, _ in part], [label for (_, label), _, _ in part])
        images, computed, width = images + len(rows), computed + new, rows.shape[1]
        part.clear()

    try:
        for item, result in track(work, len(found), "features"):
            if isinstance(result, str):
                skipped.append(Skipped(str(item[0]), result.removeprefix(f"{item[0]} ")))
                continue
            part.append((item, *result))
            if len(part) >= batch_size:
                pour()
        if part:
            pour()
    finally:  # Ctrl-C, too, keeps what is done
        if waiting:
            store.add([key for key, _ in waiting], np.stack([row for _, row in waiting]))
    return images, computed, width


def _rows(part: list[tuple[tuple[Path, str], bytes, np.ndarray | None]], body: Model, store: FeatureCache,
          waiting: list[tuple[bytes, np.ndarray]], precision: str, batch_size: int) -> tuple[np.ndarray, int]:
    fresh = [(key, pixels) for _, key, pixels in part if pixels is not None]
    known = store.get([key for _, key, _ in part])
    new: dict[bytes, np.ndarray] = {}
    if fresh:
        for (key, _), row in zip(fresh, compute(body, [p for _, p in fresh], precision, batch_size), strict=True):
            new[key] = row
        waiting += new.items()
    lost = [i for i, (row, (_, key, _)) in enumerate(zip(known, part, strict=True)) if row is None and key not in new]
    for i in lost:  # its shard has been damaged since
        (path, _), key, _ = part[i]
        image = decode_image(read_bytes(path), body.size, body.channels, name=str(path))
        new[key] = compute(body, [image], precision, batch_size)[0]
    if len(waiting) >= SHARD:
        store.add([key for key, _ in waiting], np.stack([row for _, row in waiting]))
        waiting.clear()
    rows = np.stack([new[key] if row is None else row for row, (_, key, _) in zip(known, part, strict=True)])
    return rows, len(fresh) + len(lost)


def compute(body: Model, images: Sequence[np.ndarray], precision: str, batch_size: int = BATCH) -> np.ndarray:
    """Features (N, D) of uint8 images (H, W, C), of one size where the model has one."""
    if len({image.shape for image in images}) > 1:
        return np.concatenate([body.logits(image, batch_size, precision) for image in images])
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)  # as it lies in memory: channels last
    return body.logits(pixels, batch_size, precision)
