"""The view that the studio opens with, computed by a process of its own while this one imports Gradio. Depends on filtering,
pictures, caching.

It needs torch, which takes longer to import than Gradio: it is kept for the next start, until a file of Hubel's changes. What is
there before the page is asked for comes with the page, later than that it comes when the page asks. Where it fails, the page's
first view is computed as any other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, Self

from hubel.caching import cache_folder
from hubel.replacing import replacing


class Ahead:
    """Starts it, or takes what it made; `result()` waits for it. As a context, ends it when it is left."""

    def __init__(self) -> None:
        self._file = cache_folder() / f"first-view-{_state()}.json"
        self._values: dict[str, Any] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        try:
            self._values = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            self._process = subprocess.Popen([sys.executable, "-P", "-m", "hubel.studio.ahead"], stdin=subprocess.DEVNULL,
                                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
            self._reader.start()

    def _read(self, output: IO[str]) -> None:
        with contextlib.suppress(ValueError, OSError):  # it failed, or was ended; or cannot be kept
            text = output.read()
            self._values = json.loads(text)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            for old in self._file.parent.glob("first-view-*.json"):
                old.unlink()
            with replacing(self._file) as partial:
                partial.write_text(text, "utf-8")

    def result(self, seconds: float = 0.0) -> dict[str, Any] | None:
        """Return the values of the components by name; None where they are not there after `seconds`, or never will be."""
        if self._reader is not None:
            self._reader.join(seconds)
        return self._values

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._reader is not None:
            self._process.kill()  # does nothing to a process that has ended
            self._process.wait()
            self._reader.join()


def _state() -> str:
    """A name for Hubel's code as it is: the times and sizes of its files."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        about = path.stat()
        digest.update(f"{path} {about.st_mtime_ns} {about.st_size}\n".encode())
    return digest.hexdigest()


def first_view() -> dict[str, Any]:
    """Return what the Filter tab shows of the first picture, as JSON-able values by name."""
    from hubel.studio.filtering import Filter, explain, look_through
    from hubel.studio.links import again_value
    from hubel.studio.pictures import Pictures

    pictures, s = Pictures(), Filter()
    picture = pictures[pictures.first]
    done = look_through(picture, s)
    text, how = explain(picture, done.found, s, *done.lens["at"])
    return {"lens": {**done.lens, "ahead": True}, "grid": {"rows": done.rows}, "sums": text, "again": {**again_value(s, how), "ahead": True}}


if __name__ == "__main__":
    print(json.dumps(first_view()))
