"""Image files to uint8 pixels: every format people have, upright, in 8 bits, and damage is noticed.

JPEG goes through simplejpeg (libjpeg-turbo): it is faster than OpenCV and Pillow, decodes at a fraction of the size
when less is wanted, and, unlike both, reports data that is damaged inside a complete file. All else goes through
Pillow, limited to the formats below (some of Pillow's others start programs).
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from hubel.data.parallel import ordered_map
from hubel.data.resize import Fit, check_channels, check_fit, fit_image, parse_size
from hubel.errors import DataError

EXTENSIONS = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
                        ".ppm", ".pgm", ".pbm", ".pnm"))
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM")
MAX_PIXELS = 178_956_970  # where Pillow, too, refuses: 0.5 GB of RGB
MAX_BYTES = 2**30
_ORIENTATION = 0x0112
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


def read_image(path: str | os.PathLike[str], size: int | tuple[int, int] | None = None, channels: int | None = None,
               fit: Fit = "squash") -> np.ndarray:
    """Read an image file as uint8 (H, W, C).

    Parameters
    ----------
    size : (H, W) or one number for both; None keeps the file's size. Shrinking is antialiased (see `resize`); a JPEG
        much larger than `size` is decoded at a fraction of its size, which may change values by a few levels.
    channels : 1, 3, or None for what the file has (1 for grey, else 3).
    fit : 'squash' scales both axes to `size`, 'crop' keeps the aspect ratio and the middle part.

    The EXIF orientation is applied. 16-bit grey is scaled by 255/65535, float (TIFF) by 255 from 0..1; transparency
    is laid over white; palettes and CMYK become RGB; of several frames the first is taken.

    Raises DataError (one line that names the file) if it is missing, empty, no image, truncated, damaged, or larger
    than MAX_PIXELS; InputError for a bad size, channels or fit.
    """
    wanted = None if size is None else parse_size(size)
    check_channels(channels)
    check_fit(fit)
    return decode_image(_read_bytes(path), wanted, channels, fit, name=str(path))


def read_images(paths: Iterable[str | os.PathLike[str]], size: int | tuple[int, int] | None = None,
                channels: int | None = None, fit: Fit = "squash",
                errors: Callable[[str, DataError], Any] | None = None) -> Iterator[np.ndarray]:
    """Yield the images of `paths` in order, decoded by several threads, a bounded number ahead of the reader.

    A file that cannot be read raises its DataError, or is left out after `errors(path, error)` was called.
    """
    def attempt(path: str | os.PathLike[str]) -> np.ndarray | DataError:
        try:
            return read_image(path, size, channels, fit)
        except DataError as error:
            return error

    for path, result in ordered_map(attempt, paths):
        if not isinstance(result, DataError):
            yield result
        elif errors is None:
            raise result
        else:
            errors(str(path), result)


def decode_image(data: bytes, size: tuple[int, int] | None = None, channels: int | None = None, fit: Fit = "squash",
                 name: str = "the image") -> np.ndarray:
    """As `read_image`, from the bytes of a file; `name` is what errors call it."""
    if not data:
        raise DataError(f"{name} is empty (0 bytes)")
    try:
        image = _read_jpeg(data, size, channels, fit) if data[:2] == b"\xff\xd8" else None
        if image is None:
            image = fit_image(_decode_pillow(data), size, channels, fit)
        return np.ascontiguousarray(image)
    except Exception as error:  # decoders of damaged data raise nearly anything
        raise DataError(f"{name} cannot be read: {_reason(error)}") from error


def probe(path: str | os.PathLike[str], full: bool = True) -> tuple[int, int]:
    """The (H, W) of an upright image file. `full` decodes everything to be sure that it can be read; otherwise
    only the header is looked at. Raises DataError as `read_image` does."""
    if full:
        data = _read_bytes(path)
        if data[:2] == b"\xff\xd8":  # the smallest fraction still decodes every coefficient
            decode_image(data, (1, 1), 1, name=str(path))
        else:
            height, width, _ = decode_image(data, name=str(path)).shape
            return height, width
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            _check_pixels(height, width)
            turned = image.format != "TIFF" and _orientation(image) >= 5  # Pillow has turned TIFFs already
            return (width, height) if turned else (height, width)
    except Exception as error:
        raise DataError(f"{path} cannot be read: {_reason(error)}") from error


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{path} is not a file")
            if status.st_size > MAX_BYTES:
                raise DataError(f"{path} has {status.st_size >> 20} MB: more than {MAX_BYTES >> 20} are refused")
            return file.read()
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder, not an image file") from error
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe in the folder must not hold us up


def _read_jpeg(data: bytes, size: tuple[int, int] | None, channels: int | None, fit: Fit) -> np.ndarray | None:
    """The upright image, fitted; None where Pillow should have a try."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    _check_pixels(height, width)
    if space in ("CMYK", "YCCK"):
        return None
    orientation = _jpeg_orientation(data)
    lying = size[::-1] if size is not None and orientation >= 5 else size
    factor = 1 if lying is None else next((f for f in (8, 4, 2) if height >= f * lying[0] and width >= f * lying[1]), 1)
    if space == "Gray" or channels == 1:
        space = "GRAY"  # of colour only the luma is decoded
    else:
        space = "RGB"
    image = _decode_strictly(data, space, (height // factor, width // factor) if factor > 1 else (0, 0))
    if image is None:
        return None
    image = fit_image(image, lying, channels, fit, extent=(height / factor, width / factor))
    return _UPRIGHT.get(orientation, np.asarray)(image)


def _decode_strictly(data: bytes, space: str, least: tuple[int, int]) -> np.ndarray | None:
    try:
        return simplejpeg.decode_jpeg(data, space, min_height=least[0], min_width=least[1])
    except ValueError as error:
        if str(error).startswith(("Corrupt", "Premature")):
            raise
    try:  # the file breaks a rule of the standard, but its pixels are whole
        return simplejpeg.decode_jpeg(data, space, min_height=least[0], min_width=least[1], strict=False)
    except ValueError:
        return None


def _jpeg_orientation(data: bytes) -> int:
    head = data[:2**17]
    if b"Exif\0\0" not in head and b"tiff:Orientation" not in head:
        return 1
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return _orientation(image)
    except Exception:
        return 1  # metadata that nobody can read turns nothing


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def _decode_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_pixels(image.height, image.width)
        image.load()
        orientation = _orientation(image)  # after loading: Pillow turns TIFFs itself and then says so
        return _UPRIGHT.get(orientation, np.asarray)(_eight_bits(image))


def _eight_bits(image: Image.Image) -> np.ndarray:
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode.startswith("I"):
        return _from_wide(np.asarray(image).astype(np.int64), 65535)
    if image.mode == "F":
        return _from_wide(np.asarray(image), 1)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _from_wide(pixels: np.ndarray, top: int) -> np.ndarray:
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= top):
        raise ValueError(f"its values span {low:.4g}..{high:.4g}, not 0..{top}")
    return np.round(pixels * (255 / top)).astype(np.uint8)[..., None]


def _check_pixels(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million are refused")


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is not an image, or damaged at its start"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS // 10**6} million pixels are refused"
    return str(error) or type(error).__name__


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file is meant to be an image, by its name; hidden files are not."""
    name = Path(path).name
    return not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS
