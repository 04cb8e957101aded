"""Claim 11: augmentation makes a classifier robust to the transformations it was shown, and more accurate.

The same small residual network on 300 digits, as they are, and shifted and turned anew in every epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel import nets, training
from hubel.phenomena import data
from hubel.phenomena.claim import Claim, Findings, Need
from hubel.phenomena.figures import MAIN, WORST, Figure, bars, pictures, slide
from hubel.phenomena.statistics import mean
from hubel.training import augment
from hubel.training.randomness import Draws

CLAIM = Claim(
    11, "Data augmentation",
    "Training on transformed images makes the classifier robust to those transformations, and more accurate.",
    "Lecture 10, 'Data augmentation'; Simard, Steinkraus and Platt 2003",
    needs=(Need("robust", "accuracy on moved digits that augmentation adds", at_least=0.05, percent=True),
           Need("accurate", "accuracy on digits as they are that it adds", at_least=0.0, percent=True)),
    seconds=(13, 5, 2),
)
QUICK = {"runs": 4, "epochs": 12}
SMALLEST = {"runs": 3, "epochs": 8, "train": 200}


MOVES = augment.Compose(augment.Shift(1, "zero"), augment.Rotate(15, "zero"), augment.Zoom(0.9, 1.1, "zero"))


def moved(split: data.Split, seed: int) -> Tensor:
    """The test digits, each shifted by up to a pixel, turned by up to 15 degrees, and 90 to 110% as large."""
    return MOVES(split.x_test, split.y_test, Draws(seed, 0, np.arange(len(split.x_test))))[0]


def measure(seed: int = 0, runs: int = 6, epochs: int = 25, train: int = 300) -> Findings:
    found = np.empty((runs, 2, 2))  # without and with; digits as they are, and moved
    for run in range(runs):
        split = data.digits(train, seed + run)
        for i, how in enumerate((None, MOVES)):
            net = nets.build("small_resnet", 10, 1, seed=seed + run, width=8, stages=2)
            training.fit(net, (split.x, split.y), epochs=epochs, batch_size=25, augment=how, optimizer="adam",
                         learning_rate=0.02, seed=seed + run, verbose=0)
            with torch.no_grad():
                found[run, i] = [float((net(x).argmax(1) == split.y_test).float().mean())
                                 for x in (split.x_test, moved(split, seed + run))]
    numbers = {"robust": mean(found[:, 1, 1] - found[:, 0, 1]), "accurate": mean(found[:, 1, 0] - found[:, 0, 0]),
               **{f"{a}_{b}": mean(found[:, i, j]) for i, a in enumerate(("without", "with")) for j,
                  b in enumerate(("plain", "moved"))}}
    remark = (f"On moved digits {found[:, 0, 1].mean():.1%} become {found[:, 1, 1].mean():.1%}; on digits as they are "
              f"{found[:, 0, 0].mean():.1%} become {found[:, 1, 0].mean():.1%}. A shift of one pixel in eight is a large "
              "one: here a small network pays for it on digits that never move.")
    return Findings(numbers, remark, {"numbers": numbers, "shown": torch.cat([split.x_test[:5], moved(split, seed
        + run)[:5]])[:, 0].numpy()})


def draw(e: Mapping[str, Any]) -> Figure:
    figure, (left, right) = slide(1, 2)
    left.axis("off")
    cells = [left.inset_axes((i % 5 / 5, 0.52 - 0.34 * (i // 5), 0.19, 0.32)) for i in range(10)]
    pictures(cells, e["shown"])
    left.set_title("Digits, and the same moved")
    n = e["numbers"]
    bars(right, ["as they are,\nwithout", "as they are,\nwith", "moved,\nwithout", "moved,\nwith"],
         [n["without_plain"], n["with_plain"], n["without_moved"], n["with_moved"]], [WORST, MAIN, WORST, MAIN])
    right.set(title="Test accuracy, without and with augmentation")
    right.tick_params(axis="x", labelsize=11)
    return figure
