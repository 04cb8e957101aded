"""Train (or load) a model on DATA and write a report on it: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def study(
    data: Annotated[str, typer.Argument(help="A folder with a subfolder of images per class, MNIST or CIFAR files, an "
                                             ".npz file, or 'digits'.", show_default="digits, built in")] = "digits",
    model: Annotated[str | None, typer.Option(help="Study this model instead of training one: a file of Hubel's, or "
                                                   "'efficientnet_lite0'.")] = None,
    out: Annotated[Path | None, typer.Option(help="The study's folder.", show_default="hubel-study-NAME")] = None,
    minutes: Annotated[float | None, typer.Option(help="The time for all of it, training included.",
                                                  show_default="as long as it is worth")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same report.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train (or load) a model on DATA and write one self-contained HTML report on it.

    Interrupted, by Ctrl-C or worse, the same command goes on where it was.

    Examples:

    - hubel study

    - hubel study photos/ --minutes 5

    - hubel study photos/ --model mine.hubel --out report-on-mine
    """
    from hubel import study as room
    from hubel.study.closing import closing

    result = room.run(data, model=model, out=out, minutes=minutes, seed=seed, device=device, progress="auto")
    print(closing(result))
