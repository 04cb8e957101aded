"""The uses of an autoencoder that `hubel autoencode` offers: features, segment, synthesise, anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Out = Annotated[Path, typer.Option("-o", "--out", help="The picture to write.", dir_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def features(
    model: Annotated[Path, typer.Argument(help="An autoencoder's file.")],
    data: Annotated[str, typer.Argument(help="Images with classes, as for 'hubel train'.")],
    out: Out = Path("features.png"),
    against: Annotated[list[Path] | None, typer.Option(help="A classifier's file, whose features are compared as well; may be "
                                                            "given several times.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many images to learn from, and a quarter of that to test.", min=20)] = 5000,
    seed: Annotated[int, typer.Option(help="The seed of the data's split and the draws.")] = 0,
    json: Json = False,
) -> None:
    """Compare the codes as features: with pixels, hand-made features, an untrained encoder, and classifiers.

    Examples:

    - hubel autoencode features coder.hubel photos/

    - hubel autoencode features digits.hubel mnist/ --against classifier.hubel
    """
    import json as json_

    from hubel import autoencode as room
    from hubel import features as by_hand
    from hubel.commands import _files
    from hubel.commands._pictures import of_coder
    from hubel.errors import DataError
    from hubel.model import Model
    from hubel.nets import from_description

    coder = room.load(model)
    train, test = (of_coder(data, coder, seed=seed, limit=n, test=t) for n, t in ((limit, False), (max(20, limit // 4), True)))
    if train.labels is None or test.labels is None:
        raise DataError(f"{data} has no classes: give a folder with a subfolder of images for each class")
    pair = train.images, test.images
    fresh = room.Autoencoder(from_description({"build": coder.network.spec}))
    hog = by_hand.HOG(size=max(16, min(coder.shape[1:])))
    kinds: dict[str, tuple[Any, Any]] = {
        "pixels": (pair[0] / 255, pair[1] / 255), "HOG, by hand": (hog.fit(pair[0]).transform(pair[0]), hog.transform(pair[1])),
        "untrained encoder": (fresh.encode(pair[0]), fresh.encode(pair[1])), "codes": (coder.encode(pair[0]), coder.encode(pair[1]))}
    for path in against or ():
        other = Model.load(path)
        kinds[f"{path.stem}, supervised"] = (other.features(pair[0]), other.features(pair[1]))
    import numpy as np

    least = int(np.bincount(train.labels)[np.unique(train.labels)].min())
    found = room.probe(kinds, train.labels, test.labels, shots=[k for k in (1, 5, 10) if k <= least], seed=seed)
    _files.write_figure(out, found.plot())
    typer.echo(json_.dumps(found.to_dict(), indent=1) if json else f"{found}\n\n{out}")


def segment(
    model: Annotated[Path, typer.Argument(help="An autoencoder's file, or one that --save wrote.")],
    data: Annotated[str, typer.Argument(help="Images: a file, a folder, or what 'hubel train' takes (its test images).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.", file_okay=False)] = Path("segments"),
    masks: Annotated[Path | None, typer.Option(help="A folder of masks, PNGs named as their images, one grey level a class: learn "
                                                    "from them first.", file_okay=False)] = None,
    clusters: Annotated[int, typer.Option(help="Without masks: so many clusters of like places.", min=2)] = 3,
    save: Annotated[Path | None, typer.Option(help="Keep what was learned from masks in this file.", dir_okay=False)] = None,
    limit: Annotated[int, typer.Option(help="At most so many images.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    json: Json = False,
) -> None:
    """Divide images into classes of pixels: learned from a few masks, or as clusters of what the encoder sees.

    Writes a PNG of class numbers for each image (level 0, 1, 2, ...), and a sheet that shows them in colours.

    Examples:

    - hubel autoencode segment coder.hubel photos/ --clusters 4

    - hubel autoencode segment coder.hubel photos/ --masks masks/ --save cells.hubel -o found/

    - hubel autoencode segment cells.hubel more/ -o found/
    """
    import json as json_

    import numpy as np

    from hubel import autoencode as room
    from hubel.commands import _files
    from hubel.commands._pictures import pictures
    from hubel.model import Model
    from hubel.nets import UShaped

    opened = Model.load(model)
    ready = isinstance(opened.network, UShaped) and opened.output == "softmax"
    coder = None if ready else room.load(model)
    shown = opened if ready else coder
    assert shown is not None
    read = pictures(data, shown.size, shown.channels, limit=limit, seed=seed, test=True)
    if coder is None:
        found = room.segmentation(opened, read.images)
    elif masks is None:
        found = room.clusters(coder, read.images, clusters, seed=seed)
    else:
        places, labels, levels = _masks(masks, read.names, coder.shape[1:])
        net = room.segmenter([f"level {v}" for v in levels], coder=coder, seed=seed)
        room.fit_masks(net, read.images[places], labels, seed=seed)
        found = room.segmentation(net, read.images)
        if save is not None:
            net.save(save, masks=len(places))
    for place, one in zip(_files.places([Path(n) for n in read.names], out, ".png"), found.found, strict=True):
        _files.write_image(place, one.astype(np.uint8)[..., None])
    _files.write_figure(out / "sheet.png", found.plot())
    typer.echo(json_.dumps(found.to_dict(), indent=1) if json else
               f"{out}: {len(found.found):,} images, {len(found.classes)} classes; see {out / 'sheet.png'}")


def _masks(folder: Path, names: tuple[str, ...], size: tuple[int, ...]) -> tuple[list[int], Any, list[int]]:
    """(places of the images that have a mask, class numbers (M, H, W), the grey levels of the classes)."""
    import cv2
    import numpy as np

    from hubel.data import read_image
    from hubel.errors import DataError

    there = {p.stem: p for p in sorted(folder.glob("*.png"))}
    places = [i for i, name in enumerate(names) if Path(name).stem in there]
    if not places:
        raise DataError(f"{folder} holds no PNG that is named as one of the {len(names)} images")
    read = [read_image(there[Path(names[i]).stem], channels=1)[..., 0] for i in places]
    levels = sorted({int(v) for mask in read for v in np.unique(mask)})
    if not 2 <= len(levels) <= 32:
        raise DataError(f"the masks in {folder} hold {len(levels)} grey levels: give one level a class, 2 to 32")
    small = [cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST) for mask in read]
    return places, np.searchsorted(levels, np.stack(small)), levels


def synthesise(
    model: Annotated[Path, typer.Argument(help="An autoencoder's file; without --like a variational one's.")],
    out: Out = Path("synthesised.png"),
    count: Annotated[int, typer.Option(help="How many images.", min=1)] = 60,
    like: Annotated[str | None, typer.Option(help="Images whose codes the new ones' are to follow.",
                                             show_default="a normal distribution")] = None,
    temperature: Annotated[float, typer.Option(help="Below 1: nearer to the most usual images.")] = 1.0,
    measure: Annotated[str | None, typer.Option(help="Real images: also measure how far the new ones' features are from them.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    json: Json = False,
) -> None:
    """Make new images: draw codes and decode them.

    Examples:

    - hubel autoencode synthesise digits.hubel -o new.png

    - hubel autoencode synthesise coder.hubel --like photos/ --measure photos/
    """
    import json as json_

    from hubel import autoencode as room
    from hubel.commands import _files
    from hubel.commands._pictures import of_coder

    coder = room.load(model)
    known = None if like is None else of_coder(like, coder, limit=5000, seed=seed).images
    made = room.synthesise(coder, count, like=known, temperature=temperature, seed=seed)
    _files.write_figure(out, made.plot())
    facts = made.to_dict()
    text = f"{out}: {count} images"
    if measure is not None:
        real = of_coder(measure, coder, limit=1000, seed=seed, test=True).images
        found = room.quality(coder, real, like=known, temperature=temperature, seed=seed)
        facts, text = {**facts, "quality": found.to_dict()}, f"{text}\n{found}"
    typer.echo(json_.dumps(facts, indent=1) if json else text)


def anomalies(
    normal: Annotated[str, typer.Argument(help="Images that are normal: a folder, or what 'hubel train' takes.")],
    suspects: Annotated[str, typer.Argument(help="Images to judge, alike.")],
    out: Out = Path("strangest.png"),
    model: Annotated[Path | None, typer.Option(help="A classifier of the normal classes, or an autoencoder.", show_default="none: by "
                                                    "how edges lie, without training")] = None,
    by: Annotated[str | None, typer.Option(help="gradients (no model), logits or features (of a classifier), reconstruction or codes (of "
                                                "an autoencoder).",
                                           show_default="gradients; logits of a classifier; reconstruction of an autoencoder")] = None,
    quantile: Annotated[float, typer.Option(help="The share of normal images that are to pass.")] = 0.99,
    limit: Annotated[int, typer.Option(help="At most so many images of each.", min=10)] = 20_000,
    top: Annotated[int, typer.Option(help="How many to list.", min=1)] = 20,
    seed: Annotated[int, typer.Option(help="The seed of what is held out.")] = 0,
    json: Json = False,
) -> None:
    """Find the images that do not belong, and show them.

    A tenth of the normal images is held out to say what is still normal. Where the normal images have classes, a classifier
    of them (--model) finds strange ones best.

    Examples:

    - hubel autoencode anomalies good/ today/ -o strange.png

    - hubel autoencode anomalies photos/ new-photos/ --model classifier.hubel
    """
    import json as json_

    from hubel import autoencode as room
    from hubel.commands import _files
    from hubel.commands._pictures import pictures
    from hubel.model import Model

    opened = None if model is None else Model.load(model)
    coder = room.load(model) if model is not None and hasattr(getattr(opened, "network", None), "encode") else None
    size, channels = (None, None) if opened is None else (opened.size, opened.channels)
    read = pictures(normal, size, channels, limit=limit, seed=seed)
    asked = pictures(suspects, read.images.shape[1:3], read.images.shape[3], limit=limit, seed=seed, test=True)
    ways = {"coder": coder} if coder is not None else {"model": opened}
    by = by or ("reconstruction" if coder is not None else None)
    judge = room.detector(read.images, by=by, quantile=quantile, seed=seed, **ways)
    found = room.anomalies(judge, asked.images, names=asked.names, **ways)
    _files.write_figure(out, found.plot())
    facts = found.to_dict()
    if json:
        typer.echo(json_.dumps(facts, ensure_ascii=False, indent=1))
        return
    for line in facts["ranked"][:top]:
        typer.echo(f"{line['score']:8.3g}  {'strange' if line['strange'] else '':8}{line['name']}")
    typer.echo(f"{facts['strange']} of {facts['images']:,} are strange by {found.by}: beyond {quantile:.1%} of "
               f"{len(judge.normal):,} normal images held out; see {out}")
