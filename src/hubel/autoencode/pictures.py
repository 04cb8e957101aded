"""Inputs beside their reconstructions, and walks through the space of codes. Depends on autoencoder, look.draw.

    reconstructions(coder, images).plot()
    walk(coder, images).plot()                # from image to image
    walk(coder, images, along=4).plot()       # along the four directions in which codes differ most
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hubel.autoencode.autoencoder import Autoencoder
from hubel.errors import InputError
from hubel.look.draw import Group, Shown, as_tile, sheet
from hubel.pixels import as_arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Reconstructions(Shown):
    """Images and what came back of them, uint8 (N, H, W, C); errors: mean squared, (N,), in pixels of 0..1."""

    inputs: np.ndarray
    outputs: np.ndarray
    errors: np.ndarray
    passing: str

    @property
    def psnr(self) -> np.ndarray:
        """Peak signal-to-noise ratio of each, in dB."""
        return -10 * np.log10(np.maximum(self.errors, 1e-10))

    def to_dict(self) -> dict[str, Any]:
        return {"images": len(self.inputs), "error": float(self.errors.mean()), "psnr": float(self.psnr.mean()),
                "errors": self.errors.tolist(), "bottleneck": self.passing}

    def plot(self, most: int = 24) -> Figure:
        """Pairs, the input on the left, evenly spread from the best to the worst."""
        order = np.argsort(self.errors)
        shown = order[np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int))]
        groups = [Group([as_tile(self.inputs[i]), as_tile(self.outputs[i])], note=f"{self.psnr[i]:.1f} dB") for i in shown]
        across = 4 if len(groups) > 6 else max(1, min(3, len(groups)))
        return sheet(groups, 2, across, title="Inputs and their reconstructions",
                     foot=f"{self.passing}\n{len(self.errors):,} images: {self.psnr.mean():.1f} dB in the mean; from the best "
                          "to the worst")


def reconstructions(coder: Autoencoder, x: Any) -> Reconstructions:
    """Reconstruct images (as for any Model, or a Dataset) and keep both."""
    inputs = as_arrays(coder.as_levels(x).float() / 255)
    if not len(inputs):
        raise InputError("there are no images to reconstruct")
    outputs = coder.reconstruct(inputs)
    errors = ((inputs.astype(np.float32) - outputs) / 255) ** 2
    return Reconstructions(inputs, outputs, errors.reshape(len(inputs), -1).mean(1), str(coder.bottleneck or ""))


@dataclass(frozen=True)
class Walk(Shown):
    """Decoded codes on straight lines: images uint8 (lines, steps, H, W, C); names: of the lines; codes alike."""

    images: np.ndarray
    codes: np.ndarray
    names: tuple[str, ...]
    title: str

    def to_dict(self) -> dict[str, Any]:
        return {"title": self.title, "lines": list(self.names), "steps": self.images.shape[1],
                "codes": self.codes.tolist()}

    def plot(self) -> Figure:
        groups = [Group([as_tile(i) for i in line], note=name) for line, name in zip(self.images, self.names, strict=True)]
        return sheet(groups, self.images.shape[1], 1, title=self.title)


def walk(coder: Autoencoder, x: Any, *, steps: int = 9, along: int | None = None, reach: float = 2.5) -> Walk:
    """Walk through the space of codes and decode on the way.

    x : images; from each to the next (two and two) where `along` is None. Else the walk starts from the first image and goes
        `reach` standard deviations to either side in the `along` directions in which the codes of x differ most (their
        principal components: codes have no axes of their own).
    """
    if steps < 2:
        raise InputError(f"steps={steps}: give 2 at least")
    codes = coder.encode(x)
    flat = codes.reshape(len(codes), -1)
    if len(codes) < 2:
        raise InputError("a walk needs two images at least")
    if along is None:
        pairs = [(i, i + 1) for i in range(0, len(flat) - 1, 2)]
        share = np.linspace(0, 1, steps)[:, None]
        lines = [flat[a] * (1 - share) + flat[b] * share for a, b in pairs]
        names = tuple(f"image {a + 1} to image {b + 1}" for a, b in pairs)
        title = "From image to image, through their codes"
    else:
        if not 1 <= along <= flat.shape[1]:
            raise InputError(f"along={along}: the codes have {flat.shape[1]} directions")
        centred = flat - flat.mean(0)
        _, spread, directions = np.linalg.svd(centred[:4096], full_matrices=False)
        spread = spread / np.sqrt(max(1, min(len(flat), 4096) - 1))
        along = min(along, len(spread))
        places = np.linspace(-reach, reach, steps)[:, None]
        lines = [flat[0] + places * spread[i] * directions[i] for i in range(along)]
        share_of = spread**2 / max(float((spread**2).sum()), 1e-12)
        names = tuple(f"direction {i + 1}: {share_of[i]:.0%} of how codes differ" for i in range(along))
        title = f"One image, moved {reach:g} standard deviations each way"
    points = np.stack(lines).reshape(len(lines), steps, *coder.code_shape).astype(np.float32)
    images = coder.decode(points.reshape(-1, *coder.code_shape))
    return Walk(images.reshape(len(lines), steps, *images.shape[1:]), points, names, title)
