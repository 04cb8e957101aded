"""A network's output, whatever container it comes in, as one tensor of logits. Depends on torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from hubel.errors import ModelError

NAMES = ("logits", "out", "output")


def logits_of(output: Any) -> Tensor:
    """Return the logits in a network's output: the tensor itself, the entry 'logits' (or 'out', 'output') of a mapping,
    else the first tensor (N, K) found. Raises ModelError where there is none."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        for name in NAMES:
            if isinstance(output.get(name), Tensor):
                return output[name]
        output = tuple(output.values())
    if isinstance(output, (list, tuple)):
        tensors = [t for t in output if isinstance(t, Tensor)]
        for t in tensors:
            if t.ndim == 2:
                return t
        if tensors:
            return tensors[0]
    kind = type(output).__name__
    raise ModelError(f"the network returns {kind} without a tensor of logits: wrap it so that it returns one")


class Logits(nn.Module):
    """A network whose output is the logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return logits_of(self.network(x))
