"""When a run within a ball is given up: at its pace it would hardly get there. Depends on torch.

Most of what a robustness evaluation computes, it computes for images that nothing breaks. How near a run has come is seen
long before its end: the gap that is left closes ever more slowly. It is by how much the true class leads at the best point so
far, or, of a search for the smallest change, how far outside the ball the nearest point lies that breaks the network. At every
tenth of its steps a run is asked whether its gap is still within reach: what the second half of its steps brought (or
FLOOR of what all of them brought, where that is more), once more for every doubling of the steps that is left, times
PATIENCE. So a run that will arrive at a constant or slowing pace is never given up. One on a plateau, whose looks all showed the
same, has shown nothing yet, and goes on.

Not for APGD within l1, whose gaps close late. Measured on the gaps of runs of APGD-CE, APGD-T, FAB-T and Square on hardened
networks, taken for runs that had to close less: see "Runs given up" in bench/RESULTS.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

MARKS = 20  # parts of a run at whose ends the gap is noted; at every second one the run is judged
PATIENCE, FLOOR = 5.5, 0.05
EVIDENCE = 0.01  # of the first gap: where the gaps seen differ by less, a run is not judged


class Pace:
    """Of runs of so many `steps`; `None` never gives up."""

    def __init__(self, steps: int | None) -> None:
        self.steps = steps if steps is not None and steps >= MARKS else None  # too few to judge by

    def begin(self, s: dict[str, Tensor], count: int) -> None:
        if self.steps is None:
            return
        s["gaps"] = torch.zeros(count, MARKS + 1)
        s["mark"] = torch.full((count,), -1)

    def hopeless(self, s: dict[str, Tensor], at: Tensor, gap: Tensor, widest: Tensor) -> Tensor:
        """Return (N,) which runs are given up after `at` (N,) steps, `gap` (N,) the smallest so far (infinite while
        unknown), `widest` (N,) the largest."""
        if self.steps is None:
            return torch.zeros(len(at), dtype=torch.bool)
        mark = (at * MARKS // self.steps).clamp_max(MARKS)
        news = (torch.arange(MARKS + 1) > s["mark"][:, None]) | ~s["gaps"].isfinite()
        s["gaps"] = torch.where(news, gap[:, None], s["gaps"])
        due = (mark > s["mark"]) & (mark % 2 == 0) & (mark >= 2) & (mark < MARKS) & (gap > 0)
        s["mark"] = mark
        due &= gap.isfinite()
        if not due.any():
            return due
        closed = s["gaps"][:, 0] - gap
        lately = s["gaps"].gather(1, (mark // 2)[:, None]).squeeze(1) - gap
        doublings = (MARKS / mark.clamp_min(1)).log2()
        reach = PATIENCE * doublings * torch.maximum(lately, FLOOR * closed)
        return due & (widest - gap > EVIDENCE * s["gaps"][:, 0].abs()) & (gap > reach)
