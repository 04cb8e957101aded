"""Attack a model: turn an image into another class, or measure how robust it is on DATA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def attack(
    model: Annotated[str, typer.Argument(help="A model file of Hubel's, or 'efficientnet_lite0'.")],
    source: Annotated[Path, typer.Argument(help="An image file: one adversarial is made. Or data, as for 'hubel train': "
                                                "robust accuracy is measured on its test images.")],
    target: Annotated[str | None, typer.Option(help="For an image: the class it shall be taken for.",
                                               show_default="any other")] = None,
    eps: Annotated[list[str] | None, typer.Option(help="The most that a value may change, such as 8/255; several may be "
                                                       "given for data.",
                                                  show_default="image: as little as does it; data: 8/255")] = None,
    norm: Annotated[str, typer.Option(help="linf or l2; for data also l1.")] = "linf",
    version: Annotated[str, typer.Option(help="For data: standard (AutoAttack's), fast, plus or rand.")] = "standard",
    give_up: Annotated[bool, typer.Option(help="For data: end runs early that will hardly succeed any more.")] = True,
    images: Annotated[int, typer.Option(help="For data: how many test images.", min=1)] = 200,
    minutes: Annotated[float | None, typer.Option(help="For data: a budget.", show_default="none")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="For an image: the PNG to write.",
                                             show_default="IMAGE-adversarial.png")] = None,
    picture: Annotated[Path | None, typer.Option(help="Also write a figure: for an image before, change and after; for data "
                                                      "the curve.")] = None,
    journal: Annotated[Path | None, typer.Option(help="For data: a file from which the same command goes on.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Attack a model: turn an image into another class, or measure how robust it is on DATA.

    An adversarial is written at the model's own size as a PNG and read again: what is printed is what that file is taken for.

    Examples:

    - hubel attack efficientnet_lite0 cat.jpg --target 'street sign' --picture shown.png

    - hubel attack digits.hubel digits --eps 4/255 --eps 8/255 --images 500

    - hubel attack flowers.hubel photos/ --norm l2 --eps 0.5 --version fast --json
    """
    from hubel.study.opening import open_classifier

    opened = open_classifier(model)
    if source.is_file() and source.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"):
        facts, text, figure = _image(opened, source, target, eps, norm, out, seed)
    else:
        facts, text, figure = _data(opened, str(source), target, eps, norm, version, give_up, images, minutes, journal, seed)
    if picture is not None:
        _write(picture, figure)
    if json:
        import json as json_

        print(json_.dumps(facts, ensure_ascii=False, indent=1))
    else:
        print(text)


def _image(model: Any, path: Path, target: str | None, eps: list[str] | None, norm: str, out: Path | None,
           seed: int) -> tuple[dict[str, Any], str, Any]:
    from hubel.attack.demonstration import demonstrate
    from hubel.data import read_image
    from hubel.errors import InputError
    from hubel.model.naming import class_number

    if eps is not None and len(eps) != 1:
        raise InputError("an image takes one --eps")
    wanted = None if target is None else class_number(target, model.classes)
    found = demonstrate(model, read_image(path), wanted, None if eps is None else eps[0], norm, seed=seed)
    facts, lines = found.to_dict(), [f"{path}: {found}"]
    if found.success:
        written = found.save(out or path.with_name(f"{path.stem}-adversarial.png"))
        again = model.predict([read_image(written)])[0]
        top = int(again.argmax())
        facts |= {"file": str(written), "file_class": model.classes[top], "file_confidence": float(again[top])}
        lines.append(f"{written}: {model.classes[top]} ({again[top]:.0%}), read from the file again")
    return facts, "\n".join(lines), found.plot()


def _data(model: Any, data: str, target: str | None, eps: list[str] | None, norm: str, version: str, give_up: bool,
          images: int, minutes: float | None, journal: Path | None, seed: int) -> tuple[dict[str, Any], str, Any]:
    from hubel import data as room
    from hubel.attack import robust_evaluation
    from hubel.errors import InputError

    if target is not None:
        raise InputError("--target goes with an image, not with data")
    source = room.load(data, seed=int(getattr(model, "notes", {}).get("seed", seed)))
    test = source.test.sample(min(images, len(source.test)), seed)
    result = robust_evaluation(model, test.arrays(model.size, model.channels), test.labels, norm, eps, version=version,
                               give_up=give_up, minutes=minutes, journal=journal, seed=seed)
    if result.stopped == "interrupted":
        raise KeyboardInterrupt
    return result.to_dict(), str(result), result.plot()


def _write(path: Path, figure: Any) -> None:
    from hubel.look.draw import png
    from hubel.replacing import replacing

    with replacing(path) as partial:
        partial.write_bytes(png(figure))
