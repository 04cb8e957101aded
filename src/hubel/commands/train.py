"""Train a model on DATA and save it to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    data: Annotated[str, typer.Argument(help="A folder with a subfolder of images (or sound files) per class, MNIST or "
                                             "CIFAR files, an .npz file, or 'digits'.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The model's file.", dir_okay=False)] = Path("model.hubel"),
    minutes: Annotated[float | None, typer.Option(help="A budget that is kept to.",
                                                  show_default="as long as it is worth")] = None,
    epochs: Annotated[int | None, typer.Option(help="How often every image is seen.",
                                               show_default="by the number of images")] = None,
    recipe: Annotated[str | None, typer.Option(help="Follow one of Hubel's fast runs: mnist, mnist_fine, mnist_hard, cifar94.",
                                               show_default="by the kind and number of images")] = None,
    harden: Annotated[str | None, typer.Option(help="Train against perturbations of this size, such as 8/255.",
                                               show_default="not")] = None,
    harden_with: Annotated[str, typer.Option(help="pgd, trades, fgsm, or gaussian for 'hubel certify'.")] = "fgsm",
    network: Annotated[str | None, typer.Option(help="small_resnet, cifar_resnet, vgg or lenet, from scratch.",
                                                show_default="by the kind, number and size of images")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave a trick out: augmentation, label_smoothing, one_cycle or "
                                                           "weight_decay; may be given several times.",
                                                      show_default="all are used")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a model that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a model on DATA and save it to a file.

    A fifth of the images, drawn with the seed, is kept apart for testing, unless DATA has a test set of its own.
    Interrupted, the same command goes on where it was.

    Examples:

    - hubel train photos/ -o flowers.hubel

    - hubel train mnist/ --minutes 2

    - hubel train mnist/ --recipe mnist

    - hubel train mnist/ --recipe mnist_hard -o hard.hubel

    - hubel train photos/ --harden 4/255 --harden-with trades

    - hubel train digits --network vgg --without augmentation --without label_smoothing

    - hubel evaluate photos/ --model flowers.hubel
    """
    from hubel import data as room
    from hubel.errors import InputError
    from hubel.pixels import parse_eps
    from hubel.study.opening import device_for
    from hubel.study.recipe import follow
    from hubel.study.stages.evaluation import evaluate
    from hubel.study.stages.training import duration, notes
    from hubel.study.statistics import wilson
    from hubel.study.subject import Subject
    from hubel.study.teach import check_choices, teach
    from hubel.training import Harden, recipes

    if recipe is not None:
        recipes.get(recipe)
    plan = None if harden is None else Harden(parse_eps(harden), method=harden_with)
    if plan is not None and recipe is not None:
        raise InputError("--harden goes with no --recipe: leave one of them out")
    if recipe is not None and (network is not None or without):
        raise InputError("--network and --without go with no --recipe: leave one of them out")
    check_choices(network, without or ())
    chosen = device_for(device)
    if minutes is not None and not minutes > 0:
        raise InputError(f"--minutes {minutes}: give a number above 0")
    if out.exists() and not force:
        raise InputError(f"{out} exists: give another -o, or --force to overwrite it")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} is no folder: make it, or give another -o")
    checkpoint = out.with_name(f"{out.name}.training")
    source = room.load(data, seed=seed)
    options: dict[str, Any] = {"minutes": minutes, "epochs": epochs, "seed": seed, "device": chosen,
                               "checkpoint": checkpoint, "verbose": 0 if quiet else 1}
    taught = teach(source, harden=plan, network=network, without=without or (), **options) if recipe is None else follow(source, recipe, **options)
    if taught.interrupted:
        raise KeyboardInterrupt
    taught.model.save(out, **notes(source, taught))
    checkpoint.unlink(missing_ok=True)
    found = evaluate(Subject(taught.model, source, seed), 0)
    low, high = wilson(found["correct"], found["n"])
    print(f"{out}: {found['accuracy']:.1%} of {found['n']:,} test {source.test.noun} ({low:.1%} to {high:.1%}), trained in "
          f"{duration(taught.seconds)}")
