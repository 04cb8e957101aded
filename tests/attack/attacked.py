"""A small convolutional network and images for the attack room's tests."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def network(seed: int = 0) -> nn.Module:
    """A random network whose classes are about equally frequent on noise (N, 1, 10, 12)."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                          nn.Linear(64, 5)).eval()
    with torch.no_grad():
        model[-1].bias -= model(torch.rand(100, 1, 10, 12)).mean(0)
    return model


def labelled(model: nn.Module, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, uint8 (n, 10, 12, 1), and what the network takes it for."""
    x = np.random.default_rng(seed).integers(0, 256, (n, 10, 12, 1)).astype(np.uint8)
    return x, model(torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255).argmax(1).numpy()
