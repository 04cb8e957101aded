"""Muon: momentum whose matrices are orthogonalised before they are applied (Jordan 2024), SGD for everything else.

For the kernels of hidden layers. First and last layers, biases and norms are moved by Nesterov momentum, as the author
advises for convolutional networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # the author's: fastest growth of small singular values, ending in 0.7..1.2


def orthogonalise(matrices: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix to each of (m, n) or (k, m, n), U V' of G = U S V', roughly: singular values come out
    between 0.7 and 1.2. A quintic Newton-Schulz iteration: X <- a X + (b A + c A^2) X with A = X X'."""
    a, b, c = _COEFFICIENTS
    wide = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    x = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
    multiply = torch.addmm if x.ndim == 2 else torch.baddbmm  # one call for a sum of products: small kernels are all calls
    for _ in range(iterations):
        gram = x @ x.mT
        x = multiply(x, multiply(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if matrices.shape[-2] > matrices.shape[-1] else x


class MuonOptimizer(torch.optim.Optimizer):
    """A torch optimiser over groups with `orthogonal` true (matrices and kernels, by Muon) or false (by Nesterov SGD).

    A kernel (out, in, ...) counts as a matrix (out, in ...). Muon's step has root-mean-square size
    lr sqrt(max(1, rows / columns)) sqrt(min(rows, columns) / (rows columns)); its weight decay is decoupled.
    With `fixed_norm` each such kernel is brought to the norm sqrt(out) before its step: where a batch norm follows, the
    norm means nothing to the outputs, and the rate stays the angle by which a kernel turns (airbench94_muon, Jordan 2024).
    `precision` is what the matrices are orthogonalised in, None their own: for large ones bfloat16 takes half the time.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float = 0.02, momentum: float = 0.95,
                 iterations: int = 5, fixed_norm: bool = False, precision: torch.dtype | None = None) -> None:
        self.precision = precision
        super().__init__(groups, {"lr": lr, "momentum": momentum, "iterations": iterations, "weight_decay": 0.0,
                                  "orthogonal": False, "fixed_norm": fixed_norm})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                gradient = p.grad
                if not group["orthogonal"] and group["weight_decay"]:
                    gradient = gradient.add(p, alpha=group["weight_decay"])
                buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buffer.mul_(group["momentum"]).add_(gradient)
                update = gradient.add(buffer, alpha=group["momentum"])
                scale = 1.0
                if group["orthogonal"]:
                    matrix = update.reshape(len(update), -1)
                    update = orthogonalise(matrix.to(self.precision or p.dtype), group["iterations"]).to(p.dtype).reshape(p.shape)
                    scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                    if group["fixed_norm"]:
                        p.mul_(len(p) ** 0.5 / p.norm().clamp_min(1e-12))
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * scale)


def hidden_matrices(network: nn.Module) -> set[str]:
    """The names of the trainable kernels and matrices between the network's first and last layer."""
    matrices = [(name, p) for name, p in network.named_parameters() if p.ndim > 1]
    return {name for name, p in matrices[1:-1] if p.requires_grad}
