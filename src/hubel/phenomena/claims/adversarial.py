"""Claim 17: imperceptible worst-case perturbations fool networks; random ones of the same size do not.

The pretrained ImageNet network, on ImageNet photographs where HUBEL_DATA has them, else on the built-in ones, whose labels are
what the network says of them clean. Perturbed images are whole 8-bit images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hubel import Model, attack, pretrained
from hubel.data import read_image
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import NOISE, WORST, Figure, as_percent, pictures, slide
from hubel.phenomena.statistics import rate

CLAIM = Claim(
    17, "Adversarial examples",
    "Imperceptibly small worst-case perturbations fool networks; random perturbations of the same size do not.",
    "Szegedy et al. 2014 (arXiv:1312.6199); Goodfellow, Shlens and Szegedy 2015 (arXiv:1412.6572); lecture 10",
    needs=(Need("worst", "of the images that are right clean, share still right at 2/255, the worst case", at_most=0.1,
                percent=True),
           Need("noise", "share still right under random signs of 2/255", at_least=0.9, percent=True)),
    seconds=(33, 12, 2),
)
QUICK = {"photos": 16, "levels": (1, 2, 4), "steps": 6}
SMALLEST = {"photos": 4, "levels": (2,), "steps": 4}


def photographs(model: Model, most: int) -> tuple[torch.Tensor, np.ndarray]:
    """Prepared photographs (N, 3, 224, 224) that the network gets right, and their classes."""
    root = data.real("imagenet")
    if root is None:
        x = torch.cat([model.prepare(p) for p in data.photographs().values()][:most])
        return x, model.logits(x).argmax(1)
    paths = sorted(p for p in root.iterdir() if p.suffix == ".JPEG")
    x = torch.cat([model.prepare(read_image(p)) for p in paths[: round(1.5 * most)]])
    y = np.array([int(p.name.split("_")[0]) for p in paths[: len(x)]])
    right = np.flatnonzero(model.logits(x).argmax(1) == y)[:most]
    return x[right], y[right]


def measure(seed: int = 0, photos: int = 48, levels: Sequence[int] = (1, 2, 4, 8), steps: int = 10) -> Findings:
    model = pretrained()
    x, y = photographs(model, photos)
    sizes = [f"{level}/255" for level in levels]
    curve = attack.robustness_curve(model, x, y, sizes, steps=steps, draws=2, seed=seed, progress=False)
    at = list(levels).index(2) + 1
    n = len(x)
    worst, noise = rate(round(curve.worst[at] * n), n), rate(round(curve.noise["sign"][at] * n), n)
    numbers = {"worst": worst, "noise": noise, **{f"worst_{level}": rate(round(w * n), n) for level,
                                                  w in zip(levels, curve.worst[1:], strict=True)}}
    remark = (f"Of {n} photographs, {worst.value:.0%} stay right against {steps} steps of gradient ascent within 2/255 of "
              f"each pixel, {noise.value:.0%} with random signs of the same size; at {levels[-1]}/255 random signs leave "
              f"{curve.noise['sign'][-1]:.0%}.")
    return Findings(numbers, remark, {"levels": [0, *levels], "worst": curve.worst, "interval": curve.worst_interval,
                                      "noise": curve.noise,
                                      "example": example(model, curve.smallest)})


def example(model: Model, found: attack.AttackResult) -> dict[str, Any]:
    """The adversarial of which the network is surest, beside its original and their difference. ImageNet's neighbouring classes
    are alike, dogs beside dogs: another than a neighbour, if there is one."""
    far = 1 + (np.abs(found.predicted_after - found.predicted_before) > 100)
    i = int(np.where(found.success & (found.distances > 0), far + found.confidence_after, 0).argmax())
    before, after = found.originals[i].astype(int), found.adversarials[i].astype(int)
    name = lambda k: model.classes[int(k)].split(",")[0]  # noqa: E731
    return {"before": before, "after": after, "difference": np.clip(128 + (after - before) * 40, 0, 255),
            "was": f"{name(found.predicted_before[i])}\n{found.confidence_before[i]:.0%}",
            "now": f"{name(found.predicted_after[i])}\n{found.confidence_after[i]:.0%}",
            "size": round(255 * float(found.distances[i]))}


def draw(e: Mapping[str, Any]) -> Figure:
    figure, axes = slide(1, 2, width_ratios=(1, 1.25))
    left, shown = axes[0], e["example"]
    left.plot(e["levels"], e["worst"], "o-", color=WORST, label="worst case")
    left.fill_between(e["levels"], *np.array(e["interval"]).T, color=WORST, alpha=0.15, lw=0)
    for (kind, values), style in zip(e["noise"].items(), ("-", "--"), strict=False):
        left.plot(e["levels"], values, style, marker="s", color=NOISE, label=f"random, {kind}")
    left.set(title="Photographs still right", xlabel="size of the perturbation, levels of 255", ylim=(0, 1.04))
    as_percent(left)
    left.set_xticks(e["levels"])
    left.legend(loc="center right")
    axes[1].axis("off")
    cells = [axes[1].inset_axes(box) for box in ((0, 0.5, 0.48, 0.42), (0.52, 0.5, 0.48, 0.42), (0.26, 0, 0.48, 0.42))]
    pictures(cells, [shown["before"], shown["after"], shown["difference"]],
             [shown["was"], shown["now"], f"difference ({shown['size']}/255), 40 times"])
    return figure
