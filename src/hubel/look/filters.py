"""The filters a network has learned in its first layer, as pictures. Depends on look.layers for the order layers run in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from hubel.errors import InputError, ModelError
from hubel.look.capture import find, split
from hubel.look.draw import Group, Shown, as_tile, sheet
from hubel.look.gabor import Fit, fit
from hubel.look.layers import layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Filters(Shown):
    """weights : float32 (units, C, h, w), per unit of 0..1 pixels (the model's normalisation is divided in)."""

    layer: str
    weights: np.ndarray
    model: str = ""

    def __len__(self) -> int:
        return len(self.weights)

    def pictures(self) -> list[np.ndarray]:
        """Each filter as (h, w, 3) in 0..1: mid-grey is weight 0, the largest weight of the filter is black or white.

        Filters of one or three channels show all their weights; of others, the channels' sum.
        """
        w = self.weights if self.weights.shape[1] in (1, 3) else self.weights.sum(axis=1, keepdims=True)
        high = np.abs(w).reshape(len(w), -1).max(axis=1).clip(1e-30)[:, None, None, None]
        return [as_tile(p) for p in (0.5 + 0.5 * w / high).transpose(0, 2, 3, 1)]

    def fit(self) -> Fit:
        """Return the nearest Gabor and the nearest edge of each filter with R² (`look.gabor`); raises InputError for
        filters larger than 31 x 31, which are no windows on the image."""
        if max(self.weights.shape[2:]) > 31:
            h, w = self.weights.shape[2:]
            raise InputError(f"filters of {h} x {w} pixels: Gabors are fitted up to 31")
        return fit(self.weights)

    def plot_fit(self, most: int = 16) -> Figure:
        """Draw each filter beside its nearest Gabor, the best fits first."""
        found = self.fit()
        order = np.argsort(-found.gabor_r2, kind="stable")[:most]
        both = Filters(self.layer, np.concatenate([self.weights, found.nearest]), self.model).pictures()
        groups = [Group([both[i], both[i + len(self)]], f"filter {i}",
                        f"Gabor R² {found.gabor_r2[i]:.2f}, edge {found.edge_r2[i]:.2f}") for i in order]
        gabor, edge = found.beyond_chance()
        foot = (f"Left the filter, right its nearest Gabor. Median R²: Gabor {np.median(found.gabor_r2):.2f}, edge "
                f"{np.median(found.edge_r2):.2f};\nrandom filters reach {np.median(found.random_gabor_r2):.2f} and "
                f"{np.median(found.random_edge_r2):.2f}. Better than 95% of random filters:\n{gabor:.0%} of all filters as "
                f"Gabors, {edge:.0%} as edges.")
        return sheet(groups, 2, 3, title=f"Nearest Gabors of {self.layer}", foot=foot)

    def plot(self, most: int = 64) -> Figure:
        pictures = self.pictures()[:most]
        columns = 8 if len(pictures) > 16 else max(4, -(-len(pictures) // 2))
        h, w = self.weights.shape[2:]
        shown = f"first {most} of {len(self)}" if len(self) > most else f"{len(self)}"
        foot = "Mid-grey is weight 0; each filter is scaled to its own largest weight."
        return sheet([Group(pictures)], columns, 1, foot=foot,
                     title=f"Learned filters of {self.layer}: {shown}, {h} × {w} pixels")

    def to_dict(self) -> dict[str, Any]:
        return {"layer": self.layer, "model": self.model, "weights": self.weights.tolist()}


def filters(model: Any, layer: str | None = None) -> Filters:
    """Return the filters of the first convolution that runs, or of `layer`.

    A dense first layer counts as well: its weights are pictures of the input's size. Raises ModelError for a network
    that begins with neither, or a layer without weights that are pictures.
    """
    listed = list(layers(model))
    if layer is None:
        first = [x.name for x in listed if isinstance(find(model.network, split(x.name)[0]), nn.Conv2d | nn.Linear)]
        if not first:
            raise ModelError("the network has no 2-D convolution and no dense layer: there are no filters to show")
        layer = first[0]
    module = find(model.network, split(layer)[0])
    weight: Any = getattr(module, "weight", None)
    channels = model.channels
    if isinstance(module, nn.Linear) and weight.shape[1] == channels * listed[0].image[0] * listed[0].image[1]:
        weight = weight.reshape(len(weight), channels, *listed[0].image)
    if weight is None or weight.ndim != 4:
        raise ModelError(f"layer {layer!r} ({type(module).__name__}) has no 2-D filters: choose a convolution")
    w = weight.detach().float().cpu().numpy()
    if w.shape[1] == channels:
        w = w / _std(model, channels)
    return Filters(layer, w.copy(), model.hash)


def _std(model: Any, channels: int) -> np.ndarray:
    """What a pixel is divided by before the network sees it, per channel (1, C, 1, 1)."""
    import torch

    low, high = (model.normalise(torch.full((1, channels, 1, 1), v)) for v in (0.0, 1.0))
    return 1 / (high - low).numpy()
