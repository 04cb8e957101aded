"""Folders of images in, one file of features out: streaming, resumable, damage listed. Depends on body, cache, table.

    done = embed_files(["photos/"], "features.npz")
    table = read_features("features.npz")              # features, files, labels
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
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

BATCH = 16  # photos of 224 px that one core computes fastest (2 MB of its own cache)
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
    cuts = [*range(0, max(0, len(found) - workers() * batch_size), batch_size)]
    cuts += [*range(cuts[-1] + batch_size if cuts else 0, len(found), max(1, batch_size // 4)), len(found)]  # no core waits long at the end
    parts = [found[a:b] for a, b in pairwise(cuts)]
    one_at_a_time = threading.Lock() if body.size is None else contextlib.nullcontext()  # each size makes a fast copy of its own

    def work(part: list[tuple[Path, str]]) -> list[_Read]:
        torch.set_num_threads(1)  # of this thread: a batch a core is faster than all cores on one, which wait for each other
        with one_at_a_time:
            return _read(part, body, store, precision, batch_size)

    if body.size is not None:  # made here, not by several threads at once
        body.frozen(body.preprocess(body.example(min(4, len(found)))), precision)
    threads = torch.get_num_threads()
    try:
        for part, read in track(ordered_map(work, parts, ahead=2 * workers()), len(found), "features", size=lambda p: len(p[0])):
            skipped += [Skipped(str(path), r.error.removeprefix(f"{path} ")) for (path, _), r in zip(part, read, strict=True) if r.error]
            good = [(item, r) for item, r in zip(part, read, strict=True) if not r.error]
            if not good:
                continue
            known = iter(store.get([r.key for _, r in good if r.row is None]))
            rows = [next(known) if r.row is None else r.row for _, r in good]
            new = [r.row is not None for _, r in good]
            for i in [i for i, row in enumerate(rows) if row is None]:  # its shard has been damaged since
                (path, _), new[i] = good[i][0], True
                rows[i] = compute(body, [decode_image(read_bytes(path), body.size, body.channels, name=str(path))], precision)[0]
            waiting += [(r.key, row) for (_, r), row, fresh in zip(good, rows, new, strict=True) if fresh and row is not None]
            if len(waiting) >= SHARD:
                _flush(store, waiting)
            table = np.stack([row for row in rows if row is not None])
            writer.add(table, [str(path) for (path, _), _ in good], [label for (_, label), _ in good])
            images, computed, width = images + len(table), computed + sum(new), table.shape[1]
    finally:  # Ctrl-C, too, keeps what is done
        torch.set_num_threads(threads)  # what threads to come will inherit
        _flush(store, waiting)
    return images, computed, width


@dataclass(frozen=True)
class _Read:
    """One file: its content's key, and its features, or None where the cache has them; or why it cannot be read."""

    key: bytes = b""
    row: np.ndarray | None = None
    error: str = ""


def _read(part: list[tuple[Path, str]], body: Model, store: FeatureCache, precision: str, batch_size: int) -> list[_Read]:
    found: list[_Read] = []
    fresh: dict[int, np.ndarray] = {}
    for path, _ in part:
        try:
            data = read_bytes(path)
            key = content_key(data)
            if key not in store:
                fresh[len(found)] = decode_image(data, body.size, body.channels, name=str(path))
            found.append(_Read(key))
        except DataError as error:
            found.append(_Read(error=str(error)))
    if fresh:
        for i, row in zip(fresh, compute(body, list(fresh.values()), precision, batch_size), strict=True):
            found[i] = _Read(found[i].key, row)
    return found


def _flush(store: FeatureCache, waiting: list[tuple[bytes, np.ndarray]]) -> None:
    if waiting:
        store.add([key for key, _ in waiting], np.stack([row for _, row in waiting]))
        waiting.clear()


def compute(body: Model, images: Sequence[np.ndarray], precision: str, batch_size: int = BATCH) -> np.ndarray:
    """Features (N, D) of uint8 images (H, W, C), of one size where the model has one."""
    if len({image.shape for image in images}) > 1:
        return np.concatenate([body.logits(image, batch_size, precision) for image in images])
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)  # as it lies in memory: channels last
    return body.logits(pixels, batch_size, precision)
