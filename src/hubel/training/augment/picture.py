"""A picture of what an augmentation does to one image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hubel.pixels import as_arrays, as_batch
from hubel.training.augment.compose import get
from hubel.training.randomness import Draws


def show(image: Any, augment: Any = "photo", count: int = 11, seed: int = 0) -> Any:
    """A Matplotlib figure: the image, then `count` versions of it, one for each of the first epochs.

    `image`: what `pixels.as_batch` takes, one image; `augment`: what `fit` takes.
    """
    from matplotlib.figure import Figure

    x = as_batch(image)
    transform = get(augment, (int(x.shape[2]), int(x.shape[3])))
    pictures = [x]
    for epoch in range(count):
        draws = Draws(seed, epoch, np.zeros(1, dtype=np.int64), lambda index: (x[index], torch.zeros(1, dtype=torch.int64)))
        pictures.append(x if transform is None else transform(x, torch.zeros(1, dtype=torch.int64), draws)[0])
    columns = min(6, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(1.6 * columns, 1.6 * rows * x.shape[2] / x.shape[3] + 0.4), layout="constrained")
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if i < len(pictures):
            axes.imshow(as_arrays(pictures[i].clamp(0, 1))[0].squeeze(), cmap="gray", vmin=0, vmax=255)
            axes.set_title("as it is" if i == 0 else f"epoch {i}", fontsize=8)
    return figure
