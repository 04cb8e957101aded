"""Interval bounds: what the outputs can be for any input of a box, layer by layer (Gowal et al. 2018, arXiv:1810.12715).

Sound and loose: an image that passes is robust for certain, one that does not may be. An `Interval` goes through a network in
place of a tensor (torch's `__torch_function__`), so every network made of the functions below can be bounded, residual
connections included. Depends on subject and torch.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hubel import engine
from hubel.attack.intervals import exact_interval
from hubel.attack.result import eps_text
from hubel.attack.running import as_classes
from hubel.attack.subject import Subject
from hubel.errors import InputError, ModelError
from hubel.model.outputs import logits_of
from hubel.pixels import parse_eps

Rule = Callable[..., "Interval"]
RULES: dict[Any, Rule] = {}


class Interval:
    """All tensors between `low` and `high`, value by value."""

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self.low, self.high = low, high

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Interval:
        rule = RULES.get(function)
        if rule is None:
            raise ModelError(f"no interval bounds for {getattr(function, '__name__', function)!r}: the network uses something "
                             "else than convolutions, dense layers, batch norms, pools, sums and monotone activations")
        return rule(*args, **(kwargs or {}))

    @property
    def shape(self) -> torch.Size:
        return self.low.shape

    @property
    def ndim(self) -> int:
        return self.low.ndim

    def dim(self) -> int:
        return self.low.ndim

    def size(self, *axis: int) -> Any:
        return self.low.size(*axis)

    def flatten(self, *args: Any) -> Interval:
        return self._both(lambda t: t.flatten(*args))

    def view(self, *shape: Any) -> Interval:
        return self._both(lambda t: t.reshape(*shape))

    reshape = view

    def contiguous(self, **_: Any) -> Interval:
        return self

    def mean(self, *args: Any, **kwargs: Any) -> Interval:
        return self._both(lambda t: t.mean(*args, **kwargs))

    def __getitem__(self, key: Any) -> Interval:
        return self._both(lambda t: t[key])

    def __add__(self, other: Any) -> Interval:
        return _sum(self, other)

    __radd__ = __add__
    __iadd__ = __add__

    def _both(self, f: Callable[[Tensor], Tensor]) -> Interval:
        return Interval(f(self.low), f(self.high))


def _rule(*functions: Any) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(functions, rule))
        return rule

    return add


def _monotone(function: Any) -> Rule:
    def rule(x: Interval, *args: Any, **kwargs: Any) -> Interval:
        kwargs.pop("inplace", None)
        args = tuple(a for a in args if not isinstance(a, bool))
        return x._both(lambda t: function(t, *args, **kwargs))

    return rule


for _function in (F.relu, torch.relu, F.relu6, F.hardtanh, torch.sigmoid, torch.tanh, F.leaky_relu, F.softplus, F.elu,
                  F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, torch.flatten, F.pad, torch.mean, torch.clamp):
    RULES[_function] = _monotone(_function)


@_rule(F.max_pool2d, torch.max_pool2d, F.max_pool2d_with_indices)
def _max_pool(x: Interval, *args: Any, **kwargs: Any) -> Interval:
    kwargs.pop("return_indices", None)
    return x._both(lambda t: F.max_pool2d(t, *args, **kwargs))


@_rule(F.dropout, F.dropout2d)
def _unchanged(x: Interval, *_: Any, **__: Any) -> Interval:
    return x  # in evaluation mode


@_rule(torch.add, Tensor.add, Tensor.__add__)
def _sum(a: Any, b: Any, **_: Any) -> Interval:
    low, high = ((v.low, v.high) if isinstance(v, Interval) else (v, v) for v in (a, b))
    return Interval(low[0] + high[0], low[1] + high[1])


@_rule(F.conv2d, torch.conv2d, F.linear)
def _affine(x: Interval, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any) -> Interval:
    """W x + b is within W c + b, plus and minus |W| r, for x within c - r and c + r."""
    function = F.linear if weight.ndim == 2 else F.conv2d
    centre, reach = (x.high + x.low) / 2, (x.high - x.low) / 2
    middle = function(centre, weight, bias, *args, **kwargs)
    around = function(reach, weight.abs(), None, *args, **kwargs)
    return Interval(middle - around, middle + around)


@_rule(F.batch_norm)
def _batch_norm(x: Interval, mean: Tensor, variance: Tensor, weight: Tensor | None = None, bias: Tensor | None = None,
                training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Interval:
    a = F.batch_norm(x.low, mean, variance, weight, bias, False, momentum, eps)
    b = F.batch_norm(x.high, mean, variance, weight, bias, False, momentum, eps)
    return Interval(torch.minimum(a, b), torch.maximum(a, b))


@dataclass(frozen=True)
class Bounds:
    """Of N images in L-inf boxes of size eps: `least` (N,) the least that the true logit leads by, `certified` (N,) whether
    that is above 0: then no perturbation of that size changes the answer, for certain."""

    eps: float
    least: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    seconds: float

    @property
    def certified(self) -> np.ndarray:
        return self.least > 0

    @property
    def accuracy(self) -> float:
        return float(self.certified.mean())

    @property
    def interval(self) -> tuple[float, float]:
        return exact_interval(int(self.certified.sum()), len(self.least))

    def __str__(self) -> str:
        low, high = self.interval
        return (f"interval bounds, linf eps {eps_text(self.eps)}: {self.accuracy:.1%} of {len(self.least)} images certified (95%: "
                f"{low:.1%} to {high:.1%}), clean {(self.predicted == self.labels).mean():.1%}, {self.seconds:.1f} s")

    def to_dict(self) -> dict[str, Any]:
        return {"eps": self.eps, "least": self.least.tolist(), "labels": self.labels.tolist(), "predicted": self.predicted.tolist(),
                "accuracy": self.accuracy, "interval": list(self.interval), "seconds": self.seconds}


def interval_bounds(model: Any, x: Any, y: Any, eps: float | str, *, batch_size: int = 64) -> Bounds:
    """Bound the outputs of a network for all images within `eps` (linf) of x and say which answers cannot change.

    In double precision, so that rounding does not matter. Raises ModelError for networks with other functions than those in
    RULES.
    """
    began = time.perf_counter()
    size = parse_eps(eps)
    if size < 0:
        raise InputError(f"eps={eps} must be at least 0")
    subject = Subject(model)
    pixels = subject.prepare(x).detach()
    labels = as_classes(y, len(pixels), subject.names(subject.direct(pixels[:1]).shape[1]), "labels")
    whole = subject.wraps_module
    network = copy.deepcopy(subject.model if whole else subject.model.network).double().cpu()
    normalise = (lambda t: t) if whole else subject.model.normalise
    least, predicted = [], []
    with torch.no_grad(), engine.evaluation(network):
        for q, c in zip(pixels.split(batch_size), labels.split(batch_size), strict=True):
            box = Interval(normalise((q - size).clamp_min(0)).double(), normalise((q + size).clamp_max(1)).double())
            outputs = network(box)
            z: Any = outputs if isinstance(outputs, Interval) else logits_of(outputs)
            true = z.low.gather(1, c[:, None]).squeeze(1)
            least.append(true - z.high.scatter(1, c[:, None], -torch.inf).amax(dim=1))
            predicted.append(logits_of(network(normalise(q).double())).argmax(dim=1))
    return Bounds(size, torch.cat(least).numpy(), labels.numpy(), torch.cat(predicted).numpy(), time.perf_counter() - began)
