"""Claim 18: adversarial examples are universal: every architecture has them, and what fools one network fools others.

Six kinds of networks learn the same digits; each is attacked, and each one's adversarials are shown to all the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import nn

from hubel import Model, attack, nets, training
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import INK, Figure, as_percent, slide
from hubel.phenomena.statistics import Number, mean, rate

CLAIM = Claim(
    18, "Adversarial examples are universal",
    "Every architecture has adversarial examples, and they transfer from one to another.",
    "Szegedy et al. 2014 (arXiv:1312.6199); Papernot, McDaniel and Goodfellow 2016 (arXiv:1605.07277); lecture 10",
    needs=(Need("worst", "accuracy of the most robust of the architectures in the worst case", at_most=0.5, percent=True),
           Need("noise", "accuracy of the frailest under random signs of the same size", at_least=0.8, percent=True),
           Need("transfer", "share that another's adversarials fool, minus that which random signs fool, mean over pairs",
                at_least=0.1, percent=True)),
    seconds=(15, 6, 2),
)
QUICK = {"points": 100, "epochs": 6, "kinds": ("linear", "dense", "lenet", "small_resnet")}
SMALLEST = {"points": 40, "epochs": 8, "kinds": ("linear", "dense", "lenet"), "train": 500}
SIDE = 16


def network(kind: str, seed: int) -> nn.Module:
    if kind == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 10))
    if kind == "dense":
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
                             nn.Linear(128, 10))
    options: dict[str, dict[str, int]] = {"vgg": {"width": 12, "stages": 3, "depth": 1},
                                          "small_resnet": {"width": 8, "stages": 3},
                                          "cifar_resnet": {"depth": 8, "width": 8}}
    return nets.build(kind, 10, 1, seed=seed, **options.get(kind, {}))


def measure(seed: int = 0, points: int = 200, epochs: int = 12, train: int = 1000, eps: float = 0.15, steps: int = 20,
            kinds: Sequence[str] = ("linear", "dense", "lenet", "vgg", "small_resnet", "cifar_resnet")) -> Findings:
    split = data.digits(train, seed, points)
    x, x_test = (F.interpolate(v, (SIDE, SIDE), mode="bilinear").clamp(0, 1) for v in (split.x, split.x_test))
    models, results, noises = [], [], []
    for kind in kinds:
        model = Model(network(kind, seed), [str(k) for k in range(10)], size=SIDE, channels=1)
        training.fit(model.network, (x, split.y), epochs=epochs, batch_size=25, optimizer="adam", learning_rate=0.005,
                     seed=seed, verbose=0)
        models.append(model)
        results.append(attack.pgd(model, x_test, split.y_test, eps, steps=steps, seed=seed, progress=False))
        noises.append(attack.noise(model, x_test, split.y_test, eps, kind="sign", draws=4, seed=seed, progress=False))
    truth = split.y_test.numpy()
    fooled = np.full((len(kinds), len(kinds)), np.nan)  # row: made on; column: shown to
    for i, result in enumerate(results):
        for j, model in enumerate(models):
            use = result.success & (results[j].predicted_before == truth) & (result.predicted_before == truth)
            if use.any():
                fooled[i, j] = (model.logits(result.adversarials[use]).argmax(1) != truth[use]).mean()
    by_noise = np.array([1 - n.accuracy for n in noises])
    n = len(x_test)
    robust, noisy = np.array([r.robust_accuracy for r in results]), 1 - by_noise
    excess = [fooled[i, j] - by_noise[j] for i in range(len(kinds)) for j in range(len(kinds)) if i != j
              and np.isfinite(fooled[i, j])]
    numbers: dict[str, Number] = {"worst": rate(round(robust.max() * n), n), "noise": rate(round(noisy.min() * n), n),
                                  "transfer": mean(excess)}
    remark = (f"Within {eps:g} of each pixel, accuracy falls from {np.mean([r.clean_accuracy for r in results]):.0%} to "
              f"between {robust.min():.0%} and {robust.max():.0%}; random signs leave {noisy.min():.0%} "
              f"({kinds[int(noisy.argmin())]}) to {noisy.max():.0%} ({kinds[int(noisy.argmax())]}). Adversarials made on "
              f"one kind fool another in {np.nanmean(fooled[~np.eye(len(kinds), dtype=bool)]):.0%} of cases.")
    return Findings(numbers, remark, {"kinds": list(kinds), "fooled": fooled, "robust": robust, "noisy": noisy,
                                      "clean": [r.clean_accuracy for r in results]})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    x = np.arange(len(e["kinds"]))
    for offset, name, values, colour in ((-0.27, "clean", e["clean"], "#8d9199"), (0, "random signs", e["noisy"], "#3a9fb0"),
                                         (0.27, "worst case", e["robust"], "#c4420c")):
        left.bar(x + offset, values, 0.25, label=name, color=colour)
    left.set_xticks(x, e["kinds"], rotation=35, ha="right")
    left.set(title="Accuracy", ylim=(0, 1.2))
    left.set_yticks(np.linspace(0, 1, 6))
    as_percent(left)
    left.legend(loc="upper center", ncols=3, fontsize=10.5)
    right.imshow(e["fooled"], cmap="OrRd", vmin=0, vmax=1)
    for (i, j), v in np.ndenumerate(e["fooled"]):
        right.text(j, i, "–" if np.isnan(v) else f"{v:.0%}", ha="center", va="center", color="white" if v > 0.6 else INK,
                   fontsize=11)
    right.set_xticks(x, e["kinds"], rotation=35, ha="right")
    right.set_yticks(x, e["kinds"])
    right.set(title="Fooled by another's adversarials", xlabel="shown to", ylabel="made on")
    right.grid(False)
    return figure
