"""The layer before last: what the last layer with weights takes as its input. Depends on torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hubel.engine import Frozen, evaluation
from hubel.errors import ModelError

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def last_layer(network: nn.Module, sample: Tensor) -> str:
    """Return the dotted name of the layer with weights that runs last on `sample`."""
    ran: list[str] = []
    hooks = [
        m.register_forward_hook(lambda _m, _i, _o, name=name: ran.append(name))
        for name, m in network.named_modules() if isinstance(m, _WEIGHTED)
    ]
    try:
        with torch.no_grad(), evaluation(network):
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise ModelError("the network has no dense or convolutional layer, so it has no features before the last")
    return ran[-1]


def before_last(network: nn.Module, run: Frozen, x: Tensor) -> Tensor:
    """Return the float32 features (N, D) of normalised inputs: positions of a last convolution are averaged."""
    if not hasattr(run, "last_layer"):
        run.last_layer = last_layer(network, x[:1])  # type: ignore[assignment]
    # Frozen(Logits(network)) or, uncopied, the network itself under the same wrapper
    layer = run.network.get_submodule(f"network.{run.last_layer}")
    caught: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _m, inputs: caught.append(inputs[0].detach().float()))
    try:
        run(x)
    finally:
        hook.remove()
    caught = [c.flatten(2).mean(dim=2) if c.ndim > 2 and not isinstance(layer, nn.Linear) else c.flatten(1) for c in caught]
    return torch.cat(caught)
