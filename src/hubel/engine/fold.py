"""Fold batch normalisation into the convolution or dense layer before it: same function, fewer passes over memory.

In evaluation mode batch norm is the affine map y = g (x - m) / sqrt(v + e) + b, which merges with the weights before it
(Jacob et al. 2018, 'Quantization and Training of Neural Networks', section 3.2). Depends on following.

Whoever calls `fold_batch_norm` must compare outputs afterwards (see `following`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hubel.engine.following import drop, following

LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norm(network: nn.Module, sample: Tensor) -> int:
    """Fold every batch norm of `network` (in place, evaluation mode) that directly follows a layer with weights.

    `sample` is a batch the network accepts. Returns the number of folded layers.
    """
    shared = _shared_weights(network)
    pairs = [(linear, norm) for linear, norm in following(network, sample, lambda m: isinstance(m, LINEAR),
                                                          lambda m: isinstance(m, NORMS))
             if norm.running_mean is not None and id(linear.weight) not in shared]
    for linear, norm in pairs:
        _merge(linear, norm)
        drop(network, norm)
    return len(pairs)


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
