"""A U-net: down by stages, up again, and every stage's map also straight across. Depends on nets.

Ronneberger et al. 2015 (arXiv:1505.04597). Its result is an image, or classes of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hubel.errors import InputError, ModelError
from hubel.nets.chain import PerChannel, Pixels, Shape, build_for
from hubel.nets.describe import describe, from_description
from hubel.nets.layers import Conv2D
from hubel.nets.registry import register
from hubel.nets.upward import SubPixel2D


class UShaped(nn.Module):
    """(N, *shape) -> (N, outputs, H, W).

    stages : a chain of modules, each from one map to the next, that halve (or divide by a whole number) or keep its size.
    outputs : maps of the result: channels, or classes of pixels.
    shape : (C, H, W); its sides must divide by what the stages divide by.
    shift, scale : see `Pixels`; 0 and 1 leave logits as they are.
    """

    def __init__(self, stages: nn.Sequential, outputs: int, shape: Sequence[int], *, shift: PerChannel = 0.5,
                 scale: PerChannel = 0.25) -> None:
        super().__init__()
        self.shape: Shape = tuple(int(n) for n in shape)
        self.stages, self.outputs = stages, outputs
        maps = [self.shape]
        for stage in stages:
            maps.append(build_for(stage, maps[-1]))
        if any(len(m) != 3 for m in maps):
            raise InputError(f"the stages give {maps[-1]}: a U-net's are maps (channels, height, width) throughout")
        self.code_shape: Shape = maps[-1]
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        below = maps.pop()
        for across in reversed(maps):
            filters = max(across[0], maps[min(1, len(maps) - 1)][0] // 2, 8)
            self.up.append(_enlarger(below, across, filters))
            build_for(self.up[-1], below)
            self.join.append(nn.Sequential(Conv2D(filters, 3, padding="same", use_bias=False), nn.BatchNorm2d(filters),
                                           nn.ReLU()))
            below = build_for(self.join[-1], (filters + across[0], *across[1:]))
        self.last, self.pixels = nn.Conv2d(below[0], outputs, 1), Pixels(shift, scale)
        about = describe(stages)
        self.spec: Any = None if about is None else {
            "name": "u_shaped", "classes": 0, "channels": 0, "stages": about, "outputs": outputs,
            "shape": list(self.shape), **self.pixels.config()}

    def encode(self, x: Tensor) -> Tensor:
        """The smallest map, at the bottom of the U."""
        return self.stages(x)

    def decode(self, code: Tensor) -> Tensor:
        raise ModelError("a U-net cannot decode a code alone, since most passes across it: use reconstruct, or an "
                         "autoencoder of kind 'convolutional'")

    def forward(self, x: Tensor) -> Tensor:
        across = [x]
        for stage in self.stages:
            across.append(stage(across[-1]))
        y = across.pop()
        for up, join in zip(self.up, self.join, strict=True):
            y = join(torch.cat([up(y), across.pop()], dim=1))
        return self.pixels(self.last(y))


def _enlarger(below: Shape, across: Shape, filters: int) -> nn.Module:
    """From the map below to the size of the one across."""
    factor = across[1] // below[1]
    if (below[1] * factor, below[2] * factor) != across[1:]:
        raise InputError(f"a map of {below[1]} x {below[2]} does not enlarge to {across[1]} x {across[2]}: choose a size that "
                         "divides without a rest")
    if factor == 1:
        return Conv2D(filters, 3, padding="same", activation="relu")
    return SubPixel2D(filters, 3, factor, "relu")


@register("u_shaped")
def _u_shaped(classes: int = 0, channels: int = 0, *, stages: Any, **options: Any) -> nn.Module:
    chain = from_description(stages)
    if not isinstance(chain, nn.Sequential):
        raise ModelError("a U-net is described without a chain of stages")
    return UShaped(chain, **options)
