"""Say what is in images or recordings: the most likely classes of each file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer


def predict(
    files: Annotated[list[Path], typer.Argument(help="Image files (sound files, for a model of sound), or folders of them.")],
    model: Annotated[str, typer.Option(help="A model file of Hubel's, or 'efficientnet_lite0' (ImageNet's 1,000 "
                                            "classes).")],
    top: Annotated[int, typer.Option(help="How many classes to name.", min=1)] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: a list with one object per file.")] = False,
) -> int:
    """Say what is in images or recordings: the most likely classes of each file.

    A file that cannot be read is named on stderr, the others are answered, and the exit code is 2.

    Examples:

    - hubel predict cat.jpg --model efficientnet_lite0

    - hubel predict photos/ --model flowers.hubel --json
    """
    import json as json_
    import sys

    from hubel.study.opening import open_classifier

    opened = open_classifier(model)
    found = list(answers(opened, list(_expand(files, opened.kind)), top))
    bad = [row for row in found if "error" in row]
    if json:
        print(json_.dumps(found, ensure_ascii=False, indent=1))
    else:
        _show([row for row in found if "error" not in row])
    for row in bad:
        print(f"hubel: {row['error']}", file=sys.stderr)
    return 2 if bad else 0


def answers(model: Any, paths: list[Path], top: int) -> Iterator[dict[str, Any]]:
    """For each file {"file", "class", "probability", "top": [{"class", "probability"}]} or {"file", "error"}, in order."""
    from hubel.errors import DataError

    for start in range(0, len(paths), 64):
        images: list[Any] = []
        rows: list[dict[str, Any]] = []
        for path in paths[start : start + 64]:
            try:
                images.append(model.prepare(_read(model, path)))
                rows.append({"file": str(path)})
            except DataError as error:
                rows.append({"file": str(path), "error": str(error)})
        results = iter([model.predict(image)[0] for image in images] if model.kind == "image" and model.size is None else
                       model.predict([image[0] for image in images]) if images else [])
        for row in rows:
            if "error" not in row:
                p = next(results)
                order = (-p).argsort(kind="stable")
                best = [{"class": model.classes[k], "probability": round(float(p[k]), 6)} for k in order]
                row |= {"class": best[0]["class"], "probability": best[0]["probability"], "top": best[:top]}
            yield row


def _read(model: Any, path: Path) -> Any:
    """A file as the model takes it."""
    from hubel.data import read_image, read_sound

    return read_sound(path, model.preprocess.rate)[0] if model.kind == "sound" else read_image(path, channels=model.channels)


def _expand(files: list[Path], kind: str) -> Iterator[Path]:
    from hubel.data.decode import is_image_name
    from hubel.data.sound import is_sound_name
    from hubel.errors import DataError, ModelError

    if kind not in ("image", "sound"):
        raise ModelError(f"the model takes {kind}, no files: use Model.predict, or hubel evaluate on an .npz file")
    wanted, what = {"image": (is_image_name, "images: give a folder with JPEG, PNG, WebP, BMP or TIFF files"),
                    "sound": (is_sound_name, "sound: give a folder with WAV, FLAC, OGG or MP3 files")}[kind]
    for path in files:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(p for p in path.rglob("*") if wanted(p) and p.is_file())
        if not inside:
            raise DataError(f"{path} holds no {what}")
        yield from inside


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("file", overflow="fold")
    table.add_column("class")
    table.add_column("", justify="right")
    table.add_column("then", overflow="fold")
    for row in rows:
        then = ", ".join(f"{other['class']} {other['probability']:.1%}" for other in row["top"][1:])
        table.add_row(Text(row["file"]), Text(row["class"]), f"{row['probability']:.1%}", Text(then, style="dim"))
    console = Console(highlight=False)
    if not console.is_terminal:  # a pipe is no 80 columns wide
        console = Console(highlight=False, width=max(80, *(len(r["file"]) + 120 for r in rows)))
    console.print(table)
