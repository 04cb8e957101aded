"""Which modules directly follow which, found by running a network once and watching which tensor goes where. Depends on torch.

Any nn.Module will do, traceable or not. What cannot be seen is an output that is also read elsewhere: whoever joins what
belongs to a pair must compare the network's outputs afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Kind = Callable[[nn.Module], bool]


def following(network: nn.Module, sample: Tensor, first: Kind, second: Kind) -> list[tuple[nn.Module, nn.Module]]:
    """Return the pairs of a module that is `first` and the one that is `second` and takes its output as it is.

    Both are called once only, and nothing else that is `second` follows the first. `sample` is a batch the network accepts.
    """
    calls: dict[nn.Module, int] = {}
    made_by: dict[int, tuple[nn.Module, Tensor]] = {}  # the tensor is held so that its id stays its own
    found: list[tuple[nn.Module, nn.Module]] = []

    def watch(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        if second(module):
            maker = made_by.get(id(inputs[0])) if inputs else None
            if maker is not None:
                found.append((maker[0], module))
        elif isinstance(output, Tensor):
            made_by[id(output)] = (module, output)

    hooks = [m.register_forward_hook(watch) for m in network.modules() if first(m) or second(m)]
    try:
        with torch.no_grad():
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    makers = [maker for maker, _ in found]
    return [(a, b) for a, b in found if calls[a] == calls[b] == 1 and makers.count(a) == 1]


def drop(network: nn.Module, module: nn.Module) -> None:
    """Put an identity in `module`'s place, under the same name."""
    name = next(name for name, m in network.named_modules() if m is module)
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, nn.Identity())
