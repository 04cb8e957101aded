"""When a hit counts: the network itself, in float32, on this image alone, errs on it. Depends on subject, tasks and threat."""

from __future__ import annotations

import torch
from torch import Tensor

from hubel.attack.losses import margin
from hubel.attack.subject import Subject
from hubel.attack.tasks import Hit, Points, Task
from hubel.attack.threat import on_levels

OUTWARDS = (1.0, 1.01, 1.03, 1.1, 1.3)
LOOKS, NEAR = 7, 0.004  # how often the line is looked at within the first success at most, and how near the border is enough


def confirmed(subject: Subject, points: Points, task: Task, point: Tensor, step: int) -> Hit | None:
    """Return the hit if the network itself, in float32 on this image alone, is broken by `point`; else None."""
    return _judged(subject, points, task, point, step)[0]


def _judged(subject: Subject, points: Points, task: Task, point: Tensor, step: int) -> tuple[Hit | None, float]:
    """The hit, if it is one, and the margin: above 0 where it is."""
    logits = subject.truth(point[None])
    predicted = logits.argmax(dim=1)
    index = torch.tensor([task.index])
    gap = float(margin(logits, points.y[index], None if points.targets is None else points.targets[index]))
    if not points.broken(predicted, index).item():
        return None, min(gap, 0.0)
    distance, sure = points.distance(point[None], index).item(), logits.softmax(dim=1).max().item()
    return Hit(task, point.clone(), distance, int(predicted), sure, step), max(gap, 0.0)


def settle(subject: Subject, points: Points, task: Task, point: Tensor, step: int) -> Hit | None:
    """Return the smallest confirmed hit found on the line from the original through `point`; None if there is none.

    The search may have run in low precision, and the point need not consist of whole levels: so a little further out is
    tried where it fails; where it holds, the border is looked for further in, by false position (the Illinois rule),
    aiming a hair beyond it and never nearer to either end than NEAR, so that the last two looks enclose it.
    """
    x = points.x[task.index]
    any_size = torch.tensor([torch.inf])

    def at(scale: float) -> tuple[Hit | None, float]:
        q = (x + scale * (point - x)).clamp(0, 1)
        q = on_levels(q[None], x[None], any_size, points.norm)[0] if points.exact else q
        return _judged(subject, points, task, q, step)

    index = torch.tensor([task.index])
    wanted = None if points.targets is None else points.targets[index]
    below = 0.0  # the largest scale known to fail, and its margin
    lacks = min(float(margin(subject.truth(x[None]), points.y[index], wanted)), -1e-3)
    for outer in OUTWARDS:
        best, gap = at(outer)
        if best is not None:
            break
        below, lacks = outer, gap
    else:
        return None
    if points.norm == "l0":
        return best
    above, has = outer, gap
    steps = 0
    while above - below > NEAR * above and steps < LOOKS:
        least = 0.9 * NEAR * above
        guess = below + (above - below) * lacks / (lacks - has - 1e-9)
        middle = min(max(guess + 0.25 * NEAR * above, below + least), above - least)
        hit, gap = at(middle)
        if hit is None:
            below, lacks, has = middle, min(gap, -1e-9), has / 2
        else:
            best = hit if hit.distance < best.distance else best
            above, has, lacks = middle, gap, lacks / 2
        steps += 1
    return best
