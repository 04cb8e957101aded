"""Compress photographs to .hbl files by a learned codec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compress(
    files: Annotated[list[Path], typer.Argument(help="Images, folders.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A .hbl file for one image, else a folder.",
                                             show_default="beside each image")] = None,
    quality: Annotated[int, typer.Option("-q", "--quality", help="1 (smallest) to 100.", min=1, max=100)] = 50,
    show: Annotated[Path | None, typer.Option(help="Also write this picture of before and after.")] = None,
) -> int:
    """Compress photographs to .hbl files by a learned codec.

    Prints the size of each file, in bytes and in bits a pixel, and how near the picture stays (PSNR, in decibels). The codec
    is made for photographs; drawings and text are better kept as PNG. A file that cannot be read is named on
    stderr, and the exit code is 2.

    Examples:

    - hubel compress photo.png -o photo.hbl

    - hubel compress holidays/ -o small/ --quality 20 --show small/before_after.png
    """
    import numpy as np

    from hubel.autoencode.codec import compress as pack
    from hubel.autoencode.codec import decompress as unpack
    from hubel.autoencode.restore.show import MOST, before_after
    from hubel.commands import _files
    from hubel.data import read_image
    from hubel.errors import InputError

    paths = _files.expand(files)
    if out is not None and out.suffix == ".hbl":
        if len(paths) != 1:
            raise InputError(f"--out {out} is one file, and there are {len(paths)} images: name a folder")
        targets = {paths[0]: out}
    elif out is not None:
        targets = dict(zip(paths, _files.places(paths, out, ".hbl"), strict=True))
    else:
        targets = {path: path.with_suffix(".hbl") for path in paths}
        if len(set(targets.values())) < len(paths):
            raise InputError("two of the images differ by their endings alone: name a folder by --out")
    rows: list[tuple[str, list[tuple[str, np.ndarray]]]] = []

    def work(path: Path) -> tuple[np.ndarray, bytes, np.ndarray]:
        image = read_image(path)
        data = pack(image, quality)
        _files.write(targets[path], lambda p: p.write_bytes(data))
        return image, data, unpack(data)

    for path, (image, data, back) in _files.each(paths, work):
        height, width = image.shape[:2]
        error = float(np.square(image.astype(np.float32) - back).mean())
        rate = f"{len(data):,} bytes, {8 * len(data) / (height * width):.3f} bits a pixel"
        near = f"PSNR {10 * np.log10(255**2 / error):.2f} dB" if error else "the same pixels"
        print(f"{path}: {width} x {height}, {rate}, {near}, {targets[path]}")
        if show is not None and len(rows) < MOST:
            rows.append((path.name, [("before", image), (f"{rate}, {near}", back)]))
    if rows and show is not None:
        _files.write_figure(show, before_after(rows), dpi=200)
        print(show)
    return _files.failures.code
