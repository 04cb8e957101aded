"""A chain of known layers as JSON, and back: how a network somebody put together is saved without pickling code.

Only the classes in `KNOWN` are ever made from a file. Depends on torch.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from hubel.errors import ModelError
from hubel.nets import layers, upward
from hubel.nets.registry import rebuild
from hubel.nets.residual import Residual
from hubel.nets.resnet import ResidualBlock

_LINEAR = ("in_features", "out_features")
_CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")
_POOL = ("kernel_size", "stride", "padding", "ceil_mode")

KNOWN: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    **{c.__name__: (c, _CONV) for c in (nn.Conv1d, nn.Conv2d, nn.Conv3d)},
    **{c.__name__: (c, _NORM) for c in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)},
    **{c.__name__: (c, _POOL) for c in (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)},
    **{c.__name__: (c, _POOL) for c in (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)},
    **{c.__name__: (c, ("output_size",)) for c in (
        nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
        nn.AdaptiveMaxPool3d)},
    **{c.__name__: (c, ("inplace",)) for c in (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid)},
    **{c.__name__: (c, ()) for c in (nn.Identity, nn.Sigmoid, nn.Tanh, nn.Softsign, nn.LogSigmoid)},
    **{c.__name__: (c, ("p", "inplace")) for c in (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)},
    "Linear": (nn.Linear, _LINEAR),
    "LeakyReLU": (nn.LeakyReLU, ("negative_slope", "inplace")),
    "ELU": (nn.ELU, ("alpha", "inplace")),
    "Softplus": (nn.Softplus, ("beta", "threshold")),
    "GELU": (nn.GELU, ("approximate",)),
    "Softmax": (nn.Softmax, ("dim",)),
    "LayerNorm": (nn.LayerNorm, ("normalized_shape", "eps")),
    "GroupNorm": (nn.GroupNorm, ("num_groups", "num_channels", "eps")),
    "PixelUnshuffle": (nn.PixelUnshuffle, ("downscale_factor",)),
    "Flatten": (nn.Flatten, ("start_dim", "end_dim")),
}
_BIASED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
OURS: dict[str, Any] = {
    name: kind for name, kind in {**vars(layers), **upward.LAYERS, "Residual": Residual}.items()
    if isinstance(kind, type) and issubclass(kind, layers.Layer) and not name.startswith("_") and kind is not layers.Layer
}


def describe(network: nn.Module) -> dict[str, Any] | None:
    """Return a JSON-able description from which `from_description` makes the same architecture; None if it cannot."""
    if getattr(network, "spec", None) is not None:
        return {"build": network.spec}
    if type(network) is nn.Sequential:
        children = [(name, describe(child)) for name, child in network.named_children()]
        if any(d is None for _, d in children):
            return None
        return {"sequential": [[name, d] for name, d in children]}
    name = type(network).__name__
    if OURS.get(name) is type(network):
        return {"hubel": name, "config": network.config(), "shape": network.built_for}  # type: ignore[operator]
    if name in KNOWN and KNOWN[name][0] is type(network):
        config = {key: getattr(network, key) for key in KNOWN[name][1]}
        if isinstance(network, _BIASED):
            config["bias"] = network.bias is not None
        return {"layer": name, "config": config}
    if type(network) is ResidualBlock:
        return {"hubel": "ResidualBlock", "config": {
            "inputs": network.conv1.in_channels, "outputs": network.conv1.out_channels, "stride": network.conv1.stride[0]}}
    return None


def from_description(d: Any) -> nn.Module:
    """Return the architecture that `describe` described, with fresh weights; raises ModelError for anything else."""
    try:
        if "build" in d:
            return rebuild(d["build"])
        if "sequential" in d:
            chain = nn.Sequential()
            for name, child in d["sequential"]:
                chain.add_module(str(name), from_description(child))
            return chain
        config: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in d["config"].items()}
        if "layer" in d:
            return KNOWN[d["layer"]][0](**config)
        if d["hubel"] == "ResidualBlock":
            return ResidualBlock(**config)
        layer = OURS[d["hubel"]](**config)
        if d.get("shape") is not None:
            layer.build(tuple(d["shape"]))
            layer.built_for = tuple(d["shape"])
        return layer
    except ModelError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"the file describes an architecture that cannot be built ({reason})") from error
