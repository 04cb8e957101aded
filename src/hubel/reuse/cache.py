"""Features that were computed once, on disk, by the content of the image and the model that made them.

One folder a model; in it shards of up to 1,024 rows, each a safetensors file that is written to a temporary name and
renamed. Several processes may use a folder at a time, and a run that was killed loses one shard at most. Depends on
safetensors; on `engine` for the place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np

from hubel import engine

KEY_BYTES = 16


def cache_folder() -> Path:
    """The environment variable HUBEL_CACHE, else the user's cache folder, and in it 'features'."""
    return engine.cache_folder() / "features"


def content_key(*parts: bytes | np.ndarray) -> bytes:
    """16 bytes that name a content (BLAKE2b)."""
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    for part in parts:
        digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else part)
    return digest.digest()


class FeatureCache:
    """Rows float32 (D,) by key. `name` tells what made them: model, layer, size."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.folder = (cache_folder() if folder is None else Path(folder)) / name
        self._place: dict[bytes, tuple[Path, int]] = {}
        self._open: tuple[Path, np.ndarray] | None = None  # the shard read last
        for path in sorted(self.folder.glob("*.safetensors")):
            self._index(path)

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, key: bytes) -> bool:
        return key in self._place

    def get(self, keys: list[bytes]) -> list[np.ndarray | None]:
        """The row of each key, None where there is none. A shard that has become unreadable counts as absent."""
        rows: list[np.ndarray | None] = [None] * len(keys)
        by_shard: dict[Path, list[int]] = {}
        for i, key in enumerate(keys):
            if key in self._place:
                by_shard.setdefault(self._place[key][0], []).append(i)
        for path, places in by_shard.items():
            shard = self._shard(path)
            for i in places if shard is not None else ():
                rows[i] = shard[self._place[keys[i]][1]]  # type: ignore[index]
        return rows

    def add(self, keys: list[bytes], rows: np.ndarray) -> None:
        """Keep rows (n, D) as one shard."""
        from safetensors.numpy import save

        if not len(keys):
            return
        table = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), KEY_BYTES)
        path = self.folder / f"{content_key(table).hex()}.safetensors"
        self.folder.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.stem}.{os.getpid()}.new")
        try:
            new.write_bytes(save({"keys": table, "rows": np.ascontiguousarray(rows, dtype=np.float32)}))
            os.replace(new, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
        self._place.update({key: (path, i) for i, key in enumerate(keys)})

    def _index(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                table = file.get_tensor("keys")
        except (OSError, SafetensorError):  # another process's rest, or a damaged disk: it is computed again
            return
        self._place.update({row.tobytes(): (path, i) for i, row in enumerate(table)})

    def _shard(self, path: Path) -> np.ndarray | None:
        if self._open is None or self._open[0] != path:
            from safetensors import SafetensorError, safe_open

            try:
                with safe_open(path, "numpy") as file:
                    self._open = path, file.get_tensor("rows")
            except (OSError, SafetensorError):
                return None
        return self._open[1]
