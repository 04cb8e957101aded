"""Pretrained networks as Models. Depends on nets."""

from __future__ import annotations

from hubel import nets
from hubel.model.imagenet import CLASSES
from hubel.model.model import Model
from hubel.nets.efficientnet import MEAN, STD


def pretrained(name: str = "efficientnet_lite0") -> Model:
    """Return a Model with ImageNet weights and its 1,000 class names: 224 px, 3 channels."""
    return Model(nets.pretrained(name), CLASSES, size=224, channels=3, mean=MEAN, std=STD)
