"""DeepFool: step by step to the nearest linearised border (Moosavi-Dezfooli et al. 2016, arXiv:1511.04599).

Depends on loop, fab and threat.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hubel.attack.fab import nearest_border
from hubel.attack.loop import Seen, State
from hubel.attack.planes import onto
from hubel.attack.result import AttackResult
from hubel.attack.running import attack
from hubel.attack.tasks import Points, Task
from hubel.attack.threat import norm_name, rows
from hubel.errors import InputError

ASKED = 3  # slopes taken in a look, at most
NEARLY = 1.3  # times the nearest border's distance: up to there slopes are taken anew
STEEPER = 1.5  # times the steepest slope known: the most that is allowed for one that is not known


class DeepFool:
    """Steps until the decision changes. `candidates` likeliest wrong classes are considered, chosen on the clean image;
    with a target that class alone. Each step is the smallest that the box allows.

    A look takes the slopes towards up to `ASKED` candidates, those whose borders are nearest by the slopes last known. Where one
    whose slope is not known could be nearer than all of these, the point stays and its slope is taken first.
    """

    gradients, minimum, exact = True, True, True

    def __init__(self, norm: str, steps: int = 50, candidates: int = 10, overshoot: float = 0.02) -> None:
        if norm not in ("l2", "linf"):
            raise InputError(f"norm={norm!r}: DeepFool is for 'l2' and 'linf'; take fab or fmn")
        if not 1 <= steps <= 1_000_000 or candidates < 1 or not overshoot >= 0:
            raise InputError(f"steps={steps} and candidates={candidates} are at least 1, overshoot={overshoot} at least 0")
        self.norm, self.looks, self.candidates, self.overshoot = norm, steps + 1 + candidates // ASKED, candidates, overshoot
        self.name = "deepfool"

    def begin(self, s: State, tasks: list[Task], points: Points) -> None:
        s["z"], s["classes"] = s["x"].clone(), torch.full((len(tasks), self.candidates), -1)
        s["slopes"], s["asked"] = torch.zeros(len(tasks), self.candidates), torch.zeros(len(tasks), ASKED, dtype=torch.long)

    def query(self, s: State) -> Tensor:
        """The overshoot is in what is looked at, not in what the next step starts from."""
        return (s["x"] + (1 + self.overshoot) * (s["z"] - s["x"])).clamp(0, 1)

    def loss(self, s: State, logits: Tensor) -> Tensor:
        true = logits.gather(1, s["y"].view(-1, 1))
        if bool((s["toward"] >= 0).all()):
            return (logits.gather(1, s["toward"].view(-1, 1)) - true).squeeze(1)
        k = min(self.candidates, logits.shape[1] - 1)
        new = s["t"] == 0
        if bool(new.any()):
            order = logits.detach().scatter(1, s["y"].view(-1, 1), -torch.inf).argsort(dim=1, descending=True)
            s["classes"][new, :k] = order[new, :k]
        gaps = logits.gather(1, s["classes"][:, :k]) - true
        ways, s["asked"] = (t[:, :ASKED] for t in self._ways(s, gaps.detach()).sort(dim=1, stable=True))
        count = int((ways <= NEARLY * ways[:, :1]).sum(dim=1).max())
        return gaps.gather(1, s["asked"][:, :count])

    def _ways(self, s: State, gaps: Tensor) -> Tensor:
        """(N, k) how far the borders are, at least, where a slope is not known."""
        slopes = s["slopes"][:, : gaps.shape[1]]
        most = slopes.amax(dim=1, keepdim=True)
        return gaps.abs() / torch.where(slopes > 0, slopes, torch.where(most > 0, STEEPER * most, 1.0))

    def ends(self, s: State, seen: Seen) -> Tensor:
        return seen.broken

    def update(self, s: State, seen: Seen) -> None:
        assert seen.loss is not None and seen.gradient is not None
        value, w, slopes = nearest_border(seen.loss, seen.gradient, self.norm)
        step = onto(s["z"], w, -value + 1e-6 * value.abs(), self.norm)
        if slopes is not None:
            s["slopes"] = s["slopes"].scatter(1, s["asked"][:, : slopes.shape[1]], slopes)
            k = min(self.candidates, seen.logits.shape[1] - 1)
            gaps = seen.logits.gather(1, s["classes"][:, :k]) - seen.logits.gather(1, s["y"].view(-1, 1))
            unknown = s["slopes"][:, :k] == 0
            nearest = (seen.loss.abs() / slopes).amin(dim=1)
            stays = torch.where(unknown, self._ways(s, gaps), torch.inf).amin(dim=1) < nearest
            step = torch.where(rows(stays, step), 0.0, step)
        s["z"] = (s["z"] + step).clamp(0, 1)


def deepfool(model: Any, x: Any, y: Any, norm: Any = "l2", *, steps: int = 50, candidates: int = 10,
             overshoot: float = 0.02, target: Any = None, precision: str = "float", seed: int = 0,
             batch_size: int | None = None, progress: bool | str = "auto") -> AttackResult:
    """Find a small change with DeepFool, in a few steps; the sizes are in `distances`. Parameters as in `pgd`."""
    name = norm_name(norm)
    return attack(model, x, y, DeepFool(name, steps, candidates, overshoot), float("inf"), name, target=target,
                  precision=precision, seed=seed, batch_size=batch_size, progress=progress)
