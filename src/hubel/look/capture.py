"""Read activations out of any network, by PyTorch's dotted layer names, and leave the network as it was. Depends on torch.

A layer that runs several times in one pass is named with its call: `relu#0`, `relu#1`. What is read is a copy, so an
in-place operation after the layer cannot change it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hubel.engine import evaluation
from hubel.errors import InputError, ModelError

Consumer = Callable[[str, Tensor], None]


class Taps:
    """Hooks at layers, as a context manager. `run(x)` passes normalised inputs through and returns the output.

    Parameters
    ----------
    network : any nn.Module.
    names : addresses of layers: a dotted name, with `#call` where the layer runs more than once.
    keep : 'copy' keeps a detached copy; 'graph' keeps the activation as a node of the autograd graph on the way to the
        output; 'cut' makes it a leaf that requires a gradient, and cuts the graph below it (cheaper: nothing in front
        of the layer is differentiated); a callable `keep(name, activation)` is handed the raw tensor at once, must
        not hold on to it, and nothing is copied.
    before : read what the layers are given instead of what they give.

    Raises InputError for a name the network does not have, ModelError for a layer that did not run, runs more often
    than its address says, or does not return one tensor. Modes, hooks and requires_grad are afterwards as before.
    """

    def __init__(self, network: nn.Module, names: Iterable[str], keep: str | Consumer = "copy", before: bool = False
                 ) -> None:
        if isinstance(keep, str) and keep not in ("copy", "graph", "cut"):
            raise InputError(f"keep={keep!r}: 'copy', 'graph', 'cut' or a function")
        self.network, self.names, self.keep, self.before = network, list(dict.fromkeys(names)), keep, before
        self.wanted: dict[nn.Module, dict[int | None, str]] = {}
        for name in self.names:
            dotted, call = split(name)
            self.wanted.setdefault(find(network, dotted), {})[call] = name
        self.seen: dict[str, Tensor] = {}
        self.calls: dict[nn.Module, int] = {}
        self.stop = False
        self._done: set[str] = set()
        self._hooks: list[Any] = []
        self._mode = evaluation(network)

    def __enter__(self) -> Taps:
        self._mode.__enter__()
        self._hooks = [m.register_forward_pre_hook(self._pre_hook) if self.before else m.register_forward_hook(self._hook)
                       for m in self.wanted]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._mode.__exit__(*error)

    def __getitem__(self, name: str) -> Tensor:
        return self.seen[name]

    def run(self, x: Tensor, stop: bool = False) -> Any:
        """Pass `x` through. With `stop`, end (and return None) as soon as every wanted layer has run once:
        sound only for addresses a full run has accepted."""
        self.seen, self.calls, self._done, self.stop = {}, {}, set(), stop
        try:
            output = self.network(x)
        except _Stop:
            return None
        for module, addresses in self.wanted.items():
            count = self.calls.get(module, 0)
            for call, name in addresses.items():
                if count == 0:
                    raise ModelError(f"layer {name!r} did not run in this pass: choose one that does")
                if call is None and count > 1:
                    raise ModelError(
                        f"layer {name!r} runs {count} times in one pass: name the call, {name}#0 to {name}#{count - 1}"
                    )
                if call is not None and call >= count:
                    raise ModelError(f"layer {name!r}: it runs {count} times only, #0 to #{count - 1}")
        return output

    def _pre_hook(self, module: nn.Module, inputs: Any) -> Any:
        replaced = self._hook(module, None, inputs[0] if len(inputs) == 1 else inputs)
        return None if replaced is None else (replaced,)

    def _hook(self, module: nn.Module, _inputs: Any, output: Any) -> Any:
        call = self.calls.get(module, 0)
        self.calls[module] = call + 1
        addresses = self.wanted[module]
        name = addresses.get(call, addresses.get(None) if call == 0 else None)
        if name is None:
            return None
        activation = the_tensor(output, name)
        replaced = None
        if callable(self.keep):
            self.keep(name, activation)
        elif self.keep == "copy":
            self.seen[name] = activation.detach().clone()
        else:
            if activation is not output:
                kind = type(output).__name__
                raise ModelError(f"layer {name!r} returns a {kind}: gradients are read at plain tensors only")
            cut = self.keep == "cut" or not activation.requires_grad
            self.seen[name] = activation.detach().clone().requires_grad_() if cut else activation.clone()
            replaced = self.seen[name].clone()  # the network goes on with a copy, which it may overwrite
        self._done.add(name)
        if self.stop and len(self._done) == len(self.names):
            raise _Stop
        return replaced


class _Stop(Exception):
    """Ends a forward pass early; never leaves this module."""


def activations(network: nn.Module, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Return {name: activation} for normalised inputs `x`, in evaluation mode and without gradients."""
    with Taps(network, names) as taps, torch.no_grad():
        taps.run(x)
    return taps.seen


def split(name: str) -> tuple[str, int | None]:
    """Return ('layer1.relu', 2) for 'layer1.relu#2', and None for the call where none is named."""
    dotted, mark, call = name.partition("#")
    if not mark:
        return dotted, None
    if not call.isdecimal():
        raise InputError(f"layer {name!r}: after # comes the number of the call, such as {dotted}#0")
    return dotted, int(call)


def find(network: nn.Module, dotted: str) -> nn.Module:
    """Return the layer of this dotted name; raises InputError that names the nearest ones."""
    try:
        return network.get_submodule(dotted)
    except AttributeError:
        import difflib

        names = [name for name, _ in network.named_modules() if name]
        near = difflib.get_close_matches(dotted, names, 3, 0.3) or names[:3]
        raise InputError(f"there is no layer {dotted!r}: did you mean {', '.join(near)}?") from None


def the_tensor(output: Any, name: str) -> Tensor:
    """Return the one tensor in a layer's output; raises ModelError when there are none or several."""
    if isinstance(output, Tensor):
        return output
    tensors = list(_tensors_in(output))
    if len(tensors) != 1:
        raise ModelError(
            f"layer {name!r} returns a {type(output).__name__} with {len(tensors)} tensors: choose a layer inside it"
        )
    return tensors[0]


def _tensors_in(tree: Any) -> Iterable[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _tensors_in(part)
