"""Claim 25: without regularisation an exciting input is noise, stronger than any real image; with it, recognisable.

Pictures of ten classes are made for a network that has learned digits, and shown to a second network, of another kind and
another training set: what it recognises is in the picture, not in the first network's weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import Model, look, nets
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import GOOD, WORST, Figure, bars, pictures, slide
from hubel.phenomena.statistics import Number, mean, rate

CLAIM = Claim(
    25, "Exciting inputs need regularisation",
    "Optimising an input without regularisation gives noise that excites a unit more than any real image; with "
    "regularisation it gives something recognisable.",
    "Lecture 10; Yosinski et al. 2015 (arXiv:1506.06579); Olah, Mordvintsev and Schubert 2017, distill.pub",
    needs=(Need("stronger", "share of classes whose unregularised picture excites more than any real digit", at_least=0.8,
                percent=True),
           Need("noise", "share of unregularised pictures that the second network recognises", at_most=0.6, percent=True),
           Need("recognised", "share of regularised pictures that it recognises", at_least=0.8, percent=True),
           Need("rougher", "fine detail of unregularised over that of regularised pictures, both in shares of contrast",
                at_least=1.5)),
    seconds=(14, 5, 2),
)
QUICK = {"runs": 1, "steps": 120}
SMALLEST = {"runs": 1, "steps": 40, "epochs": 3}
FREE = look.Recipe("free", canvas="pixels", shift=0, turn=0, scale=0, variation=0, rate=0.05, source="plain gradient ascent")


def judge_of(split: data.Split, epochs: int, seed: int) -> Model:
    """The second network: dense, and trained on other digits."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
    return learned(net, split, 3 * epochs)


def learned(net: nn.Module, split: data.Split, epochs: int) -> Model:
    model = Model(net, [str(k) for k in range(10)], size=8, channels=1)
    model.compile(optimizer="adam")
    model.fit(split.x, split.y, epochs=epochs, batch_size=50, verbose=0)
    return model


def measure(seed: int = 0, runs: int = 3, steps: int = 160, epochs: int = 8) -> Findings:
    hits: dict[str, list[np.ndarray]] = {"stronger": [], "free": [], "digit": []}
    rough, shown, accuracy = [], {}, []
    for run in range(runs):
        split, other = data.digits(800, seed + run), data.digits(997, seed + 100 + run)
        model = learned(nets.default(10, 1, (8, 8), seed=seed + run), split, epochs)
        judge = judge_of(other, epochs, seed + run)
        accuracy.append(float((judge.logits(split.x_test).argmax(1) == split.y_test.numpy()).mean()))
        detail = {}
        for name, recipe in (("free", FREE), ("digit", look.RECIPES["digit"])):
            made = look.synthesise(model, data=split.x, preset=recipe, steps=steps, seed=seed + run)
            hits[name].append(judge.logits(made.images).argmax(1) == np.arange(10))
            detail[name] = fine(made.images)
            if name == "free" and made.best_real is not None:
                hits["stronger"].append((made.activations > made.best_real).numpy())
            if run == 0:
                shown[name] = made.images[:, 0].numpy()
        rough.append((detail["free"] / detail["digit"]).mean().item())
    n = {name: rate(int(np.sum(v)), int(np.size(v))) for name, v in hits.items()}
    numbers: dict[str, Number] = {"stronger": n["stronger"], "noise": n["free"], "recognised": n["digit"],
                                  "rougher": mean(rough)}
    remark = (f"Plain ascent excites {n['stronger'].value:.0%} of the classes more than any real digit does; a second "
              f"network ({np.mean(accuracy):.0%} on real digits) recognises {n['free'].value:.0%} of these pictures and "
              f"{n['digit'].value:.0%} of those made within the digits' main components, under small shifts and turns.")
    return Findings(numbers, remark, {"shown": shown, "numbers": numbers})


def fine(images: Tensor) -> Tensor:
    """Mean square difference of neighbours over the variance, of each image."""
    x = images - images.mean((1, 2, 3), keepdim=True)
    steps = (x.diff(dim=2) ** 2).mean((1, 2, 3)) + (x.diff(dim=3) ** 2).mean((1, 2, 3))
    return steps / (x**2).mean((1, 2, 3)).clamp_min(1e-12)


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2, width_ratios=(1.6, 1))
    left.axis("off")
    left.set(xlim=(0, 1), ylim=(0, 1))
    for row, (name, title) in enumerate((("free", "Without regularisation"), ("digit", "With it"))):
        top = 0.52 - 0.52 * row
        cells = [left.inset_axes((i % 5 / 5, top + 0.2 * (1 - i // 5), 0.18, 0.19)) for i in range(10)]
        pictures(cells, e["shown"][name], vmin=0, vmax=1)
        left.text(0, top + 0.42, title, fontsize=13)
    n = e["numbers"]
    bars(right, ["without", "with"], [n["noise"], n["recognised"]], [WORST, GOOD])
    right.set(title="Recognised by another network", ylim=(0, 1.15))
    return figure
