"""Sound files to float samples: plain WAV by SciPy, everything else (FLAC, OGG, MP3) by soundfile where it is installed."""

from __future__ import annotations

import io
import os
import warnings
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io.wavfile

from hubel.data.decode import _read_bytes
from hubel.errors import DataError, InputError
from hubel.replacing import replacing

SOUND_EXTENSIONS = frozenset((".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"))


def read_sound(path: str | os.PathLike[str], rate: int | None = None, mono: bool = True) -> tuple[np.ndarray, int]:
    """Read a sound file; return its samples, float32 in -1..1, and the number of samples a second.

    Parameters
    ----------
    rate : samples a second to bring it to (band-limited, see `resample`); None keeps the file's.
    mono : the mean of the channels (T,); otherwise (T, C).

    WAV holds integers of 8 to 32 bits or floats; other formats need soundfile, `pip install hubel[sound]`.

    Raises DataError (one line that names the file) if it is missing, empty, no sound, truncated, or holds NaN.
    """
    return decode_sound(_read_bytes(path), rate, mono, str(path))


def decode_sound(data: bytes, rate: int | None = None, mono: bool = True, name: str = "the recording") -> tuple[np.ndarray, int]:
    """As `read_sound`, from the bytes of a file; `name` is what errors call it."""
    if not data:
        raise DataError(f"{name} is empty (0 bytes)")
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE":
        samples, have = _wav(data, name)
    else:
        samples, have = _by_soundfile(data, name)
    if not len(samples):
        raise DataError(f"{name} holds no samples")
    if not np.isfinite(samples).all():
        raise DataError(f"{name} holds NaN or infinite samples")
    if mono:
        samples = samples.mean(1) if samples.shape[1] > 1 else samples[:, 0]
    if rate is not None:
        samples, have = resample(samples, have, rate), rate
    return np.ascontiguousarray(samples, dtype=np.float32), have


def write_sound(path: str | os.PathLike[str], samples: np.ndarray, rate: int) -> None:
    """Write samples (T,) or (T, C) in -1..1 as a 16-bit WAV, under a temporary name first; louder ones are clipped."""
    values = np.round(np.clip(np.asarray(samples, dtype=np.float64), -1, 1) * 32767).astype(np.int16)
    with replacing(path) as partial:
        scipy.io.wavfile.write(partial, rate, values)


def resample(samples: np.ndarray, have: int, want: int) -> np.ndarray:
    """Return samples (T, ...) at another rate: low-passed and interpolated (SciPy's polyphase filter)."""
    if not isinstance(want, (int, np.integer)) or want < 1:
        raise InputError(f"rate={want!r} must be a whole number of samples a second")
    if have == want:
        return samples
    from scipy.signal import resample_poly

    shared = gcd(int(have), int(want))
    return np.asarray(resample_poly(samples, want // shared, have // shared, axis=0), dtype=np.float32)


def is_sound_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file is meant to be a sound, by its name; hidden files are not."""
    name = Path(path).name
    return not name.startswith(".") and Path(name).suffix.lower() in SOUND_EXTENSIONS


def _wav(data: bytes, path: Any) -> tuple[np.ndarray, int]:
    """Return samples (T, C) float32 and the rate of a WAV file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", scipy.io.wavfile.WavFileWarning)  # of chunks that hold no samples
            warnings.filterwarnings("error", message="Reached EOF prematurely")
            rate, values = scipy.io.wavfile.read(io.BytesIO(data))
    except Exception as error:  # damaged headers raise nearly anything; compressed WAVs are for soundfile
        if "Unknown wave file format" in str(error):
            return _by_soundfile(data, path)
        what = "it ends before its last sample" if "EOF" in str(error) or "buffer" in str(error) else str(error)
        raise DataError(f"{path} cannot be read: {what or type(error).__name__}") from error
    if rate < 1:
        raise DataError(f"{path} cannot be read: it says {rate} samples a second")
    values = values[:, None] if values.ndim == 1 else values
    if values.dtype.kind == "f":
        return values.astype(np.float32), int(rate)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / 128, int(rate)
    return (values / -float(np.iinfo(values.dtype).min)).astype(np.float32), int(rate)


def _by_soundfile(data: bytes, path: Any) -> tuple[np.ndarray, int]:
    try:
        import soundfile
    except ImportError:
        if is_sound_name(path) and Path(path).suffix.lower() not in (".wav", ".wave"):
            raise DataError(f"{path} needs soundfile to be read: pip install 'hubel[sound]', or give WAV") from None
        raise DataError(f"{path} cannot be read: it is no WAV file") from None
    try:
        values, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except Exception as error:
        raise DataError(f"{path} cannot be read: it is no sound file, or damaged") from error
    return values, int(rate)
