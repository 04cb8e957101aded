"""Compute a convolution and the ReLU or ReLU6 after it in one pass over memory. Depends on conv, following.

The activation function's own pass reads and writes every value once more: a tenth of EfficientNet-Lite0's time. Whoever
calls must compare outputs afterwards (see `following`).
"""

from __future__ import annotations

from torch import Tensor, nn

from hubel.engine.conv import FrozenConv2d
from hubel.engine.following import drop, following


def fuse_activations(network: nn.Module, sample: Tensor) -> int:
    """Let every `FrozenConv2d` of `network` apply the ReLU or ReLU6 that directly follows it (in place); return how many.

    The activation function's place is taken by an identity of the same name. `sample` is a batch the network accepts.
    """
    pairs = following(network, sample, lambda m: isinstance(m, FrozenConv2d), lambda m: _ceiling(m) is not None)
    for conv, activation in pairs:
        conv.ceiling = _ceiling(activation)  # type: ignore[assignment]
        drop(network, activation)
    return len(pairs)


def _ceiling(module: nn.Module) -> float | None:
    """The largest value a ReLU (infinity) or ReLU6 lets through; None for other modules."""
    if type(module) is nn.ReLU:
        return float("inf")
    if type(module) is nn.ReLU6 or (type(module) is nn.Hardtanh and module.min_val == 0):
        return float(module.max_val)
    return None
