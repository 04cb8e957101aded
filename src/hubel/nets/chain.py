"""What networks that give images share: layers built one after the other, and their results as pixels. Depends on nets.layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hubel.errors import InputError
from hubel.nets.layers import Layer

Shape = tuple[int, ...]
PerChannel = float | Sequence[float]


class Pixels(nn.Module):
    """y = scale x + shift, one number or one a channel: brings what a network computes into 0..1. Nothing is learned.

    With a Model's mean as the shift and its std as the scale, results have the scale of the network's own input.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: PerChannel, scale: PerChannel) -> None:
        super().__init__()
        for name, value in (("shift", shift), ("scale", scale)):
            numbers = [float(value)] if isinstance(value, int | float) else [float(v) for v in value]
            self.register_buffer(name, torch.tensor(numbers).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift

    def config(self) -> dict[str, list[float]]:
        return {"shift": self.shift.flatten().tolist(), "scale": self.scale.flatten().tolist()}


def build_for(module: nn.Module, shape: Shape) -> Shape:
    """Make the weights of layers that have none yet, for inputs (N, *shape), and return the output's shape without N.

    Raises InputError where a layer cannot take what the one before gives.
    """
    if isinstance(module, nn.Sequential):
        for child in module:
            shape = build_for(child, shape)
        return shape
    if isinstance(module, Layer) and module.built_for is None:
        module.build(shape)
        module.built_for = shape
    was = module.training
    try:
        with torch.no_grad():
            return tuple(module.eval()(torch.zeros(1, *shape)).shape[1:])
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{type(module).__name__} cannot take inputs of shape {shape}: {str(error)[:120]}") from error
    finally:
        module.train(was)
