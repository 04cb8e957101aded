"""PGD-20 at eps 1/255 on EfficientNet-Lite0 and 32 ImageNet photos, against torchattacks, Foolbox and ART.

`HUBEL_DATA=... python bench/attack.py [repeats]`. The same photos, network and eps for all, in turns in one process.
Every library's answer is judged by the same two checks, the network in float32 on one image at a time: on its floats as
they are, and on the image rounded to 8 bits.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from _table import alternate, append_results, markdown, median
from hubel.attack import pgd
from hubel.model import pretrained

EPS, STEPS, COUNT = 1 / 255, 20, 32


def photos(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 (N, 224, 224, 3) and classes: short side to 256, centre crop."""
    files = sorted(folder.glob("*.JPEG"))[:count]
    out = []
    for file in files:
        image = Image.open(file).convert("RGB")
        scale = 256 / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        out.append(np.asarray(image.crop((left, top, left + 224, top + 224))))
    return np.stack(out), np.array([int(file.name.split("_")[0]) for file in files])


class Pixels(nn.Module):
    """The network as the other libraries take it: normalisation inside, plain float32."""

    def __init__(self, model) -> None:
        super().__init__()
        self.network = model.network
        self.register_buffer("mean", torch.tensor(model.preprocess.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(model.preprocess.std).view(1, -1, 1, 1))

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


def stub_torchvision() -> None:
    """torchattacks imports torchvision for attacks that are not measured here; an empty module will do."""
    if "torchvision" not in sys.modules:
        for name in ("torchvision", "torchvision.transforms", "torchvision.models"):
            sys.modules.setdefault(name, types.ModuleType(name))


def judged(network: nn.Module, x: torch.Tensor, y: torch.Tensor, adversarial: torch.Tensor,
           eps: float) -> tuple[float, float]:
    """Robust accuracy on the floats given and on 8 bits; a point outside the ball would not count."""
    inside = ((adversarial - x).abs().flatten(1).amax(1) <= eps + 1e-6) & (adversarial.flatten(1).amin(1) >= 0)
    rates = []
    for candidate in (adversarial, (adversarial * 255).round() / 255):
        with torch.no_grad():
            predicted = torch.cat([network(one).argmax(1) for one in candidate.split(1)])
        clean = torch.cat([network(one).argmax(1).detach() for one in x.split(1)])
        rates.append(float(((predicted == y) | ~inside)[clean == y].sum() / len(y)))
    return rates[0], rates[1]


def main(repeats: int) -> None:
    x, labels = photos(Path(os.environ["HUBEL_DATA"]) / "imagenet", COUNT)
    model = pretrained()
    network = Pixels(model).eval()
    for p in network.parameters():
        p.requires_grad_(False)  # kinder to the others than their default
    t, y = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).float() / 255, torch.from_numpy(labels)
    answers: dict[str, torch.Tensor] = {}

    def ours():
        found = pgd(model, x, labels, EPS, steps=STEPS).adversarials
        answers["hubel"] = torch.from_numpy(found.transpose(0, 3, 1, 2).copy()) / 255.0

    def torchattacks():
        import torchattacks as ta

        answers["torchattacks"] = ta.PGD(network, eps=EPS, alpha=2.5 * EPS / STEPS, steps=STEPS)(t, y).detach()

    def foolbox():
        import foolbox as fb

        attack = fb.attacks.LinfPGD(rel_stepsize=2.5 / STEPS, steps=STEPS)
        answers["foolbox"] = attack(fb.PyTorchModel(network, bounds=(0, 1)), t, y, epsilons=EPS)[1].detach()

    def art():
        from art.attacks.evasion import ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier

        classifier = PyTorchClassifier(network, nn.CrossEntropyLoss(), (3, 224, 224), 1000, clip_values=(0, 1))
        attack = ProjectedGradientDescentPyTorch(classifier, eps=EPS, eps_step=2.5 * EPS / STEPS, max_iter=STEPS,
                                                 batch_size=COUNT, verbose=False)
        answers["ART"] = torch.from_numpy(attack.generate(t.numpy(), labels))

    stub_torchvision()
    times = median(alternate({"hubel": ours, "torchattacks": torchattacks, "foolbox": foolbox, "ART": art}, repeats))
    rows = []
    for name, seconds in times.items():
        exact, rounded = judged(network, t, y, answers[name], EPS)
        rows.append([name, seconds, f"{seconds / times['hubel']:.1f}x", f"{exact:.1%}", f"{rounded:.1%}"])
    note = (f"PGD, {STEPS} steps, L-inf eps 1/255, EfficientNet-Lite0, {len(x)} ImageNet photos at 224 px; median of "
            f"{repeats} alternating runs after one warm-up; accuracies by the network in float32, one image at a time.")
    header = ["library", "seconds", "times hubel's", "robust accuracy", "on 8 bits"]
    append_results("PGD-20 at 1/255", markdown(header, rows, note))
    for name, seconds in times.items():
        print(f"{name:14} {seconds:7.2f} s  {seconds / times['hubel']:6.1f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
