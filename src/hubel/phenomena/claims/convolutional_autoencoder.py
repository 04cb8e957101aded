"""Claim 23: convolutional autoencoders beat dense ones.

Both kinds with a code of the same size, on digits and on pieces of photographs, with about as many parameters and steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hubel import autoencode
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, pictures, slide
from hubel.phenomena.statistics import geometric

CLAIM = Claim(
    23, "Convolutional autoencoders",
    "Convolutional autoencoders are better than dense ones.",
    "Lecture 10, 'Which would lead to better feature learning?'; Masci et al. 2011",
    needs=(Need("photographs", "error of dense over that of convolutional ones on new pieces of photographs, code of 32",
                at_least=1.05),
           Need("digits", "the same on new digits, code of 8", at_least=1.0)),
    seconds=(26, 6, 2),
)
QUICK = {"runs": 2, "epochs": 10, "pieces": 1000}
SMALLEST = {"runs": 2, "epochs": 4, "pieces": 300, "train": 300}


def measure(seed: int = 0, runs: int = 5, epochs: int = 25, pieces: int = 1500, train: int = 1200) -> Findings:
    errors: dict[str, list[list[float]]] = {"photographs": [], "digits": []}
    shown: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    for run in range(runs):
        x, _ = data.patches(pieces + 300, 16, seed + run)
        split = data.digits(train, seed + run)
        for name, (learn, test, side, latents, widths, width) in {"photographs": (x[:pieces], x[pieces:], 16, 32, (96,), 16),
                                                                  "digits": (split.x, split.x_test, 8, 8, (36,),
                                                                             16)}.items():
            row = []
            for kind, options in (("dense", {"widths": widths}), ("convolutional", {"width": width})):
                model = autoencode.build(kind, size=side, channels=1, latents=latents, seed=seed + run, **options)
                model.fit(learn, epochs=epochs, batch_size=64, learning_rate=3e-3, seed=seed + run, verbose=0)
                row.append(float(model.error(test).mean()))
                sizes[f"{name}, {kind}"] = sum(p.numel() for p in model.network.parameters())
                if run == 0 and name == "photographs":
                    shown[kind] = model.reconstruct(test[:6])[..., 0]
                    shown["original"] = test[:6, 0].numpy()
            errors[name].append(row)
    e = {name: np.array(v) for name, v in errors.items()}
    numbers = {name: geometric(v[:, 0] / v[:, 1]) for name, v in e.items()}
    remark = (f"On pieces of photographs the dense one's error is {numbers['photographs'].value:.2f} times the "
              f"convolutional one's ({sizes['photographs, dense']:,} and {sizes['photographs, convolutional']:,} "
              f"parameters), on digits of 8x8 {numbers['digits'].value:.2f} times ({sizes['digits, dense']:,} and "
              f"{sizes['digits, convolutional']:,}), after {epochs} epochs of both.")
    return Findings(numbers, remark, {"errors": e, "shown": shown})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2, width_ratios=(1.5, 1))
    left.axis("off")
    left.set(xlim=(0, 1), ylim=(0, 1))
    for row, name in enumerate(("original", "dense", "convolutional")):
        cells = [left.inset_axes((i / 6, 0.69 - 0.34 * row, 0.155, 0.24)) for i in range(6)]
        pictures(cells, e["shown"][name])
        left.text(0, 0.945 - 0.34 * row, name, fontsize=12)
    for i, found in enumerate(e["errors"].values()):
        for j, (kind, colour) in enumerate((("dense", WORST), ("convolutional", MAIN))):
            right.bar(i + 0.36 * j - 0.18, found[:, j].mean(), 0.32, color=colour, label=kind if i == 0 else None)
            right.plot([i + 0.36 * j - 0.18] * len(found), found[:, j], "o", color="black", ms=3)
    right.set_xticks([0, 1], list(e["errors"]))
    right.set(title="Squared error on new images")
    right.legend()
    return figure
