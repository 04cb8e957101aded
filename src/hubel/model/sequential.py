"""Sequential: a Model put together layer by layer, in Keras' words. Depends on nets.layers and Model."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel.engine import evaluation
from hubel.errors import InputError, ModelError
from hubel.model.model import Model
from hubel.model.preprocess import Preprocess, preprocess
from hubel.model.signals import Signals
from hubel.nets.layers import Layer


class Sequential(Model):
    """A chain of layers that learn their input sizes when the first one's is known.

    Layers are those of `hubel.nets` (Dense, Conv2D, ...) or any `nn.Module`, lazy ones included. The input's shape is
    the first layer's `input_shape` (channels last), or that of the data given to `fit`: (d,) are arrays of numbers,
    (H, W) grey and (H, W, C) colour images; before 1-D layers (T, C) are series, before 3-D ones (D, H, W, C) volumes. A last activation 'softmax' or 'sigmoid' becomes the model's output, so that
    the network itself gives logits.

        model = Sequential()
        model.add(Dense(units=16, input_shape=(2,), activation="sigmoid", name="hidden"))
        model.add(Dense(units=2, activation="softmax", name="output"))
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(Xtr, ytr, epochs=30, batch_size=100, validation_data=(Xts, yts))
    """

    def __init__(self, layers: Iterable[nn.Module] = (), *, mean: Any = None, std: Any = None,
                 seed: int | None = None) -> None:
        super().__init__(nn.Sequential(), channels=3)
        self.seed, self._mean, self._std, self.built = seed, mean, std, False
        for layer in layers:
            self.add(layer)

    def add(self, layer: nn.Module) -> None:
        """Append a layer. Raises InputError for something else, or once the model is built."""
        if not isinstance(layer, nn.Module):
            raise InputError(f"a layer is an nn.Module, not {type(layer).__name__}")
        if self.built:
            raise InputError("the model is built already: add layers before fit, predict or summary")
        names = {name for name, _ in self.network.named_children()}
        wanted = getattr(layer, "name", None)
        if wanted is not None and (wanted in names or "." in wanted):
            raise InputError(f"a layer cannot be called {wanted!r} here: names are unique and without dots")
        kind = type(layer).__name__.lower()
        name = wanted or next(n for i in range(len(names) + 1) if (n := kind if i == 0 else f"{kind}_{i}") not in names)
        self.network.add_module(name, layer)
        shape = getattr(layer, "input_shape", None)
        if shape is not None and len(names) == 0:
            self._declare(shape)

    def _declare(self, shape: tuple[int, ...]) -> None:
        """Take the input's shape as users write it, channels last."""
        dims = _dimensions(self.network)
        if dims in (1, 3) and len(shape) in (dims, dims + 1):
            channels, *places = (shape[-1], *shape[:-1]) if len(shape) == dims + 1 else (1, *shape)
            scale: dict[str, Any] = {name: tuple(np.ravel(v).astype(float)) for name, v in (("mean", self._mean), ("std", self._std))
                     if v is not None}
            self.preprocess, self.sample_shape = Signals(channels, dims, **scale), (channels, *places)
        elif len(shape) == 1:
            self.preprocess, self.sample_shape = Preprocess(None, None), tuple(shape)
        elif dims in (None, 2) and len(shape) in (2, 3):
            channels = shape[2] if len(shape) == 3 else 1
            self.preprocess = preprocess(shape[:2], channels, self._mean, self._std)
            self.sample_shape = (channels, *shape[:2])
        else:
            wanted = {1: "(T,) or (T, C)", 3: "(D, H, W) or (D, H, W, C)"}.get(dims or 2, "(d,), (H, W) or (H, W, C)")
            raise InputError(f"input_shape={shape} must be {wanted}")

    def build(self, input_shape: tuple[int, ...] | None = None) -> None:
        """Make the weights, for inputs of `input_shape` (channels last, without the batch) where no layer says it."""
        if self.built:
            return
        if self.sample_shape is None:
            if input_shape is None:
                raise ModelError("the input's shape is unknown: give the first layer input_shape=, or call fit with data")
            self._declare(tuple(input_shape))
        layers = list(self.network.children())
        if not layers:
            raise ModelError("the model has no layers: add some")
        last = layers[-1]
        if getattr(last, "activation", None) in ("softmax", "sigmoid"):
            self.output, last.activation = last.activation, "linear"  # type: ignore[assignment]
        elif type(last).__name__ in ("Softmax", "Sigmoid"):
            self.output = type(last).__name__.lower()
            self.network = nn.Sequential(OrderedDict(list(self.network.named_children())[:-1]))
        with torch.random.fork_rng(enabled=self.seed is not None):
            if self.seed is not None:
                torch.manual_seed(self.seed)
            self._run_through()
        self.built = True

    def _run_through(self) -> None:
        assert self.sample_shape is not None
        x = torch.zeros(2, *self.sample_shape)
        for name, layer in self.network.named_children():
            if isinstance(layer, Layer) and layer.built_for is None:
                layer.build(tuple(x.shape[1:]))
                layer.built_for = tuple(x.shape[1:])
            try:
                with torch.no_grad(), evaluation(layer):
                    x = layer(x)
            except (RuntimeError, ValueError) as error:
                shape = tuple(x.shape[1:])
                raise ModelError(f"layer {name!r} cannot take inputs of shape {shape}: {str(error)[:160]}") from error

    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Iterable[Any] | None = ("accuracy",),
                **options: Any) -> None:
        super().compile(optimizer, loss, metrics, **options)
        if loss in ("mse", "mean_squared_error", "mae", "mean_absolute_error"):
            self.output = "values"

    def fit(self, x: Any = None, y: Any = None, *args: Any, **options: Any) -> Any:
        if not self.built:
            self.build(_shape_of(x, _dimensions(self.network)))
        return super().fit(x, y, *args, **options)

    def forward(self, x: Any) -> Any:
        if not self.built:
            self.build()
        return super().forward(x)

    __call__ = forward

    def frozen(self, normalised: Any, precision: str = "auto") -> Any:
        if not self.built:
            self.build()
        return super().frozen(normalised, precision)

    def summary(self, print_fn: Any = print) -> Any:
        self.build()
        return super().summary(print_fn)


def _shape_of(x: Any, dims: int | None) -> tuple[int, ...] | None:
    """The shape of one of the inputs given to fit, channels last."""
    if hasattr(x, "size_hint"):
        return (*x.size_hint()[0], x.channels_hint())
    shape = tuple(getattr(x, "shape", ()))[1:]
    if isinstance(x, torch.Tensor) and len(shape) == (dims or 2) + 1:
        shape = (*shape[1:], shape[0])
    return shape or None


def _dimensions(network: nn.Module) -> int | None:
    """1, 2 or 3 by the name of the first layer that says it (Conv1D, MaxPool3d, LazyConv2d, ...); None if none does."""
    found = (re.search(r"([123])[dD]$", type(module).__name__) for module in network.modules())
    return next((int(match[1]) for match in found if match), None)
