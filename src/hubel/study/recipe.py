"""Training on a data set by one of the recipes. Depends on training.recipes, model, teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hubel.data import Source
from hubel.errors import InputError
from hubel.model import Model
from hubel.study.teach import Taught
from hubel.training import recipes


def follow(source: Source, name: str, *, minutes: float | None = None, epochs: int | None = None, seed: int = 0,
           device: str = "cpu", checkpoint: str | Path | None = None, verbose: int = 1) -> Taught:
    """Train a model on all of `source.train` by the recipe `name`; images are brought to the recipe's size.

    Goes on from `checkpoint` if it is there. Raises InputError for an unknown recipe.
    """
    recipe = recipes.get(name)
    if source.kind in ("sound", "series"):
        raise InputError(f"the recipe {name!r} is for images, {source.name} holds {source.train.noun}: leave it out")
    images = source.train.arrays(size=recipe.SIZE, channels=recipe.CHANNELS)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    y = torch.from_numpy(np.array(source.train.labels))
    options: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    network, history = recipe.train(x, y, classes=len(source.classes), seed=seed, minutes=minutes, device=device,
                                    checkpoint=checkpoint, verbose=verbose, **options)
    model = Model(network, source.classes, size=recipe.SIZE, channels=recipe.CHANNELS, mean=recipe.MEAN, std=recipe.STD)
    return Taught(model, history.to_dict(), history.seconds[-1] if history.seconds else 0.0, f"the recipe '{name}'",
                  history.params["samples"], 0, history.interrupted)
