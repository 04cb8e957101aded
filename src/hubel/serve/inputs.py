"""From a file's bytes to what a model takes, and a sentence for what cannot be. Depends on data.

What a file says of its own size is read and checked before anything is decoded, so that a bomb costs nothing.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image
from torch import Tensor

from hubel.data.decode import FORMATS, decode_image
from hubel.data.sound import decode_sound
from hubel.errors import DataError, InputError
from hubel.serve.limits import Limits
from hubel.serve.refusal import Refusal

NPY = b"\x93NUMPY"
MAGIC = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
WHOLE_PIXELS = 4_000_000  # the most that goes through a network which takes images of any size
SOUND_SECONDS = 600


class Reader:
    """Reads files for one model within the limits."""

    def __init__(self, model: Any, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.pixels = limits.pixels if model.size is not None else min(limits.pixels, WHOLE_PIXELS)

    def count(self, data: bytes) -> int:
        """How many inputs a file holds: 1, or an array's first axis. Raises Refusal for a broken array."""
        if not data.startswith(NPY):
            return 1
        array = array_of(data)
        return len(array) if self._is_batch(array) else 1

    def read(self, data: bytes, name: str) -> np.ndarray | Tensor:
        """Return a batch: uint8 (1, H, W, C) of an image file, what `Model.prepare` gives for all else. Raises Refusal."""
        try:
            if data.startswith(NPY):
                return self._array(data, name)
            if self.model.kind == "image":
                return self._image(data, name)
            if self.model.kind == "sound":
                return self._sound(data, name)
        except DataError as error:
            raise Refusal(422, str(error)) from error
        except InputError as error:
            raise Refusal(422, f"{name}: {error}") from error
        raise Refusal(415, f"{name}: this model takes {self.model.kind}: send an array (application/x-npy, as numpy.save writes)")

    def _image(self, data: bytes, name: str) -> np.ndarray:
        height, width = size_of(data, name)
        if height * width > self.pixels:
            raise Refusal(413, f"{name} has {width} x {height} pixels: at most {self.pixels / 1e6:g} million are taken")
        return decode_image(data, self.model.size, self.model.channels, name=name)[None]

    def _sound(self, data: bytes, name: str) -> Tensor:
        if not data.startswith((b"RIFF", b"RIFX", b"RF64")):
            self._check_length(data, name)
        return self.model.prepare(decode_sound(data, self.model.preprocess.rate, name=name)[0])

    def _check_length(self, data: bytes, name: str) -> None:
        try:
            import soundfile
        except ImportError:
            raise Refusal(415, f"{name} is no WAV file: for FLAC, OGG and MP3 this server needs the extra hubel[sound]") from None
        try:
            about = soundfile.info(io.BytesIO(data))
        except Exception:
            raise Refusal(415, f"{name} is no sound file of a known format") from None
        if about.frames > SOUND_SECONDS * about.samplerate or about.channels > 16:
            raise Refusal(413, f"{name} lasts {about.duration:.0f} s in {about.channels} channels: at most {SOUND_SECONDS} s and 16 "
                               "are taken")

    def _array(self, data: bytes, name: str) -> Tensor:
        array = array_of(data)
        if self.model.kind == "image" and array.ndim >= 2:
            height, width = array.shape[1:3] if self._is_batch(array) else array.shape[:2]
            if height * width > self.pixels:
                raise Refusal(413, f"{name} has {width} x {height} pixels: at most {self.pixels / 1e6:g} million are taken")
        if not len(array):
            raise Refusal(400, f"{name} is an empty array")
        return self.model.prepare(array)

    def _is_batch(self, array: np.ndarray) -> bool:
        return bool(self.model.preprocess.is_batch(array))


def size_of(data: bytes, name: str) -> tuple[int, int]:
    """Return (height, width) as an image file's header has them. Raises Refusal: 415 for no image, 422 for a damaged one."""
    if data[:2] == b"\xff\xd8":
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
            return height, width
        except ValueError:
            pass  # Pillow may still make sense of it
    known = data.startswith(MAGIC) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
    if not known:
        raise Refusal(415, f"{name} is no image of a known format: send JPEG, PNG, WebP, GIF, BMP, TIFF or PPM")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.height, image.width
    except Image.DecompressionBombError as error:
        raise Refusal(413, f"{name} has more pixels than any image that is taken") from error
    except Exception as error:  # headers that are damaged raise nearly anything
        raise Refusal(422, f"{name} is damaged at its start, or ends there") from error


def array_of(data: bytes) -> np.ndarray:
    """Return the array in the bytes of an .npy file, without a copy. Raises Refusal for objects and for a wrong length."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file, max_header_size=10_000)
    except Exception as error:
        raise Refusal(400, f"the array's header cannot be read: {error}") from error
    if dtype.hasobject or dtype.kind not in "uifb":
        raise Refusal(415, f"an array of {dtype} is not taken: send numbers, for images uint8 0..255 or float 0..1")
    wanted = int(np.prod([int(s) for s in shape], dtype=object)) * dtype.itemsize
    if wanted != len(data) - file.tell():
        raise Refusal(422, f"the array's header promises {wanted} bytes and {len(data) - file.tell()} follow")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    return flat.reshape(shape[::-1]).transpose() if fortran else flat.reshape(shape)
