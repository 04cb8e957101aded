"""Training on photos by transfer from the pretrained network: the data and the Model around `training.transfer`.

Depends on training, model, data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hubel import training
from hubel.data import Dataset, Source
from hubel.model import Model
from hubel.nets.efficientnet import MEAN, STD
from hubel.training import transfer as room
from hubel.training.augment.meaning import mirrored_pair

SIZE = (224, 224)
_HELD_OUT, _HELD_OUT_LEAST = 0.05, 100


def transferred(source: Source, *, minutes: float | None, epochs: int | None, seed: int, device: str,
                checkpoint: str | Path | None, verbose: int, callbacks: Sequence[training.Callback] = ()) -> Any:
    """Return a `teach.Taught`: EfficientNet-Lite0 with ImageNet weights, a new head, then most of it trained on."""
    from hubel.study.teach import Taught

    train, held = hold_out(source.train, seed)
    model = Model(room.transfer_network(len(source.classes)).to(device), source.classes, size=SIZE, channels=3, mean=MEAN,
                  std=STD)
    mirror = mirrored_pair(source.classes) is None
    history = room.transfer(model.network, batches(train), normalise=model.normalise, minutes=minutes, epochs=epochs,
                            seed=seed, mirror=mirror, validation=None if held is None else batches(held), checkpoint=checkpoint,
                            callbacks=list(callbacks), verbose=verbose, model=model)
    recipe = ("It began with ImageNet's weights and a logistic regression on their features; then all but the first blocks "
              f"were trained on, with small rates, crops{', mirroring' if mirror else ''} and changes of brightness.")
    return Taught(model, history.to_dict(), history.seconds[-1] if history.seconds else 0.0, recipe, len(train),
                  0 if held is None else len(held), history.interrupted)


def hold_out(train: Dataset, seed: int) -> tuple[Dataset, Dataset | None]:
    """(rest, held out): a twentieth for the learning curve, or none where that would be fewer than 100 images: a curve
    of so few says little, and they are worth more to learn from."""
    if len(train) * _HELD_OUT < _HELD_OUT_LEAST or train.counts[train.counts > 0].min() < 12:
        return train, None
    return train.split(_HELD_OUT, seed)


def batches(dataset: Dataset) -> Any:
    """Up to half a GB is decoded once and kept; more is decoded anew in every epoch."""
    if len(dataset) * 3 * SIZE[0] * SIZE[1] <= 2**29:
        return torch.from_numpy(dataset.arrays(SIZE, 3)).permute(0, 3, 1, 2), torch.tensor(dataset.labels)
    return training.DatasetSource(dataset, SIZE, 3)
