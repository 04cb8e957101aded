"""Carlini and Wagner's L2 attack (2017, arXiv:1608.04644): the smallest change by gradient descent on its square plus a
weighted margin, with a binary search for the weight. Depends on loop and losses.

Every image searches for its own weight and gives a round up once it no longer improves, so no image waits for another.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hubel.attack.loop import Seen, State
from hubel.attack.losses import margin
from hubel.attack.result import AttackResult
from hubel.attack.running import attack
from hubel.attack.tasks import Points, Task
from hubel.attack.threat import length, rows
from hubel.errors import InputError

NEVER = 1e10  # an upper end of the search that has not been found yet
BETAS, TINY = (0.9, 0.999), 1e-8  # Adam's
INSIDE = 0.999999  # tanh is taken this far from its limits


class CarliniWagner:
    """`rounds` of at most `steps` steps of Adam at `rate`, in the space where x = (tanh w + 1) / 2, each round with
    another weight, the first with `weight`. `patience` : the share of `steps` after which no gain ends a round."""

    gradients, minimum, name = True, True, "carlini-wagner"

    def __init__(self, rounds: int = 9, steps: int = 1000, rate: float = 0.01, weight: float = 1e-3, confidence: float = 0.0,
                 patience: float = 0.1) -> None:
        if rounds < 1 or steps < 1 or not rate > 0 or not weight > 0 or not confidence >= 0:
            raise InputError(f"rounds={rounds}, steps={steps}, rate={rate} and weight={weight} must be above 0, "
                             f"confidence={confidence} at least 0")
        self.rounds, self.steps, self.rate, self.weight, self.confidence = rounds, steps, rate, weight, confidence
        self.wait = max(1, int(patience * steps))
        self.looks = rounds * steps + 1

    def begin(self, s: State, tasks: list[Task], points: Points) -> None:
        n = len(tasks)
        s["origin"] = torch.atanh((2 * s["x"] - 1) * INSIDE)
        s["w"], s["first"], s["second"] = s["origin"].clone(), torch.zeros_like(s["x"]), torch.zeros_like(s["x"])
        s["weight"], s["low"], s["high"] = torch.full((n,), self.weight), torch.zeros(n), torch.full((n,), NEVER)
        s["round"], s["step"] = torch.zeros(n, dtype=torch.long), torch.zeros(n, dtype=torch.long)
        s["succeeded"], s["mark"] = torch.zeros(n, dtype=torch.bool), torch.full((n,), torch.inf)

    def query(self, s: State) -> Tensor:
        return (torch.tanh(s["w"]) + 1) / 2

    def loss(self, s: State, logits: Tensor) -> Tensor:
        """The weighted hinge, negative: like every loss here it rises towards success."""
        target = s["toward"] if bool((s["toward"] >= 0).any()) else None
        return s["weight"] * (margin(logits, s["y"], target) - self.confidence).clamp_max(0)

    def ends(self, s: State, seen: Seen) -> Tensor:
        return s["round"] >= self.rounds

    def update(self, s: State, seen: Seen) -> None:
        assert seen.loss is not None and seen.gradient is not None
        q, x = seen.q, s["x"]
        s["succeeded"] |= seen.broken & (seen.loss >= 0)
        total = length(q - x, "l2").square() - seen.loss
        self._descend(s, (2 * (q - x) - seen.gradient) * 2 * q * (1 - q))
        checked = s["step"] % self.wait == 0
        idle = checked & (total > 0.9999 * s["mark"])
        s["mark"] = torch.where(checked, total, s["mark"])
        over = idle | (s["step"] >= self.steps)
        if over.any():
            self._next_round(s, over)

    def _descend(self, s: State, g: Tensor) -> None:
        s["step"] += 1
        a, b = BETAS
        s["first"] = a * s["first"] + (1 - a) * g
        s["second"] = b * s["second"] + (1 - b) * g.square()
        step = s["step"].float()
        m, v = s["first"] / rows(1 - a**step, g), s["second"] / rows(1 - b**step, g)
        s["w"] = s["w"] - self.rate * m / (v.sqrt() + TINY)

    def _next_round(self, s: State, over: Tensor) -> None:
        """Halve the interval of weights: less of it where the round succeeded, else more, tenfold until one does."""
        won, lost = over & s["succeeded"], over & ~s["succeeded"]
        s["high"] = torch.where(won, torch.minimum(s["high"], s["weight"]), s["high"])
        s["low"] = torch.where(lost, torch.maximum(s["low"], s["weight"]), s["low"])
        middle = torch.where(s["high"] < NEVER, (s["low"] + s["high"]) / 2, s["weight"] * 10)
        s["weight"] = torch.where(over, middle, s["weight"])
        s["round"] += over.long()
        s["step"] = torch.where(over, torch.zeros_like(s["step"]), s["step"])
        s["succeeded"] &= ~over
        s["mark"] = torch.where(over, torch.full_like(s["mark"], torch.inf), s["mark"])
        s["w"][over] = s["origin"][over]
        s["first"][over], s["second"][over] = 0.0, 0.0


def carlini_wagner(model: Any, x: Any, y: Any, *, rounds: int = 9, steps: int = 1000, rate: float = 0.01,
                   weight: float = 1e-3, confidence: float = 0.0, target: Any = None, runners_up: int = 0,
                   precision: str = "float", seed: int = 0, batch_size: int | None = None,
                   progress: bool | str = "auto") -> AttackResult:
    """Find the smallest L2 change with Carlini and Wagner's attack; the sizes are in `distances`.

    rounds : steps of the binary search for the weight, each of up to `steps` steps of Adam. confidence : by how much the
    wrong logit must lead in the search (kappa). runners_up as in `fmn`, the rest as in `pgd`.
    """
    return attack(model, x, y, CarliniWagner(rounds, steps, rate, weight, confidence), float("inf"), "l2", target=target,
                  runners_up=runners_up, precision=precision, seed=seed, batch_size=batch_size, progress=progress)
