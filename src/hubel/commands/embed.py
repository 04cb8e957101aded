"""Turn folders of images into features: one row an image, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def embed(
    sources: Annotated[list[Path], typer.Argument(help="Folders of images, searched to the bottom, or image files.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write: .npz, or .parquet with the extra.")] = Path(
        "features.npz"),
    model: Annotated[str, typer.Option(help="A model file of Hubel's, the name of a pretrained network, or, with "
                                            "--architecture, a state dict of torchvision or timm.")] = "efficientnet_lite0",
    architecture: Annotated[str | None, typer.Option(help="What the state dict is of: resnet18, resnet34, resnet50, "
                                                          "efficientnet_lite0, ...")] = None,
    layer: Annotated[str | None, typer.Option(help="A layer's dotted name.", show_default="the layer before last")] = None,
    pooling: Annotated[str | None, typer.Option(help="Of maps over places: mean, gem or max.",
                                                show_default="as the network does")] = None,
    views: Annotated[str, typer.Option(help="plain (the image), mirror (and its mirror image: twice the time) or rich (at "
                                            "two sizes and cut as well: 8 times).")] = "plain",
    precision: Annotated[str, typer.Option(help="auto (bf16 where it holds) or fp32.")] = "auto",
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep features by each file's content.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Turn folders of images into features: one row an image, in a file.

    A run that was stopped goes on where it was. Files that cannot be read are named on stderr and left out; the exit code
    is then 2. Read the file with hubel.reuse.read_features, or NumPy or pandas.

    Examples:

    - hubel embed photos/ -o features.npz

    - hubel embed photos/ more/ -o features.parquet --views mirror --pooling gem

    - hubel embed photos/ --model resnet50.pth --architecture resnet50 --layer layer3
    """
    import json as json_
    import sys

    from hubel.reuse import embed_files, feature_model
    from hubel.reuse.state_dicts import from_state_dict
    from hubel.study.opening import open_model

    opened = open_model(model) if architecture is None else from_state_dict(model, architecture)
    done = embed_files(sources, out, feature_model(opened, layer, pooling, views), precision=precision, cache=cache)
    if json:
        print(json_.dumps(done.to_dict(), ensure_ascii=False, indent=1))
    else:
        print(done)
    for bad in done.unreadable:
        print(f"hubel: {bad.path} {bad.reason}", file=sys.stderr)
    return 2 if done.unreadable else 0
