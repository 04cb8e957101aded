"""The folder of a study: facts of finished stages, pictures, one writer at a time. Depends on the standard library, Pillow.

    DIR/report.html, report.json, model.hubel   what the user came for
    DIR/facts/STAGE.json                        what a finished stage found, with the key of what it was found from
    DIR/pictures/STAGE-*.webp|png               the pictures that its facts name

A stage's facts are written last, in one rename, after its pictures: a stage is done or it is not, whatever happens.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from hubel.errors import InputError

FORMAT = 1


class Folder:
    """The folder `path`, made if need be. Raises InputError where it cannot be written to."""

    def __init__(self, path: str | os.PathLike[str], make: bool = True) -> None:
        self.path = Path(path)
        self._lock: int | None = None
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file: name a folder for the study")
        if make:
            try:
                for folder in (self.path, self.path / "facts", self.path / "pictures"):
                    folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{self.path} cannot be made: {error.strerror or error}") from error

    def lock(self) -> None:
        """Be the only writer until the process ends. Raises InputError if another process is."""
        try:
            import fcntl
        except ImportError:  # Windows: no advisory locks of this kind; two studies in one folder are the user's risk
            return
        try:
            self._lock = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another run writes to {self.path}: wait for it or give another --out") from error
        except OSError as error:
            raise InputError(f"{self.path} cannot be written to: {error.strerror or error}") from error

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def facts(self, stage: str, key: str) -> dict[str, Any] | None:
        """What `stage` found, if it is there and was found from the same things."""
        try:
            kept = json.loads((self.path / "facts" / f"{stage}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        same = isinstance(kept, dict) and kept.get("format") == FORMAT and kept.get("key") == key
        return kept["facts"] if same else None

    def keep(self, stage: str, key: str, facts: dict[str, Any]) -> None:
        self.write(f"facts/{stage}.json", _json({"format": FORMAT, "key": key, "facts": facts}))

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the folder under a temporary name, and rename it."""
        path = self.path / name
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            new.write_bytes(content.encode() if isinstance(content, str) else content)
            os.replace(new, path)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
        finally:
            new.unlink(missing_ok=True)
        return path

    def picture(self, name: str, pixels: np.ndarray, side: int | None = None) -> str:
        """Keep uint8 pixels (H, W, C) as a picture; return its name for the facts. `side` is the most of a side in pixels.

        Small ones are kept as they are (PNG, exact), larger ones as WebP.
        """
        import io

        from PIL import Image

        array = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
        image = Image.fromarray(np.ascontiguousarray(array))
        if side is not None and max(image.size) > side:
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
        exact = max(image.size) <= 64
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True) if exact else image.save(buffer, "WEBP", quality=82, method=4)
        name = f"pictures/{name}{'.png' if exact else '.webp'}"
        self.write(name, buffer.getvalue())
        return name


def key(*parts: Any) -> str:
    """A short hash of JSON-able values: what a stage was done with."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=plain)


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=plain) + "\n"


def plain(value: Any) -> Any:
    """NumPy's numbers and arrays as JSON has them."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a report")
