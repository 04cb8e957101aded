"""CIFAR-10 in minutes on two cores, in the manner of Keller Jordan's airbench94 (arXiv:2404.00498) and its Muon version.

Reaches 85.4% of 2,500 images held out, 86.2% with test-time augmentation, after 2 epochs of 22,500 training images: 139 s
on 2 cores of an AMD EPYC at 2.6 GHz in bf16, which were not quite its own (one seed; bench/training.py). 0.71 GFLOP an
image. A whole run, 8 epochs of 50,000 images, is 284 TFLOP: 14 minutes at the 480 images a second that `hubel bench`
measures; what accuracy it reaches has not been measured on this machine (the original, of the same design: 94%).

What makes it fast:

1. The first layer is not learned: 2 x 2 patches are whitened (their principal components, scaled to equal variance).
2. Hidden kernels begin as the identity on as many channels as fit (dirac): early gradients pass undisturbed.
3. The biases of batch norms and of the first layer learn at a rate of their own, thousands of times the head's.
4. Labels are smoothed by 0.2.
5. Every few steps the weights are pulled back to their slow average (Lookahead), ever more strongly.
6. Kernels move by Muon: orthogonalised momentum, the kernel's norm fixed, so that a rate is an angle.
7. Images are mirrored in every other epoch, not by a coin's toss: none is seen in the same form twice running.
8. At test time the mirrored image, and both shifted by a pixel, are averaged in (`predict`).
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.nets.speed_run import speed_run, whiten
from hubel.training import augment, optimizers, recipes
from hubel.training.averaging import Lookahead
from hubel.training.fitting import fit
from hubel.training.history import History

SIZE, CHANNELS = (32, 32), 3
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
TRICKS = ("whitening", "dirac", "bias rate", "label smoothing", "lookahead", "muon", "alternating flip")

EPOCHS = 8
BATCH = 500
WIDTHS = (64, 256, 256)
RATE, MOMENTUM = 0.24, 0.6  # Muon's; the rate is the angle, nearly, by which a kernel turns in a step at the peak
HEAD_RATE = 0.02
BIAS_RATE = 100.0  # the head's small weights send small gradients back, and batch norm leaves the kernels' scale without effect
SGD_RATE = 1.5  # of the kernels where Muon is left out


def train(x: Tensor, y: Tensor, *, classes: int | None = None, seed: int = 0, without: Collection[str] = (),
          device: str = "cpu", **options: Any) -> tuple[nn.Module, History]:
    """x: uint8 (N, 3, 32, 32), y: (N,) -> the network and its history; see `recipes.Recipe`."""
    me: Any = sys.modules[__name__]
    recipes.check(x, me, without)
    normalise = recipes.normaliser(me)
    net = recipes.drawn(network, y, classes, seed, dirac="dirac" not in without)
    if "whitening" not in without:
        whiten(net[0], normalise(x[:: max(1, len(x) // 5000)].float() / 255))
    net.to(device)
    head = f"{len(net) - 1}.weight"
    base = SGD_RATE if "muon" in without else HEAD_RATE

    def rates(name: str) -> float:
        if name.endswith("bias"):
            return (SGD_RATE if "bias rate" in without else BIAS_RATE) / base
        return HEAD_RATE / base if name == head else 1.0

    muon = optimizers.Muon(RATE, MOMENTUM, 3, others_rate=HEAD_RATE, others_momentum=0.85, fixed_norm=True)
    plain = optimizers.SGD(SGD_RATE, momentum=0.85, nesterov=True, weight_decay=1.3e-3)
    history = fit(net, (x, y), seed=seed, **{
        "normalise": normalise, "epochs": EPOCHS, "batch_size": BATCH, "metrics": (),
        "optimizer": plain if "muon" in without else muon, "rates": rates, "schedule": warm_then_linear,
        "label_smoothing": 0.0 if "label smoothing" in without else 0.2,
        "lookahead": None if "lookahead" in without else Lookahead(5, 0.95**5),
        "augment": [augment.Flip(alternate="alternating flip" not in without), augment.Shift(2, "reflect")],
        **options})
    return net, history


def network(classes: int = 10, dirac: bool = True) -> nn.Sequential:
    """Normalised images (N, 3, 32, 32) -> logits: a fixed first layer, three groups of two convolutions, one dense layer."""
    return speed_run(classes, CHANNELS, WIDTHS, dirac)


def warm_then_linear(share: float) -> float:
    """Up from a fifth during the first tenth, then down in a line to nothing."""
    return 0.2 + 8.0 * share if share < 0.1 else (1.0 - share) / 0.9


def predict(network: nn.Module, x: Tensor, batch_size: int = 500) -> Tensor:
    """Logits of uint8 images (N, 3, 32, 32), averaged over the image (half the weight) and two shifts by a pixel (a
    quarter each), each also mirrored: six passes."""
    me: Any = sys.modules[__name__]
    normalise = recipes.normaliser(me)
    network.eval()
    found = []
    with torch.inference_mode():
        for part in x.split(batch_size):
            images = normalise(part.float() / 255).contiguous(memory_format=torch.channels_last)
            padded = F.pad(images, (1, 1, 1, 1), "reflect")
            views = ((0.5, images), (0.25, padded[..., 0:32, 0:32]), (0.25, padded[..., 2:34, 2:34]))
            found.append(torch.stack([w / 2 * (network(v) + network(v.flip(-1))) for w, v in views]).sum(0))
    return torch.cat(found)
