"""Train the codec that ships: `python -m hubel.autoencode.codec.train`. Needs HUBEL_DATA; see README.md here."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hubel import engine
from hubel.autoencode.codec.layers import set_quantised
from hubel.autoencode.codec.network import LAMBDAS, CodecNet
from hubel.autoencode.restore.network import parameters
from hubel.autoencode.restore.pretraining import Photos, data_root, train

QUANTISED_FROM = 0.75  # of the run: from here on weights and activations are rounded


def cost(network: CodecNet, photos: Photos, batch: int, side: int, seed: int, step: int) -> Tensor:
    """The loss of one step: bits a pixel + lambda x squared error, each image at a quality of its own, each quality
    scaled so that all pull about as hard."""
    draws = np.random.default_rng((seed, step))
    pixels = photos.patches(batch, side, draws).contiguous(memory_format=torch.channels_last)
    level = torch.from_numpy(draws.permutation(np.arange(batch) % len(LAMBDAS)))
    torch.manual_seed(int(draws.integers(2**62)))
    with torch.autocast("cpu", torch.bfloat16):
        coded = network(pixels, level)
    worth = torch.tensor(LAMBDAS)[level]
    bits = (coded.bits_y + coded.bits_z) / side**2
    errors = (coded.pixels - pixels).square().mean(dim=(1, 2, 3)) * 255**2
    return ((bits + worth * errors) * (worth / 0.003) ** -0.4).mean()


@torch.no_grad()
def report(network: CodecNet, photos: Photos, side: int) -> str:
    """Bits a pixel and mean PSNR of held-out patches at each quality."""
    pixels = photos.patches(24, side, np.random.default_rng(7))
    lines = []
    for level in range(len(LAMBDAS)):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            coded = network(pixels.contiguous(memory_format=torch.channels_last), torch.full((len(pixels),), level))
        mse = (coded.pixels.clamp(0, 1) - pixels).square().mean(dim=(1, 2, 3))
        lines.append(f"{coded.bits_y.mean() / side**2:.3f}+{coded.bits_z.mean() / side**2:.3f}: {-10 * mse.log10().mean():.2f}")
    return "held out, bpp: dB  " + "  ".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/codec.safetensors"),
                        help="The checkpoint; a run goes on where it was.")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--seconds", type=float, default=math.inf, help="Stop after this long; go on by the same command.")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    torch.manual_seed(a.seed)
    network = CodecNet()
    engine.lay_out(network)
    print(f"{parameters(network):,} parameters, {parameters(network.synthesis):,} of them synthesis", flush=True)
    photos, others = (Photos(data_root(), (0.5, 0.85), a.side, held_out) for held_out in (False, True))
    print(f"{len(photos.images)} photographs, {len(others.images)} held out", flush=True)
    train(network, lambda step: cost(network, photos, a.batch, a.side, a.seed, step), a.run, a.steps, a.rate,
          seconds=a.seconds, report=lambda: report(network, others, a.side),
          first_order=lambda name: name in ("gain", "inverse_gain", "z_place", "z_scale"),
          started=lambda step: set_quantised(network, step >= QUANTISED_FROM * a.steps))


if __name__ == "__main__":
    main()
