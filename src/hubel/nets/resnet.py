"""Residual networks: the small default for images trained from scratch. Depends on torch.

He et al. 2016, 'Deep Residual Learning' (arXiv:1512.03385), section 4.2, with their option B shortcuts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """y = relu(x' + F(x)): F is two 3x3 convolutions with batch norm, x' is x or, where shapes differ, a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        nn.init.zeros_(self.bn2.weight)  # the block starts as the identity (Goyal et al. 2017, section 5.1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """A residual network that fits its input: normalised (N, channels, H, W) -> logits (N, classes).

    A `kernel` x `kernel` first layer of `width` filters, then one stage of `depth` blocks per entry of `stages`; every
    stage but the first halves the image and doubles the channels. Any image size of at least 2^(stages - 1) pixels.
    """

    def __init__(self, classes: int, channels: int = 3, width: int = 32, stages: int = 3, depth: int = 1,
                 kernel: int = 3, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.stages = nn.Sequential()
        inputs = width
        for stage in range(stages):
            outputs = width * 2**stage
            first = ResidualBlock(inputs, outputs, stride=2 if stage else 1)
            self.stages.append(nn.Sequential(first, *(ResidualBlock(outputs, outputs) for _ in range(depth - 1))))
            inputs = outputs
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(inputs, classes)
        _he(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.relu(self.stem_norm(self.stem(x))))
        return self.classifier(self.dropout(self.flatten(self.pool(x))))


@torch.no_grad()
def _he(network: nn.Module) -> None:
    """Normal weights of variance 2 / fan-out for convolutions (He et al. 2015, eq. 14)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
