"""The network of the CIFAR-10 speed run (Jordan 2024, arXiv:2404.00498): small, wide early, and quick to learn. Depends on torch.

How it is trained, and what each trick is worth, is the recipe's matter (`training.recipes.cifar94`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 256, 256)


def speed_run(classes: int = 10, channels: int = 3, widths: tuple[int, ...] = WIDTHS, dirac: bool = True) -> nn.Sequential:
    """Normalised images (N, channels, H, W) of 32 pixels -> logits: a first layer of 2x2 patches (to be whitened, see
    `whiten`), three groups of two 3x3 convolutions, one dense layer; 2 million parameters, 0.12 billion multiply-adds.

    dirac : hidden kernels begin as the identity on as many channels as fit, so that early gradients pass undisturbed.
    """
    first = nn.Conv2d(channels, 8 * channels, 2)
    inputs, groups = 8 * channels, []
    for outputs in widths:
        groups += _group(inputs, outputs)
        inputs = outputs
    network = nn.Sequential(first, nn.GELU(), *groups, nn.MaxPool2d(3), nn.Flatten(),
                            nn.Linear(inputs, classes, bias=False))
    with torch.no_grad():
        for module in network:
            if isinstance(module, nn.Conv2d) and module is not first and dirac:
                nn.init.dirac_(module.weight[: module.in_channels])
            if isinstance(module, nn.Linear):
                module.weight /= 9  # small logits at first
    return network


def _group(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.MaxPool2d(2), _norm(outputs), nn.GELU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), _norm(outputs), nn.GELU()]


def _norm(channels: int) -> nn.BatchNorm2d:
    """Without a learned scale, which the next layer's kernels make needless; statistics of the last few batches."""
    layer = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


@torch.no_grad()
def whiten(layer: nn.Module, x: Tensor, floor: float = 5e-4) -> None:
    """Make the layer's 2x2 filters the principal components of the patches of x (N, C, H, W), with both signs, scaled to
    equal variance; they are not learned, the biases are. `floor` keeps what is mostly noise from being blown up."""
    assert isinstance(layer, nn.Conv2d)
    patches = F.unfold(x, 2).transpose(1, 2).reshape(-1, 4 * x.shape[1])
    patches = patches - patches.mean(0)
    variance, components = torch.linalg.eigh(patches.T.double() @ patches.double() / len(patches))
    filters = (components / (variance + floor).sqrt()).T.float().reshape(-1, x.shape[1], 2, 2)
    layer.weight.copy_(torch.cat([filters, -filters]))
    layer.weight.requires_grad_(False)
    assert layer.bias is not None
    layer.bias.zero_()
