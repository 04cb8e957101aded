"""Find an object, or images like one, in a folder of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def find(
    example: Annotated[Path, typer.Argument(help="An image of what to look for.")],
    photos: Annotated[list[Path] | None, typer.Argument(help="Photos, or folders of them, to look in.")] = None,
    box: Annotated[str | None, typer.Option(help="LEFT,TOP,WIDTH,HEIGHT of the object in the example, in pixels.",
                                            show_default="all of it")] = None,
    threshold: Annotated[float, typer.Option(help="The least score, -1..1, of what is listed.")] = 0.2,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A folder for pictures with the boxes drawn in.")] = None,
    index: Annotated[Path | None, typer.Option(help="Look for images like the example as a whole, in this index; with "
                                                    "photos, it is made of them first.")] = None,
    top: Annotated[int, typer.Option(help="With --index: how many images to name.", min=1)] = 10,
    model: Annotated[str, typer.Option(help="A model file of Hubel's, or a pretrained network.")] = "efficientnet_lite0",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find an object, or images like one, in a folder of photos.

    Without --index: where in each photo the object may be, with a score. With --index: the most similar images of all.

    Examples:

    - hubel find mug.jpg kitchen/ --box 40,20,120,130 -o found/

    - hubel find cat.jpg photos/ --index photos.index

    - hubel find dog.jpg --index photos.index --top 20
    """
    import json as json_

    from hubel.study.opening import open_model

    opened = open_model(model)
    if index is not None:
        rows = _alike(example, photos, index, top, opened)
        lines = [f"{r['similarity']:.3f}  {r['file']}" for r in rows]
    else:
        rows = list(_places(example, photos or [], box, threshold, out, None if model == "efficientnet_lite0" else opened))
        lines = [f"{m['score']:.3f}  {r['file']}  box {','.join(f'{v:.0f}' for v in m['box'])}" for r in rows for m in r["matches"]]
    print(json_.dumps(rows, ensure_ascii=False, indent=1) if json else "\n".join(lines))


def _places(example: Path, photos: list[Path], box: str | None, threshold: float, out: Path | None, model: Any) -> Any:
    import sys

    from hubel import reuse
    from hubel.data import read_image
    from hubel.errors import DataError, InputError
    from hubel.look.draw import png
    from hubel.look.progress import track
    from hubel.reuse.files import find_images

    paths = [path for path, _ in find_images(photos)]
    if not paths:
        raise InputError("there are no photos to look in: name some, or a folder of them")
    try:
        place = None if box is None else tuple(float(v) for v in box.split(","))
    except ValueError:
        place = ()
    if place is not None and len(place) != 4:
        raise InputError(f"box {box!r}: give LEFT,TOP,WIDTH,HEIGHT")
    pattern = read_image(example, channels=3)
    for path in track(paths, len(paths), "find"):
        try:
            photo = read_image(path, channels=3)
        except DataError as error:
            print(f"hubel: {error}", file=sys.stderr)
            continue
        found = reuse.find(pattern, photo, place, model=model, threshold=threshold)[0]
        kept = [m.to_dict() for m in found.matches if m.score >= threshold]
        if kept:
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{path.stem}.png").write_bytes(png(found.plot()))
            yield {"file": str(path), "matches": kept}


def _alike(example: Path, photos: list[Path] | None, folder: Path, top: int, opened: Any) -> list[dict[str, Any]]:
    from hubel import reuse
    from hubel.data import read_image
    from hubel.errors import InputError

    body = reuse.feature_model(opened)
    if photos:
        table, _ = reuse.embed_paths(photos, body)
        index = reuse.build_index(table, folder, about={"model": body.hash})
    else:
        index = reuse.open_index(folder)
    if index.about.get("model") not in (None, body.hash):
        raise InputError(f"{folder} was made with another model: give the same with --model")
    features = reuse.embed(body, read_image(example, channels=body.channels)[None])
    return [alike.to_dict() for alike in index.search(features, top)[0]]
