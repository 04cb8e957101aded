"""Hubel's robust evaluation against the reference AutoAttack: the same network, images and sizes, verdicts side by side.

    AUTOATTACK=FOLDER python bench/robustness.py MODEL IMAGES.npz EPS COUNT JOURNAL [SECTION]

FOLDER holds a checkout of fra31/auto-attack, MODEL is a file of Hubel's, the .npz holds uint8 x (N, H, W, C) and y (N,). Both work
on PART images at a time, after a warm-up on two, and what each found is kept in JOURNAL: hours of the reference may be
interrupted, and the same call goes on. Both sides' adversarials are judged by the network in float32, one image at a time.
Seconds are the processor's, so that a machine which does other things too does not decide (set OMP_NUM_THREADS=1).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from _table import append_results, markdown
from hubel.attack import robust_evaluation
from hubel.model import Model
from hubel.pixels import parse_eps

PART = 250


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


def evaluated(name: str, model: Model, x: np.ndarray, labels: np.ndarray, eps: float) -> tuple[np.ndarray, float]:
    """(N,) which images stand, and the seconds it took to know."""
    network = Pixels(model)
    t = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).float() / 255
    y = torch.from_numpy(np.asarray(labels, np.int64))
    began = time.process_time()
    if name == "hubel":
        result = robust_evaluation(model, x, labels, "linf", eps, check=False, progress=False)
        bent = torch.from_numpy(result.smallest.adversarials).permute(0, 3, 1, 2)
    else:
        bent = reference(network, t, y, eps)
    seconds = time.process_time() - began
    return standing(network, t, y, bent, eps), seconds


def main(model_file: str, images: str, eps: float, count: int, journal: Path, section: str | None) -> None:
    with np.load(images, allow_pickle=False) as held:
        x, labels = held["x"][:count], held["y"][:count]
    model = Model.load(model_file)
    for p in model.network.parameters():
        p.requires_grad_(False)
    known = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    done = {(k["name"], k["at"]): k for k in known}
    for at in range(0, len(x), PART):
        for name in ("hubel", "AutoAttack"):
            if (name, at) in done:
                continue
            evaluated(name, model, x[:2], labels[:2], eps)
            stands, seconds = evaluated(name, model, x[at : at + PART], labels[at : at + PART], eps)
            done[name, at] = {"name": name, "at": at, "seconds": seconds, "stands": stands.astype(int).tolist()}
            with journal.open("a") as file:
                file.write(json.dumps(done[name, at]) + "\n")
            print(name, at, f"{seconds:.1f} s", f"{stands.mean():.1%}", flush=True)
    parts = range(0, len(x), PART)
    found = {name: np.concatenate([done[name, at]["stands"] for at in parts]).astype(bool) for name in ("hubel", "AutoAttack")}
    took = {name: sum(done[name, at]["seconds"] for at in parts) for name in found}
    rows = [[name, took[name], f"{found[name].mean():.1%}", f"{took[name] / took['hubel']:.1f}x"] for name in found]
    one, other = found["hubel"], found["AutoAttack"]
    note = (f"{Path(model_file).name}, {len(x)} images, L-inf eps {eps:.4g}, standard protocol; {int((one & ~other).sum())} images broken "
            f"by the reference alone, {int((other & ~one).sum())} by hubel alone.")
    print(rows, note)
    if section:
        append_results(section, markdown(["library", "CPU seconds", "robust accuracy", "times hubel's"], rows, note))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], parse_eps(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]),
         sys.argv[6] if len(sys.argv) > 6 else None)
