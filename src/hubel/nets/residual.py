"""A residual block that learns its sizes, for series, images and volumes, as a layer in Keras' words. Depends on torch.

He et al. 2016 (arXiv:1512.03385), figure 2, with batch norm and their option B where shapes differ.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from hubel.nets.layers import Layer, _positive

_CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class Residual(Layer):
    """y = relu(x' + F(x)) for inputs (N, C, ...) of 1 to 3 dimensions: F is two convolutions of `kernel_size` (odd) with
    batch norm, the first with `strides`; x' is x or, where shapes differ, a convolution of size 1."""

    keras = ("filters", "kernel_size", "strides")

    def __init__(self, filters: int, kernel_size: int = 3, strides: int = 1, *,
                 input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__(input_shape, name)
        self.filters, self.kernel_size = _positive("filters", filters), _positive("kernel_size", kernel_size)
        self.strides = _positive("strides", strides)

    def build(self, shape: tuple[int, ...]) -> None:
        conv, norm = _CONVS[len(shape) - 1], _NORMS[len(shape) - 1]
        pad = self.kernel_size // 2
        self.conv1 = conv(shape[0], self.filters, self.kernel_size, self.strides, pad, bias=False)
        self.norm1 = norm(self.filters)
        self.conv2 = conv(self.filters, self.filters, self.kernel_size, 1, pad, bias=False)
        self.norm2 = norm(self.filters)
        self.shortcut: nn.Module = nn.Identity()
        if self.strides != 1 or shape[0] != self.filters:
            self.shortcut = nn.Sequential(conv(shape[0], self.filters, 1, self.strides, bias=False), norm(self.filters))
        nn.init.zeros_(self.norm2.weight)  # the block starts as the identity (Goyal et al. 2017, section 5.1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))
