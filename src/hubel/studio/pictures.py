"""The pictures on the table: the built-in ones, and those that were dropped, by the hash of their content. Depends on limits, data.

Dropped pictures live in memory, the latest ones only; a link that names one works for as long as it is there.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hubel.dataurl import data_url
from hubel.errors import InputError
from hubel.studio import limits

KEPT = 256 * 2**20  # bytes of dropped pictures
SHOWN = 640  # pixels of the longer side of what is sent to the page
THUMB = 72


@dataclass(frozen=True, eq=False)
class Picture:
    """`key` names it in links; `file` is what commands call it, `code` the Python that reads it; pixels are uint8 (H, W, 1 or 3)."""

    key: str
    name: str
    file: str
    pixels: np.ndarray
    read: str = ""

    @property
    def code(self) -> str:
        return self.read or f"read_image({self.file!r})"

    @property
    def on_disk(self) -> bool:
        """Whether `file` is a file that commands can be given: not what was drawn here, or cut out of a data set."""
        return not self.read and self.name != "drawing.png"


class Pictures:
    """All pictures of one studio. Threads may share it."""

    def __init__(self) -> None:
        from hubel.data.samples import sample_paths

        self.built_in: dict[str, Path] = sample_paths()
        self._dropped: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: str) -> Picture:
        """Raises InputError for a picture that is not, or no longer, there."""
        if key in self.built_in:
            return Picture(key, key, str(self.built_in[key]), _read(self.built_in[key]))
        with self._lock:
            if key not in self._dropped:
                raise InputError("the picture of this link is not here any more: drop it again, or choose another")
            self._dropped.move_to_end(key)
            return self._dropped[key]

    def __contains__(self, key: str) -> bool:
        return key in self.built_in or key in self._dropped

    @property
    def first(self) -> str:
        return next(iter(self.built_in))

    def drop(self, url: Any, name: Any) -> Picture:
        """Take a picture in that came as a data URL. Raises DataError."""
        data, called = limits.file_of(url, name)
        pixels = limits.picture(data, called)
        key = "own-" + hashlib.blake2b(pixels.tobytes() + str(pixels.shape).encode(), digest_size=6).hexdigest()
        picture = Picture(key, called, called, pixels)
        with self._lock:
            self._dropped[key] = picture
            self._dropped.move_to_end(key)
            while len(self._dropped) > 1 and sum(p.pixels.nbytes for p in self._dropped.values()) > KEPT:
                self._dropped.popitem(last=False)
        return picture


@lru_cache(maxsize=32)
def _read(path: Path) -> np.ndarray:
    from hubel.data.decode import read_image

    pixels = read_image(path)
    pixels.flags.writeable = False
    return pixels


def shown(pixels: np.ndarray, most: int = SHOWN) -> np.ndarray:
    """Return uint8 pixels (H, W, 1 or 3), no larger than `most` on the longer side."""
    import cv2

    height, width = pixels.shape[:2]
    scale = most / max(height, width)
    if scale >= 1:
        return pixels
    small = cv2.resize(pixels, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
    return small if small.ndim == 3 else small[..., None]


def as_png(pixels: np.ndarray) -> bytes:
    """Return the bytes of a PNG of uint8 pixels (H, W, 1 or 3)."""
    import cv2

    order = pixels[..., ::-1] if pixels.shape[-1] == 3 else pixels
    return cv2.imencode(".png", np.ascontiguousarray(order), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def uri(pixels: np.ndarray, most: int = SHOWN) -> str:
    """Return a data URL of the picture, made small enough to be shown."""
    return data_url(as_png(shown(pixels, most)), "image/png")


def thumb(pixels: np.ndarray) -> str:
    """Return a data URL of the middle square as a small JPEG."""
    import cv2

    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(np.ascontiguousarray(pixels[top : top + side, left : left + side]), (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    order = square[..., ::-1] if square.ndim == 3 and square.shape[-1] == 3 else square
    return data_url(cv2.imencode(".jpg", order, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes(), "image/jpeg")
