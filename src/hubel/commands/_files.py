"""What filter, match and features share: files given as arguments, read by what they are; places to write to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hubel.replacing import replacing

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

T = TypeVar("T")
SERIES = (".csv", ".txt", ".npy")


def expand(files: Iterable[Path], sound: bool = False) -> list[Path]:
    """Return the files, and in place of each folder the images (and sounds) below it, sorted. Raises DataError."""
    from hubel.data.decode import is_image_name
    from hubel.data.sound import is_sound_name
    from hubel.errors import DataError

    found: list[Path] = []
    for path in files:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.rglob("*") if p.is_file() and (is_image_name(p) or (sound and is_sound_name(p))))
        if not inside:
            raise DataError(f"{path} holds no images{' or sounds' if sound else ''}")
        found += inside
    return found


def read(path: Path) -> tuple[np.ndarray, int | None]:
    """Return an image uint8 (H, W, C), or a sound or series float32 (T,), with the sound's rate. Raises DataError."""
    from hubel.data import read_image
    from hubel.data.sound import is_sound_name, read_sound

    if is_sound_name(path):
        return read_sound(path)
    if path.suffix.lower() in SERIES:
        return _series(path), None
    return read_image(path), None


def _series(path: Path) -> np.ndarray:
    import numpy as np

    from hubel.errors import DataError

    try:
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",", ndmin=1)
        values = np.asarray(values, dtype=np.float32).squeeze()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except Exception as error:  # parsers raise nearly anything
        raise DataError(f"{path} cannot be read as numbers: {error}") from error
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise DataError(f"{path} holds an array of shape {values.shape}: a series is one column of finite numbers")
    return values


def each(paths: Sequence[Path], work: Callable[[Path], T]) -> Iterator[tuple[Path, T]]:
    """Yield (path, work(path)); a file that cannot be used is named on stderr and left out (see `Failures`)."""
    from hubel.errors import HubelError

    failures.count = 0
    for path in paths:
        try:
            result = work(path)
        except HubelError as error:
            failures.count += 1
            text = str(error)
            print(f"hubel: {text if str(path) in text else f'{path}: {text}'}", file=sys.stderr)
            continue
        yield path, result


class Failures:
    """How many files the last `each` left out; the command's exit code."""

    count = 0

    @property
    def code(self) -> int:
        return 2 if self.count else 0


failures = Failures()


def places(paths: Sequence[Path], folder: Path, ending: str) -> list[Path]:
    """Return where to write for each path: folder/STEM + ending; files of one stem are told apart by their folders."""
    stems = [p.stem for p in paths]
    names = [stem if stems.count(stem) == 1 else "-".join((*p.parent.parts[-1:], p.name.replace(".", "-")))
             for p, stem in zip(paths, stems, strict=True)]
    taken: dict[str, int] = {}
    out = []
    for name in names:
        taken[name] = taken.get(name, 0) + 1
        out.append(folder / f"{name}{f'-{taken[name]}' if taken[name] > 1 else ''}{ending}")
    return out


def write(path: Path, save: Callable[[Path], Any]) -> None:
    """Call save(temporary path), then rename: nobody ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        save(partial)


def write_image(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    write(path, lambda p: Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(p))


def write_figure(path: Path, figure: Figure, dpi: int = 150) -> None:
    write(path, lambda p: figure.savefig(p, dpi=dpi, facecolor="white"))


def write_text(path: Path, text: str) -> None:
    write(path, lambda p: p.write_text(text, encoding="utf-8"))


def numbers(text: str, name: str) -> list[float]:
    """Return '0.5,1,2' or '-30:30:15' (from, to, step) as numbers. Raises InputError."""
    import numpy as np

    from hubel.errors import InputError

    try:
        if ":" in text:
            first, last, step = (float(v) for v in text.split(":"))
            values = [round(float(v), 9) for v in np.arange(first, last + step / 1000, step)]
        else:
            values = [float(v) for v in text.split(",")]
    except (ValueError, ZeroDivisionError):
        values = []
    if not values or len(values) > 1000:
        raise InputError(f"--{name} {text!r}: write numbers such as 0.5,1,2 or from:to:step such as -30:30:15")
    return values
