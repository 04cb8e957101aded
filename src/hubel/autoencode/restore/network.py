"""The network that restores: a U-net of residual blocks that starts at half the image's resolution. Depends on torch.

A U-shaped autoencoder (Ronneberger et al. 2015, arXiv:1505.04597) without batch norm, whose finest level works on 2 x 2
pixels at once (FFDNet, Zhang et al. 2018, arXiv:1710.04026): at full resolution a convolution costs four times as much.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + W2 relu(W1 x): two 3 x 3 convolutions of as many channels as come in. Starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class RestorationNet(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H, W); H and W are multiples of `self.multiple`.

    Parameters
    ----------
    inputs, outputs : channels of pixels; what else the network is told (noise level, mask) counts as input.
    widths : channels at 1/2, 1/4, ... of the resolution.
    blocks : residual blocks of each level, on the way down and again on the way up; once at the lowest.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.inputs, self.outputs, self.widths, self.blocks = inputs, outputs, tuple(widths), tuple(blocks)
        self.stem = nn.Conv2d(4 * inputs, widths[0], 3, padding=1)
        levels = list(zip(widths, blocks, strict=True))
        self.down = nn.ModuleList(_stack(w, n) for w, n in levels)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.grow = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(_stack(w, n) for w, n in levels[:-1])
        self.head = nn.Conv2d(widths[0], 4 * outputs, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)

    @property
    def multiple(self) -> int:
        """What height and width must be divisible by."""
        return int(2 ** len(self.widths))

    @property
    def reach(self) -> int:
        """How far, in pixels, an output looks to each side: the radius of its receptive field."""
        deepest = len(self.widths) - 1
        radius = 4  # stem and head, at half resolution
        for level, n in enumerate(self.blocks):
            radius += 2 ** (level + 1) * (2 * n * (1 if level == deepest else 2))
        return radius + 2 ** (deepest + 1)  # the grids of the levels

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(F.pixel_unshuffle(x, 2))
        kept: list[Tensor] = []
        for level, stack in enumerate(self.down):
            x = stack(x)
            if level < len(self.shrink):
                kept.append(x)
                x = self.shrink[level](x)
        for level in reversed(range(len(self.grow))):
            x = self.up[level](kept[level] + F.pixel_shuffle(self.grow[level](x), 2))
        return F.pixel_shuffle(self.head(x), 2)


def _stack(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


def denoiser() -> RestorationNet:
    """The shape that ships: RGB, a map of the noise's level and a map of whether it is known."""
    return RestorationNet(5, 3, (64, 96, 128), (2, 2, 2))


def painter() -> RestorationNet:
    """The shape that ships: RGB with holes filled smoothly, and the mask."""
    return RestorationNet(4, 3, (48, 64, 96, 128, 128), (1, 1, 1, 1, 2))


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def macs(network: RestorationNet) -> float:
    """Multiply-adds an input pixel."""
    from torch.utils.flop_counter import FlopCounterMode

    side = 4 * network.multiple
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, network.inputs, side, side))
    return counter.get_total_flops() / 2 / side**2
