"""Certify a model's answers on DATA: radii within which no perturbation can change them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def certify(
    model: Annotated[str, typer.Argument(help="A model file of Hubel's.")],
    data: Annotated[str, typer.Argument(help="The data, as for 'hubel train': its test images are certified.")],
    sigma: Annotated[list[float] | None, typer.Option(help="Deviation of the noise that smooths, in pixels of 0..1; several may "
                                                           "be given.", show_default="0.25")] = None,
    radius: Annotated[float | None, typer.Option(help="Only ask whether this L2 radius is certified: much faster.",
                                                 show_default="the largest")] = None,
    bounds: Annotated[str | None, typer.Option(help="Interval bounds for this L-inf size instead, such as 2/255: certain, but "
                                                    "loose.", show_default="randomised smoothing")] = None,
    votes: Annotated[int, typer.Option(help="Noisy copies of each image.", min=1)] = 10_000,
    alpha: Annotated[float, typer.Option(help="The probability that one certificate is wrong.")] = 0.001,
    images: Annotated[int, typer.Option(help="How many test images.", min=1)] = 100,
    picture: Annotated[Path | None, typer.Option(help="Write the curve of certified accuracy.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Certify a model's answers on DATA: radii within which no perturbation can change them.

    Smoothing certifies what the model says most often to noisy copies: train it with noise first (hubel train --harden 0.25
    --harden-with gaussian).

    Examples:

    - hubel certify noisy.hubel digits --sigma 0.25 --votes 1000

    - hubel certify noisy.hubel digits --radius 0.5

    - hubel certify model.hubel digits --bounds 1/255
    """
    import json as json_

    from hubel import data as room
    from hubel.attack import interval_bounds, smoothed
    from hubel.attack.draw import certificates
    from hubel.commands.attack import _write
    from hubel.errors import InputError
    from hubel.study.opening import open_classifier

    opened = open_classifier(model)
    source = room.load(data, seed=int(getattr(opened, "notes", {}).get("seed", seed)))
    test = source.test.sample(min(images, len(source.test)), seed)
    pixels = test.arrays(opened.size, opened.channels)
    results: list[Any]
    if bounds is not None:
        if picture is not None or sigma or radius is not None:
            raise InputError("--bounds goes with neither --sigma, --radius nor --picture")
        results = [interval_bounds(opened, pixels, test.labels, bounds)]
    else:
        results = [smoothed(opened, pixels, test.labels, s, n=votes, alpha=alpha, at=radius, seed=seed) for s in sigma or [0.25]]
        if picture is not None:
            _write(picture, certificates(results))
    print(json_.dumps([r.to_dict() for r in results], indent=1) if json else "\n".join(map(str, results)))
