"""The diary of an evaluation: one line for every attack on every image that has ended, so that it can go on after a kill.

Lines are appended and flushed; a last line that was cut short is dropped. Depends on loop (for hits) and nothing else.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from hubel.attack.tasks import Hit, Task
from hubel.errors import InputError

FORMAT = "hubel robust evaluation 1"


@dataclass(frozen=True)
class Event:
    """An attack (by its number in the protocol) on an image within the size of that number has ended."""

    index: int
    size: int
    stage: int
    hit: Hit | None


class Journal:
    """A file of events, or with `path` None nothing. `about` names the evaluation: another's file raises InputError."""

    def __init__(self, path: str | Path | None, about: dict[str, Any], shape: tuple[int, ...]) -> None:
        self.path, self.about, self.shape = None if path is None else Path(path), about, shape
        self.events: list[Event] = []
        self.spent: list[dict[str, Any]] = []
        self._file: TextIO | None = None

    def __enter__(self) -> Journal:
        if self.path is None:
            return self
        whole = 0
        if self.path.exists():
            for line, end in _lines(self.path):
                entry = json.loads(line)
                if whole == 0:
                    self._check(entry)
                elif "spent" in entry:
                    self.spent.append(entry["spent"])
                else:
                    self.events.append(self._read(entry))
                whole = end
        self._file = self.path.open("r+" if whole else "w")
        self._file.seek(whole)
        self._file.truncate()
        if whole == 0:
            self._write({"format": FORMAT, "about": self.about})
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, event: Event) -> None:
        if self._file is None:
            return
        entry: dict[str, Any] = {"i": event.index, "e": event.size, "s": event.stage}
        if event.hit is not None:
            h = event.hit
            point = base64.b64encode(zlib.compress(h.point.numpy().astype("<f4").tobytes(), 1)).decode()
            entry["hit"] = {"eps": h.task.eps, "run": h.task.run, "toward": h.task.toward, "distance": h.distance,
                            "predicted": h.predicted, "confidence": h.confidence, "step": h.step, "point": point}
        self._write(entry)

    def add_spent(self, spent: dict[str, Any]) -> None:
        """Note what a pass through a stage has cost."""
        self.spent.append(spent)
        if self._file is not None:
            self._write({"spent": spent})

    def _write(self, entry: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def _check(self, entry: dict[str, Any]) -> None:
        about = entry.get("about")
        if entry.get("format") != FORMAT or not isinstance(about, dict):
            raise InputError(f"{self.path} is not the journal of an evaluation: give another name")
        for name, value in self.about.items():
            if about.get(name) != value:
                raise InputError(f"{self.path} is of another evaluation: its {name} is {about.get(name)!r}, not {value!r}; "
                                 "delete it or give another name")

    def _read(self, entry: dict[str, Any]) -> Event:
        h = entry.get("hit")
        if h is None:
            return Event(entry["i"], entry["e"], entry["s"], None)
        values = np.frombuffer(zlib.decompress(base64.b64decode(h["point"])), "<f4").astype(np.float32)
        task = Task(entry["i"], h["eps"], h["run"], h["toward"])
        hit = Hit(task, torch.from_numpy(values.reshape(self.shape)), h["distance"], h["predicted"], h["confidence"], h["step"])
        return Event(entry["i"], entry["e"], entry["s"], hit)


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Whole lines and where each ends."""
    end = 0
    with path.open("rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            end += len(raw)
            try:
                line = raw.decode()
                json.loads(line)
            except ValueError as error:
                raise InputError(f"{path} is damaged at byte {end - len(raw)}: delete it, or give another name") from error
            yield line, end
