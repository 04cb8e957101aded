"""From a trained network to the file that ships: integers, 8-bit encoder, and tables counted on photographs.

`python -m hubel.autoencode.codec.export --run runs/codec.safetensors`. Needs HUBEL_DATA. Depends on train, coding.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hubel.autoencode.codec.coding import Codec, assembled, latents, symbols_of
from hubel.autoencode.codec.integer import quantise
from hubel.autoencode.codec.network import COARSE, LAMBDAS, RATIO, SCALES, SMALLEST, CodecNet
from hubel.autoencode.codec.tables import Tables, table
from hubel.autoencode.restore import weights
from hubel.autoencode.restore.pretraining import Photos, data_root
from hubel.training import checkpoint

SIDE = 128
Z_HALF = 24  # symbols of z's tables


def halves() -> list[int]:
    """How far each of y's tables goes: 6 standard deviations, 4 at least."""
    return [max(4, round(6 * SMALLEST * RATIO**i)) for i in range(SCALES)]


def first_tables() -> tuple[Tables, Tables]:
    """Gaussians a little wider than they say: where counting begins, and what rare symbols fall back on."""
    y = []
    for i, half in enumerate(halves()):
        sigma = SMALLEST * RATIO**i
        y.append(table(_with_escape(_gaussian(half, sigma) + 0.02 * _gaussian(half, 3 * sigma + 0.3))))
    z = [table(_with_escape(_gaussian(Z_HALF, 3.0)))] * (COARSE * len(LAMBDAS))
    return Tables.of(y), Tables.of(z)


def counted(codec: Codec, photos: list[np.ndarray]) -> tuple[Tables, Tables]:
    """Return tables of how often each symbol occurs in `photos` at the qualities of LAMBDAS and between them."""
    y = [np.zeros(2 * half + 2) for half in halves()]
    z = [np.zeros(2 * Z_HALF + 2) for _ in range(COARSE * len(LAMBDAS))]
    for image in photos:
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        for position in np.arange(0, len(LAMBDAS) - 0.9, 0.5):
            coded = symbols_of(codec, latents(codec, x, float(position)), float(position))
            for (symbols, which, tables), counts in zip(coded, (z, y, y), strict=True):
                half = tables.halves[which]
                place = np.where(np.abs(symbols) > half, 2 * half + 1, symbols + half)
                for i in np.unique(which):
                    np.add.at(counts[i], place[which == i], 1)
    first_y, first_z = first_tables()
    return (_blended(y, first_y, 200.0), _blended([_smooth(c) for c in z], first_z, 2.0))


def _blended(counts: list[np.ndarray], first: Tables, strength: float) -> Tables:
    prior = [first.counts[a:b] / first.counts[a:b].sum() for a, b in zip(first.starts[:-1], first.starts[1:], strict=True)]
    return Tables.of([table(c + strength * p) for c, p in zip(counts, prior, strict=True)])


def _smooth(counts: np.ndarray) -> np.ndarray:
    """A third of the counts shared with both neighbours: z is counted on few places."""
    return np.append(0.7 * counts[:-1] + 0.3 * np.convolve(counts[:-1], [1 / 3] * 3, "same"), counts[-1])


def _gaussian(half: int, sigma: float) -> np.ndarray:
    from scipy.stats import norm

    edges = np.arange(-half, half + 2) - 0.5
    return np.diff(norm.cdf(edges / sigma))


def _with_escape(p: np.ndarray) -> np.ndarray:
    return np.append(p, max(1e-5, 1 - p.sum()))


def exported(network: CodecNet, photos: list[np.ndarray]) -> dict[str, Tensor]:
    """Return all tensors of the shipped file."""
    tensors = quantise(network)
    tensors |= weights.packed(network.analysis, "analysis.") | weights.packed(network.hyper_analysis, "hyper_analysis.")
    for tables in (first_tables(), None):
        y, z = tables or counted(assembled(tensors), photos)
        for name, t in (("y", y), ("z", z)):
            tensors[f"{name}_counts"], tensors[f"{name}_starts"] = torch.from_numpy(t.counts), torch.from_numpy(t.starts)
    return tensors


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, nargs="+", default=[Path("runs/codec.safetensors")],
                        help="A checkpoint, or several of one run: their mean, which is quieter than any of them.")
    parser.add_argument("--photos", type=int, default=40, help="How many photographs are counted.")
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_name("codec.safetensors"))
    a = parser.parse_args()
    network = CodecNet()
    states = [checkpoint.read(path)[0] for path in a.run]
    network.load_state_dict({k.removeprefix("network."): torch.stack([s[k].float() for s in states]).mean(dim=0)
                             for k in states[0] if k.startswith("network.")})
    images = Photos(data_root(), (0.5, 0.85), SIDE).images
    chosen = [images[i] for i in np.random.default_rng(0).choice(len(images), a.photos, replace=False)]
    weights.save(a.out, exported(network, chosen), {"trained_by": "python -m hubel.autoencode.codec.train"})
    print(a.out)


if __name__ == "__main__":
    main()
