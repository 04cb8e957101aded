"""Give functional operations (`F.relu(x)`, `x + y`, `x.mean((2, 3))`) layer names, so that they too can be looked at. Depends
on torch.fx.

    named = look.traced(model)
    look.layers(named)                          # conv1, relu, block.conv, block.add, ...
    look.exciting(named, data, "block.add")
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from hubel.engine import evaluation
from hubel.errors import ModelError
from hubel.look.capture import the_tensor

SKIPPED = {getattr, operator.getitem, builtins.getattr, "size", "dim", "shape"}  # what looks at a tensor and computes nothing


class Operation(nn.Module):
    """One call of a function, or of a tensor's method, as a layer."""

    def __init__(self, call: Callable[..., Any] | str) -> None:
        super().__init__()
        self.call = call

    def forward(self, *args: Any, **options: Any) -> Any:
        if isinstance(self.call, str):
            return getattr(args[0], self.call)(*args[1:], **options)
        return self.call(*args, **options)

    def extra_repr(self) -> str:
        return self.call if isinstance(self.call, str) else getattr(self.call, "__name__", repr(self.call))


def traced(model: Any) -> Any:
    """Return a Model like `model`, with the same weights (shared), in which every functional operation is a layer.

    An operation is named for its function after the module whose `forward` calls it: `layer1.0.add`; a second one there
    `layer1.0.add_1`. Layers that were modules keep their names; modules that only contain others run no longer as such.

    Raises ModelError for a network whose `forward` cannot be traced (it branches on values of its input, say), or that gives
    other logits when traced.
    """
    network = model.network
    try:
        with evaluation(network):  # tracing runs `forward`, which must not see the mode of training
            graph = fx.symbolic_trace(network)
    except Exception as error:  # torch.fx raises whatever the user's forward does on a stand-in for a tensor
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{type(network).__name__} cannot be traced ({first[0][:120]}): only its modules can be looked at"
                         ) from error
    _name_operations(graph)
    twin = model.twin(graph)
    x = model.normalise(model.example(2))
    with evaluation(network), evaluation(graph), torch.no_grad():  # modes stay: the modules are shared
        before, after = (the_tensor(n(x.clone()), "output") for n in (network, graph))
    if not _same(before, after):
        raise ModelError(f"{type(network).__name__} gives other logits when traced: only its modules can be looked at")
    return twin


def _name_operations(graph: fx.GraphModule) -> None:
    taken = {name for name, _ in graph.named_modules()}
    for node in graph.graph.nodes:
        if node.op not in ("call_function", "call_method") or node.target in SKIPPED:
            continue
        stack = node.meta.get("nn_module_stack") or {}
        inside = list(stack)[-1] if stack else ""
        inside = inside if isinstance(inside, str) else ""
        word = node.target if node.op == "call_method" else getattr(node.target, "__name__", "operation")
        stem = ".".join(part for part in (inside, str(word).strip("_").replace(".", "_")) if part)
        name, number = stem, 0
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name)
        graph.add_submodule(name, Operation(node.target))
        node.op, node.target = "call_module", name
    graph.recompile()


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), rtol=1e-4, atol=1e-5)
