"""ResNets for 32 pixels, of any depth, and their plain twins: what residual connections are for. Depends on torch.

He et al. 2016 (arXiv:1512.03385), section 4.2: 6n + 2 layers in three stages of 16, 32 and 64 channels, shortcuts without
parameters (option A: strided, padded with zero channels).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from hubel.errors import InputError


class Block(nn.Module):
    """relu(x' + F(x)), or relu(F(x)) when `residual` is False."""

    def __init__(self, inputs: int, outputs: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.stride, self.extra, self.residual = stride, outputs - inputs, residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.residual:
            short = x[:, :, :: self.stride, :: self.stride]
            y = y + F.pad(short, (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        return self.relu(y)


class CifarResNet(nn.Module):
    """Normalised images (N, channels, H, W) -> logits; `depth` = 6n + 2 layers; `residual=False` is the plain twin."""

    def __init__(self, classes: int = 10, channels: int = 3, depth: int = 20, width: int = 16,
                 residual: bool = True) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise InputError(f"depth={depth} is not 6n + 2: take 8, 14, 20, 32, 44, 56 or 110")
        self.stem = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        blocks, inputs = [], width
        for stage in range(3):
            for i in range((depth - 2) // 6):
                outputs = width * 2**stage
                blocks.append(Block(inputs, outputs, 2 if stage and i == 0 else 1, residual))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.relu(self.stem_norm(self.stem(x))))
        return self.classifier(self.flatten(self.pool(x)))
