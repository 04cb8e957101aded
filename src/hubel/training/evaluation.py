"""Loss and metrics of a network on data, without training it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hubel.errors import InputError, ModelError
from hubel.training import losses, metrics
from hubel.training.precision import Context, image_order
from hubel.training.source import BatchSource, as_source

Normalise = Callable[[Tensor], Tensor]


def evaluate(network: nn.Module, data: Any, *, normalise: Normalise | None = None,
             loss: str | losses.Loss = "cross_entropy",
             measure: str | Iterable[str | metrics.Metric] | None = ("accuracy",),
             batch_size: int = 256) -> dict[str, float]:
    """{'loss': ..., 'accuracy': ...} in full precision; `data` is a pair (x, y) or a BatchSource. The network is left
    in the mode it was in."""
    return run(network, as_source(data), losses.get(loss), metrics.get(measure), normalise, batch_size)


def run(network: nn.Module, source: BatchSource, loss: losses.Loss, wanted: Mapping[str, metrics.Metric],
        normalise: Normalise | None, batch_size: int, context: Context = nullcontext,
        halt: Callable[[], bool] = lambda: False) -> dict[str, float]:
    """The means over the source; stops between batches, with an empty answer, when `halt()` is true."""
    device, was_training = device_of(network), network.training
    totals = {"loss": 0.0, **dict.fromkeys(wanted, 0.0)}
    network.eval()
    try:
        with torch.inference_mode():
            for batch in source.epoch(0, 0, batch_size, shuffle=False):
                if halt():
                    return {}
                x, y = to_input(batch.x, device, normalise), batch.y.to(device)
                with context():
                    outputs = network(x)
                outputs = check_outputs(outputs, len(x)).float()
                totals["loss"] += per_sample("loss", loss(outputs, y), len(x)).sum().item()
                for name, metric in wanted.items():
                    totals[name] += per_sample(name, metric(outputs, y), len(x)).sum().item()
    finally:
        network.train(was_training)
    return {name: total / len(source) for name, total in totals.items()}


def to_input(x: Tensor, device: torch.device, normalise: Normalise | None) -> Tensor:
    """uint8 0..255 or float -> what the network takes: float32, images channels-last, normalised."""
    order = image_order(x)
    if x.dtype == torch.uint8:
        x = x.to(device, torch.float32, memory_format=order).div_(255.0)
    else:
        x = x.to(device, torch.float32, memory_format=order)
    return x if normalise is None else normalise(x)


def check_outputs(outputs: Any, count: int) -> Tensor:
    if not isinstance(outputs, Tensor):
        raise ModelError(f"the network gives a {type(outputs).__name__}, not a tensor of logits: wrap it in a module "
                         "that returns them")
    if outputs.ndim == 0 or len(outputs) != count:
        raise ModelError(f"the network gives an output of shape {tuple(outputs.shape)} for {count} inputs: the first "
                         "dimension must count the inputs")
    return outputs


def check_classes(outputs: Tensor, y: Tensor, classes: int | None) -> None:
    """Refuse class numbers beyond the network's outputs, which torch would meet with an index error or worse."""
    numbers = classes is not None and not y.is_floating_point() and outputs.ndim == 2 and outputs.shape[1] > 1
    if numbers and classes is not None and classes > outputs.shape[1]:
        raise InputError(f"the labels name class {classes - 1} and the network has {outputs.shape[1]} outputs: give it "
                         "one output per class")


def per_sample(name: str, values: Tensor, count: int) -> Tensor:
    """(N,) from what a loss or metric returned: (N,), (N, ...) or one mean for all."""
    if not isinstance(values, Tensor):
        values = torch.as_tensor(values)
    if values.ndim == 0:
        return values.expand(count)
    if len(values) != count:
        raise InputError(f"{name} gives shape {tuple(values.shape)} for {count} samples: return one value per sample, "
                         "or their mean")
    return values.reshape(count, -1).mean(1) if values.ndim > 1 else values


def device_of(network: nn.Module) -> torch.device:
    return next((p.device for p in network.parameters()), torch.device("cpu"))
