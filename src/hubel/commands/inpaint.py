"""Fill holes in photographs: scratches, missing pixels, blocks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np


def inpaint(
    image: Annotated[Path, typer.Argument(help="An image, or a folder of them.")],
    mask: Annotated[Path, typer.Option(help="An image of the same size, not black where pixels are missing; or a folder "
                                            "with one of the same name for each image.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("inpainted"),
    show: Annotated[bool, typer.Option("--show", help="Also write before_after.png.")] = False,
) -> int:
    """Fill holes in photographs: scratches, missing pixels, blocks.

    Writes OUT/NAME.png for each image; pixels outside the mask stay exactly as they are. Wide holes are filled smoothly,
    without invented detail. A file that cannot be used is named on stderr, and the exit code is 2.

    Examples:

    - hubel inpaint scratched.png --mask scratches.png

    - hubel inpaint scans/ --mask masks/ -o mended/ --show
    """
    from hubel.autoencode.restore import inpaint as fill
    from hubel.autoencode.restore.show import MOST, before_after
    from hubel.commands import _files
    from hubel.data import read_image
    from hubel.errors import DataError

    paths = _files.expand([image])
    targets = dict(zip(paths, _files.places(paths, out, ".png"), strict=True))
    rows: list[tuple[str, list[tuple[str, np.ndarray]]]] = []

    def mask_of(path: Path) -> Path:
        if not mask.is_dir():
            return mask
        found = sorted(p for p in mask.iterdir() if p.stem == path.stem)
        if not found:
            raise DataError(f"{mask} holds no mask named {path.stem} for {path}")
        return found[0]

    def work(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        broken = read_image(path)
        hole = read_image(mask_of(path), channels=1)[..., 0] > 0
        mended = fill(broken, hole)
        _files.write_image(targets[path], mended)
        return broken, hole, mended

    for path, (broken, hole, mended) in _files.each(paths, work):
        print(f"{path}: {hole.mean():.1%} filled, {targets[path]}")
        if show and len(rows) < MOST:
            shown = broken.copy()
            shown[hole] = 255 if shown.shape[2] == 1 else (255, 0, 255)
            rows.append((path.name, [("holes", shown), ("after", mended)]))
    if rows:
        _files.write_figure(out / "before_after.png", before_after(rows), dpi=200)
        print(out / "before_after.png")
    return _files.failures.code
