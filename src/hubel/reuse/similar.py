"""More like this: an index of features on disk, and the images in it most like a given one. Extra: usearch.

    index = build_index("features.npz", "photos.index")      # or embed first: `hubel embed photos/ -o features.npz`
    open_index("photos.index").search(features, 10)

The index is a graph of neighbours (Malkov and Yashunin 2018, HNSW) with vectors in bfloat16, read from disk as it is
needed: a million images of 1,280 features take about 2.8 GB of disk, not of memory (while it is built, of memory too). It
finds nearly, not always exactly, the nearest: `recall` measures how nearly. Depends on table.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hubel.errors import DataError, InputError
from hubel.reuse.learners import unit
from hubel.reuse.table import Features, read_features

_CHUNK = 4096
_KEEP = 60  # seconds at least between two times that a graph that grows is kept; and twenty times as long as that takes


@dataclass(frozen=True)
class Alike:
    """An image, its folder's name, and its cosine similarity to what was asked."""

    file: str
    label: str
    similarity: float

    def to_dict(self) -> dict[str, Any]:
        return {"file": self.file, "label": self.label, "similarity": self.similarity}


def build_index(features: Features | str | os.PathLike[str], out: str | os.PathLike[str], *, quality: int = 16,
                about: dict[str, Any] | None = None) -> Index:
    """Write an index of features as a folder `out` (renamed into place when whole) and open it.

    After an interruption the same call goes on with the graph that was kept last (in '.OUT.part').

    quality : neighbours kept for each image; more finds more surely, and takes longer. `about` is kept with it.
    """
    found = features if isinstance(features, Features) else read_features(features)
    if not len(found):
        raise DataError("there are no features to index")
    out = Path(out)
    if out.exists() and not (out / "graph.usearch").exists():
        raise InputError(f"{out} exists and is no index: give another name")
    part = out.with_name(f".{out.name}.part")
    graph = _graph(found.features, part, quality)
    new = out.with_name(f".{out.name}.{os.getpid()}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        graph.save(str(new / "graph.usearch"))
        names = [json.dumps([file, label], ensure_ascii=False) for file, label in zip(found.files, found.labels, strict=True)]
        offsets = np.cumsum([0, *(len(name.encode()) + 1 for name in names)])
        np.save(new / "offsets.npy", offsets.astype(np.int64))
        (new / "names.jsonl").write_text("".join(f"{name}\n" for name in names), "utf-8")
        (new / "about.json").write_text(json.dumps({"images": len(found), **(about or {})}))
        if out.exists():
            shutil.rmtree(out)
        os.replace(new, out)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(part, ignore_errors=True)
    return open_index(out)


def _graph(features: np.ndarray, part: Path, quality: int) -> Any:
    """Return the graph of all rows, kept in `part` from time to time; what is there of these very rows is gone on with."""
    graph, done, read = _kept(features, part, quality)
    last, took = time.monotonic(), 0.0
    for start in range(done, len(features), _CHUNK):
        chunk = features[start : start + _CHUNK]
        rows = unit(chunk)
        graph.add(np.arange(start, start + len(rows), dtype=np.uint64), rows)
        read.update(np.ascontiguousarray(chunk).data)
        if (began := time.monotonic()) - last > max(_KEEP, 20 * took):
            _keep(graph, part, start + len(rows), read.hexdigest())
            last = time.monotonic()
            took = last - began
    return graph


def _keep(graph: Any, part: Path, done: int, digest: str) -> None:
    part.mkdir(parents=True, exist_ok=True)
    graph.save(str(part / f"{done}.usearch"))
    (part / "new.json").write_text(json.dumps({"rows": done, "digest": digest}))
    os.replace(part / "new.json", part / "state.json")  # from here on the other graph counts no more
    for old in part.glob("*.usearch"):
        if old.name != f"{done}.usearch":
            old.unlink()


def _kept(features: np.ndarray, part: Path, quality: int) -> tuple[Any, int, Any]:
    """The graph in `part`, how many rows are in it, and the digest of those; an empty one where there is none of these rows."""
    kind = f"{features.shape[1]} {quality}".encode()
    read = hashlib.blake2b(kind)
    try:
        state = json.loads((part / "state.json").read_text())
        done = int(state["rows"])
        for start in range(0, done, _CHUNK):
            read.update(np.ascontiguousarray(features[start : min(start + _CHUNK, done)]).data)
        if read.hexdigest() == state["digest"]:
            return _usearch().Index.restore(str(part / f"{done}.usearch")), done, read
    except (OSError, ValueError, KeyError, TypeError):  # nothing there, or not whole
        pass
    return _usearch().Index(ndim=features.shape[1], metric="cos", dtype="bf16", connectivity=quality), 0, hashlib.blake2b(kind)


def open_index(path: str | os.PathLike[str]) -> Index:
    """Open an index without reading it. Raises DataError for another kind of folder."""
    folder = Path(path)
    if not (folder / "graph.usearch").exists():
        raise DataError(f"{path} is no index: give a folder that `hubel find --index` wrote")
    return Index(folder)


class Index:
    """An index on disk: `len(index)`, `index.search(features, count)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = json.loads((folder / "about.json").read_text())
        self._graph = _usearch().Index.restore(str(folder / "graph.usearch"), view=True)
        self._offsets = np.load(folder / "offsets.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self._graph)

    def search(self, features: np.ndarray, count: int = 10) -> list[list[Alike]]:
        """For each row of features (N, D) the `count` most similar images, best first."""
        rows = unit(np.atleast_2d(features))
        if rows.shape[1] != self._graph.ndim:
            raise InputError(f"features of {rows.shape[1]} numbers in an index of {self._graph.ndim}: take the same model")
        found = self._graph.search(rows, min(count, len(self)))
        keys, distances = np.atleast_2d(found.keys), np.atleast_2d(found.distances)
        with open(self.folder / "names.jsonl", "rb") as names:
            return [[self._alike(names, int(k), float(d)) for k, d in zip(*line, strict=True)]
                    for line in zip(keys, distances, strict=True)]

    def _alike(self, names: Any, key: int, distance: float) -> Alike:
        names.seek(int(self._offsets[key]))
        file, label = json.loads(names.readline())
        return Alike(file, label, 1 - distance)

    def recall(self, features: np.ndarray, exact: np.ndarray, count: int = 10) -> float:
        """The share of the `count` truly nearest of all `exact` (M, D), by brute force, that a search finds."""
        rows = unit(np.atleast_2d(features))
        true = np.argsort(-(rows @ unit(exact).T), axis=1)[:, :count]
        keys = np.atleast_2d(self._graph.search(rows, count).keys)
        return float(np.mean([len(set(a) & set(b)) / count for a, b in zip(true.tolist(), keys.tolist(), strict=True)]))


def _usearch() -> Any:
    try:
        import usearch.index
    except ImportError as error:
        raise InputError("similarity search needs usearch: pip install 'hubel[search]'") from error
    return usearch.index
