"""How the weights that ship are trained: patches of photographs, a resumable loop. Depends on data and training.

The run is a function of its seed and its number of steps: patch and noise of step k come from (seed, k), so that a run
killed at any moment and begun again sees what it would have seen.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.data import read_image
from hubel.data.resize import fit_image
from hubel.errors import DataError
from hubel.training import checkpoint
from hubel.training.interrupt import Interrupt
from hubel.training.muon import MuonOptimizer

EVERY_SECONDS = 60.0  # between checkpoints


class Photos:
    """Photographs (uint8, H x W x 3) kept in memory, reduced so that their JPEG artefacts vanish.

    `root` holds caltech101/CLASS/*.jpg and imagenet/*.JPEG. Every 40th is held out: `Photos(root, held_out=True)`.
    """

    def __init__(self, root: Path, scales: tuple[float, float], side: int, held_out: bool = False) -> None:
        paths = sorted((root / "caltech101").glob("*/*.jpg")) + sorted((root / "imagenet").glob("*.JPEG"))
        chosen = [p for i, p in enumerate(paths) if (i % 40 == 0) == held_out]
        draws = np.random.default_rng(0)
        self.images: list[np.ndarray] = []
        for path in chosen:
            image = read_image(path, channels=3)
            height, width = image.shape[:2]
            scale = max(draws.uniform(*scales), side / min(height, width))
            if scale > 0.9:  # too small to lose its artefacts and still hold a patch
                continue
            self.images.append(fit_image(image, (max(side, round(height * scale)), max(side, round(width * scale))), 3))
        if not self.images:
            raise DataError(f"{root} holds no caltech101/*/*.jpg or imagenet/*.JPEG of at least {side} pixels")
        areas = np.array([i.shape[0] * i.shape[1] for i in self.images], dtype=float)
        self.chances = areas / areas.sum()

    def patches(self, count: int, side: int, draws: np.random.Generator) -> Tensor:
        """Return float32 (count, 3, side, side) in 0..1: random places, mirrored and turned at random."""
        out = np.empty((count, side, side, 3), np.uint8)
        for k, patch in enumerate(crops(self.images, self.chances, count, side, draws)):
            out[k] = np.rot90(patch[:, ::-1] if draws.random() < 0.5 else patch, int(draws.integers(4)))
        return torch.from_numpy(out).permute(0, 3, 1, 2).float().div_(255)


def crops(images: list[np.ndarray], chances: np.ndarray, count: int, side: int,
          draws: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `count` squares from random places of random images, each image with its chance."""
    for i in draws.choice(len(images), count, p=chances):
        top = draws.integers(images[i].shape[0] - side + 1)
        left = draws.integers(images[i].shape[1] - side + 1)
        yield images[i][top : top + side, left : left + side]


def data_root() -> Path:
    """The folder of the photographs: the environment variable HUBEL_DATA, else ../shared/data."""
    return Path(os.environ.get("HUBEL_DATA", "../shared/data"))


def optimisers(network: nn.Module, rate: float, small_rate: float = 1e-3,
               first_order: Callable[[str], bool] = lambda name: False) -> list[torch.optim.Optimizer]:
    """Muon for the kernels of hidden layers, Adam for first and last layers, biases and what `first_order` names."""
    matrices = [name for name, p in network.named_parameters() if p.ndim > 1 and not first_order(name)]
    hidden = {name for name in matrices if not name.endswith(("stem.weight", "head.weight"))}
    kernels = [p for name, p in network.named_parameters() if name in hidden]
    others = [p for name, p in network.named_parameters() if name not in hidden]
    precision = torch.bfloat16 if engine.cpu_has_bf16() else None
    return [MuonOptimizer([{"params": kernels, "orthogonal": True}], lr=rate, precision=precision),
            torch.optim.Adam(others, lr=small_rate, betas=(0.9, 0.98))]


def schedule(step: int, steps: int, warm: int = 100, fall: float = 0.5) -> float:
    """The factor of the rate: up over `warm` steps, flat, then down to 0 over the last `fall` of the run."""
    return min(1.0, (step + 1) / warm, max(0.0, (steps - step) / (fall * steps)))


def train(network: nn.Module, loss: Callable[[int], Tensor], path: Path, steps: int, rate: float, *,
          report: Callable[[], str] | None = None, report_every: int = 500, seconds: float = math.inf,
          small_rate: float = 1e-3, first_order: Callable[[str], bool] = lambda name: False,
          started: Callable[[int], None] = lambda step: None) -> None:
    """Minimise `loss(step)` for `steps` steps; go on from the checkpoint `path` if there is one.

    `seconds` stops this call (not the run) early. The checkpoint is written every minute and holds weights, the
    optimisers' state and the step.
    """
    engine.keep_memory()
    groups = optimisers(network, rate, small_rate, first_order)
    first = resume(network, groups, path) if path.exists() else 0
    network.train()
    began = written = time.monotonic()
    mean, step = 0.0, first
    with Interrupt() as interrupt:
        for step in range(first, steps):
            started(step)
            factor = schedule(step, steps)
            for optimiser, base in zip(groups, (rate, small_rate), strict=True):
                for group in optimiser.param_groups:
                    group["lr"] = base * factor
                optimiser.zero_grad(set_to_none=True)
            value = loss(step)
            value.backward()
            torch.nn.utils.clip_grad_norm_(groups[1].param_groups[0]["params"], 1.0)
            for optimiser in groups:
                optimiser.step()
            mean += (value.item() - mean) * max(0.01, 1 / (step - first + 1))
            now = time.monotonic()
            last = step + 1 == steps or interrupt.requested or now - began > seconds
            if last or now - written > EVERY_SECONDS:
                write(network, groups, path, step + 1)
                written = time.monotonic()
            if last or (step + 1) % 100 == 0:
                pace = (step + 1 - first) / (now - began)
                print(f"step {step + 1}/{steps}  loss {mean:.5f}  {pace:.2f} steps/s  "
                      f"{(steps - step - 1) / pace / 60:.0f} min left", flush=True)
            if report is not None and (last or (step + 1) % report_every == 0):
                network.eval()
                with torch.no_grad():
                    print(report(), flush=True)
                network.train()
            if last:
                break


def write(network: nn.Module, groups: list[torch.optim.Optimizer], path: Path, step: int) -> None:
    """Write the checkpoint of a run: weights, the optimisers' state, the step."""
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    metas = []
    for k, optimiser in enumerate(groups):
        state, meta = checkpoint.optimizer_state(optimiser)
        tensors |= {f"{k}/{name}": t for name, t in state.items()}
        metas.append(meta)
    checkpoint.write(path, tensors, {"step": step, "optimisers": metas})


def resume(network: nn.Module, groups: list[torch.optim.Optimizer], path: Path) -> int:
    """Take up the run whose checkpoint `write` wrote; return its step."""
    tensors, meta = checkpoint.read(path)
    network.load_state_dict({k.removeprefix("network."): t for k, t in tensors.items() if k.startswith("network.")})
    for k, (optimiser, saved) in enumerate(zip(groups, meta["optimisers"], strict=True)):
        prefix = f"{k}/"
        checkpoint.load_optimizer(optimiser, {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}, saved)
    print(f"going on from step {meta['step']} of {path}", flush=True)
    return int(meta["step"])
