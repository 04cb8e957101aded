"""Turn .hbl files back into pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np


def decompress(
    files: Annotated[list[Path], typer.Argument(help=".hbl files, folders of them.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A picture for one file, else a folder.",
                                             show_default="a .png beside each file")] = None,
) -> int:
    """Turn .hbl files back into pictures.

    The same file gives the same pixels on every machine. A file that is damaged, cut off or no .hbl file is named on stderr,
    and the exit code is 2.

    Examples:

    - hubel decompress photo.hbl -o photo.png

    - hubel decompress small/ -o pictures/
    """
    from hubel.autoencode.codec import decompress as unpack
    from hubel.commands import _files
    from hubel.data.decode import is_image_name
    from hubel.errors import DataError, InputError

    paths: list[Path] = []
    for path in files:
        inside = sorted(p for p in path.rglob("*.hbl") if p.is_file()) if path.is_dir() else [path]
        if not inside:
            raise DataError(f"{path} holds no .hbl files")
        paths += inside
    if out is not None and is_image_name(out):
        if len(paths) != 1:
            raise InputError(f"--out {out} is one picture, and there are {len(paths)} files: name a folder")
        targets = {paths[0]: out}
    elif out is not None:
        targets = dict(zip(paths, _files.places(paths, out, ".png"), strict=True))
    else:
        targets = {path: path.with_suffix(".png") for path in paths}

    def work(path: Path) -> np.ndarray:
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise DataError(f"{path} does not exist") from error
        picture = unpack(data, str(path))
        _files.write_image(targets[path], picture)
        return picture

    for path, picture in _files.each(paths, work):
        print(f"{path}: {picture.shape[1]} x {picture.shape[0]}, {targets[path]}")
    return _files.failures.code
