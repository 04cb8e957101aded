"""When a hit counts: the network itself, in float32, on this image alone, errs on it. Depends on subject, tasks and threat."""

from __future__ import annotations

import torch
from torch import Tensor

from hubel.attack.subject import Subject
from hubel.attack.tasks import Hit, Points, Task
from hubel.attack.threat import on_levels

OUTWARDS, INWARDS, HALVINGS = (1.0, 1.01, 1.03, 1.1, 1.3), (0.99, 0.9, 0.7, 0.4, 0.1), 5


def confirmed(subject: Subject, points: Points, task: Task, point: Tensor, step: int) -> Hit | None:
    """Return the hit if the network itself, in float32 on this image alone, is broken by `point`; else None."""
    logits = subject.truth(point[None])
    predicted = logits.argmax(dim=1)
    index = torch.tensor([task.index])
    if not points.broken(predicted, index).item():
        return None
    distance, sure = points.distance(point[None], index).item(), logits.softmax(dim=1).max().item()
    return Hit(task, point.clone(), distance, int(predicted), sure, step)


def settle(subject: Subject, points: Points, task: Task, point: Tensor, step: int) -> Hit | None:
    """Return the smallest confirmed hit found on the line from the original through `point`; None if there is none.

    The search may have run in low precision, and the point need not consist of whole levels: so a little further out is
    tried where it fails, and further in where it holds.
    """
    x = points.x[task.index]
    any_size = torch.tensor([torch.inf])

    def at(scale: float) -> Hit | None:
        q = (x + scale * (point - x)).clamp(0, 1)
        q = on_levels(q[None], x[None], any_size, points.norm)[0] if points.exact else q
        return confirmed(subject, points, task, q, step)

    tried = 0.0
    for scale in OUTWARDS:
        best = at(scale)
        if best is not None:
            break
        tried = scale
    else:
        return None
    if points.norm == "l0":
        return best
    if scale == 1.0:
        for smaller in INWARDS:
            hit = at(smaller)
            if hit is None:
                tried = smaller
                break
            best, scale = hit if hit.distance < best.distance else best, smaller
    for _ in range(HALVINGS):
        if scale - tried < 1e-3 * scale:
            break
        middle = (scale + tried) / 2
        hit = at(middle)
        if hit is None:
            tried = middle
        else:
            best, scale = hit if hit.distance < best.distance else best, middle
    return best
