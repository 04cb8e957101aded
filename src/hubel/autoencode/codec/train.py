"""Train the codec that ships: `python -m hubel.autoencode.codec.train`. Needs HUBEL_DATA; see README.md here."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.autoencode.codec.context import LATENTS
from hubel.autoencode.codec.layers import set_quantised
from hubel.autoencode.codec.network import COARSEST, FINEST, CodecNet, cost, to_blocks
from hubel.autoencode.codec.photos import Photographs
from hubel.autoencode.codec.transform import block_transform
from hubel.autoencode.restore.pretraining import resume, write
from hubel.training.interrupt import Interrupt
from hubel.training.muon import MuonOptimizer

SIDE, BATCH = 160, 10
ALONE = 500  # steps in which context and synthesis learn by themselves, before the analysis moves
FALL = 0.45  # the share of the run over which the rate falls to zero
QUANTISED_FROM = 0.78  # of the run: from here on weights and activations are rounded
EVERY_SECONDS = 120.0  # between checkpoints


def beginning(photos: Photographs) -> CodecNet:
    """Return the network that learning begins with: it is a codec already."""
    coloured = photos.coloured()
    blocks = to_blocks(coloured.patches(600, SIDE, np.random.default_rng(2), turned=0.0) - 128).flatten(0, 2)
    return CodecNet(*block_transform(coloured.images, blocks, LATENTS))


def optimisers(network: nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the kernels inside the two picture networks, Adam for all else; the linear transforms move slowly."""
    kernels: list[nn.Parameter] = []
    slow: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, p in network.named_parameters():
        inside = "blocks" in name or name.startswith(("analysis.fine", "analysis.down", "analysis.deep"))
        (slow if name in ("synthesis.inverse", "analysis.linear") else kernels if inside and p.ndim == 4 else others).append(p)
    precision = torch.bfloat16 if engine.cpu_has_bf16() else None
    return [MuonOptimizer([{"params": kernels, "orthogonal": True}], lr=0.008, precision=precision),
            torch.optim.Adam([{"params": others, "lr": 1.5e-3}, {"params": slow, "lr": 1e-5}], betas=(0.9, 0.98))]


def loss(network: CodecNet, photos: Photographs, step: int) -> Tensor:
    """Bits and errors of a batch, each patch at a quantiser's step of its own; coarse steps count more, as their costs are
    smaller."""
    draws = np.random.default_rng((0, step))
    pixels = photos.patches(BATCH, SIDE, draws).contiguous(memory_format=torch.channels_last)
    share = (draws.permutation(BATCH) + draws.random(BATCH)) / BATCH
    width = torch.from_numpy(FINEST * (COARSEST / FINEST) ** share).float().view(-1, 1, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        coded = network(pixels, width)
    return (cost(coded, pixels, width) * width.flatten() / 40).mean()


@torch.no_grad()
def report(network: CodecNet, photos: Photographs) -> str:
    """Bits a pixel and mean PSNR of held-out patches at five steps."""
    pixels = photos.patches(40, SIDE, np.random.default_rng(5))
    lines = []
    for width in (12.0, 24.0, 48.0, 96.0, 160.0):
        with torch.autocast("cpu", torch.bfloat16):
            coded = network(pixels, torch.full((len(pixels), 1, 1, 1), width))
        errors = (coded.pixels - pixels).square().mean(dim=(1, 2, 3)) / 255**2
        lines.append(f"{coded.bits.mean() / SIDE**2:.4f}: {-10 * errors.log10().mean():.3f}")
    return "held out, bpp: dB  " + "  ".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/codec.safetensors"),
                        help="The checkpoint; a run goes on where it was.")
    parser.add_argument("--steps", type=int, default=7050)
    parser.add_argument("--seconds", type=float, default=math.inf, help="Stop after this long; go on by the same command.")
    a = parser.parse_args()
    engine.keep_memory()
    torch.manual_seed(0)
    photos, others = Photographs(side=SIDE), Photographs(side=SIDE, held_out=True)
    print(f"{len(photos.images)} photographs, {len(others.images)} held out", flush=True)
    network = beginning(photos)
    engine.lay_out(network)
    groups = optimisers(network)
    rates = [[group["lr"] for group in optimiser.param_groups] for optimiser in groups]
    first = resume(network, groups, a.run) if a.run.exists() else 0
    began = written = time.monotonic()
    mean = 0.0
    with Interrupt() as interrupt:
        for step in range(first, a.steps):
            done = step / a.steps
            set_quantised(network, done >= QUANTISED_FROM)
            factor = min(1.0, (step + 1) / 100, (1 - done) / FALL + 0.003)
            for optimiser, base in zip(groups, rates, strict=True):
                for group, rate in zip(optimiser.param_groups, base, strict=True):
                    group["lr"] = rate * factor
                optimiser.zero_grad(set_to_none=True)
            value = loss(network, photos, step)
            value.backward()
            if step < ALONE:
                network.analysis.zero_grad(set_to_none=True)
            torch.nn.utils.clip_grad_norm_([p for group in groups[1].param_groups for p in group["params"]], 1.0)
            for optimiser in groups:
                optimiser.step()
            mean += (value.item() - mean) * max(0.02, 1 / (step - first + 1))
            now = time.monotonic()
            last = step + 1 == a.steps or interrupt.requested or now - began > a.seconds
            if last or now - written > EVERY_SECONDS:
                write(network, groups, a.run, step + 1)
                written = now
            if last or (step + 1) % 100 == 0:
                pace = (step + 1 - first) / (now - began)
                print(f"step {step + 1}/{a.steps}  loss {mean:.5f}  {pace:.2f} steps/s", flush=True)
            if last or (step + 1) % 500 == 0:
                print(report(network, others), flush=True)
            if last:
                break


if __name__ == "__main__":
    main()
