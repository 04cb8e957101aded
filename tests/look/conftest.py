"""What the tests of looking share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hubel.model import Model


@pytest.fixture
def small() -> Model:
    """A random convolutional network on 12 x 12 colour images, with in-place layers."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4),
    )
    network[1].running_mean.normal_(), network[1].running_var.uniform_(0.5, 2)
    return Model(network.eval(), ["a", "b", "c", "d"], size=12, channels=3, mean=0.5, std=0.25)
