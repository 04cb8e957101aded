"""Learn images without labels, and use it: train, reconstruct, walk, features, segment, synthesise, anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hubel.commands import _autoencode_uses as uses

autoencode = typer.Typer(help="""Learn images without labels, and use what was learned.

An autoencoder gives its input back through a bottleneck of few numbers. What it saves is a model file like any other:
hubel info and hubel look open it.

Examples:

- hubel autoencode train photos/ -o coder.hubel

- hubel autoencode reconstruct coder.hubel photos/ -o back/

- hubel autoencode anomalies photos/ suspects/ -o strange.png
""")

Coder = Annotated[Path, typer.Argument(help="An autoencoder's file, from 'hubel autoencode train'.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]


@autoencode.command()
def train(
    data: Annotated[str, typer.Argument(help="A folder of images, with or without a subfolder for each class; MNIST or CIFAR "
                                             "files, an .npz file, or 'digits'.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.", dir_okay=False)] = Path("coder.hubel"),
    kind: Annotated[str, typer.Option(help="convolutional, variational (synthesises), dense, or u (with skips: no bottleneck).")
                    ] = "convolutional",
    latents: Annotated[int | None, typer.Option(help="Numbers in the bottleneck, in a row.", min=1,
                                                show_default="a 48th of an image's; of large images as a map")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side that images are brought to.", min=8,
                                             show_default="their own up to 64, else 128")] = None,
    minutes: Annotated[float, typer.Option(help="At most so long.")] = 8.0,
    epochs: Annotated[int | None, typer.Option(help="How often every image is seen.", min=1,
                                               show_default="as many as show 600,000 images")] = None,
    noise: Annotated[float, typer.Option(help="Noise that is added to what the encoder sees, 0 to 1.")] = 0.0,
    beta: Annotated[float, typer.Option(help="Weight of the divergence (variational).")] = 1.0,
    seed: Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train an autoencoder on images; labels are not looked at.

    Beside the file a picture is written, inputs beside reconstructions. Interrupted or killed, the same command goes on
    where it was.

    Examples:

    - hubel autoencode train mnist/ --latents 16 -o digits.hubel

    - hubel autoencode train photos/ --kind variational --minutes 5
    """
    import warnings

    import numpy as np

    from hubel import autoencode as room
    from hubel.commands import _files
    from hubel.commands._pictures import pictures
    from hubel.errors import InputError
    from hubel.training.progress import duration

    if not minutes > 0:
        raise InputError(f"--minutes {minutes}: give a number above 0")
    if out.exists() and not force:
        raise InputError(f"{out} exists: give another -o, or --force to overwrite it")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} is no folder: make it, or give another -o")
    read = pictures(data, None if size is None else (size, size), None, seed=seed)
    images = read.images
    height, width, channels = images.shape[1:]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", room.BottleneckWarning)
        coder = room.build(kind, (height, width), channels, latents, seed)
    for warning in said:
        typer.echo(f"hubel: {warning.message}", err=True)
    held = np.random.default_rng(seed).permutation(len(images))[: min(1000, max(1, len(images) // 10))]
    learn = np.delete(images, held, axis=0) if len(images) > 1 else images
    checkpoint = out.with_name(f"{out.name}.training")
    shown = epochs or int(np.clip(600_000 // len(learn), 3, 200))
    history = coder.fit(learn, epochs=shown, minutes=minutes, validation=images[held], noise=noise, beta=beta, seed=seed,
                        batch_size=64 if len(learn) >= 2000 else 16, checkpoint=checkpoint, verbose=0 if quiet else 1)
    if history.interrupted:
        raise KeyboardInterrupt
    coder.save(out, data=data)
    checkpoint.unlink(missing_ok=True)
    found = room.reconstructions(coder, images[held])
    picture = out.with_suffix(".png")
    _files.write_figure(picture, found.plot())
    typer.echo(f"{out}: {found.psnr.mean():.1f} dB on {len(held):,} images held out; {coder.bottleneck}; trained in "
               f"{duration(history.seconds[-1] if history.seconds else 0)}; see {picture}")


@autoencode.command()
def reconstruct(
    model: Coder,
    data: Annotated[str, typer.Argument(help="Images: a file, a folder, or what 'hubel train' takes (its test images).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("reconstructed"),
    limit: Annotated[int, typer.Option(help="At most so many images.", min=1)] = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send images through the bottleneck and back: one PNG for each, and a sheet with inputs beside reconstructions.

    Examples:

    - hubel autoencode reconstruct coder.hubel photos/ -o back/
    """
    import json as json_

    from hubel import autoencode as room
    from hubel.commands import _files
    from hubel.commands._pictures import of_coder

    coder = room.load(model)
    read = of_coder(data, coder, limit=limit, test=True)
    found = room.reconstructions(coder, read.images)
    for place, image in zip(_files.places([Path(n) for n in read.names], out, ".png"), found.outputs, strict=True):
        _files.write_image(place, image)
    _files.write_figure(out / "sheet.png", found.plot())
    typer.echo(json_.dumps(found.to_dict(), indent=1) if json else
               f"{out}: {len(found.outputs):,} images, {found.psnr.mean():.1f} dB in the mean; see {out / 'sheet.png'}")


@autoencode.command()
def walk(
    model: Coder,
    data: Annotated[str, typer.Argument(help="Images: a folder, or what 'hubel train' takes (its test images).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The picture to write.", dir_okay=False)] = Path("walk.png"),
    along: Annotated[int | None, typer.Option(help="Walk from one image along so many directions in which codes differ.", min=1,
                                              show_default="from image to image")] = None,
    lines: Annotated[int, typer.Option(help="Pairs of images to walk between.", min=1)] = 6,
    steps: Annotated[int, typer.Option(help="Images on each line.", min=2)] = 9,
    seed: Seed = 0,
) -> None:
    """Walk through the space of codes and draw what is decoded on the way.

    Examples:

    - hubel autoencode walk coder.hubel photos/ -o walk.png

    - hubel autoencode walk coder.hubel mnist/ --along 5
    """
    from hubel import autoencode as room
    from hubel.commands import _files
    from hubel.commands._pictures import of_coder

    coder = room.load(model)
    read = of_coder(data, coder, limit=2 * lines if along is None else 2000, seed=seed, test=True)
    found = room.walk(coder, read.images, steps=steps, along=along)
    _files.write_figure(out, found.plot())
    typer.echo(f"{out}: {len(found.names)} lines of {steps} images")


for command in (uses.features, uses.segment, uses.synthesise, uses.anomalies):
    autoencode.command()(command)
