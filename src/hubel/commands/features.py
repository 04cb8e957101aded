"""Write hand-made features of images as a table: HOG, dense SIFT, filter banks, edge hierarchies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np

KINDS = ("hog", "sift", "bank", "hierarchy")


def features(
    files: Annotated[list[Path], typer.Argument(help="Images, or a folder (with a subfolder for each class, if any).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The table to write: .npz or .csv.", dir_okay=False)],
    kind: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(KINDS)}; may be given several times.",
                                                   show_default="hog")] = None,
    size: Annotated[int, typer.Option(help="Pixels a side that images are brought to.", min=8)] = 128,
) -> int:
    """Write hand-made features of images as a table: HOG, dense SIFT, filter banks, edge hierarchies.

    An .npz holds x (float32, a row a file), names, files, and y and classes where the images lie in folders of classes;
    a .csv has the same as columns. sift is the mean descriptor of the image. A file that cannot be read is left out and
    named on stderr, and the exit code is 2.

    Examples:

    - hubel features photos/ -o hog.npz

    - hubel features a.jpg b.jpg --kind hierarchy --kind bank -o table.csv
    """
    import numpy as np

    from hubel.commands import _files
    from hubel.data import read_image
    from hubel.errors import DataError, InputError

    kinds = tuple(kind or ("hog",))
    wrong = [k for k in kinds if k not in KINDS]
    if wrong:
        raise InputError(f"kind {wrong[0]!r} is unknown: one of {', '.join(KINDS)}")
    if out.suffix.lower() not in (".npz", ".csv"):
        raise InputError(f"{out}: write to a name that ends in .npz or .csv")
    paths = _files.expand(files)
    labels = _labels(files, paths)
    transformers = [(k, _make(k, size)) for k in kinds]
    blank = np.zeros((1, size, size, 1), np.uint8)
    names = [f"{k}: {name}" for k, t in transformers for name in t.fit(blank).get_feature_names_out()]
    kept: list[Path] = []
    rows: list[np.ndarray] = []
    waiting: list[np.ndarray] = []

    def finish() -> None:
        if waiting:
            rows.append(np.hstack([t.transform(waiting) for _, t in transformers]))
            waiting.clear()

    for path, image in _files.each(paths, lambda p: read_image(p, size=size, channels=1)):
        kept.append(path)
        waiting.append(image)
        if len(waiting) == 64:
            finish()
    finish()
    if not rows:
        raise DataError(f"none of the {len(paths)} files could be read")
    x = np.vstack(rows)
    classes = sorted({labels[p] for p in kept}) if labels else []
    write = _npz if out.suffix.lower() == ".npz" else _csv
    _files.write(out, lambda p: write(p, x, names, [str(p) for p in kept], [labels[p] for p in kept] if labels else [], classes))
    print(f"{out}: {len(x)} images, {x.shape[1]} features" + (f", {len(classes)} classes" if classes else ""))
    return _files.failures.code


def _make(kind: str, size: int) -> Any:
    from hubel import features as room

    return {"hog": lambda: room.HOG(size=size), "sift": lambda: room.DenseSIFT(pool="mean", size=size),
            "bank": lambda: room.FilterBank(grid=2, size=size), "hierarchy": lambda: room.EdgeHierarchy(size=size)}[kind]()


def _labels(given: list[Path], paths: list[Path]) -> dict[Path, str]:
    """Return each file's class, the subfolder it lies in; none unless one folder was given and all lie in subfolders."""
    if len(given) != 1 or not given[0].is_dir():
        return {}
    inside = {p: p.relative_to(given[0]).parts for p in paths}
    return {p: parts[0] for p, parts in inside.items()} if all(len(parts) > 1 for parts in inside.values()) else {}


def _npz(path: Path, x: np.ndarray, names: list[str], files: list[str], labels: list[str], classes: list[str]) -> None:
    import numpy as np

    more = {"y": np.array([classes.index(label) for label in labels]), "classes": np.array(classes)} if labels else {}
    with open(path, "wb") as file:
        np.savez_compressed(file, x=x, names=np.array(names), files=np.array(files), **more)  # type: ignore[arg-type]


def _csv(path: Path, x: np.ndarray, names: list[str], files: list[str], labels: list[str], classes: list[str]) -> None:
    import csv

    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", *(["class"] if labels else []), *names])
        for i, values in enumerate(x):
            table.writerow([files[i], *([labels[i]] if labels else []), *(f"{v:.6g}" for v in values)])
