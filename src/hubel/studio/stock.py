"""What one studio has at hand: models, data, pictures, sessions. Depends on pictures, sessions; on model and data when they are used.

Models and data are those named on the command line, the built-in ones, and what is trained here. The page chooses among them
by name: a name that is not in the stock is refused, whatever file it might be.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hubel.errors import InputError
from hubel.studio.pictures import Picture, Pictures
from hubel.studio.sessions import Session, Sessions
from hubel.studio.sounds import Sounds

BUILT_IN = "efficientnet_lite0"
CHOSEN = 240  # images of a data set that a view looks at, at most


class Stock:
    """model, data : as given on the command line; `work`: the folder that what is trained here is written to."""

    def __init__(self, model: str | None = None, data: Sequence[str] = (), work: Path | None = None) -> None:
        self.pictures = Pictures()
        self.sounds = Sounds()
        self.sessions = Sessions()
        self.work = Path("hubel-studio") if work is None else work
        self.models: dict[str, str] = {Path(place).name: place for place in ([model] if model else []) + [BUILT_IN]}
        self.models |= {path.name: str(path) for path in sorted(self.work.glob("*.hubel")) if path.name not in self.models}
        self.data: dict[str, str] = {name: place for given in data for name, place in _sources(given).items()}
        self.data |= {name: name for name in ("digits", "samples") if name not in self.data}
        self.first_model = next(iter(self.models))
        self._loaded: dict[str, Any] = {}
        self._made: dict[str, Any] = {}
        self._lock = threading.RLock()

    def shared(self, name: str) -> Any:
        """Return the model of that name, opened once; raises InputError for a name that is not in the stock."""
        from hubel.study.opening import open_model

        if name not in self.models:
            raise InputError(f"there is no model {name!r} here: choose {', '.join(self.models)}")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = open_model(self.models[name])
            return self._loaded[name]

    def model(self, session: Session, name: str) -> Any:
        """Return the session's own copy of a model."""
        return session.own(name, self.shared(name))

    def picture(self, key: str) -> Picture:
        """Return a built-in or dropped picture, or a test image of a data set ('digits:17')."""
        name, _, number = key.rpartition(":")
        if name not in self.data:
            return self.pictures[key or self.pictures.first]
        test = self.source(name).test
        if not number.isdigit() or int(number) >= len(test):
            raise InputError(f"{name} has no test image {number}: there are 0 to {len(test) - 1}")
        pixels, label = test[int(number)]
        return Picture(key, f"{name} {number} ({test.classes[label]})", f"{name}-{number}.png", pixels,
                       f"hubel.load({self.data[name]!r}).test[{number}][0]")

    def examples(self, model: Any, most: int = 12) -> list[str]:
        """Return keys of pictures that suit a model: test images of what it was trained on where that is here, else the built-in."""
        name = str(getattr(model, "notes", {}).get("trained on", ""))
        if name not in self.data:
            return list(self.pictures.built_in)[:most]
        labels = self.source(name).test.labels
        firsts = [int((labels == k).argmax()) for k in dict.fromkeys(labels.tolist())]
        return [f"{name}:{i}" for i in sorted(firsts)[:most]]

    def made(self, key: str, value: Any = None) -> Any:
        """Return what was made here under that key, or None; with a value keep it, the latest 16 of them."""
        with self._lock:
            if value is not None:
                self._made[key] = value
                while len(self._made) > 16:
                    self._made.pop(next(iter(self._made)))
            return self._made.get(key)

    def add_model(self, path: Path) -> str:
        """Take in a model that was trained here; return its name."""
        with self._lock:
            self.models[path.name] = str(path)
            self._loaded.pop(path.name, None)
        return path.name

    def source(self, name: str, seed: int = 0) -> Any:
        """Return the data set of that name (`hubel.data.load`), loaded once; raises InputError for other names."""
        from hubel import data

        if name not in self.data:
            raise InputError(f"there is no data set {name!r} here: choose {', '.join(self.data)}")
        key = f"data {name} {seed}"
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = data.load(self.data[name], seed=seed)
            return self._loaded[key]


def _sources(given: str) -> dict[str, str]:
    """Names and places of what a folder on the command line offers: itself, and the folders in it that hold data."""
    path = Path(given).expanduser()
    if not path.is_dir():
        return {path.stem if path.suffix else given: given}
    found = {path.resolve().name: str(path)}
    inside = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    images = any(p.is_file() for p in inside[0].iterdir()) if inside else False
    if not images or any(any(q.is_dir() for q in p.iterdir()) for p in inside):  # a folder of data sets
        found |= {p.name: str(p) for p in inside}
    found |= {p.stem: str(p) for p in sorted(path.glob("*.npz"))}
    return found
