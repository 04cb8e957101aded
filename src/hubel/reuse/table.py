"""Features with the files they came from, as one file on disk: written row by row, read back whole. NumPy; for Parquet
the extra `pyarrow`."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hubel.errors import DataError, InputError

FORMATS = (".npz", ".parquet")
_COPY = 1 << 22


@dataclass(frozen=True)
class Features:
    """features float32 (N, D), row i of files[i]; labels[i] is the name of its folder ('' directly below the source)."""

    features: np.ndarray
    files: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)


class Writer(Protocol):
    def add(self, rows: np.ndarray, files: Sequence[str], labels: Sequence[str]) -> None: ...

    def close(self, about: dict[str, Any]) -> None: ...


@contextmanager
def writing(path: Path) -> Iterator[tuple[Writer, Path]]:
    """A writer to a temporary name beside `path`, which is renamed when all went well, and the temporary name."""
    check_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    writer = Npz(new) if path.suffix == ".npz" else Parquet(new)
    try:
        yield writer, new
        os.replace(new, path)
    finally:
        for rest in (new, new.with_suffix(".rows")):
            rest.unlink(missing_ok=True)


def check_format(path: Path) -> None:
    """Raise InputError unless `path` ends as a format that can be written here."""
    if path.suffix not in FORMATS:
        raise InputError(f"{path} ends in {path.suffix or 'nothing'}: give a name that ends in {' or '.join(FORMATS)}")
    if path.suffix == ".parquet":
        _pyarrow()


class Npz:
    """Arrays 'features', 'files', 'labels' and 'about' (JSON). Rows wait in a file until their number is known."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, path.with_suffix(".rows")
        self._file = open(self.rows, "wb")  # noqa: SIM115 (closed in close)
        self.files: list[str] = []
        self.labels: list[str] = []
        self.width = 0

    def add(self, rows: np.ndarray, files: Sequence[str], labels: Sequence[str]) -> None:
        self._file.write(np.ascontiguousarray(rows, np.float32).data)
        self.files += files
        self.labels += labels
        self.width = rows.shape[1]

    def close(self, about: dict[str, Any]) -> None:
        self._file.close()
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_STORED) as archive:
            with archive.open("features.npy", "w", force_zip64=True) as out, open(self.rows, "rb") as rows:
                np.lib.format.write_array_header_1_0(out, {
                    "descr": "<f4", "fortran_order": False, "shape": (len(self.files), self.width)})
                while block := rows.read(_COPY):
                    out.write(block)
            for name, values in (("files", self.files), ("labels", self.labels), ("about", json.dumps(about))):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as out:
                    np.lib.format.write_array(out, np.array(values, dtype=np.str_), allow_pickle=False)


class Parquet:
    """Columns 'file', 'label' and 'features' (fixed-size lists of float32); 'about' in the schema's metadata."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Any = None
        self._arrow, self._parquet = _pyarrow()

    def add(self, rows: np.ndarray, files: Sequence[str], labels: Sequence[str]) -> None:
        pa = self._arrow
        values = pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float32).ravel()), rows.shape[1])
        table = pa.table({"file": pa.array(files, pa.string()), "label": pa.array(labels, pa.string()), "features": values})
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self.path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self, about: dict[str, Any]) -> None:
        if self._writer is None:
            raise DataError("there is no feature to write: no image could be read")
        self._writer.add_key_value_metadata({"hubel": json.dumps(about)})
        self._writer.close()


def read_features(path: str | os.PathLike[str]) -> Features:
    """Read what `embed_files` wrote; an .npz stays on disk (memory-mapped). Raises DataError for a file of another kind."""
    path = Path(path)
    try:
        if path.suffix == ".parquet":
            table = _pyarrow()[1].read_table(path)
            rows = table["features"].combine_chunks()
            features = np.asarray(rows.flatten(), np.float32).reshape(len(table), -1)
            return Features(features, tuple(table["file"].to_pylist()), tuple(table["label"].to_pylist()))
        with np.load(path, allow_pickle=False) as f:
            return Features(_mapped(path), tuple(f["files"].tolist()), tuple(f["labels"].tolist()))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: give a file written by `hubel embed`") from error
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} holds no features ({error}): give a file written by `hubel embed`") from error


def _mapped(path: Path) -> np.ndarray:
    """The array 'features' of an .npz as it lies in the file, unread: a million rows need no memory."""
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("features.npy")
        if member.compress_type != zipfile.ZIP_STORED:
            with archive.open(member) as inside:
                return np.lib.format.read_array(inside, allow_pickle=False)
    with open(path, "rb") as file:
        file.seek(member.header_offset + 26)
        names = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
        file.seek(member.header_offset + 30 + names)
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(path, dtype, "r", file.tell(), shape) if shape[0] else np.zeros(shape, dtype)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError("Parquet needs pyarrow: pip install 'hubel[parquet]', or write .npz") from error
    return pyarrow, pyarrow.parquet
