"""The gradient averaged over noisy copies of the image. Depends on gradient.

Smilkov et al. 2017, 'SmoothGrad' (arXiv:1706.03825).
"""

from __future__ import annotations

from typing import Any

import torch

from hubel.errors import InputError
from hubel.look.attribution import Attribution, result_of, wanted
from hubel.look.gradient import input_gradients


def smoothgrad(model: Any, x: Any, y: Any = None, noise: float = 0.1, samples: int = 32, seed: int = 0,
               precision: str = "auto") -> Attribution:
    """Return the mean gradient over `samples` copies of each image with Gaussian noise of deviation `noise` (pixels 0..1).

    maps (N, C, H, W) as of `gradient`. precision 'auto' lets the gradients run in bf16 where that is sound: the noise of
    the average is far larger. checks['standard_error'] is its mean standard error as a share of the mean magnitude.
    """
    if noise < 0 or samples < 1:
        raise InputError(f"noise={noise}, samples={samples}: give noise of at least 0 and one sample or more")
    images = model.prepare(x).detach()
    targets, logits, _ = input_gradients(model.forward, images, wanted(y, len(images)))
    forward = model.fast(images, precision)
    generator = torch.Generator().manual_seed(seed)
    total, squares = torch.zeros_like(images), torch.zeros_like(images)
    for _ in range(samples):
        noisy = images + noise * torch.randn(images.shape, generator=generator)
        g = input_gradients(forward, noisy, targets)[2]
        total += g
        squares += g.square()
    mean = total / samples
    error = ((squares / samples - mean.square()).clamp_min(0) / max(1, samples - 1)).sqrt()
    checks = {"standard_error": float(error.mean() / mean.abs().mean().clamp_min(1e-30))}
    return result_of("SmoothGrad", model, images, mean, targets, logits, "change of the logit per unit of pixel",
                     {"noise": noise, "samples": samples, "seed": seed, "precision": forward.precision}, checks)
