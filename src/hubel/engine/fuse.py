"""Compute a convolution and the ReLU or ReLU6 after it in one pass over memory. Depends on conv.

The activation function's own pass reads and writes every value once more: a tenth of EfficientNet-Lite0's time. Pairs are
found as in `fold`, by running the network once; and as there, whoever calls must compare outputs afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hubel.engine.conv import FrozenConv2d


def fuse_activations(network: nn.Module, sample: Tensor) -> int:
    """Let every `FrozenConv2d` of `network` apply the ReLU or ReLU6 that directly follows it (in place); return how many.

    The activation function's place is taken by an identity of the same name. `sample` is a batch the network accepts.
    """
    calls: dict[nn.Module, int] = {}
    made_by: dict[int, tuple[FrozenConv2d, Tensor]] = {}  # the tensor is held so that its id stays its own
    found: list[tuple[FrozenConv2d, nn.Module]] = []

    def watch(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, FrozenConv2d):
            made_by[id(output)] = (module, output)
        elif inputs and id(inputs[0]) in made_by:
            found.append((made_by[id(inputs[0])][0], module))

    hooks = [m.register_forward_hook(watch) for m in network.modules() if isinstance(m, FrozenConv2d) or _ceiling(m) is not None]
    try:
        with torch.no_grad():
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    convolutions = [conv for conv, _ in found]
    names = {module: name for name, module in network.named_modules()}
    pairs = [(c, a) for c, a in found if calls[c] == calls[a] == 1 and convolutions.count(c) == 1]
    for conv, activation in pairs:
        conv.ceiling = _ceiling(activation)
        parent, _, leaf = names[activation].rpartition(".")
        setattr(network.get_submodule(parent), leaf, nn.Identity())
    return len(pairs)


def _ceiling(module: nn.Module) -> float | None:
    """The largest value a ReLU (infinity) or ReLU6 lets through; None for other modules."""
    if type(module) is nn.ReLU:
        return float("inf")
    if type(module) is nn.ReLU6 or (type(module) is nn.Hardtanh and module.min_val == 0):
        return float(module.max_val)
    return None
