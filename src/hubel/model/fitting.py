"""What Model.fit and Model.evaluate do: bring data into the training room's form and call it. Depends on training, data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hubel import training
from hubel.errors import InputError

if TYPE_CHECKING:
    from hubel.model.model import Model

LOSSES = {"softmax": "cross_entropy", "sigmoid": "binary_crossentropy", "values": "mse"}


@dataclass(frozen=True)
class Compiled:
    """What `compile` was told."""

    optimizer: Any = "adam"
    loss: Any = None
    metrics: tuple[Any, ...] = ("accuracy",)
    options: dict[str, Any] = field(default_factory=dict)


def fit(model: Model, x: Any, y: Any, *, validation_split: float, validation_data: Any, **options: Any) -> Any:
    """Train `model.network` in place; see Model.fit."""
    train = pair(model, x, y)
    validation = None if validation_data is None else _validation(model, validation_data)
    if validation is None and validation_split:
        train, validation = _split(train, validation_split)
    _name_classes(model, x, train[1])
    compiled = model._compiled
    arguments = {"kind": getattr(x, "kind", None), **compiled.options, **options}
    metrics = [m for m in compiled.metrics if m != "accuracy" or model.output != "values"]
    return training.fit(
        model.network, train, normalise=model.normalise, loss=compiled.loss or LOSSES[model.output],
        optimizer=compiled.optimizer, metrics=metrics, validation=validation, model=model, **arguments,
    )


def evaluate(model: Model, x: Any, y: Any, batch_size: int) -> dict[str, float]:
    """Return {'loss': ..., metric: ...} of a model on data with labels, in full precision."""
    images, labels = pair(model, x, y)
    compiled = model._compiled
    metrics = [m for m in compiled.metrics if m != "accuracy" or model.output != "values"]
    return training.evaluate(model.network, (images, labels), normalise=model.normalise, batch_size=batch_size,
                             loss=compiled.loss or LOSSES[model.output], measure=metrics)


def pair(model: Model, x: Any, y: Any = None) -> tuple[Any, Tensor]:
    """Return (inputs at the model's size, targets) for arrays, tensors or a Dataset. uint8 stays uint8."""
    if hasattr(x, "batches") and hasattr(x, "labels"):
        if y is not None:
            raise InputError("a Dataset brings its own labels: leave y out")
        return _learn_shape(model, _of_dataset(model, x)), torch.tensor(x.labels)
    if x is None or y is None:
        raise InputError("give inputs x and targets y, or a Dataset")
    inputs = _inputs(model, x)
    targets = _targets(model, y)
    if len(inputs) != len(targets):
        raise InputError(f"{len(inputs)} inputs and {len(targets)} targets: give one target an input")
    if not len(inputs):
        raise InputError("there are no samples: x is empty")
    return _learn_shape(model, inputs), targets


def _of_dataset(model: Model, x: Any) -> Tensor:
    """All inputs of a Dataset: images stay uint8."""
    if model.kind == "image":
        model.preprocess.check_dataset(x)  # type: ignore[union-attr]
        return torch.from_numpy(x.arrays(model.size, model.channels)).permute(0, 3, 1, 2)
    parts = list(model.preprocess.batches(x, 1024))
    inputs = torch.cat(parts) if parts else torch.zeros(0, 1)
    if len(inputs) < len(x):  # so that inputs and labels belong together
        raise InputError(f"{len(x) - len(inputs)} {x.noun} of {x.name} cannot be read any more: use its readable()")
    return inputs


def _learn_shape(model: Model, inputs: Tensor) -> Tensor:
    model.sample_shape = tuple(inputs.shape[1:])
    return inputs


def _inputs(model: Model, x: Any) -> Tensor:
    """uint8 images of the right shape go on as they are; everything else is prepared (and so checked) in chunks."""
    if model.channels is None:
        return model.preprocess.prepare(x)
    t = x
    if isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.ndim in (3, 4):
        t = torch.from_numpy(np.ascontiguousarray(x[..., None] if x.ndim == 3 else x)).permute(0, 3, 1, 2)
    elif isinstance(x, np.ndarray) and x.ndim == 3:  # with targets at hand this is a batch of grey images
        t = x[..., None]
    fits = isinstance(t, Tensor) and t.dtype == torch.uint8 and t.ndim == 4 and t.shape[1] == model.channels
    if fits and model.size in (None, tuple(t.shape[2:])):
        return t
    if isinstance(t, (list, tuple)) or t.ndim != 4:
        return model.preprocess.prepare(t)
    return torch.cat([model.preprocess.prepare(t[i : i + 1024]) for i in range(0, max(len(t), 1), 1024)])


def _targets(model: Model, y: Any) -> Tensor:
    a = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if a.dtype.kind in "US":  # class names
        if model._classes is None:
            model.classes = sorted(set(a.tolist()))
        index = {c: i for i, c in enumerate(model.classes)}
        unknown = sorted(set(a.tolist()) - set(index))
        if unknown:
            raise InputError(f"label {unknown[0]!r} is none of the model's {len(index)} classes")
        a = np.array([index[name] for name in a.tolist()])
    if a.dtype.kind not in "biuf":
        raise InputError(f"targets of type {a.dtype}: give class numbers, class names or arrays of numbers")
    return torch.from_numpy(np.ascontiguousarray(a.astype(np.float32 if a.dtype.kind == "f" else np.int64)))


def _validation(model: Model, data: Any) -> tuple[Any, Tensor]:
    return pair(model, *data) if isinstance(data, (tuple, list)) else pair(model, data)


def _split(train: tuple[Any, Tensor], share: float) -> tuple[tuple[Any, Tensor], tuple[Any, Tensor]]:
    """The last `share` of the samples is held out, before any shuffling, as Keras does."""
    x, y = train
    if not 0 < share < 1 or not 0 < int(len(x) * (1 - share)) < len(x):
        raise InputError(f"validation_split={share} of {len(x)} samples leaves one side empty: choose between 0 and 1")
    at = int(len(x) * (1 - share))
    return (x[:at], y[:at]), (x[at:], y[at:])


def _name_classes(model: Model, x: Any, y: Tensor) -> None:
    names: Sequence[str] | None = getattr(x, "classes", None)
    if model._classes is None and names is not None:
        model.classes = names
    numbers = model.output == "softmax" and not y.is_floating_point() and y.ndim == 1
    if numbers and model._classes is not None and not 0 <= int(y.min()) <= int(y.max()) < len(model.classes):
        raise InputError(f"class number {int(y.max())} for a model of {len(model.classes)} classes: numbers are 0..K-1")
