"""Batched augmentation: Hubel's transforms against kornia's on the same batches of uint8 images. Needs kornia.

    python bench/augmentation.py [--repeats 7]

Each does the same thing to every image with numbers of its own: from uint8 (N, C, H, W) to what the network is given (for
geometry and colours, float; Hubel's moves of whole pixels stay uint8). Before it is timed, what kornia and Hubel make of one
image by the same angle, shear and factors is compared.
"""

from __future__ import annotations

import argparse
import math

import kornia
import kornia.augmentation as K
import numpy as np
import torch

from _table import alternate, append_results, markdown, median
from hubel.training import augment as A
from hubel.training.augment.warps import resample
from hubel.training.randomness import Draws

CASES = {
    "flip": (A.Flip(), lambda size: K.RandomHorizontalFlip(p=0.5)),
    "shift by 4 pixels": (A.Shift(4), lambda size: K.RandomCrop(size, padding=4, padding_mode="reflect")),
    "rotate by 15 degrees": (A.Rotate(15), lambda size: K.RandomRotation(15.0, p=1.0)),
    "crop and resize": (A.Crop(0.5), lambda size: K.RandomResizedCrop(size, (0.5, 1.0))),
    "flip, crop, rotate, skew, brightness": (
        A.Compose(A.Flip(), A.Crop(0.5), A.Rotate(10), A.Skew(5), A.Brightness(0.2)),
        lambda size: K.AugmentationSequential(K.RandomHorizontalFlip(), K.RandomResizedCrop(size, (0.5, 1.0)),
                                              K.RandomAffine(10.0, shear=5.0, p=1.0), K.RandomBrightness((0.8, 1.2), p=1.0))),
    "cut-out of a quarter": (A.CutOut(16), lambda size: K.RandomErasing((0.25, 0.25), (1.0, 1.0), p=1.0)),
}


def agreement(size: int = 64) -> float:
    """The largest difference between kornia's and Hubel's rotation of a smooth image by one angle, away from the rim."""
    ramp = torch.linspace(0, 1, size)
    x = (0.5 + 0.4 * torch.sin(6 * ramp)[:, None] * torch.cos(5 * ramp)[None])[None, None]
    angle = math.radians(17)
    turn = torch.tensor([[[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]]])
    ours = resample(x, turn, "zero", "bilinear")
    theirs = [kornia.geometry.transform.rotate(x, torch.tensor([sign * 17.0])) for sign in (1, -1)]
    inner = slice(size // 4, -size // 4)
    return min(float((ours - t)[..., inner, inner].abs().max()) for t in theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    rows = []
    for count, size in ((512, 32), (64, 224)):
        x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, size, size), dtype=np.uint8))
        y = torch.zeros(count, dtype=torch.int64)
        for name, (ours, make) in CASES.items():
            ours = ours if isinstance(ours, A.Compose) else A.Compose(ours)
            theirs = make((size, size))
            times = median(alternate({
                "hubel": lambda ours=ours, x=x, y=y, count=count: ours(x, y, Draws(0, 0, np.arange(count))),
                "kornia": lambda theirs=theirs, x=x: theirs(x.float() / 255),
            }, arguments.repeats))
            rows.append([f"{name}, {count} of {size} px", times["hubel"] * 1000, times["kornia"] * 1000,
                         times["kornia"] / times["hubel"]])
    table = markdown(["augmentation", "Hubel, ms", "kornia, ms", "times as fast"], rows,
                     f"Median of {arguments.repeats} alternating runs, kornia {kornia.__version__}. A rotation by one angle "
                     f"differs by {agreement():.1g} at most. Hubel's are drawn for each sample from its own stream, kornia's "
                     "for the batch; kornia takes floats, of which the conversion is counted.")
    print(table)
    append_results("Augmentation against kornia", table)


if __name__ == "__main__":
    main()
