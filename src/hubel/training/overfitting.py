"""Catastrophic overfitting of single-step adversarial training, seen and undone. Depends on nothing but torch.

FGSM training may, within a few steps, learn to be right on its own single steps alone: accuracy under PGD falls to
nothing while accuracy under FGSM rises (Wong et al. 2020, section 5; Andriushchenko and Flammarion 2020,
arXiv:2007.02617). Nothing in the training loss shows it, so it is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from hubel.training.hardening import Adversary

EVERY = 1 / 8  # of an epoch between two measurements
IMAGES, STEPS = 128, 10


class Watch:
    """Compares accuracy under one step and under ten on training images; where they part, goes back and takes more steps.

    It has happened where ten steps leave under half of what they left at best, and under half of what one step leaves. Then
    the weights of the last good measurement come back and the search takes two steps from there on (four if again).
    """

    def __init__(self, adversary: Adversary) -> None:
        self.adversary = adversary
        self.best, self.caught = 0.0, 0
        self.measured: list[tuple[int, float, float]] = []  # step, accuracy under one step, under ten
        self.good: dict[str, Tensor] = {}

    def look(self, batch: int) -> None:
        a = self.adversary
        every = max(1, round(EVERY * a.run._batches))
        if a.sample is None or (batch + 1) % every:
            return
        x, y = (t[:IMAGES] for t in a.sample)
        labels = y if y.ndim == 1 else y.argmax(dim=1)
        one, ten = (self._right(a.search(x, y, a.eps, steps), labels) for steps in (1, STEPS))
        self.measured.append((a.run.step, one, ten))
        if self.best > 0 and ten < self.best / 2 and ten < one / 2:
            self.caught += 1
            a.steps = 2 ** self.caught
            a.network.load_state_dict(self.good)
            a.run.display.line(f"catastrophic overfitting at step {a.run.step}: right on {one:.0%} under one step, on {ten:.0%} "
                               f"under ten; back to the last good weights, with {a.steps} steps from here on")
        elif ten >= self.best / 2:
            self.best = max(self.best, ten)
            self.good = {k: v.detach().clone() for k, v in a.network.state_dict().items()}

    def _right(self, x: Tensor, y: Tensor) -> float:
        network = self.adversary.network
        training = network.training
        network.eval()
        with torch.no_grad():
            share = float((self.adversary._logits(x).argmax(dim=1) == y).float().mean())
        if training:
            from hubel.training.loop import train_mode

            train_mode(network)
        return share

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "caught": self.caught, "measured": self.measured}

    def tensors(self) -> dict[str, Tensor]:
        return {f"good.{k}": v for k, v in self.good.items()}

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.best, self.caught = state["best"], state["caught"]
        self.measured = [(int(s), float(a), float(b)) for s, a, b in state["measured"]]
        self.good = {k.removeprefix("good."): v for k, v in tensors.items()}
