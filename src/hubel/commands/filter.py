"""Filter images, sound or series by hand-made kernels: smooth, edges, gabor, lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def filter(
    kind: Annotated[str, typer.Argument(help="smooth, uniform, difference, edges, sobel, scharr, prewitt, laplacian, log, "
                                             "gabor, line, hierarchy, pyramid or weights.")],
    files: Annotated[list[Path], typer.Argument(help="Images, WAV or other sound, series (.csv, .txt, .npy), folders.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("filtered"),
    show: Annotated[bool, typer.Option("--show", help="Also write contact_sheet.png: inputs, kernel, answers.")] = False,
    sigma: Annotated[float | None, typer.Option(help="Of Gaussians, in pixels or samples.",
                                                show_default="for smooth: by the noise there is")] = None,
    angle: Annotated[float | None, typer.Option(help="Of edges and lines, in degrees; 90 is vertical.",
                                                show_default="whichever answers most")] = None,
    size: Annotated[int | None, typer.Option(help="Of the uniform average.", min=1, show_default="5")] = None,
    wavelength: Annotated[float, typer.Option(help="Of Gabor filters, in pixels.")] = 6.0,
    length: Annotated[int, typer.Option(help="Of lines, in pixels.", min=1)] = 25,
    weights: Annotated[str | None, typer.Option(help="For kind weights: a kernel's rows, '0 1 2; 2 2 0; 0 1 2'.")] = None,
    border: Annotated[str, typer.Option(help="Beyond the edge: zeros, nearest, symmetric, mirror or wrap.")] = "mirror",
    stride: Annotated[int, typer.Option(help="Answer for every so many pixels or samples only.", min=1)] = 1,
    numbers: Annotated[bool, typer.Option("--numbers", help="Also write the answers as float32 .npy files.")] = False,
) -> int:
    """Filter images, sound or series by hand-made kernels: smooth, edges, gabor, lines.

    Strengths are written from black (0) to white, signed answers with 0 in middle grey; --numbers keeps them exactly.
    Sounds become 16-bit WAV, series .csv. A file that cannot be read is named on stderr, and the exit code is 2.

    Examples:

    - hubel filter edges photo.jpg --angle 45 -o edges/ --show

    - hubel filter smooth noisy.png recording.wav

    - hubel filter weights photo.jpg --weights "0 1 2; 2 2 0; 0 1 2"
    """
    import numpy as np

    from hubel.commands import _files
    from hubel.data.sound import write_sound
    from hubel.errors import InputError
    from hubel.features.filters import KINDS, Filtered, apply_filter
    from hubel.features.sheet import contact_sheet

    if kind not in KINDS:
        apply_filter(kind, np.zeros(1))  # raises, with a suggestion
    taps = None
    if weights is not None:
        try:
            rows = [[float(v) for v in row.replace(",", " ").split()] for row in weights.strip().strip(";").split(";")]
            taps = np.array(rows[0] if len(rows) == 1 else rows)
        except ValueError as error:
            raise InputError(f"--weights {weights!r}: write rows of equal length, such as '0 1 2; 2 2 0; 0 1 2'") from error
    paths = _files.expand(files, sound=True)
    targets = dict(zip(paths, _files.places(paths, out, f".{kind}"), strict=True))

    def work(path: Path) -> tuple[np.ndarray, Filtered, Path]:
        x, rate = _files.read(path)
        own = taps[None] if taps is not None and taps.ndim == 1 and x.ndim > 1 else taps
        result = apply_filter(kind, x, sigma=sigma, angle=angle, size=size, wavelength=wavelength, length=length,
                              weights=own, border=border, stride=stride)
        name = targets[path].name
        if x.ndim > 1:
            target = out / f"{name}.png"
            _files.write_image(target, result.picture())
        elif rate is not None:
            target = out / f"{name}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_sound(target, result.values, max(1, rate // stride))
        else:
            target = out / f"{name}.csv"
            _files.write_text(target, "".join(f"{v:.9g}\n" for v in result.values))
        if numbers:
            _files.write(out / f"{name}.npy", lambda p: _save(p, result.values))
        return x, result, target

    done: list[tuple[str, np.ndarray, Filtered]] = []
    for path, (x, result, target) in _files.each(paths, work):
        print(f"{path}: {result.note + ', ' if result.note else ''}{target}")
        if show and len(done) < 24:  # as many as a sheet can show
            done.append((path.name, x, result))
    if show and done:
        _files.write_figure(out / "contact_sheet.png", contact_sheet(done))
        print(out / "contact_sheet.png")
    return _files.failures.code


def _save(path: Path, values: object) -> None:
    import numpy as np

    with open(path, "wb") as file:
        np.save(file, values)  # type: ignore[arg-type]
