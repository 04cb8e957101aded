"""Expectation over transformation: attack the average of a network with random parts (Athalye et al. 2018, arXiv:1707.07397).

Depends on model.outputs alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hubel.errors import InputError
from hubel.model.outputs import Logits


class Expectation(nn.Module):
    """Pixels in 0..1 (N, C, H, W) -> logits (N, K), averaged over `samples` passes of `model` with new random numbers.

    `transform(x)`, if given, is applied before each pass: the attack then finds points that survive it on average. Any attack
    takes it in place of the model. Verdicts on random networks are random: repeat them with another torch seed.
    """

    def __init__(self, model: Any, samples: int = 20, transform: Any = None) -> None:
        super().__init__()
        if samples < 1:
            raise InputError(f"samples={samples} must be at least 1")
        whole = isinstance(model, nn.Module)
        self.inner = Logits(model) if whole else Logits(model.network)
        self.samples, self.transform = samples, transform
        self.normalise = (lambda x: x) if whole else model.preprocess.normalise

    def forward(self, x: Tensor) -> Tensor:
        total: Any = 0
        for _ in range(self.samples):
            q = x if self.transform is None else self.transform(x)
            total = total + self.inner(self.normalise(q))
        return total / self.samples


def is_random(model: Any, x: Tensor, passes: int = 3) -> bool:
    """Return whether `model`, a function of pixels, gives different logits for the same input."""
    with torch.no_grad():
        first = model(x)
        return any(not torch.allclose(model(x), first, rtol=1e-4, atol=1e-5) for _ in range(passes - 1))
