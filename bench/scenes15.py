"""Transfer on 15 Scenes: test accuracy on a stratified fifth, over seeds. Needs HUBEL_DATA.

    python bench/scenes15.py [--seeds 0 1 2] [--minutes 4]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch

from hubel import data
from hubel.model import Model
from hubel.nets.efficientnet import MEAN, STD
from hubel.training.transfer import transfer, transfer_network


def measure(seed: int, minutes: float | None, verbose: int = 0, **options: object) -> tuple[float, float, float, int]:
    """(accuracy, the same with the mirror image averaged in, seconds to train, number of test photos)."""
    source = data.load(Path(os.environ["HUBEL_DATA"]) / "scenes15", seed=seed)
    network = transfer_network(len(source.train.classes))
    model = Model(network, source.train.classes, size=224, channels=3, mean=MEAN, std=STD)
    x = torch.from_numpy(source.train.arrays(size=224, channels=3)).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.array(source.train.labels))
    tests = source.test.arrays(size=224, channels=3)

    began = time.perf_counter()
    transfer(network, (x, labels), normalise=model.normalise, minutes=minutes, seed=seed, verbose=verbose, **options)
    seconds = time.perf_counter() - began
    plain, mirrored = model.predict(tests), model.predict(tests[:, :, ::-1])
    right = [float((p.argmax(1) == source.test.labels).mean()) for p in (plain, plain + mirrored)]
    return right[0], right[1], seconds, len(source.test)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=None)
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        rows.append(measure(seed, arguments.minutes, verbose=2))
        print(f"seed {seed}: {rows[-1][0]:.2%} of {rows[-1][3]} test photos, {rows[-1][1]:.2%} with the mirror image, "
              f"{rows[-1][2]:.0f} s to train", flush=True)
    print(f"mean of {len(rows)}: {np.mean([r[0] for r in rows]):.2%}, {np.mean([r[1] for r in rows]):.2%} with the "
          f"mirror image")
