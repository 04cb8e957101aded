"""Many small networks of one shape trained at once: their weights stacked, the forward pass vectorised by torch.func.vmap.

A network of a few thousand weights spends its time in calling operations, not in carrying them out: 64 of them at once
turn 64 small matrix products into one batched one. Dense networks gain; convolutions become grouped ones and gain less,
or lose (bench/RESULTS.md): train wide ones one after another. Depends on torch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap


@dataclass
class Many:
    """M networks of one shape. `parameters` : {name: (M, ...)}. Calling it maps (N, ...) to (M, N, K); `own=True` takes
    inputs (M, N, ...), each network its own. Networks with batch norm use the statistics of the batch they are given."""

    base: nn.Module
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]

    def __call__(self, x: Tensor, own: bool = False) -> Tensor:
        def one(p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(self.base, (p, b), (x,))

        return vmap(one, in_dims=(0, 0, 0 if own else None), randomness="different")(self.parameters, self.buffers, x)

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """(M, N, K) in evaluation mode."""
        self.base.eval()
        return self(x)

    def errors(self, x: Tensor, y: Tensor) -> Tensor:
        """The share of wrong answers of each network (M,); y is (N,) or each network's own (M, N)."""
        return (self.logits(x).argmax(-1) != y).float().mean(-1)

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def network(self, i: int) -> nn.Module:
        """Network i on its own, in evaluation mode."""
        one = copy.deepcopy(self.base)
        one.load_state_dict({k: v[i] for k, v in {**self.parameters, **self.buffers}.items()}, assign=True)
        return one.eval()


class Curve:
    """A `watch` for `train_many`: keeps every network's accuracy on (x, y) and loss while they learn."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y
        self._steps: list[int] = []
        self._accuracy: list[Tensor] = []
        self._losses: list[Tensor] = []

    def __call__(self, step: int, many: Many, losses: Tensor) -> None:
        self._steps.append(step)
        self._accuracy.append(1 - many.errors(self.x, self.y))
        self._losses.append(losses)

    @property
    def steps(self) -> np.ndarray:
        """(T,)"""
        return np.array(self._steps)

    @property
    def accuracy(self) -> np.ndarray:
        """(M, T)"""
        return torch.stack(self._accuracy, 1).numpy()

    @property
    def losses(self) -> np.ndarray:
        """(M, T), on the batch that was learned from."""
        return torch.stack(self._losses, 1).numpy()


def stack(networks: Sequence[nn.Module]) -> Many:
    """Stack networks of one shape; their weights are copied."""
    for network in networks:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # running averages cannot be written to under vmap
                module.track_running_stats, module.running_mean, module.running_var = False, None, None
                module.num_batches_tracked = None
    parameters, buffers = stack_module_state(list(networks))
    return Many(copy.deepcopy(networks[0]), {k: v.detach().clone() for k, v in parameters.items()}, buffers)


def train_many(make: Callable[[], nn.Module], count: int, x: Tensor, y: Tensor, *, steps: int, batch_size: int = 64,
               learning_rate: float | Sequence[float] | Tensor = 0.1, optimizer: str = "sgd", momentum: float = 0.9,
               weight_decay: float = 0.0, loss: Callable[[Tensor, Tensor], Tensor] | None = None,
               schedule: str = "constant", seed: int = 0, own: bool = False,
               watch: Callable[[int, Many, Tensor], Any] | None = None, every: int = 0) -> Many:
    """Train `count` networks that `make()` builds, each from its own initial weights and with its own batches.

    x, y : (N, ...) and (N,) for all; y may be (count, N), each network's own labels; `own`: x is (count, N, ...) too.
    learning_rate : one, or one for each network. optimizer : 'sgd' with `momentum`, or 'adam'. schedule : 'constant', or
    'cosine' down to 0. loss(outputs (count, B, K), targets (count, B, ...)) -> (count, B) or (count,); None is the cross
    entropy. batch_size of at least N is full-batch descent. watch(step, many, losses) is called every
    `every` steps (see `Curve`).
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        many = stack([make() for _ in range(count)])
        n = x.shape[1 if own else 0]
        labels = y if y.shape[0] == count and y.ndim > 1 and (own or y.shape[1] == n) else None
        weights = list(many.parameters.values())
        for w in weights:
            w.requires_grad_(True)
        update = _adam(weights) if optimizer == "adam" else _sgd(weights, momentum)
        rates = torch.as_tensor(learning_rate, dtype=torch.float32).expand(count)
        rows = torch.arange(count)[:, None]
        order, place = torch.empty(count, 0, dtype=torch.long), 0
        for step in range(steps):
            if batch_size >= n:
                xb, yb = (x if own else x.expand(count, *x.shape)), (labels if labels is not None
                                                                     else y.expand(count, *y.shape))
            else:
                if place + batch_size > order.shape[1]:
                    order, place = torch.rand(count, n).argsort(1), 0
                index = order[:, place : place + batch_size]
                place += batch_size
                xb = x[rows, index] if own else x[index]
                yb = labels[rows, index] if labels is not None else y[index]
            many.base.train()
            losses = _losses(many(xb, own=True), yb, loss)
            gradients = torch.autograd.grad(losses.sum(), weights)
            share = 1.0 if schedule == "constant" else 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / steps)).item())
            with torch.no_grad():
                for w, g, change in zip(weights, gradients, update(gradients), strict=True):
                    rate = (rates * share).view(-1, *[1] * (g.ndim - 1))
                    if weight_decay:
                        w.mul_(1 - rate * weight_decay)
                    w.sub_(rate * change)
            if watch is not None and every and (step + 1) % every == 0:
                watch(step + 1, many, losses.detach())
        for w in weights:
            w.requires_grad_(False)
        many.base.eval()
        return many


def _losses(outputs: Tensor, y: Tensor, loss: Callable[[Tensor, Tensor], Tensor] | None) -> Tensor:
    """(count,)"""
    if loss is not None:
        each = loss(outputs, y)
        return each.mean(-1) if each.ndim > 1 else each
    return F.cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(-1)


def _sgd(weights: list[Tensor], momentum: float) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    speeds = [torch.zeros_like(w) for w in weights]

    def update(gradients: Sequence[Tensor]) -> list[Tensor]:
        for v, g in zip(speeds, gradients, strict=True):
            v.mul_(momentum).add_(g)
        return speeds

    return update


def _adam(weights: list[Tensor], b1: float = 0.9, b2: float = 0.999, tiny: float = 1e-8
          ) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    """Kingma and Ba 2015, algorithm 1."""
    means, squares, step = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights], 0

    def update(gradients: Sequence[Tensor]) -> list[Tensor]:
        nonlocal step
        step += 1
        for m, v, g in zip(means, squares, gradients, strict=True):
            m.mul_(b1).add_(g, alpha=1 - b1)
            v.mul_(b2).addcmul_(g, g, value=1 - b2)
        return [(m / (1 - b1**step)) / ((v / (1 - b2**step)).sqrt() + tiny) for m, v in zip(means, squares, strict=True)]

    return update
