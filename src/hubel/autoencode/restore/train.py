"""Train the weights that ship: `python -m hubel.autoencode.restore.train denoise|inpaint`. Needs HUBEL_DATA.

Photographs: Caltech-101 and 100 of ImageNet, reduced; Kodak's are for the test alone. See README.md here.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.autoencode.restore import weights
from hubel.autoencode.restore.denoise import HIGHEST
from hubel.autoencode.restore.filling import filled
from hubel.autoencode.restore.masks import KINDS, random_mask
from hubel.autoencode.restore.network import RestorationNet, denoiser, macs, painter, parameters
from hubel.autoencode.restore.pretraining import Photos, data_root, train

FOLDER = Path(__file__).parent
# steps, batch, side of the patches, rate of Muon
RUNS = {"denoise": (1600, 8, 96, 0.01), "inpaint": (800, 8, 96, 0.015)}


def noisy(clean: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the network's input (N, 5, H, W) and the noisy pixels of clean patches (N, 3, H, W).

    The noise's sigma is uniform in 0..75/255; half of the patches are then rounded to 8 bits and clipped as a file
    is, an eighth is grey with one noise for all channels; a third is not told its sigma.
    """
    n, _, height, width = clean.shape
    sigma = torch.rand(n, 1, 1, 1, generator=draws) * (HIGHEST / 255)
    noise = torch.randn(clean.shape, generator=draws)
    grey = torch.rand(n, 1, 1, 1, generator=draws) < 1 / 8
    clean = torch.where(grey, clean.mean(dim=1, keepdim=True), clean)
    x = clean + sigma * torch.where(grey, noise[:, :1], noise)
    filed = torch.rand(n, 1, 1, 1, generator=draws) < 0.5
    x = torch.where(filed, (x * 255).round().clamp(0, 255) / 255, x)
    known = (torch.rand(n, 1, 1, 1, generator=draws) < 2 / 3).float()
    maps = torch.cat([sigma * known, known], dim=1).expand(n, 2, height, width)
    return torch.cat([x - 0.5, maps], dim=1), clean


def holed(clean: Tensor, draws: np.random.Generator) -> Tensor:
    """Return the network's input (N, 4, H, W) for clean patches: holes of all kinds and sizes, filled smoothly."""
    masks = []
    for _ in range(len(clean)):
        kind = KINDS[draws.choice(3, p=(0.4, 0.4, 0.2))]
        share = draws.uniform(0.05, 0.9) if kind == "pixels" else draws.uniform(0.03, 0.4)
        size = round(2 ** draws.uniform(2, 6)) if kind == "blocks" else int(draws.integers(1, 12))
        masks.append(random_mask(kind, (clean.shape[2], clean.shape[3]), share, draws, size))
    missing = torch.from_numpy(np.stack(masks))[:, None].float()
    return torch.cat([filled(clean, missing) - 0.5, missing], dim=1)


def answer(network: nn.Module, given: Tensor) -> Tensor:
    """The restored pixels (N, 3, H, W) for the network's input."""
    with torch.autocast("cpu", torch.bfloat16):
        change = network(given.contiguous(memory_format=torch.channels_last))
    return given[:, :3] + 0.5 + change.float()


def loss(task: str, network: nn.Module, photos: Photos, batch: int, side: int, draws: np.random.Generator) -> Tensor:
    """The root mean square error of each patch (of its holes), averaged over patches: between squared errors, which the
    hardest patches rule, and decibels, which the easiest do."""
    clean = photos.patches(batch, side, draws)
    if task == "denoise":
        given, clean = noisy(clean, torch.Generator().manual_seed(int(draws.integers(2**62))))
        errors = (answer(network, given) - clean).square().mean(dim=(1, 2, 3))
    else:
        given = holed(clean, draws)
        missing = given[:, 3:]
        errors = ((answer(network, given) - clean).square() * missing).sum(dim=(1, 2, 3)) / (3 * missing.sum(dim=(1, 2, 3)))
    return (errors + 1e-6).sqrt().mean()


def reporter(task: str, network: RestorationNet, photos: Photos, side: int) -> Callable[[], str]:
    """What the loop prints now and then: the mean PSNR of held-out patches."""
    clean = photos.patches(24, side, np.random.default_rng(7))

    def report() -> str:
        parts = []
        for setting in ((15, 25, 50) if task == "denoise" else (("pixels", 1), ("blocks", 8), ("blocks", 32))):
            if isinstance(setting, int):
                noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1)) * (setting / 255)
                maps = torch.tensor([setting / 255, 1.0]).view(1, 2, 1, 1).expand(len(clean), 2, side, side)
                out = answer(network, torch.cat([clean + noise - 0.5, maps], dim=1))
                errors = (out - clean).square().mean(dim=(1, 2, 3))
            else:
                draws = np.random.default_rng(1)
                holes = np.stack([random_mask(setting[0], (side, side), 0.25, draws, setting[1]) for _ in clean])
                missing = torch.from_numpy(holes)[:, None].float()
                out = answer(network, torch.cat([filled(clean, missing) - 0.5, missing], dim=1))
                errors = ((out - clean) * missing).square().mean(dim=(1, 2, 3))
            parts.append(f"{setting}: {-10 * errors.log10().mean():.2f}")
        return "held out, dB  " + "  ".join(parts)

    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=tuple(RUNS))
    parser.add_argument("--run", type=Path, default=None, help="The checkpoint; a run goes on where it was.")
    parser.add_argument("--steps", type=int, default=None, help="May be changed when a run goes on.")
    parser.add_argument("--rate", type=float, default=None)
    parser.add_argument("--seconds", type=float, default=math.inf, help="Stop after this long; go on by the same command.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=None, help="Where the weights go at the end.")
    a = parser.parse_args()
    steps, batch, side, rate = RUNS[a.task]
    torch.manual_seed(a.seed)
    network = (denoiser if a.task == "denoise" else painter)()
    engine.lay_out(network)
    print(f"{parameters(network):,} parameters, {macs(network) / 1000:.0f} kMAC a pixel", flush=True)
    photos, others = (Photos(data_root(), (0.5, 0.7), side, held_out) for held_out in (False, True))
    print(f"{len(photos.images)} photographs, {len(others.images)} held out", flush=True)
    train(network, lambda step: loss(a.task, network, photos, batch, side, np.random.default_rng((a.seed, step))),
          a.run or Path("runs") / f"{a.task}.safetensors", a.steps or steps, a.rate or rate, seconds=a.seconds,
          report=reporter(a.task, network, others, side))
    out = a.out or FOLDER / f"{a.task}.safetensors"
    weights.save(out, weights.packed(network), {"trained_by": f"python -m hubel.autoencode.restore.train {a.task}"})
    print(out)


if __name__ == "__main__":
    main()
