"""Where is a network narrowest, and is that narrower than its input? Depends on torch.fx, SciPy and look.traced.

An autoencoder must have fewer numbers somewhere between input and output than the input has, on *every* way: one wide
connection that passes the narrow place makes it none. The narrowest place is therefore a minimum cut: the smallest set of
tensors, counted in numbers, through which everything from the input to the output flows (Ford and Fulkerson 1956).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from torch import Tensor, fx, nn

from hubel.engine import evaluation
from hubel.errors import InputError, ModelError
from hubel.nets import Layer


class BottleneckWarning(UserWarning):
    """The narrowest place of an autoencoder is no bottleneck."""


@dataclass(frozen=True)
class Bottleneck:
    """What passes a network's narrowest place, in numbers an image.

    inputs : numbers in an image. passing : numbers through the narrowest place, all ways together. where : the tensors
    there, by the dotted names of the layers (or operations) that give them, with their shapes.
    """

    inputs: int
    passing: int
    where: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def ratio(self) -> float:
        """Numbers in an image for each number that passes: 48 of the lecture's 49,152 -> 1,024."""
        return self.inputs / self.passing

    @property
    def narrows(self) -> bool:
        """Whether it is a bottleneck: fewer numbers than the input."""
        return self.passing < self.inputs

    def warning(self) -> str | None:
        """One line with what is wrong and what to do, or None."""
        if self.narrows:
            return None
        how = "exactly as many as" if self.passing == self.inputs else f"{self.passing / self.inputs:.3g} times"
        return (f"no bottleneck: {self.passing:,} numbers pass {self._names()}, {how} the {self.inputs:,} of the input, so "
                "the network can copy images and need learn nothing; give fewer latents, or take away what goes around them")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "narrows": self.narrows}

    def __str__(self) -> str:
        if not self.narrows:
            return str(self.warning())
        return f"{self.inputs:,} -> {self.passing:,} numbers at {self._names()}: {self.ratio:.3g} to 1"

    def _names(self) -> str:
        names = [f"{name} ({'x'.join(map(str, shape))})" for name, shape in self.where]
        return " + ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def bottleneck(network: nn.Module, shape: Sequence[int] | None = None) -> Bottleneck:
    """Find the narrowest place of a network for inputs (N, *shape); `shape` may be left out where the network has one.

    Raises ModelError for a network that torch.fx cannot trace (it branches on the values of its input).
    """
    shape = tuple(int(n) for n in (getattr(network, "shape", None) if shape is None else shape) or ())
    if not shape:
        raise InputError("the input's shape is unknown: give shape=(channels, height, width)")
    graph = _trace(network)
    nodes, sizes = _sizes(graph, network, torch.zeros(2, *shape))
    cut, passing = _narrowest(nodes, sizes)
    return Bottleneck(math.prod(shape), passing, tuple((_name(n), sizes[n]) for n in cut))


def which_narrows(networks: dict[str, nn.Module], shape: Sequence[int] | None = None) -> dict[str, Bottleneck]:
    """The bottlenecks of several networks by name, the narrowest first: of two architectures, which has to learn?"""
    found = {name: bottleneck(network, shape) for name, network in networks.items()}
    return dict(sorted(found.items(), key=lambda item: item[1].passing))


class _Tracer(fx.Tracer):
    """Layers of Hubel's are one step each: their `forward` looks at shapes, which a stand-in for a tensor does not have."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Layer) or super().is_leaf_module(m, module_qualified_name)


def _trace(network: nn.Module) -> fx.GraphModule:
    try:
        with evaluation(network):
            return fx.GraphModule(network, _Tracer().trace(network))
    except Exception as error:  # torch.fx raises whatever the forward does on a stand-in for a tensor
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise ModelError(f"{type(network).__name__} cannot be traced ({first}): its bottleneck is not known") from error


def _sizes(graph: fx.GraphModule, network: nn.Module, x: Tensor) -> tuple[list[fx.Node], dict[fx.Node, tuple[int, ...]]]:
    """The graph's nodes in order, and the shape (without N) of every tensor; what is no tensor passes nothing on."""
    shapes: dict[fx.Node, tuple[int, ...]] = {}

    class Measure(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            first = value if isinstance(value, Tensor) else None
            if first is None and isinstance(value, tuple | list) and value and all(isinstance(v, Tensor) for v in value):
                shapes[n] = (sum(v[0].numel() for v in value),)
            elif first is not None and n.op != "get_attr" and n.op != "output":
                shapes[n] = tuple(first.shape[1:])
            return value

    with torch.no_grad(), evaluation(network):
        Measure(graph).run(x)
    return [n for n in graph.graph.nodes if n.op in ("output",) or n in shapes], shapes


def _narrowest(nodes: list[fx.Node], sizes: dict[fx.Node, tuple[int, ...]]) -> tuple[list[fx.Node], int]:
    """Minimum vertex cut: each tensor is an edge from its in-side (2i) to its out-side (2i + 1) as wide as it has numbers."""
    place = {n: i for i, n in enumerate(nodes)}
    wide = sum(math.prod(s) for s in sizes.values()) + 1
    edges: dict[tuple[int, int], int] = {}
    for n, i in place.items():
        edges[2 * i, 2 * i + 1] = math.prod(sizes[n]) if n in sizes else wide
        for source in n.all_input_nodes:
            if source in place:
                edges[2 * place[source] + 1, 2 * i] = wide
    if wide > np.iinfo(np.int32).max:
        raise InputError("the network's tensors hold more than 2 billion numbers: give a smaller shape")
    start = next(2 * i for n, i in place.items() if n.op == "placeholder")
    end = next(2 * i for n, i in place.items() if n.op == "output")
    rows, columns = np.array(list(edges)).T
    count = 2 * len(nodes)
    capacity = csr_array((np.array(list(edges.values()), np.int32), (rows, columns)), shape=(count, count))
    flow = maximum_flow(capacity, start, end)
    rest = capacity - flow.flow
    rest.data[rest.data < 0] = 0
    rest.eliminate_zeros()
    # cut as near to the output as it goes would be as narrow; from the input's side, the first such place is named
    reached = set(breadth_first_order(rest, start, return_predecessors=False).tolist())
    cut = [n for n, i in place.items() if 2 * i in reached and 2 * i + 1 not in reached]
    return cut, int(flow.flow_value)


def _name(node: fx.Node) -> str:
    if node.op == "placeholder":
        return "the input"
    if node.op == "call_module":
        return str(node.target)
    return str(node.name)
