"""The nearest point of a hyperplane inside the box: one step of every attack that takes the network for linear.

min |d|_p subject to w . d = c and 0 <= q + d <= 1 (Croce and Hein 2020, arXiv:1907.02044, eq. 4). Depends on threat.

With lambda the multiplier, a value moves by min(lambda |w_i|^k, room_i) along the sign of w_i, k = 0 for linf and 1 for
l2. What that gains, sum |w_i| min(lambda |w_i|^k, room_i), is concave in lambda: Newton's steps from the left never
overshoot and, the function being piecewise linear, end after a few. For l1 the largest |w_i| go all the way, one by one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hubel.attack.threat import TINY, rows

NEWTON = 30  # three to six do; a guard


def onto(q: Tensor, w: Tensor, c: Tensor, norm: str) -> Tensor:
    """Return d (N, ...), the smallest with w . d = c in the box; where the box forbids that, what comes nearest.

    q : points (N, ...) of the box; w : normals; c : (N,).
    """
    sign = torch.where(c < 0, -1.0, 1.0)
    w, c = w * rows(sign, w), c.abs()
    room = torch.where(w > 0, 1 - q, q).clamp_min(0).reshape(len(q), -1)
    size = w.abs().reshape(len(q), -1)
    moved = _along_largest(size, room, c) if norm == "l1" else _together(size, room, c, 0 if norm == "linf" else 1)
    return moved.view_as(q) * w.sign()


def _together(size: Tensor, room: Tensor, c: Tensor, k: int) -> Tensor:
    weight = torch.ones_like(size) if k == 0 else size
    limit = room / weight.clamp_min(TINY)  # the multiplier at which a value has come to the end of its room
    slopes, ends = size * weight, size * room
    multiplier = c / slopes.sum(dim=1).clamp_min(TINY)
    for _ in range(NEWTON):
        free = multiplier.view(-1, 1) < limit
        clipped = torch.where(free, 0.0, ends).sum(dim=1)
        slope = torch.where(free, slopes, 0.0).sum(dim=1)
        better = torch.where(slope > TINY, (c - clipped) / slope.clamp_min(TINY), torch.inf)
        better = torch.maximum(better, multiplier)
        if bool((better <= multiplier * (1 + 1e-6)).all()):
            break
        multiplier = better
    moved = torch.where(weight > 0, multiplier.view(-1, 1) * weight, 0.0)
    return torch.minimum(moved, room) * (size > 0)


def _along_largest(size: Tensor, room: Tensor, c: Tensor) -> Tensor:
    order = size.argsort(dim=1, descending=True, stable=True)
    gain = (size * room).gather(1, order)
    before = gain.cumsum(dim=1) - gain
    share = ((c.view(-1, 1) - before) / gain.clamp_min(TINY)).clamp(0, 1)
    return torch.zeros_like(size).scatter_(1, order, share * room.gather(1, order)) * (size > 0)
