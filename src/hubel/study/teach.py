"""Training on a data set without being told how: which network, how long, with what. Depends on nets, model, training.

Photos with few images a class: the pretrained EfficientNet-Lite0, transferred. Everything else: a small residual
network, from scratch. Recordings and series: `listening`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel import nets
from hubel.data import Dataset, Source
from hubel.engine import evaluation
from hubel.errors import InputError
from hubel.model import Model
from hubel.training import Callback, Harden
from hubel.training.augment.meaning import mirrored_pair

TRANSFER_BELOW = 1500  # images a class: above that, training from scratch on photos becomes worth its hours
NETWORKS: dict[str, dict[str, Any]] = {  # from scratch on a CPU; with the options that make them small
    "small_resnet": {}, "cifar_resnet": {}, "vgg": {"width": 32, "stages": 3}, "lenet": {}}
TRICKS: dict[str, dict[str, Any]] = {  # what a run goes without if one is left out
    "augmentation": {"augment": None}, "label_smoothing": {"label_smoothing": 0.0}, "one_cycle": {"schedule": "constant"},
    "weight_decay": {"weight_decay": 0.0}}
TRICK_NAMES = {"augmentation": "altering the images", "label_smoothing": "label smoothing",
               "one_cycle": "the one-cycle schedule (a constant rate instead)", "weight_decay": "weight decay"}
_HELD_OUT = 0.1
_HELD_OUT_MOST = 2000


@dataclass(frozen=True)
class Taught:
    """A trained model, and how it came about: `recipe` is a sentence, `history` a training.History as a dictionary."""

    model: Model
    history: dict[str, Any]
    seconds: float
    recipe: str
    images: int
    held_out: int
    interrupted: bool


def teach(source: Source, *, minutes: float | None = None, epochs: int | None = None, seed: int = 0, device: str = "cpu",
          checkpoint: str | Path | None = None, verbose: int = 1, harden: Harden | None = None, network: str | None = None,
          without: Collection[str] = (), callbacks: Sequence[Callback] = ()) -> Taught:
    """Train a model on `source.train`; the test images are not looked at. With `harden`, adversarially and from scratch.

    network : one of NETWORKS instead of the default for these images; without : TRICKS to leave out, to see what each is
    worth. Either trains from scratch. callbacks : see `training.Callback`.

    Goes on from `checkpoint` if it is there. Raises InputError for options out of range, DivergedError if training does.
    """
    check_choices(network, without)
    if epochs is not None and epochs < 1:
        raise InputError(f"epochs={epochs}: give at least 1")
    if source.kind in ("sound", "series"):
        if harden is not None or network is not None or without:
            what = "hardening is" if harden is not None else "a choice of network and tricks is"
            raise InputError(f"{what} for images, {source.name} holds {source.train.noun}: leave it out")
        from hubel.study.listening import listened

        return listened(source, minutes=minutes, epochs=epochs, seed=seed, device=device, checkpoint=checkpoint,
                        verbose=verbose)
    few = len(source.train) / len(source.classes) < TRANSFER_BELOW
    if source.kind == "photo" and few and harden is None and network is None and not without:
        from hubel.study.transferring import transferred

        return transferred(source, minutes=minutes, epochs=epochs, seed=seed, device=device, checkpoint=checkpoint,
                           verbose=verbose, callbacks=callbacks)
    return from_scratch(source, minutes=minutes, epochs=epochs, seed=seed, device=device, checkpoint=checkpoint,
                        verbose=verbose, harden=harden, network=network, without=without, callbacks=callbacks)


def check_choices(network: str | None, without: Collection[str]) -> None:
    """Raise InputError for a network or a trick that there is not."""
    if network is not None and network not in NETWORKS:
        raise InputError(f"network {network!r} is unknown: one of {', '.join(NETWORKS)}")
    unknown = sorted(set(without) - set(TRICKS))
    if unknown:
        raise InputError(f"there is no trick {unknown[0]!r} to leave out: there are {', '.join(TRICKS)}")


def from_scratch(source: Source, *, minutes: float | None, epochs: int | None, seed: int, device: str,
                 checkpoint: str | Path | None, verbose: int, harden: Harden | None = None, network: str | None = None,
                 without: Collection[str] = (), callbacks: Sequence[Callback] = ()) -> Taught:
    train, held = hold_out(source.train, seed)
    size, channels = training_size(source.train), source.train.channels_hint()
    mean, std = pixel_statistics(train, size, channels, seed)
    made = _build(network, len(source.classes), channels, size, seed).to(device)
    model = Model(made, source.classes, size=size, channels=channels, mean=mean, std=std)
    chosen: Any = epochs or (None if minutes else default_epochs(len(train), source.kind))
    options: dict[str, Any] = {"learning_rate": 0.01, "weight_decay": 0.05, "label_smoothing": 0.1, "augment": source.kind}
    if harden is not None:  # robust networks overfit late and are steadied by averaging, not by smooth labels
        options |= {"harden": harden, "label_smoothing": 0.0, "ema": 0.995}
    for trick in without:
        options |= TRICKS[trick]
    model.compile("adamw", metrics=("accuracy",))
    history = model.fit(train, epochs=chosen, batch_size=batch_size(len(train)), validation_data=held, seed=seed,
                        minutes=minutes, checkpoint=checkpoint, verbose=verbose, callbacks=list(callbacks), **options)
    what = {"digit": "shifts, turns and scales", "photo": "crops, mirroring and colour changes"}.get(
        source.kind, "shifts and mirroring")
    if mirrored_pair(source.classes):
        what = what.replace(", mirroring", "").replace(" and mirroring", "")
    recipe = (f"AdamW with a one-cycle schedule, label smoothing 0.1, batches of {batch_size(len(train))}; the images were "
              f"altered anew in every epoch ({what}).")
    if harden is not None:
        recipe = (f"AdamW with a one-cycle schedule and an average of the weights, batches of {batch_size(len(train))}; the images "
                  f"were altered anew in every epoch ({what}), then made adversarial: {harden}.")
    if without:
        recipe += f" Left out: {', '.join(TRICK_NAMES[trick] for trick in without)}."
    return Taught(model, history.to_dict(), history.seconds[-1] if history.seconds else 0.0, recipe, len(train),
                  len(held), history.interrupted)


def _build(name: str | None, classes: int, channels: int, size: tuple[int, int], seed: int) -> nn.Module:
    """The network of that name, or the default; InputError where it does not take images of this size."""
    if name is None:
        return nets.default(classes, channels, size, seed=seed)
    made = nets.build(name, classes, channels, seed=seed, **NETWORKS[name])
    try:
        with torch.no_grad(), evaluation(made):
            made(torch.zeros(1, channels, *size))
    except RuntimeError as error:
        raise InputError(f"network {name!r} does not take images of {size[0]} x {size[1]} pixels: choose another") from error
    return made


def hold_out(train: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """(rest, held out): a tenth, 2,000 images at most, for the learning curve; nothing is chosen by it."""
    return train.split(min(_HELD_OUT, _HELD_OUT_MOST / len(train)), seed)


def training_size(train: Dataset) -> tuple[int, int]:
    """The images' own size if they share one of at most 128 pixels a side, else 128 x 128 at most, in proportion 1."""
    (height, width), same = train.size_hint()
    if same and max(height, width) <= 128:
        return height, width
    side = int(min(128, max(16, round(np.sqrt(height * width)))))
    return side, side


def pixel_statistics(train: Dataset, size: tuple[int, int], channels: int, seed: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in 0..1, over 2,000 training images at most."""
    pixels = train.sample(min(len(train), 2000), seed).arrays(size, channels).astype(np.float32) / 255
    return pixels.mean((0, 1, 2)).tolist(), np.maximum(pixels.std((0, 1, 2)), 1e-3).tolist()


def batch_size(images: int) -> int:
    """Small sets get small batches, so that an epoch has some twenty steps at least."""
    return int(min(128, max(16, 2 ** round(np.log2(max(images, 32) / 24)))))


def default_epochs(images: int, kind: str) -> int:
    """Enough to see some 32,000 digits or 400,000 other pictures, between 3 and 60 times each."""
    return int(np.clip(round((32_000 if kind == "digit" else 400_000) / images), 3 if kind == "digit" else 8, 60))
