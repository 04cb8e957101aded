"""The table of Cohen et al. 2019 on MNIST: certified accuracy by L2 radius for networks trained with noise of each deviation.

`HUBEL_DATA=... python bench/smoothing.py [epochs] [images]`. Trains one small network for each sigma and certifies test images.
"""

from __future__ import annotations

import os
import sys
import time

import torch
from torch import nn

from _table import append_results, markdown
from hubel import data
from hubel.attack import smoothed
from hubel.model import Model
from hubel.training import Harden

SIGMAS, RADII = (0.25, 0.5, 1.0), (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5)
VOTES, ALPHA = 10_000, 0.001


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
                         nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10))


def main(epochs: int, count: int) -> None:
    source = data.load(os.path.join(os.environ["HUBEL_DATA"], "mnist"))
    x, y = source.train.arrays(size=(28, 28), channels=1), source.train.labels
    test = source.test.sample(count, 0)
    rows = []
    for sigma in SIGMAS:
        model = Model(small(), source.classes, size=(28, 28), channels=1)
        model.compile("adam")
        model.fit(x, y, epochs=epochs, batch_size=128, learning_rate=3e-3, verbose=2, harden=Harden(sigma, method="gaussian"))
        began = time.perf_counter()
        found = smoothed(model, test.arrays(size=(28, 28), channels=1), test.labels, sigma, n=VOTES, alpha=ALPHA, progress=False)
        print(found, f"{time.perf_counter() - began:.1f} s", flush=True)
        rows.append([f"sigma {sigma:g}", *(f"{found.accuracy(r):.0%}" for r in RADII), f"{found.radius.max():.2f}"])
    note = (f"MNIST, convolutions of 16 and 32 filters (166,000 weights), {epochs} epochs with noise; {count} test images, {VOTES:,} votes, "
            f"alpha {ALPHA:g}. The largest radius that {VOTES:,} votes can give is sigma Phi^-1(alpha^(1/n)): 3.20 sigma.")
    header = ["certified accuracy at L2 radius", *(f"{r:g}" for r in RADII), "largest"]
    append_results("Randomised smoothing", markdown(header, rows, note))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, int(sys.argv[2]) if len(sys.argv) > 2 else 100)
