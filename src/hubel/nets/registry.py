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
from hubel.nets.efficientnet import SCALES, EfficientNetLite, pretrained_lite
from hubel.nets.imagenet_resnet import resnet18, resnet34, resnet50
from hubel.nets.resnet import SmallResNet
from hubel.nets.series import series_fcn, waveform
from hubel.nets.speed_run import speed_run


def _colour(name: str, make: Callable[..., nn.Module], **fixed: Any) -> Callable[..., nn.Module]:
    """Of a network that takes three channels only."""

    def build(classes: int, channels: int = 3, **options: Any) -> nn.Module:
        if channels != 3:
            raise InputError(f"{name} takes 3 channels, not {channels}: repeat grey images (Model does)")
        return make(classes, **fixed, **options)

    return build


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "small_resnet": SmallResNet,
    "lenet": lenet,
    "alexnet": alexnet,
    "vgg": vgg,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "cifar_resnet": CifarResNet,
    **{f"efficientnet_lite{i}": _colour(f"efficientnet_lite{i}", EfficientNetLite, variant=i) for i in SCALES},
    "efficientnet_lite0_depths": _colour("efficientnet_lite0_depths", DepthsNet),
    "cifar94": speed_run,
    "series_fcn": series_fcn,
    "waveform": waveform,
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


PRETRAINED = {"efficientnet_lite0": 0, "efficientnet_lite2": 2}


def pretrained(name: str = "efficientnet_lite0") -> nn.Module:
    """Return a network with ImageNet weights for 1,000 classes, in evaluation mode: 'efficientnet_lite0' (224 px) or
    'efficientnet_lite2' (260 px, more accurate, its weights an extra). ModelError where the weights are not installed."""
    if name not in PRETRAINED:
        raise InputError(f"no pretrained weights for {name!r}: there are {' and '.join(PRETRAINED)}")
    network = pretrained_lite(PRETRAINED[name])
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
