"""From a trained network to the file that ships: integers, 8-bit encoder, and tables counted on photographs.

`python -m hubel.autoencode.codec.export --run runs/codec.safetensors`. Needs HUBEL_DATA. Depends on train, coding.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hubel.autoencode.codec.coding import Codec, assembled, encode, latents
from hubel.autoencode.codec.context import SCALES, SMALLEST, laplace_bits
from hubel.autoencode.codec.integer import ROW, quantise
from hubel.autoencode.codec.network import CodecNet
from hubel.autoencode.codec.photos import Photographs
from hubel.autoencode.codec.tables import Tables, table
from hubel.autoencode.restore import weights
from hubel.training import checkpoint

MOST = 600  # symbols a table goes to each side: what lies beyond is escaped
QUALITIES = (1, 12, 23, 34, 45, 56, 67, 78, 89, 100)  # counted at


def halves() -> list[int]:
    """How far each table goes: about ten scales of its Laplacian, 3 at least."""
    return [int(np.clip(np.ceil(10 * np.exp(SMALLEST + ROW * i)), 3, MOST)) for i in range(SCALES)]


def first_tables() -> Tables:
    """Laplacians: where counting begins, and what rare symbols fall back on."""
    out = []
    for i, half in enumerate(halves()):
        scale = torch.tensor(SMALLEST + ROW * i, dtype=torch.float64).exp()
        p = 2 ** -laplace_bits(torch.arange(-half, half + 1).abs().double(), scale).numpy()
        out.append(table(np.append(p + 1e-5, 2e-5)))
    return Tables.of(out)


def counted(codec: Codec, photos: list[np.ndarray]) -> Tables:
    """Return tables of how often each symbol occurs in `photos`."""
    counts = [np.zeros(2 * half + 2) for half in halves()]

    def count(symbols: np.ndarray, which: np.ndarray, tables: Tables) -> None:
        half = tables.halves[which]
        place = np.where(np.abs(symbols) > half, 2 * half + 1, symbols + half)
        for i in np.unique(which):
            counts[i] += np.bincount(place[which == i], minlength=len(counts[i]))

    for k, image in enumerate(photos):
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        for quality in QUALITIES[k % 2 :: 2]:
            encode(codec, latents(codec, x, quality), quality, count)
    first = first_tables()
    prior = [first.counts[a:b] / first.counts[a:b].sum() for a, b in zip(first.starts[:-1], first.starts[1:], strict=True)]
    return Tables.of([table(_symmetric(c) + 300 * p) for c, p in zip(counts, prior, strict=True)])


def _symmetric(counts: np.ndarray) -> np.ndarray:
    """Plus and minus are as likely; large numbers, which are rare, share their counts with their neighbours."""
    both = (counts[:-1] + counts[-2::-1]) / 2
    half = len(both) // 2
    if half > 12:
        smooth = np.convolve(both, [1 / 5] * 5, "same")
        far = np.abs(np.arange(-half, half + 1)) > 8
        both[far] = smooth[far]
    return np.append(both, counts[-1])


@torch.no_grad()
def exported(network: CodecNet, photos: list[np.ndarray]) -> dict[str, Tensor]:
    """Return all tensors of the shipped file."""
    tensors = quantise(network)
    packed = weights.packed(network.analysis, "analysis.")
    tensors |= {name: t for name, t in packed.items() if not name.startswith("analysis.linear")}
    for count in (False, True, True):  # by tables that were counted, other roundings are the cheaper ones
        tables = counted(assembled(tensors), photos) if count else first_tables()
        tensors["counts"], tensors["starts"] = torch.from_numpy(tables.counts), torch.from_numpy(tables.starts)
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/codec.safetensors"), help="The checkpoint.")
    parser.add_argument("--photos", type=int, default=120, help="How many photographs are counted.")
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_name("codec.safetensors"))
    a = parser.parse_args()
    network = CodecNet()
    state = checkpoint.read(a.run)[0]
    network.load_state_dict({k.removeprefix("network."): t for k, t in state.items() if k.startswith("network.")})
    images = Photographs().images
    chosen = [images[i] for i in np.random.default_rng(0).choice(len(images), a.photos, replace=False)]
    weights.save(a.out, exported(network, chosen), {"trained_by": "python -m hubel.autoencode.codec.train"})
    print(a.out)


if __name__ == "__main__":
    main()
