"""The list of a network's layers: what each gives, and how much of the image each of its units can see.

Depends on look.fields (receptive fields) and the engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hubel.engine import evaluation
from hubel.errors import InputError, ModelError
from hubel.look.draw import table
from hubel.look.fields import Tracker
from hubel.look.spans import Axis, View

Box = tuple[int, int, int, int]  # top, bottom, left, right in input pixels; bottom and right one past the last


@dataclass(frozen=True)
class Layer:
    """One run of one layer. Shapes without the batch: (C, H, W) for maps, (C,) for vectors.

    receptive_field : (rows, columns) of input pixels an inner unit depends on; stride : input pixels between
    neighbouring units, None for vectors. Both follow from the operations the network ran on one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    convolves: bool
    receptive_field: tuple[int, int]
    stride: tuple[float, float] | None
    view: View
    image: tuple[int, int]

    def box(self, row: int = 0, column: int = 0) -> Box:
        """Return the input pixels the unit at (row, column) of the map sees: (top, bottom, left, right)."""
        return (*self.view[0].at(row, self.image[0]), *self.view[1].at(column, self.image[1]))

    def missing(self, row: int, column: int) -> Box:
        """Return how much of the unit's field lies outside the image: pixels above, below, to the left and right; all 0
        for fields larger than the image."""
        box, out = self.box(row, column), []
        for side, axis, index in ((0, self.view[0], row), (1, self.view[1], column)):
            whole = self.receptive_field[side]
            absent = whole - (box[2 * side + 1] - box[2 * side]) if whole <= self.image[side] else 0
            first = min(absent, max(0, -math.ceil(axis.low + axis.stride * index - 1e-6))) if absent > 0 else 0
            out += [first, max(0, absent) - first]
        return tuple(out)  # type: ignore[return-value]

    @property
    def channels(self) -> int:
        return self.shape[0]

    @property
    def is_map(self) -> bool:
        return len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1

    def to_dict(self) -> dict[str, Any]:
        facts = asdict(self)
        return {key: facts[key] for key in ("name", "kind", "shape", "parameters", "receptive_field", "stride")}


@dataclass(frozen=True)
class Layers:
    """The layers in the order they run."""

    layers: tuple[Layer, ...]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        import difflib

        names = [layer.name for layer in self.layers]
        near = difflib.get_close_matches(name, names, 3, 0.3) or names[:3]
        raise InputError(f"there is no layer {name!r}: did you mean {', '.join(near)}?")

    def last_map(self) -> Layer:
        """What the last convolution that still tells places apart gives, after its norm and activation: where Grad-CAM
        looks by default. Raises ModelError where no layer gives maps larger than 1 x 1."""
        maps = [i for i, layer in enumerate(self.layers) if layer.is_map]
        if not maps:
            raise ModelError("no layer of this network gives maps larger than 1 x 1: there are no places to tell apart")
        at = max((i for i in maps if self.layers[i].convolves), default=maps[-1])
        last = self.layers[at]
        for layer in self.layers[at + 1 :]:
            if layer.shape != last.shape or layer.view != last.view:
                break
            last = layer
        return last

    def to_dict(self) -> dict[str, Any]:
        return {"layers": [layer.to_dict() for layer in self.layers]}

    def rows(self) -> list[tuple[str, ...]]:
        return [
            (x.name, x.kind, " × ".join(map(str, x.shape)), f"{x.parameters:,}",
             f"{x.receptive_field[0]} × {x.receptive_field[1]}",
             "" if x.stride is None else f"{x.stride[0]:g} × {x.stride[1]:g}")
            for x in self.layers
        ]

    HEAD = ("layer", "kind", "output", "parameters", "receptive field", "stride")

    def __str__(self) -> str:
        lines = [self.HEAD, *self.rows()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.HEAD))]
        return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)

    def _repr_html_(self) -> str:
        return table(self.HEAD, self.rows())


def layers(model: Any, x: Tensor | None = None) -> Layers:
    """Return the list of `model`'s layers that give maps (C, H, W) or vectors (C,), in the order they run.

    `x` is one image at the model's size, in 0..1 (1, C, H, W); without it `model.example()` is taken. A layer that runs
    several times stands there once a run, as `name#0`, `name#1`. Raises ModelError when no layer gives such an output.
    """
    x = model.example(1) if x is None else x[:1]
    if x.ndim != 4:
        raise ModelError(f"look needs a network for images (N, C, H, W), this one takes inputs of {tuple(x.shape[1:])}")
    network = model.network
    runs: list[tuple[nn.Module, tuple[int, ...], View]] = []
    image = model.normalise(x).detach()
    tracker = Tracker(image)

    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        view = tracker.view_of(output)
        if view is not None and output.ndim in (2, 4) and len(output) == 1:
            runs.append((module, tuple(output.shape[1:]), view))

    names = {module: name for name, module in network.named_modules() if name}
    hooks = [module.register_forward_hook(note) for module in names]
    try:
        with evaluation(network), torch.no_grad(), tracker:
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    if not runs:
        raise ModelError("no layer of this network gives maps (N, C, H, W) or vectors (N, C)")
    times = [module for module, _, _ in runs]
    counts: dict[nn.Module, int] = {}
    found = []
    for module, shape, view in runs:
        call = counts[module] = counts.get(module, -1) + 1
        name = names[module] + (f"#{call}" if times.count(module) > 1 else "")
        found.append(_layer(name, module, shape, view, (int(x.shape[2]), int(x.shape[3]))))
    return Layers(tuple(found))


def _layer(name: str, module: nn.Module, shape: tuple[int, ...], view: View, image: tuple[int, int]) -> Layer:
    own = sum(p.numel() for p in module.parameters())
    field = (_extent(view[0], image[0]), _extent(view[1], image[1]))
    flat = any(axis.dim is None for axis in view)
    stride = None if flat else (view[0].stride, view[1].stride)
    convolves = any(p.ndim == 4 for p in module.parameters(recurse=False))
    return Layer(name, type(module).__name__, shape, own, convolves, field, stride, view, image)


def _extent(axis: Axis, size: int) -> int:
    """The field's side without the image's borders, but no more than the image where a unit sees all of it."""
    if axis.dim is None or math.isinf(axis.high):
        low, high = axis.at(0, size)
        return high - low
    return int(math.floor(axis.high + 1e-6) - math.ceil(axis.low - 1e-6)) + 1
