"""Which pixels can a unit see? Receptive fields, computed from the operations a network really runs. Depends on spans.

One image is passed through; every ATen operation on the way is seen (modules, functional calls and overloaded operators
alike), and with each tensor goes, for rows and for columns, the interval of the input that index i depends on:
stride * i + low .. stride * i + high (Dumoulin and Visin 2016, arXiv:1603.07285; Araujo et al. 2019, 'Computing
Receptive Fields of Convolutional Neural Networks'). Branches take the union. An operation not known here is taken to
mix everything it is given, so a field is exact or, in doubt, too large, never too small;
behind a layer that enlarges (transposed convolution, upsampling) too large by less than one step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from hubel.look.spans import PIXEL, View, collapsed_last, fixed, mixed, through


class Tracker(TorchDispatchMode):
    """Within it, `view_of(t)` tells what tensor t sees of the image it was created with."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._views: dict[int, tuple[Tensor, View]] = {}  # the tensor is held so that its id stays its own
        self._sharing: dict[int, set[int]] = {}  # storage -> tensors that lie in it
        self._note(image, PIXEL)
        self._linear = _Linear(self)

    def __enter__(self) -> Tracker:
        super().__enter__()
        self._linear.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._linear.__exit__(*error)
        super().__exit__(*error)

    def view_of(self, t: Any) -> View | None:
        """None: the tensor does not depend on the image."""
        found = self._views.get(id(t)) if isinstance(t, Tensor) else None
        return None if found is None else found[1]

    def _note(self, t: Tensor, view: View | None) -> None:
        if view is not None:
            self._views[id(t)] = (t, fixed(view, t))
            self._sharing.setdefault(t.untyped_storage()._cdata, set()).add(id(t))

    def _note_overwritten(self, t: Tensor) -> None:
        """What was written into `t` shows in every tensor that shares its memory."""
        view = self._views[id(t)][1]
        for key in self._sharing[t.untyped_storage()._cdata] - {id(t)}:
            other, seen = self._views[key]
            whole = view if other.shape == t.shape else mixed([(tuple(t.shape), view), (tuple(other.shape), seen)])
            self._views[key] = (other, whole)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = [(tuple(t.shape), v) for t in _tensors(args) if (v := self.view_of(t)) is not None]
        out = func(*args, **(kwargs or {}))
        if before:
            for result in _tensors((out,)):
                self._note(result, through(func, args, before, result))
                if func._schema.is_mutable:
                    self._note_overwritten(result)
        return out


class _Linear(TorchFunctionMode):
    """A dense layer on (N, H, W, C) mixes channels only, but ATen sees it with H and W merged: so it is met earlier."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__()
        self.tracker = tracker

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is torch.nn.functional.linear and args:
            view = self.tracker.view_of(args[0])
            if view is not None:
                self.tracker._note(out, collapsed_last(view, args[0].shape[-1]))
        return out


def _tensors(tree: Any) -> Iterable[Tensor]:
    for leaf in tree:
        if isinstance(leaf, Tensor):
            yield leaf
        elif isinstance(leaf, tuple | list):
            yield from _tensors(leaf)
