"""FMN, the fast minimum-norm attack (Pintor et al. 2021, arXiv:2102.12827): steps of fixed length, projected onto a ball
that grows while the network holds and shrinks once it is broken. For l2 it contains DDN (Rony et al. 2019).

Depends on loop, losses and threat.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from hubel.attack.loop import Seen, State
from hubel.attack.losses import margin
from hubel.attack.result import AttackResult
from hubel.attack.running import attack
from hubel.attack.tasks import Points, Task
from hubel.attack.threat import TINY, dual_length, length, norm_name, project, rows
from hubel.errors import InputError

STEP = {"linf": 10.0, "l2": 1.0, "l1": 1.0, "l0": 1.0}  # alpha_0 of the paper, in L2 length
GROWTH, LAST_GROWTH = 0.05, 1e-3  # gamma, falling along a cosine


class FMN:
    """`steps` steps from the image, their length falling from `step_size` (None: as in the paper) to a hundredth of it."""

    gradients, minimum, name = True, True, "fmn"

    def __init__(self, norm: str, steps: int = 100, step_size: float | None = None) -> None:
        if not 1 <= steps <= 1_000_000 or (step_size is not None and not step_size > 0):
            raise InputError(f"steps={steps} and step_size={step_size} must be above 0")
        self.norm, self.steps, self.looks = norm, steps, steps + 1
        self.step_size = STEP[norm] if step_size is None else step_size

    def begin(self, s: State, tasks: list[Task], points: Points) -> None:
        s["z"], s["ball"] = s["x"].clone(), torch.full((len(tasks),), torch.inf)

    def query(self, s: State) -> Tensor:
        return s["z"]

    def loss(self, s: State, logits: Tensor) -> Tensor:
        return margin(logits, s["y"], s["toward"] if bool((s["toward"] >= 0).any()) else None)

    def update(self, s: State, seen: Seen) -> None:
        assert seen.loss is not None and seen.gradient is not None
        g, x = seen.gradient, s["x"]
        fall = (1 + torch.cos(math.pi * s["t"] / self.steps)) / 2
        growth = LAST_GROWTH + (GROWTH - LAST_GROWTH) * fall
        size = length(s["z"] - x, self.norm)
        found = torch.isfinite(s["size_best"])
        if self.norm == "l0":
            ahead = torch.maximum((s["ball"] * (1 + growth)).floor(), s["ball"] + 1)
            ahead = torch.where(torch.isfinite(s["ball"]), ahead, torch.ones_like(ahead))
            back = torch.minimum((s["ball"] * (1 - growth)).floor(), s["ball"] - 1)
            back = torch.minimum(torch.where(torch.isfinite(back), back, size - 1), s["size_best"] - 1).clamp_min(1)
        else:
            guess = size + seen.loss.abs() / dual_length(g, self.norm).clamp_min(TINY)
            stuck = torch.where(torch.isfinite(s["ball"]), s["ball"], torch.zeros_like(size)) * (1 + LAST_GROWTH)
            ahead = torch.where(found, s["ball"] * (1 + growth), torch.maximum(guess, stuck))  # rounding may keep a guess short
            back = torch.minimum(torch.where(torch.isfinite(s["ball"]), s["ball"], size) * (1 - growth), s["size_best"])
        s["ball"] = torch.where(seen.broken, back, ahead)
        alpha = self.step_size * (0.01 + 0.99 * fall)
        step = g / rows(length(g, "l2").clamp_min(TINY), g) * rows(alpha, g)
        s["z"] = project(s["z"] + step, x, s["ball"], self.norm)


def fmn(model: Any, x: Any, y: Any, norm: Any = "l2", *, steps: int = 100, step_size: float | None = None, target: Any = None,
        runners_up: int = 0, precision: str = "float", seed: int = 0, batch_size: int | None = None,
        progress: bool | str = "auto") -> AttackResult:
    """Find the smallest change with FMN, in any of the four norms; the sizes are in `distances`. Parameters as in `pgd`.

    runners_up : k > 0: one run towards each of the k likeliest wrong classes, of which the smallest change counts: the class
    with the next largest logit need not be the nearest.
    """
    name = norm_name(norm)
    return attack(model, x, y, FMN(name, steps, step_size), float("inf"), name, target=target, runners_up=runners_up,
                  precision=precision, seed=seed, batch_size=batch_size, progress=progress)
