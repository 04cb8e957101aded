"""What an attack climbs: one number a sample, larger is nearer to success. Depends on torch.

`logits` (N, K), `y` (N,) the true classes, `target` (N,) the wanted classes or None. All are differentiable and rise
without bound: nothing saturates.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hubel.errors import InputError

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def others(logits: Tensor, y: Tensor) -> Tensor:
    """Return logits with those of classes `y` at minus infinity."""
    return logits.scatter(1, y.view(-1, 1), -torch.inf)


def margin(logits: Tensor, y: Tensor, target: Tensor | None = None) -> Tensor:
    """Largest other logit less the true one's; towards a target: its logit less the largest other. Success where > 0."""
    if target is not None:
        return -margin(logits, target)
    return others(logits, y).amax(dim=1) - logits.gather(1, y.view(-1, 1)).squeeze(1)


def cross_entropy(logits: Tensor, y: Tensor, target: Tensor | None = None) -> Tensor:
    """log sum_{k != y} e^{z_k} - z_y: the cross-entropy L is log(1 + e of this), so it rises together with L and its
    gradient points the same way; but where the network is sure, L's gradient vanishes in float32 and this one's does not.
    """
    if target is not None:
        return -cross_entropy(logits, target)
    return others(logits, y).logsumexp(dim=1) - logits.gather(1, y.view(-1, 1)).squeeze(1)


def dlr(logits: Tensor, y: Tensor, target: Tensor | None = None) -> Tensor:
    """Difference of logits ratio (Croce and Hein 2020, arXiv:2003.01690, eq. 6 and 7): margin over the spread of the
    largest logits, blind to shift and scale. Needs 3 classes (4 with a target); with fewer it is the margin."""
    if logits.shape[1] < (3 if target is None else 4):
        return margin(logits, y, target)
    top = logits.topk(3 if target is None else 4, dim=1).values
    if target is None:
        return margin(logits, y) / (top[:, 0] - top[:, 2] + 1e-12)
    gap = logits.gather(1, target.view(-1, 1)) - logits.gather(1, y.view(-1, 1))
    return gap.squeeze(1) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


LOSSES: dict[str, Loss] = {"ce": cross_entropy, "margin": margin, "dlr": dlr}


def loss_named(name: str) -> Loss:
    if name not in LOSSES:
        raise InputError(f"loss={name!r} is unknown: one of {', '.join(LOSSES)}")
    return LOSSES[name]
