"""Integrated gradients: shares of each pixel in the difference of the logit to a baseline image. Depends on gradient.

Sundararajan et al. 2017 (arXiv:1703.01365): IG = (x - b) * integral over a in 0..1 of d logit / dx at b + a (x - b).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.look.attribution import Attribution, result_of, wanted
from hubel.look.gradient import input_gradients

MOST = 512  # steps


def integrated_gradients(model: Any, x: Any, y: Any = None, baseline: Any = 0.0, steps: int = 32, tolerance: float = 0.02
                         ) -> Attribution:
    """Return integrated gradients (N, C, H, W) along the straight line from `baseline`, in logits.

    baseline : a grey level, or images that `model.prepare` takes. steps : places of a Gauss-Legendre rule, doubled up to
    512 until completeness holds: the maps sum to logit(x) - logit(baseline), up to `tolerance` of it. The error that is
    left stands in checks['completeness'], signed, per image; checks['complete'] says for which it is small enough.
    """
    images = model.prepare(x).detach()
    grey = isinstance(baseline, int | float)
    base = torch.full_like(images, float(baseline)) if grey else model.prepare(baseline).detach()
    if base.shape[1:] != images.shape[1:] or len(base) not in (1, len(images)):
        raise InputError(f"a baseline of shape {tuple(base.shape)} for images of {tuple(images.shape)}: one or one each")
    base = base.expand_as(images)
    targets, logits, _ = input_gradients(model.forward, images, wanted(y, len(images)))
    with torch.no_grad():
        start = torch.cat([model.forward(b) for b in base.split(16)]) if len(base) else logits
    difference = (logits - start).gather(1, targets[:, None])[:, 0]
    forward = model.fast(images, "fp32")
    maps, error = torch.zeros_like(images), torch.full_like(difference, torch.inf)
    todo = torch.ones(len(images), dtype=torch.bool)
    used = steps
    while todo.any():
        maps[todo] = _integral(forward, images[todo], base[todo], targets[todo], used)
        error = maps.flatten(1).sum(1) - difference
        todo = error.abs() > tolerance * difference.abs().clamp_min(1e-6)
        if used >= MOST:
            break
        used = min(MOST, 2 * used)
    checks = {"completeness": error.tolist(), "difference": difference.tolist(), "complete": (~todo).tolist()}
    return result_of("Integrated gradients", model, images, maps, targets, logits, "added to the logit by a pixel",
                     {"steps": steps, "tolerance": tolerance}, checks)


def _integral(forward: Any, x: Tensor, base: Tensor, targets: Tensor, steps: int) -> Tensor:
    places, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(x)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        total += float(weight) * input_gradients(forward, base + float(place) * (x - base), targets)[2]
    return (x - base) * total
