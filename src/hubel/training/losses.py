"""Losses per sample, by their torch and their Keras names: f(outputs (N, ...), y) -> (N,). Outputs are logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.errors import InputError

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Softmax cross-entropy of logits (N, K) with classes (N,) or distributions (N, K), in nats.

    Label smoothing s mixes the target with the uniform distribution: (1 - s) t + s / K (Szegedy et al. 2016).
    """

    def loss(outputs: Tensor, y: Tensor) -> Tensor:
        target = y if y.is_floating_point() and y.ndim == 2 else y.reshape(-1).long()
        return F.cross_entropy(outputs, target, reduction="none", label_smoothing=label_smoothing)

    return loss


def binary_cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Sigmoid cross-entropy of logits with targets 0..1 of the same number of elements, averaged over the outputs."""

    def loss(outputs: Tensor, y: Tensor) -> Tensor:
        target = y.to(outputs.dtype).reshape(outputs.shape)
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / 2
        return F.binary_cross_entropy_with_logits(outputs, target, reduction="none").flatten(1).mean(1)

    return loss


def mean_squared_error(outputs: Tensor, y: Tensor) -> Tensor:
    return (outputs - _as_target(outputs, y)).square().reshape(len(outputs), -1).mean(1)


def mean_absolute_error(outputs: Tensor, y: Tensor) -> Tensor:
    return (outputs - _as_target(outputs, y)).abs().reshape(len(outputs), -1).mean(1)


def _as_target(outputs: Tensor, y: Tensor) -> Tensor:
    """y in the outputs' shape; refuses what would broadcast (N,) against (N, 1) to N x N."""
    if y.numel() != outputs.numel():
        raise InputError(f"targets of shape {tuple(y.shape)} do not fit outputs of shape {tuple(outputs.shape)}: "
                         "give one target value per output")
    return y.to(outputs.dtype).reshape(outputs.shape)


_CROSS = {"cross_entropy", "crossentropy", "sparse_categorical_crossentropy", "categorical_crossentropy"}
_BINARY = {"binary_crossentropy", "binary_cross_entropy", "bce"}
_VALUES = {"mse": mean_squared_error, "mean_squared_error": mean_squared_error,
           "mae": mean_absolute_error, "mean_absolute_error": mean_absolute_error}


def get(loss: str | Loss, label_smoothing: float = 0.0) -> Loss:
    """The loss of that name, or the callable `loss(outputs, y)` itself, which may return (N,) or a scalar mean."""
    if not 0.0 <= label_smoothing < 1.0:
        raise InputError(f"label_smoothing {label_smoothing} is outside 0..1: 0.1 or 0.2 are usual")
    name = loss.lower() if isinstance(loss, str) else ""
    if name in _CROSS:
        return cross_entropy(label_smoothing)
    if name in _BINARY:
        return binary_cross_entropy(label_smoothing)
    if label_smoothing:
        raise InputError(f"label_smoothing does nothing for the loss {loss!r}: leave it 0 or use 'cross_entropy'")
    if name in _VALUES:
        return _VALUES[name]
    if not isinstance(loss, str) and callable(loss):
        return loss
    known = ", ".join(sorted(_CROSS | _BINARY | set(_VALUES)))
    raise InputError(f"unknown loss {loss!r}: give one of {known}, or a function of (outputs, y)")


def class_weights(weights: Mapping[int, float] | Sequence[float] | None, classes: int | None) -> Tensor | None:
    """float32 (K,) from Keras' {class: weight} (absent classes weigh 1) or a sequence of K weights."""
    if weights is None:
        return None
    if isinstance(weights, Mapping):
        count = max(classes or 0, max(weights, default=-1) + 1)
        values = torch.ones(count)
        for label, weight in weights.items():
            if not 0 <= label < count:
                raise InputError(f"class_weight names class {label}: classes are 0..{count - 1}")
            values[label] = float(weight)
    else:
        values = torch.as_tensor(weights, dtype=torch.float32)
        if classes is not None and len(values) != classes:
            raise InputError(f"class_weight has {len(values)} weights for {classes} classes: give one per class")
    if not (torch.isfinite(values).all() and (values >= 0).all()):
        raise InputError(f"class_weight {weights} has a negative or infinite weight: give finite weights from 0 up")
    return values
