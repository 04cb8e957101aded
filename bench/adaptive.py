"""An attack made for the defence: recipe mnist_hard's thresholds passed straight through on the way back.

    python bench/adaptive.py MODEL IMAGES.npz COUNT

Behind its first layer the network sees nearly black and white, and gradients through the ramps are steep in grey and nearly 0
elsewhere. That may mislead every attack that follows them (Athalye et al. 2018, arXiv:1802.00420); here they are computed as if
the layer were the straight line from 0 to 1 (their BPDA), forwards nothing changes. IMAGES.npz: uint8 x (N, H, W, C), y (N,).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from _table import append_results, markdown
from hubel.attack import apgd
from hubel.model import Model
from hubel.training.recipes.mnist_hard import EPS


class StraightThrough(nn.Module):
    """`layer` forwards; backwards as if it were 4 x, which has the same values for black and for white."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return 4 * x + (self.layer(x) - 4 * x).detach()


def straight(network: nn.Module) -> nn.Module:
    """The recipe's network with its thresholds (layers 1 to 3) passed through."""
    layers = list(network.children())
    assert [type(m).__name__ for m in layers[:4]] == ["PixelUnshuffle", "Conv2d", "ReLU", "Conv2d"], network
    return nn.Sequential(layers[0], StraightThrough(nn.Sequential(*layers[1:4])), *layers[4:])


def main(model_file: str, images: str, count: int) -> None:
    with np.load(images, allow_pickle=False) as held:
        x, y = held["x"][:count], held["y"][:count]
    model = Model.load(model_file)
    ways = {"the network's own gradients": model, "straight through the thresholds": model.twin(straight(model.network.eval()))}
    rows, broken = [], np.zeros(len(x), bool)
    for name, way in ways.items():
        by: list[str] = []
        ours = np.zeros(len(x), bool)
        for options in ({"loss": "ce", "restarts": 5}, {"loss": "dlr", "runners_up": 9}):
            found = apgd(way, x, y, EPS, steps=100, precision="float", progress=False, **options)
            ours |= found.success
            by.append(f"{(~found.success).mean():.1%}")
        broken |= ours
        rows.append([name, *by, f"{(~ours).mean():.1%}"])
        print(rows[-1], flush=True)
    rows.append(["both", "", "", f"{(~broken).mean():.1%}"])
    append_results("Hardened MNIST: an attack made for its thresholds", markdown(
        ["APGD follows", "CE, 5 runs", "DLR, towards 9 classes", "withstand both"], rows,
        f"{Path(model_file).name}, {len(x)} images, L-inf eps {EPS:g}, 100 steps a run."))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
