"""What does the answer lose when a part is hidden? Occlusion by a window, and RISE. Depends on attribution.

Zeiler and Fergus 2014 (arXiv:1311.2901); Petsiuk et al. 2018, 'RISE' (arXiv:1806.07421). Neither needs gradients: both only
ask the model.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.errors import InputError
from hubel.look.attribution import Attribution, chosen, chunk_of, result_of, wanted


def occlusion(model: Any, x: Any, y: Any = None, window: int | None = None, stride: int | None = None, fill: float = 0.5,
              precision: str = "auto") -> Attribution:
    """Return (N, 1, H, W): by how much the logit falls when a square is set to grey level `fill`, averaged over the squares
    that cover a pixel.

    window : side in pixels, by default an eighth of the image; stride : by default half the window.
    """
    images = model.prepare(x).detach()
    height, width = images.shape[2:]
    window = max(1, max(height, width) // 8) if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= window <= min(height, width) or stride < 1:
        raise InputError(f"window={window}, stride={stride} on {height} x {width} pixels: the window must fit the image")
    tops, lefts = _starts(height, window, stride), _starts(width, window, stride)
    hidden = torch.zeros(len(tops) * len(lefts), 1, height, width)
    for i, (top, left) in enumerate((t, s) for t in tops for s in lefts):
        hidden[i, :, top : top + window, left : left + window] = 1
    forward = model.fast(images, precision)
    targets, logits = _answers(model, images, y)
    maps = []
    for image, target in zip(images, targets, strict=True):
        with torch.no_grad():
            whole = forward(image[None])[0, target]
            parts = [forward(image * (1 - m) + fill * m)[:, target] for m in hidden.split(chunk_of(images))]
        drop = (whole - torch.cat(parts)).view(-1, 1, 1, 1)
        maps.append((drop * hidden).sum(0) / hidden.sum(0))
    return result_of("Occlusion", model, images, torch.stack(maps) if maps else images[:, :1], targets, logits,
                     "the logit lost when a window is hidden",
                     {"window": window, "stride": stride, "fill": fill, "precision": forward.precision}, {})


def rise(model: Any, x: Any, y: Any = None, masks: int = 1000, cells: int = 7, keep: float = 0.5, seed: int = 0,
         precision: str = "auto") -> Attribution:
    """Return (N, 1, H, W): the mean probability of the class over random masks that show a pixel (equation 6).

    masks : how many; cells : a mask is a random grid of cells x cells, each shown with probability `keep`, enlarged
    smoothly and shifted at random. checks['standard_error'] is that of the map, as a share of its spread over places.
    """
    if masks < 2 or not 0 < keep < 1 or cells < 1:
        raise InputError(f"masks={masks}, keep={keep}, cells={cells}: give two masks or more and keep between 0 and 1")
    images = model.prepare(x).detach()
    shown = random_masks(masks, cells, keep, (int(images.shape[2]), int(images.shape[3])), seed)
    forward = model.fast(images, precision)
    targets, logits = _answers(model, images, y)
    maps, errors = [], []
    for image, target in zip(images, targets, strict=True):
        with torch.no_grad():
            p = torch.cat([model.probabilities(forward(image * m))[:, target] for m in shown.split(chunk_of(images))])
        maps.append((p.view(-1, 1, 1, 1) * shown).mean(0) / keep)
        error = (p.var() * shown.square().mean(0) / masks).sqrt() / keep
        errors.append(float(error.mean() / maps[-1].std().clamp_min(1e-12)))
    return result_of("RISE", model, images, torch.stack(maps) if maps else images[:, :1], targets, logits,
                     "mean probability where the place is shown",
                     {"masks": masks, "cells": cells, "keep": keep, "seed": seed, "precision": forward.precision},
                     {"standard_error": errors})


def random_masks(number: int, cells: int, keep: float, size: tuple[int, int], seed: int) -> Tensor:
    """Return masks (number, 1, H, W) in 0..1 whose mean is `keep` everywhere."""
    generator = torch.Generator().manual_seed(seed)
    height, width = (-(-side // cells) for side in size)
    grid = (torch.rand(number, 1, cells + 1, cells + 1, generator=generator) < keep).float()
    large = F.interpolate(grid, size=((cells + 1) * height, (cells + 1) * width), mode="bilinear", align_corners=False)
    tops = torch.randint(0, height, (number,), generator=generator).tolist()
    lefts = torch.randint(0, width, (number,), generator=generator).tolist()
    return torch.stack([m[:, t : t + size[0], s : s + size[1]] for m, t, s in zip(large, tops, lefts, strict=True)])


def _starts(side: int, window: int, stride: int) -> list[int]:
    return sorted({*range(0, side - window + 1, stride), side - window})


def _answers(model: Any, images: Tensor, y: Any) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        logits = torch.cat([model.forward(part) for part in images.split(chunk_of(images))])
    return chosen(logits, wanted(y, len(images))), logits
