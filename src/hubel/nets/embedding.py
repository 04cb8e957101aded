"""From images to features: a network up to one of its layers, pooled, over several views of each image. Depends on torch.

    body = Embedding(network, "pool", before=True, pooling="gem", views="mirror")
    nn.Sequential(body, Lean(1280), nn.Linear(1280, 5))      # a few-shot network: an ordinary nn.Module
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.errors import InputError
from hubel.nets.describe import describe, from_description
from hubel.nets.registry import register

# (scale of the picture, share of its sides that is seen): the network's own size is 1. Larger pictures show a network
# trained on random crops objects at the size it knows (Touvron et al. 2019, 'Fixing the train-test discrepancy').
VIEWS: dict[str, tuple[tuple[float, float], ...]] = {
    "plain": ((1.0, 1.0),),
    "mirror": ((1.0, 1.0),),
    "rich": ((1.0, 1.0), (9 / 7, 1.0), (9 / 7, 0.75)),
}
POOLINGS = ("mean", "gem", "max")
GEM = 3.0  # Radenovic et al. 2018 (arXiv:1711.02512): between the mean (1) and the maximum


class Reached(Exception):
    """Carries a layer's value out of a network, so that nothing after it is computed."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


_passing: ContextVar[list[Tensor] | None] = ContextVar("passing", default=None)  # one for each thread


class Tap(nn.Module):
    """Ends the forward pass with its layer's output, or with `before`, its input. While `_passing` holds a list, it notes the
    value there and lets the pass go on. Without a layer it stands for one that is never reached."""

    def __init__(self, layer: nn.Module | None = None, before: bool = False) -> None:
        super().__init__()
        self.layer, self.before = layer, before

    def forward(self, x: Tensor) -> Tensor:
        kept = _passing.get()
        if kept is None:
            raise Reached(x if self.before or self.layer is None else self.layer(x))
        result = x if self.layer is None else self.layer(x)
        kept.append(x if self.before else result)
        return result


