"""When a run within a ball is given up: at its pace it would hardly get there. Depends on torch.

Most of what a robustness evaluation computes, it computes for images that nothing breaks. How near a run has come is seen
long before its end: the gap, by how much the true class leads at the best point so far, closes ever more slowly. At every
tenth of its steps a run is asked whether its gap is still within reach: what the second half of its steps brought (or
FLOOR of what all of them brought, where that is more), once more for every doubling of the steps that is left, times
PATIENCE. So a run that will arrive at a constant or slowing pace is never given up; and one that has closed nothing yet has
shown nothing, and goes on.

Measured on the gaps of all runs of APGD-CE, APGD-T and Square on hardened networks, taken for runs that had to close less: see
"Runs given up" in bench/RESULTS.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

MARKS = 20  # parts of a run at whose ends the gap is noted; at every second one the run is judged
PATIENCE, FLOOR = 5.5, 0.05
EVIDENCE = 0.01  # of the first gap: a run that closed less is not judged


class Pace:
    """Of runs of `steps` looks after the first; `None` never gives up."""

    def __init__(self, steps: int | None) -> None:
        self.steps = steps

    def begin(self, s: dict[str, Tensor], count: int) -> None:
        s["gaps"] = torch.zeros(count, MARKS + 1)
        s["mark"] = torch.full((count,), -1)

    def hopeless(self, s: dict[str, Tensor]) -> Tensor:
        """Return (N,) which runs are given up at this look, the (s["t"] + 1)-th; s["gap"] is minus the gap."""
        if self.steps is None or self.steps < MARKS:
            return torch.zeros(len(s["t"]), dtype=torch.bool)
        mark = s["t"] * MARKS // self.steps
        passed = torch.arange(MARKS + 1) > s["mark"][:, None]
        gap = -s["gap"]
        s["gaps"] = torch.where(passed, gap[:, None], s["gaps"])
        due = (mark > s["mark"]) & (mark % 2 == 0) & (mark >= 2) & (mark < MARKS) & (gap > 0)
        s["mark"] = mark
        if not due.any():
            return due
        closed = s["gaps"][:, 0] - gap
        lately = s["gaps"].gather(1, (mark // 2)[:, None]).squeeze(1) - gap
        doublings = (MARKS / mark.clamp_min(1)).log2()
        reach = PATIENCE * doublings * torch.maximum(lately, FLOOR * closed)
        return due & (closed > EVIDENCE * s["gaps"][:, 0].abs()) & (gap > reach)
