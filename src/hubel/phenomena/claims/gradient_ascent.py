"""Claim 19: gradient ascent on the input finds adversarial examples.

Written out: five lines of projected gradient ascent, and the same number of evaluations spent on random search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel import attack, nets, training
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import NOISE, WORST, Figure, as_percent, line, slide
from hubel.phenomena.statistics import Number, rate

CLAIM = Claim(
    19, "Gradient ascent finds them",
    "Adversarial perturbations are found by gradient ascent on the loss with respect to the pixels, which backpropagation "
    "gives.",
    "Lecture 10, 'How to find good perturbations'; Madry et al. 2018 (arXiv:1706.06083)",
    needs=(Need("ascent", "share of digits that gradient ascent turns", at_least=0.8, percent=True),
           Need("random", "share that as many random trials of the same size turn", at_most=0.3, percent=True),
           Need("loss", "images whose loss rises, of all", at_least=0.95, percent=True),
           Need("library", "largest difference in the share turned from hubel.attack.pgd of as many steps", at_most=0.05,
                percent=True)),
    seconds=(11, 4, 2),
)
QUICK = {"runs": 2, "points": 150}
SMALLEST = {"runs": 2, "points": 60, "epochs": 8, "steps": 10, "train": 300}


def ascend(net: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int) -> tuple[Tensor, list[Tensor]]:
    """max over ||d||∞ ≤ eps of the loss of x + d. Returns x + d and each step's losses (N,)."""
    d, losses = torch.zeros_like(x), []
    for step in range(steps):
        d.requires_grad_(True)
        loss = F.cross_entropy(net((x + d).clamp(0, 1)), y, reduction="none")
        (gradient,) = torch.autograd.grad(loss.sum(), d)
        d = (d.detach() + 2 * eps * (1 - step / steps) * gradient.sign()).clamp(-eps, eps)
        losses.append(loss.detach())
    return (x + d).clamp(0, 1), losses


@torch.no_grad()
def guess(net: nn.Module, x: Tensor, y: Tensor, eps: float, trials: int, rng: torch.Generator) -> tuple[Tensor,
    list[Tensor]]:
    """Random corners of the same box: whether one of them turned the digit, and the highest loss so far, trial by trial."""
    turned, best, losses = torch.zeros(len(x), dtype=torch.bool), F.cross_entropy(net(x), y, reduction="none"), []
    for _ in range(trials):
        sign = torch.randint(0, 2, x.shape, generator=rng) * 2.0 - 1
        logits = net((x + eps * sign).clamp(0, 1))
        turned |= logits.argmax(1) != y
        best = torch.maximum(best, F.cross_entropy(logits, y, reduction="none"))
        losses.append(best)
    return turned, losses


def measure(seed: int = 0, runs: int = 4, points: int = 300, train: int = 1000, epochs: int = 10, eps: float = 0.15,
            steps: int = 20) -> Findings:
    turned, guessed, rises, apart, curves = [], [], [], [], []
    for run in range(runs):
        split = data.digits(train, seed + run, points)
        net = nets.build("small_resnet", 10, 1, seed=seed + run, width=8, stages=2)
        training.fit(net, (split.x, split.y), epochs=epochs, batch_size=25, optimizer="adam", learning_rate=0.02, seed=seed
                     + run, verbose=0)
        right = net(split.x_test).argmax(1) == split.y_test
        x, y = split.x_test[right], split.y_test[right]
        adversarial, losses = ascend(net, x, y, eps, steps)
        hit, by_chance = guess(net, x, y, eps, 2 * steps, torch.Generator().manual_seed(seed
            + run))  # a gradient counts as two evaluations
        with torch.no_grad():
            final = F.cross_entropy(net(adversarial), y, reduction="none")
            turned.append(net(adversarial).argmax(1) != y)
        guessed.append(hit)
        rises.append(final > losses[0])
        library = attack.pgd(net, x, y, eps, steps=steps, precision="float", seed=seed, progress=False)
        apart.append(abs(float(library.success.mean()) - float(turned[-1].float().mean())))
        curves.append([[v.detach().mean().item() for v in part] for part in (losses, by_chance[1::2])])
    t, g, r = (torch.cat(v) for v in (turned, guessed, rises))
    numbers = {"ascent": rate(int(t.sum()), len(t)), "random": rate(int(g.sum()), len(g)),
               "loss": rate(int(r.sum()), len(r)),
               "library": Number.exact(max(apart)),
               "more": Number.exact(float(t.float().mean() - g.float().mean()))}
    remark = (f"Within {eps:g} of each pixel, {steps} gradients turn {numbers['ascent'].value:.0%} of the digits that are "
              f"right clean; {2 * steps} random corners of the same box, any of which counts, "
              f"{numbers['random'].value:.0%}. Chance needs few dimensions: a random corner catches about 1/√d of what the "
              "worst one does, 1/8 with these 64 pixels, 1/388 with the 150,528 of a photograph (claim 17).")
    return Findings(numbers, remark, {"curves": np.array(curves), "numbers": numbers, "steps": steps,
                                      "example": torch.stack([x[0, 0], adversarial[0, 0]]).numpy()})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    for i, (name, colour) in enumerate((("gradient ascent", WORST), ("best of random corners", NOISE))):
        line(left, np.arange(1, e["steps"] + 1), e["curves"][:, i], name, colour, marker="")
    left.set(title="Mean loss of the digits", xlabel="steps (a gradient counts as two trials)", yscale="log")
    left.legend()
    n = e["numbers"]
    right.bar([0, 1], [n["ascent"].value, n["random"].value], color=[WORST, NOISE], width=0.6)
    right.set_xticks([0, 1], ["gradient\nascent", "random\ncorners"])
    right.set(title="Digits turned", ylim=(0, 1.05))
    as_percent(right)
    return figure
