"""Which pixels does a decision hang on? The gradient of a logit with respect to the pixels. Depends on attribution, torch.

Simonyan et al. 2014, 'Deep Inside Convolutional Networks' (arXiv:1312.6034).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hubel.look.attribution import Attribution, chosen, chunk_of, result_of, wanted


def gradient(model: Any, x: Any, y: Any = None) -> Attribution:
    """Return d logit[y] / d pixel for images `x` (anything `model.prepare` takes); y None is the predicted class.

    maps (N, C, H, W) at the model's size, in logits per unit of pixel (0 is black, 1 is white), in full precision.
    """
    images = model.prepare(x).detach()
    targets, logits, maps = input_gradients(model.forward, images, wanted(y, len(images)))
    return result_of("Input gradient", model, images, maps, targets, logits, "change of the logit per unit of pixel")


def input_gradients(forward: Callable[[Tensor], Tensor], x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return (targets (N,), logits (N, K), gradients like x) of logit[target], a bounded number of images at a time."""
    targets, logits, gradients = [], [], []
    start = 0
    for part in x.split(chunk_of(x)):
        part = part.detach().requires_grad_()
        with torch.enable_grad():
            out = forward(part)
            target = chosen(out.detach(), None if y is None else y[start : start + len(part)])
            (g,) = torch.autograd.grad(out.gather(1, target[:, None]).sum(), part)
        start += len(part)
        targets.append(target)
        logits.append(out.detach().float())
        gradients.append(g.float())
    if not targets:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, 1), torch.zeros_like(x)
    return torch.cat(targets), torch.cat(logits), torch.cat(gradients)
