"""Find a pattern in images or sound, or say whether images contain text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np


def match(
    pattern: Annotated[str, typer.Argument(help="An image or sound file to look for; or the word 'text'.")],
    files: Annotated[list[Path], typer.Argument(help="Images, or sounds if the pattern is one; folders of them.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("matches"),
    scales: Annotated[str, typer.Option(help="Sizes to try, as factors: 0.5,1,2 or from:to:step.")] = "1",
    angles: Annotated[str, typer.Option(help="Degrees to turn an image by: 0,90 or from:to:step.")] = "0",
    threshold: Annotated[float, typer.Option(help="Least score, -1 to 1.", min=-1, max=1)] = 0.6,
    top: Annotated[int, typer.Option(help="Most places a file.", min=1)] = 20,
    grey: Annotated[bool, typer.Option("--grey", help="Compare in grey, not in colour.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Find a pattern in images or sound, or say whether images contain text.

    Scores are normalised cross-correlations, 1 for the pattern itself in any brightness and contrast. Writes each file
    that has a find as a picture with boxes (or times), and matches.json. A file that cannot be read is named on stderr,
    and the exit code is 2.

    Examples:

    - hubel match stop.png street/*.jpg --scales 0.5:2:0.25 --angles=-10:10:5

    - hubel match seven.wav long_recording.wav

    - hubel match text photos/
    """
    import json as json_

    from hubel.commands import _files
    from hubel.data.sound import is_sound_name
    from hubel.features import find_text

    paths = _files.expand(files, sound=True)
    targets = dict(zip(paths, _files.places(paths, out, ".match.png"), strict=True))
    if pattern == "text" and not Path(pattern).exists():
        def look(path: Path) -> Any:
            return find_text(_image(path, False))
    else:
        known, rate = _files.read(Path(pattern))
        options = {"scales": _files.numbers(scales, "scales"), "angles": _files.numbers(angles, "angles"),
                   "threshold": threshold, "top": top}

        def look(path: Path) -> Any:
            if is_sound_name(path) != (rate is not None):
                from hubel.errors import InputError

                raise InputError(f"{path} and {pattern}: one is sound, the other not")
            return _find_sound(known, rate, path, options) if rate else _find_image(known, path, grey, options)

    facts = []
    for path, result in _files.each(paths, look):
        facts.append({"file": str(path), **result.to_dict()})
        if facts[-1]["found"]:
            _files.write_figure(targets[path], result.plot())
            facts[-1]["picture"] = str(targets[path])
        if not json:
            print("\n".join(_lines(facts[-1])))
    report = json_.dumps({"pattern": pattern, "files": facts}, ensure_ascii=False, indent=1)
    _files.write_text(out / "matches.json", report + "\n")
    if json:
        print(report)
    return _files.failures.code


def _image(path: Path, grey: bool) -> np.ndarray:
    from hubel.data import read_image

    return read_image(path, channels=1 if grey else None)


def _find_image(pattern: np.ndarray, path: Path, grey: bool, options: dict[str, Any]) -> Any:
    """Both in colour if both have it, else both in grey."""
    from hubel.data.resize import with_channels
    from hubel.features import match as find

    x = _image(path, grey)
    channels = min(pattern.shape[2], x.shape[2])
    return find(with_channels(pattern, channels), with_channels(x, channels), **options)


def _find_sound(pattern: np.ndarray, rate: int, path: Path, options: dict[str, Any]) -> Any:
    from hubel.data.sound import read_sound, resample
    from hubel.features import match as find

    x, have = read_sound(path)
    return find(resample(pattern, rate, have), x, rate=have, **options)


def _lines(fact: dict[str, Any]) -> list[str]:
    """What a file's result is in words, a line for the file and one a find."""
    if "contains_text" in fact:
        rows = len(fact["found"])
        head = f"text, {rows} row{'s' * (rows != 1)}" if fact["contains_text"] else "no text"
        return [f"{fact['file']}: {head} (score {fact['score']:.2f})"]
    if not fact["found"]:
        return [f"{fact['file']}: not found (best score {fact['best']:.2f})"]
    lines = [f"{fact['file']}: {len(fact['found'])} found"]
    for found in fact["found"]:
        if "seconds" in found:
            start, stop = found["seconds"]
            lines.append(f"  {found['score']:.2f}  {start:.3f} to {stop:.3f} s")
        else:
            left, top, w, h = found["box"]
            more = (f", scale {found['scale']:g}" if found["scale"] != 1 else "") + (
                f", turned {found['angle']:g}°" if found["angle"] else "")
            lines.append(f"  {found['score']:.2f}  {w:g} x {h:g} at ({left:g}, {top:g}){more}")
    return lines
