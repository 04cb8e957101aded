"""Layers that lead from a code back to an image: reshape, enlarge, sub-pixel convolution. Depends on nets.layers."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from hubel.errors import InputError
from hubel.nets.layers import ACTIVATIONS, Layer, _activation, _positive


class Reshape(Layer):
    """(N, d) -> (N, C, H, W), the inverse of Flatten; `target_shape` is (H, W, C), as shapes are written in all arguments."""

    keras = ("target_shape",)

    def __init__(self, target_shape: tuple[int, ...], *, input_shape: tuple[int, ...] | None = None,
                 name: str | None = None) -> None:
        super().__init__(input_shape, name)
        self.target_shape = tuple(_positive("target_shape", n) for n in target_shape)

    def build(self, shape: tuple[int, ...]) -> None:
        if math.prod(shape) != math.prod(self.target_shape):
            raise InputError(f"target_shape={self.target_shape} has {math.prod(self.target_shape)} numbers, the input "
                             f"{math.prod(shape)}")

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.target_shape[-1], *self.target_shape[:-1])


class UpSampling2D(Layer):
    """Each pixel becomes `size` x `size` pixels ('nearest'), or is interpolated ('bilinear')."""

    keras = ("size", "interpolation")

    def __init__(self, size: int = 2, interpolation: str = "nearest", *, input_shape: tuple[int, ...] | None = None,
                 name: str | None = None) -> None:
        super().__init__(input_shape, name)
        if interpolation not in ("nearest", "bilinear"):
            raise InputError(f"interpolation={interpolation!r} is unknown: 'nearest' or 'bilinear'")
        self.size, self.interpolation = _positive("size", size), interpolation

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=float(self.size), mode=self.interpolation)


class SubPixel2D(Layer):
    """A convolution at the small size that gives `filters` maps at `scale` times the size (Shi et al. 2016, arXiv:1609.05158).

    (N, C, H, W) -> (N, filters, scale H, scale W): `filters` scale² maps are computed and their values dealt out as the
    scale x scale pixels of each place. It begins as an enlargement by repeated pixels, so that no checkerboard is to be
    unlearned (Aitken et al. 2017, arXiv:1707.02937).
    """

    keras = ("filters", "kernel_size", "scale", "activation", "use_bias")

    def __init__(self, filters: int, kernel_size: int = 3, scale: int = 2, activation: str | None = None,
                 use_bias: bool = True, *, input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__(input_shape, name)
        self.filters, self.kernel_size = _positive("filters", filters), _positive("kernel_size", kernel_size)
        self.scale, self.use_bias = _positive("scale", scale), use_bias
        if self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size={kernel_size} must be odd: 1, 3, 5")
        self.activation = _activation(activation)

    def build(self, shape: tuple[int, ...]) -> None:
        pixels = self.scale**2
        self.conv = nn.Conv2d(shape[0], self.filters * pixels, self.kernel_size, 1, self.kernel_size // 2,
                              bias=self.use_bias)
        one = nn.Conv2d(shape[0], self.filters, self.kernel_size)
        nn.init.xavier_uniform_(one.weight)
        self.conv.weight.data.copy_(one.weight.data.repeat_interleave(pixels, dim=0))
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](F.pixel_shuffle(self.conv(x), self.scale))


LAYERS: dict[str, Any] = {kind.__name__: kind for kind in (Reshape, UpSampling2D, SubPixel2D)}
