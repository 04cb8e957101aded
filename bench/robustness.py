"""Hubel's robust evaluation against the reference AutoAttack: the same network, images and sizes, verdicts side by side.

`AUTOATTACK=FOLDER python bench/robustness.py MODEL IMAGES.npz EPS COUNT [SECTION [cpu]]`, where FOLDER holds a checkout of
fra31/auto-attack, MODEL is a file of Hubel's and the .npz holds uint8 x (N, H, W, C) and y (N,). Both run once, after a warm-up
on two images; both sides' adversarials are judged by the network in float32, one image at a time. `cpu`: processor seconds, not
wall-clock's, for a machine that does other things too (set OMP_NUM_THREADS=1 with it).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from _table import append_results, markdown
from hubel.attack import robust_evaluation
from hubel.model import Model
from hubel.pixels import parse_eps


class Pixels(nn.Module):
    """The network as the reference takes it, in plain float32."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network, self.normalise = model.network.eval(), model.normalise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(self.normalise(x))


def reference(network: nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float) -> torch.Tensor:
    sys.path.insert(0, os.environ["AUTOATTACK"])
    from autoattack import AutoAttack

    attack = AutoAttack(network, norm="Linf", eps=eps, version="standard", device="cpu", verbose=False, seed=0)
    return attack.run_standard_evaluation(x, y, bs=250)


def standing(network: nn.Module, x: torch.Tensor, y: torch.Tensor, bent: torch.Tensor, eps: float) -> np.ndarray:
    """(N,) whether the network is right on the adversarial, alone and in float32; a point outside the ball breaks nothing."""
    outside = (bent - x).abs().flatten(1).amax(1) > eps * (1 + 1e-5) + 1e-7
    with torch.no_grad():
        right = torch.cat([network(q).argmax(1) == c for q, c in zip(bent.split(1), y.split(1), strict=True)])
        clean = torch.cat([network(q).argmax(1) == c for q, c in zip(x.split(1), y.split(1), strict=True)])
    return ((right | outside) & clean).numpy()


def main(model_file: str, images: str, eps: float, count: int, section: str, clock: Callable[[], float]) -> None:
    with np.load(images, allow_pickle=False) as held:
        x, labels = held["x"][:count], held["y"][:count]
    model = Model.load(model_file)
    network = Pixels(model)
    for p in network.parameters():
        p.requires_grad_(False)
    t = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).float() / 255
    y = torch.from_numpy(np.asarray(labels, np.int64))
    rows, found = [], {}
    for name in ("hubel", "AutoAttack"):
        for warm in (True, False):
            n = 2 if warm else len(x)
            began = clock()
            if name == "hubel":
                result = robust_evaluation(model, x[:n], labels[:n], "linf", eps, check=False, progress=False)
                bent = torch.from_numpy(result.smallest.adversarials).permute(0, 3, 1, 2)
            else:
                bent = reference(network, t[:n], y[:n], eps)
            seconds = clock() - began
        found[name] = standing(network, t, y, bent, eps)
        rows.append([name, seconds, f"{found[name].mean():.1%}"])
        print(rows[-1], flush=True)
        if name == "hubel":
            print(result, flush=True)
    rows = [[*row, f"{row[1] / rows[0][1]:.1f}x"] for row in rows]
    one, other = found["hubel"], found["AutoAttack"]
    note = (f"{Path(model_file).name}, {len(x)} images, L-inf eps {eps:.4g}, standard protocol; {int((one & ~other).sum())} images broken "
            f"by the reference alone, {int((other & ~one).sum())} by hubel alone.")
    append_results(section, markdown(["library", "seconds" if clock is time.perf_counter else "CPU seconds", "robust accuracy", "times hubel's"], rows, note))
    print(note)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], parse_eps(sys.argv[3]), int(sys.argv[4]),
         sys.argv[5] if len(sys.argv) > 5 else f"Robust evaluation of {Path(sys.argv[1]).stem}", time.process_time if "cpu" in sys.argv[6:] else time.perf_counter)
