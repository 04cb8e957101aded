"""When a hit counts: the network itself, in float32, on this image alone, errs on it. Depends on subject, tasks and threat."""

from __future__ import annotations

import torch
from torch import Tensor

from hubel.attack.losses import margin
from hubel.attack.subject import Subject
from hubel.attack.tasks import Ended, Hit, Points, Task
from hubel.attack.threat import on_levels, rows

OUTWARDS = (1.0, 1.01, 1.03, 1.1, 1.3)
LOOKS, NEAR = 7, 0.004  # how often the line is looked at within the first success at most, and how near the border is enough
STEP = 1 + NEAR / 4  # scales are powers of it: then they do not depend on the last bits of the copy that found the border


def confirmed(subject: Subject, points: Points, task: Task, point: Tensor, step: int) -> Hit | None:
    """Return the hit if the network itself, in float32 on this image alone, is broken by `point`; else None."""
    logits = subject.truth(point[None])
    predicted = logits.argmax(dim=1)
    index = torch.tensor([task.index])
    if not points.broken(predicted, index).item():
        return None
    distance, sure = points.distance(point[None], index).item(), logits.softmax(dim=1).max().item()
    return Hit(task, point.clone(), distance, int(predicted), sure, step)


def settled(subject: Subject, points: Points, ended: list[Ended]) -> list[Hit | None]:
    """For each search that ended: the smallest confirmed hit within its eps that is found on the line from the original through
    the nearest point that broke the fast copy, or None.

    The search may have run in low precision, and the point need not consist of whole levels: so the border is looked for by a
    copy in float32, on all lines together; what is there counts if `confirmed`, or else what lies a little further out.
    """
    line = _Line(subject, points, ended)
    hits: list[Hit | None] = []
    for k, (e, scale) in enumerate(zip(ended, line.borders().tolist(), strict=True)):
        hit = None
        for outer in OUTWARDS if scale < torch.inf else ():
            q = line.at(torch.tensor([k]), torch.tensor([outer * scale]))
            if points.distance(q, torch.tensor([e.task.index])).item() > e.task.eps * (1 + 1e-6):
                break
            hit = confirmed(subject, points, e.task, q[0], e.step)
            if hit is not None:
                break
        hits.append(hit)
    return hits


class _Line:
    """The lines from originals (scale 0) through points that were found (scale 1)."""

    def __init__(self, subject: Subject, points: Points, ended: list[Ended]) -> None:
        self.subject, self.points = subject, points
        self.index = torch.tensor([e.task.index for e in ended])
        self.x = points.x[self.index]
        self.d = torch.stack([e.nearest for e in ended]) - self.x

    def at(self, which: Tensor, scale: Tensor) -> Tensor:
        """Return images (N, C, H, W): line `which` (N,) at `scale` (N,)."""
        x = self.x[which]
        q = (x + rows(scale, x) * self.d[which]).clamp(0, 1)
        return on_levels(q, x, torch.full((len(x),), torch.inf), self.points.norm) if self.points.exact else q

    def seen(self, which: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N,) whether the copy is broken there, and its margins, above 0 where it is."""
        logits = self.subject.close(self.at(which, scale))
        index = self.index[which]
        gap = margin(logits, self.points.y[index], None if self.points.targets is None else self.points.targets[index])
        broken = self.points.broken(logits.argmax(dim=1), index)
        return broken, torch.where(broken, gap.clamp_min(0), gap.clamp_max(0))

    def borders(self) -> Tensor:
        """Return scales (N,) just beyond the border, infinite where none is found.

        By inverse quadratic interpolation through the last three looks, as in Brent (1973, ch. 4), or false position where that
        leaves the bracket; aiming a hair beyond the border and never nearer to either end than NEAR, until the last two
        looks enclose it or, by the line between them, the nearest success is so near.
        """
        n = len(self.index)
        every = torch.arange(n)
        broken, gap = self.seen(torch.cat([every, every]), torch.cat([torch.zeros(n), torch.ones(n)]))
        below, lacks = torch.zeros(n), gap[:n].clamp_max(-1e-3)  # the largest scale known to fail, and its margin
        above, has = torch.where(broken[n:], 1.0, torch.inf), gap[n:].clone()
        outer = 1.0
        for further in OUTWARDS[1:]:
            todo = torch.nonzero(above == torch.inf).flatten()
            if not len(todo):
                break
            below[todo], lacks[todo] = outer, has[todo].clamp_max(-1e-9)
            broken, has[todo] = self.seen(todo, torch.full((len(todo),), further))
            above[todo[broken]], outer = further, further
        if self.points.norm == "l0":
            return above
        third, there = torch.full_like(above, torch.nan), torch.full_like(has, torch.nan)  # the look before the bracket's two
        for _ in range(LOOKS):
            beyond = has * (above - below) / (has - lacks)
            todo = torch.nonzero((above < torch.inf) & (above - below > NEAR * above) & (beyond > 0.8 * NEAR * above)).flatten()
            if not len(todo):
                break
            a, over, b, under, c, odd = (t[todo] for t in (above, has, below, lacks, third, there))
            guess = (a * under * odd / ((over - under) * (over - odd)) + b * over * odd / ((under - over) * (under - odd))
                     + c * over * under / ((odd - over) * (odd - under)))
            guess = torch.where((guess > b) & (guess < a), guess, b + (a - b) * under / (under - over))
            middle = torch.minimum(torch.maximum(guess + 0.25 * NEAR * a, b + 0.9 * NEAR * a), a - 0.9 * NEAR * a)
            broken, gap = self.seen(todo, middle)
            third[todo], there[todo] = torch.where(broken, a, b), torch.where(broken, over, under)
            above[todo], has[todo] = torch.where(broken, middle, a), torch.where(broken, gap, over)
            below[todo], lacks[todo] = torch.where(broken, b, middle), torch.where(broken, under, gap.clamp_max(-1e-9))
        return torch.where(above < torch.inf, STEP ** torch.ceil(above.double().log() / torch.tensor(STEP).double().log() - 1e-6), torch.inf)
