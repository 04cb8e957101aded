"""Take noise off photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np


def denoise(
    files: Annotated[list[Path], typer.Argument(help="Images, folders.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("denoised"),
    sigma: Annotated[float | None, typer.Option(help="The noise's standard deviation in levels of 0..255, up to 75.",
                                                show_default="judged by the image")] = None,
    show: Annotated[bool, typer.Option("--show", help="Also write before_after.png.")] = False,
) -> int:
    """Take noise off photographs.

    Writes OUT/NAME.png for each image, by a network that ships with hubel. It expects noise like a camera sensor's, unrelated
    from pixel to pixel. A file that cannot be read is named on stderr, and the exit code is 2.

    Examples:

    - hubel denoise dark.png

    - hubel denoise holidays/ -o clean/ --sigma 15 --show
    """
    from hubel.autoencode.restore import denoise as take_off
    from hubel.autoencode.restore.show import MOST, before_after
    from hubel.commands import _files
    from hubel.data import read_image

    paths = _files.expand(files)
    targets = dict(zip(paths, _files.places(paths, out, ".png"), strict=True))
    rows: list[tuple[str, list[tuple[str, np.ndarray]]]] = []

    def work(path: Path) -> tuple[np.ndarray, np.ndarray]:
        noisy = read_image(path)
        clean = take_off(noisy, sigma)
        _files.write_image(targets[path], clean)
        return noisy, clean

    for path, (noisy, clean) in _files.each(paths, work):
        print(f"{path}: {targets[path]}")
        if show and len(rows) < MOST:
            rows.append((path.name, [("before", noisy), ("after", clean)]))
    if rows:
        _files.write_figure(out / "before_after.png", before_after(rows), dpi=200)
        print(out / "before_after.png")
    return _files.failures.code
