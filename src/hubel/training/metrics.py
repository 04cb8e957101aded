"""Metrics per sample, by Keras' names: f(outputs (N, ...), y) -> (N,), averaged over an epoch by the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.training import losses

Metric = Callable[[Tensor, Tensor], Tensor]


def accuracy(outputs: Tensor, y: Tensor) -> Tensor:
    """1 where the largest logit is the true class; with one output or a target per output, where the sign is right.

    A distribution (N, K) as target (one-hot, mixup) counts by its largest entry if its rows sum to 1.
    """
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return ((outputs.reshape(-1) > 0) == (y.reshape(-1) > 0.5)).float()
    if y.shape == outputs.shape:
        if torch.allclose(y.sum(1).float(), torch.ones(len(y), device=y.device), atol=1e-3):
            return (outputs.argmax(1) == y.argmax(1)).float()
        return ((outputs > 0) == (y > 0.5)).float().mean(1)
    return (outputs.argmax(1) == y.reshape(-1)).float()


def top_5_accuracy(outputs: Tensor, y: Tensor) -> Tensor:
    """1 where the true class is among the five largest logits."""
    best = outputs.topk(min(5, outputs.shape[1]), dim=1).indices
    labels = y.argmax(1) if y.shape == outputs.shape else y.reshape(-1)
    return (best == labels[:, None]).any(1).float()


_ACCURACY = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")
_TOP_5 = ("top_5_accuracy", "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy")
_METRICS: dict[str, tuple[str, Metric]] = {
    **dict.fromkeys(_ACCURACY, ("accuracy", accuracy)),
    **dict.fromkeys(_TOP_5, ("top_5_accuracy", top_5_accuracy)),
    **{name: (name, losses.mean_squared_error) for name in ("mse", "mean_squared_error")},
    **{name: (name, losses.mean_absolute_error) for name in ("mae", "mean_absolute_error")},
}


def get(metrics: Iterable[str | Metric] | str | None) -> dict[str, Metric]:
    """Name -> metric, in the order given; a callable `metric(outputs, y)` goes by its `__name__`."""
    found: dict[str, Metric] = {}
    for metric in [metrics] if isinstance(metrics, str) else metrics or ():
        if isinstance(metric, str):
            if metric.lower() not in _METRICS:
                raise InputError(f"unknown metric {metric!r}: give one of {', '.join(sorted(_METRICS))}, or a function")
            name, function = _METRICS[metric.lower()]
            found[metric.lower() if metric.lower() == "acc" else name] = function
        elif callable(metric):
            found[getattr(metric, "__name__", type(metric).__name__.lower())] = metric
        else:
            raise InputError(f"metric {metric!r} is neither a name nor a function of (outputs, y)")
    return found