class Embedding(nn.Module):
    """Normalised images (N, C, H, W) -> features (N, D): the mean over views of each view's features at unit length.

    layer : the dotted name of the layer whose output, or with `before` whose input, is the feature.
    pooling : of maps (N, C, h, w) over places: 'mean', 'gem' (generalised mean, exponent 3), 'max'.
    views : 'plain' (the image), 'mirror' (and its mirror image), 'rich' (both, at two sizes and cut to the middle).
        With 'plain' features keep their length.
    size : (height, width) the network is used to, in pixels, for 'rich'; images may come in larger (`canvas`). Without it
        every view is at the images' own size.
    own_classes : above 0, the network's probabilities of its own classes, their mean over views, are features as well: their
        square roots (N, K), so that their distance is Hellinger's, times this. The others are at unit length then.
    """

    def __init__(self, network: nn.Module, layer: str, before: bool = False, pooling: str = "mean", views: str = "plain",
                 size: Sequence[int] | None = None, own_classes: float = 0.0) -> None:
        super().__init__()
        if views not in VIEWS or pooling not in POOLINGS:
            raise InputError(f"views={views!r} is one of {', '.join(VIEWS)}; pooling={pooling!r} of {', '.join(POOLINGS)}")
        if not 0 <= own_classes < math.inf:
            raise InputError(f"own_classes={own_classes}: give a weight from 0 up, such as 0.5")
        self.views, self.pooling, self.own_classes = views, pooling, float(own_classes)
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.spec: Any = None
        about = describe(network)
        if about is not None:
            self.spec = {"name": "embedding", "classes": 0, "channels": 0, "backbone": about, "layer": layer,
                         "before": before, "pooling": pooling, "views": views,
                         "size": None if self.size is None else list(self.size), "own_classes": self.own_classes}
        self.body = copy.deepcopy(network).eval()
        inner = self.body.get_submodule(layer)
        _put(self, f"body.{layer}", Tap(inner if own_classes or not before else None, before))

    def forward(self, x: Tensor) -> Tensor:
        if self.views == "plain" and not self.own_classes:
            return self.one(x)[0]
        total, guesses = torch.zeros(()), torch.zeros(())
        for scale, share in VIEWS[self.views]:
            seen = x if self.size is None else view(x, self.size, scale, share)
            both = self.views != "plain"
            features, guess = self.one(torch.cat([seen, seen.flip(3)]) if both else seen)  # one pass, so that batch norms fold
            features = F.normalize(features, dim=1)
            total = total + (features[: len(x)] + features[len(x) :] if both else features)
            if guess is not None:
                guesses = guesses + (guess[: len(x)] + guess[len(x) :] if both else guess)
        count = len(VIEWS[self.views]) * (1 if self.views == "plain" else 2)
        if not self.own_classes:
            return total / count
        # the gradient of a root at 0 is infinite: a ten-millionth is added
        return torch.cat([F.normalize(total, dim=1).float(), self.own_classes * (guesses / count + 1e-7).sqrt()], dim=1)

    def one(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The pooled features (N, D) of one view, and where own classes are asked for, their probabilities (N, K)."""
        if not self.own_classes:
            try:
                value = self.body(x)
            except Reached as reached:
                value = reached.value
            return pool(value, self.pooling), None
        kept: list[Tensor] = []
        token = _passing.set(kept)
        try:
            logits = self.body(x)
        finally:
            _passing.reset(token)
        return pool(kept[0], self.pooling), logits.float().softmax(1)


def canvas(size: tuple[int, int], views: str) -> tuple[int, int]:
    """The (height, width) at which images should come in, so that no view has to be enlarged."""
    most = max(scale / share for scale, share in VIEWS[views])
    return round(size[0] * most), round(size[1] * most)


def view(x: Tensor, size: tuple[int, int], scale: float, share: float) -> Tensor:
    """The middle `share` of the picture's sides, at `scale` times `size`; scaling is antialiased."""
    height, width = (round(side * scale) for side in size)
    tall, wide = math.ceil(height / share), math.ceil(width / share)
    if (tall, wide) != x.shape[2:]:
        x = F.interpolate(x.float(), (tall, wide), mode="bilinear", antialias=True, align_corners=False).to(x.dtype)
    top, left = (tall - height) // 2, (wide - width) // 2
    return x[:, :, top : top + height, left : left + width]


def pool(x: Tensor, how: str) -> Tensor:
    """Maps (N, C, h, w) to (N, C); anything else is flattened to (N, D)."""
    if x.ndim != 4 or x.shape[2] == x.shape[3] == 1:
        return x.flatten(1)
    if how == "max":
        return x.amax((2, 3))
    if how == "mean":
        return x.mean((2, 3))
    return x.float().clamp_min(1e-6).pow(GEM).mean((2, 3)).pow(1 / GEM).to(x.dtype)


class Lean(nn.Module):
    """Features (N, D) -> unit length, less a centre, and unit length again: the directions in which images differ.

    Without a centre (zeros) it is unit length alone. Centring: Wang et al. 2019, 'SimpleShot' (arXiv:1911.04623).
    """

    centre: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(width))
        self.spec = {"name": "lean", "classes": 0, "channels": 0, "width": width}

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(F.normalize(x, dim=1) - self.centre.to(x.dtype), dim=1)


def _put(root: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(root.get_submodule(parent), leaf, new)


@register("embedding")
def _embedding(classes: int = 0, channels: int = 0, *, backbone: Any, layer: str, before: bool, pooling: str,
               views: str, size: Any = None, own_classes: float = 0.0) -> nn.Module:
    return Embedding(from_description(backbone), layer, before, pooling, views, size, own_classes)


@register("lean")
def _lean(classes: int = 0, channels: int = 0, *, width: int) -> nn.Module:
    return Lean(width)
