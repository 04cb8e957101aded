"""What a network is made of: shapes, parameters, multiply-adds, and what weight sharing saves. Depends on torch.

A convolution is a dense layer with most weights forced to 0 and the others shared. A dense layer that does the same needs
(inputs) x (outputs) weights: for n filters of 5 x 5 on one 28 x 28 image (28 28)(24 24) n = 451,584 n against 25 n.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hubel.engine import evaluation

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class LayerRow:
    """One layer: its dotted name, kind, output shape (channels first, without the batch), and counts.

    weights : entries of the weight tensor, without biases. dense_weights : weights a dense layer doing the same would
    have; None for layers without. multiply_adds : for one input.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    weights: int
    dense_weights: int | None
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """A network's layers in the order they run. `str()` draws it as a table."""

    rows: tuple[LayerRow, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    input_shape: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        head = ("layer", "kind", "output", "parameters", "dense equivalent", "multiply-adds")
        body = [
            (r.name, r.kind, "x".join(map(str, r.shape)), f"{r.parameters:,}",
             f"{r.dense_weights:,}" if r.dense_weights else "", f"{r.multiply_adds:,}" if r.multiply_adds else "")
            for r in self.rows
        ]
        widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
        lines = ["  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
                 for line in (head, *body)]
        rule = "-" * len(lines[0])
        total = (f"input {'x'.join(map(str, self.input_shape))} · {self.parameters:,} parameters, "
                 f"{self.trainable:,} of them trainable · {self.multiply_adds:,} multiply-adds an input")
        return "\n".join([lines[0], rule, *(line.rstrip() for line in lines[1:]), rule, total])


def summarise(network: nn.Module, sample: Tensor) -> Summary:
    """Run `sample` (1, ...) through `network` and count. Layers that do not run are not listed, but counted in total."""
    rows: list[LayerRow] = []
    names = {m: n for n, m in network.named_modules()}
    listed: set[nn.Module] = set()

    def note(module: nn.Module, inputs: tuple, output: Any) -> None:
        if isinstance(output, Tensor) and inputs and isinstance(inputs[0], Tensor):
            rows.append(_row(names[module] or type(module).__name__, module, inputs[0], output, module in listed))
            listed.add(module)

    leaves = [m for m in network.modules() if not list(m.children())]
    hooks = [m.register_forward_hook(note) for m in leaves]
    try:
        with torch.no_grad(), evaluation(network):
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    parameters = list(network.parameters())
    return Summary(
        tuple(rows), sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad),
        sum(r.multiply_adds for r in rows), tuple(sample.shape[1:]),
    )


def _row(name: str, module: nn.Module, x: Tensor, y: Tensor, again: bool) -> LayerRow:
    shape = tuple(y.shape[1:])
    own = 0 if again else sum(p.numel() for p in module.parameters(recurse=False))
    weight = getattr(module, "weight", None)
    weights, dense, operations = 0, None, 0
    if isinstance(module, _CONVS):
        assert isinstance(weight, Tensor)
        weights, dense = weight.numel(), math.prod(x.shape[1:]) * math.prod(shape)
        operations = weight.numel() * math.prod(shape[1:])
    elif isinstance(module, nn.Linear):
        weights = module.weight.numel()
        operations = weights * math.prod(shape[:-1])
    return LayerRow(name, type(module).__name__, shape, own, weights, dense, operations)
