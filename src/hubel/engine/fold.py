"""Fold batch normalisation into the convolution or dense layer before it: same function, fewer passes over memory.

In evaluation mode batch norm is the affine map y = g (x - m) / sqrt(v + e) + b, which merges with the weights before it
(Jacob et al. 2018, 'Quantization and Training of Neural Networks', section 3.2). Depends on torch alone.

Pairs are found by running the network once and watching which tensor goes where, so any nn.Module will do, traceable or
not. Whoever calls `fold_batch_norm` must compare outputs afterwards: a convolution whose output is also read elsewhere
cannot be seen here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norm(network: nn.Module, sample: Tensor) -> int:
    """Fold every batch norm of `network` (in place, evaluation mode) that directly follows a layer with weights.

    `sample` is a batch the network accepts. Returns the number of folded layers.
    """
    pairs = _pairs(network, sample)
    names = {module: name for name, module in network.named_modules()}
    for linear, norm in pairs:
        _merge(linear, norm)
        _replace(network, names[norm], nn.Identity())
    return len(pairs)


def _pairs(network: nn.Module, sample: Tensor) -> list[tuple[nn.Module, nn.Module]]:
    calls: dict[nn.Module, int] = {}
    made_by: dict[int, tuple[nn.Module, Tensor]] = {}  # the tensor is held so that its id stays its own
    found: list[tuple[nn.Module, nn.Module]] = []

    def watch(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, NORMS):
            maker = made_by.get(id(inputs[0])) if inputs else None
            if maker is not None and module.running_mean is not None:
                found.append((maker[0], module))
        elif isinstance(output, Tensor):
            made_by[id(output)] = (module, output)

    hooks = [m.register_forward_hook(watch) for m in network.modules() if isinstance(m, LINEAR + NORMS)]
    try:
        with torch.no_grad():
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    linears = [linear for linear, _ in found]
    once = [(a, b) for a, b in found if calls[a] == calls[b] == 1 and linears.count(a) == 1]
    shared = _shared_weights(network)
    return [(a, b) for a, b in once if id(a.weight) not in shared]


def _shared_weights(network: nn.Module) -> set[int]:
    seen: dict[int, int] = {}
    for module in network.modules():
        for p in module.parameters(recurse=False):
            seen[id(p)] = seen.get(id(p), 0) + 1
    return {key for key, count in seen.items() if count > 1}


@torch.no_grad()
def _merge(linear: Any, norm: Any) -> None:
    weight, bias = linear.weight, linear.bias
    scale = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    if bias is not None:
        shift = shift + bias.double() * scale
    merged = weight.double() * scale.view(-1, *[1] * (weight.ndim - 1))
    linear.weight = nn.Parameter(merged.to(weight.dtype), requires_grad=False)
    linear.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)


def _replace(network: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, new)
