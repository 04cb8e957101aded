"""Architectures by name, and the default for a data set. What is built here carries a `spec` to rebuild it from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from hubel.errors import InputError, ModelError
from hubel.nets.cifar_resnet import CifarResNet
from hubel.nets.classic import alexnet, lenet, vgg
from hubel.nets.depths import DepthsNet
from hubel.nets.efficientnet import EfficientNetLite, pretrained_lite0
from hubel.nets.imagenet_resnet import resnet18, resnet34, resnet50
from hubel.nets.resnet import SmallResNet


def _efficientnet(classes: int, channels: int = 3, **options: Any) -> nn.Module:
    if channels != 3:
        raise InputError(f"efficientnet_lite0 takes 3 channels, not {channels}: repeat grey images (Model does)")
    return EfficientNetLite(classes, **options)


def _depths(classes: int, channels: int = 3, **options: Any) -> nn.Module:
    if channels != 3:
        raise InputError(f"efficientnet_lite0_depths takes 3 channels, not {channels}: repeat grey images (Model does)")
    return DepthsNet(classes, **options)


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "small_resnet": SmallResNet,
    "lenet": lenet,
    "alexnet": alexnet,
    "vgg": vgg,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "cifar_resnet": CifarResNet,
    "efficientnet_lite0": _efficientnet,
    "efficientnet_lite0_depths": _depths,
}


def register(name: str) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Decorate a function or class `f(classes, channels=3, **options) -> nn.Module` to make it known as `name`."""

    def add(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        ARCHITECTURES[name] = make
        return make

    return add


def build(name: str, classes: int, channels: int = 3, seed: int | None = None, **options: Any) -> nn.Module:
    """Return a network by name with fresh weights: normalised images (N, channels, H, W) -> logits (N, classes).

    `seed` makes the weights repeatable without touching torch's global generator. Raises InputError for unknown names
    and options.
    """
    if name not in ARCHITECTURES:
        raise InputError(f"architecture {name!r} is unknown: one of {', '.join(sorted(ARCHITECTURES))}")
    with torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        try:
            network = ARCHITECTURES[name](classes, channels=channels, **options)
        except TypeError as error:
            raise InputError(f"architecture {name!r}: {error}") from error
    network.spec = {"name": name, "classes": classes, "channels": channels, **options}  # type: ignore[assignment]
    return network


def rebuild(spec: dict[str, Any]) -> nn.Module:
    """Return a network with fresh weights from the `spec` of one that `build` made."""
    if not isinstance(spec, dict) or "name" not in spec:
        raise ModelError(f"the architecture {spec!r} cannot be rebuilt: a name is missing")
    return build(**spec)


def pretrained(name: str = "efficientnet_lite0") -> nn.Module:
    """Return a network with ImageNet weights, in evaluation mode: 'efficientnet_lite0' (224 px, 1,000 classes)."""
    if name != "efficientnet_lite0":
        raise InputError(f"no pretrained weights for {name!r}: there is 'efficientnet_lite0'")
    network = pretrained_lite0()
    network.spec = {"name": name, "classes": 1000, "channels": 3}  # type: ignore[assignment]
    return network


def default(classes: int, channels: int, size: tuple[int, int], seed: int | None = None) -> nn.Module:
    """Return the default network for training from scratch on images of this size.

    Digits of 8 px get 2 stages of 32 channels; 28 and 32 px 3 stages; larger images a strided stem and 4 stages, so
    that the last maps are 4 to 16 px wide.
    """
    side = min(size)
    if side <= 16:
        options = {"width": 32, "stages": 2}
    elif side <= 48:
        options = {"width": 32, "stages": 3}
    else:
        options = {"width": 32, "stages": 4, "kernel": 5, "stride": 2 if side < 160 else 4}
    return build("small_resnet", classes, channels, seed=seed, **options)
