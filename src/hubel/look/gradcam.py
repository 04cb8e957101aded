"""Which places does a decision come from? Grad-CAM, with its absolute scale kept. Depends on attribution, quick, layers.

Selvaraju et al. 2017 (arXiv:1610.02391). The weights of the maps A_k are a_k = mean over places of d logit / d A_k, and
the result is max(0, sum_k a_k A_k). It is usually divided by its maximum, which hides whether there was anything to
see; here it stays in logits. For a network that ends in global average pooling and one dense layer, the map before the
max sums to the logit less its bias: a value is what its place adds to the logit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.look.attribution import Attribution, chosen, chunk_of, result_of, wanted
from hubel.look.capture import Taps
from hubel.look.layers import layers
from hubel.look.quick import quick
from hubel.model.outputs import logits_of


def gradcam(model: Any, x: Any, y: Any = None, layer: str | None = None) -> Attribution:
    """Return Grad-CAM maps (N, 1, h, w) at `layer`'s resolution, each value what its place adds to the logit of class `y`.

    y None is the predicted class; layer None is the last that tells places apart. Raises InputError for a layer whose
    output has no places.
    """
    return _cam("Grad-CAM", "added to the logit by a place", model, x, y, layer,
                lambda a, g: g.mean((2, 3), keepdim=True))


def gradcam_plus(model: Any, x: Any, y: Any = None, layer: str | None = None) -> Attribution:
    """Return Grad-CAM++ maps (N, 1, h, w), which weigh several instances of a class alike (Chattopadhay et al. 2018,
    arXiv:1710.11063, equation 19 for an exponential score). Their scale is that of the weights, not a share of the logit.
    """
    def weights(a: Tensor, g: Tensor) -> Tensor:
        below = 2 * g.square() + a.sum((2, 3), keepdim=True) * g**3
        alpha = torch.where(below != 0, g.square() / torch.where(below != 0, below, 1.0), 0.0)
        return (alpha * g.clamp_min(0)).sum((2, 3), keepdim=True)

    return _cam("Grad-CAM++", "weighted activation", model, x, y, layer, weights)


def _cam(method: str, unit: str, model: Any, x: Any, y: Any, layer: str | None,
         weights: Callable[[Tensor, Tensor], Tensor]) -> Attribution:
    images = model.prepare(x).detach()
    listed = layers(model, images)
    at = listed.last_map() if layer is None else listed[layer]
    if len(at.shape) != 3:
        raise InputError(f"layer {at.name!r} gives vectors of {at.channels}: {method} needs maps with places")
    copy = quick(model, [at.name], images)
    maps, targets, outputs = [], [], []
    size, given = chunk_of(images), wanted(y, len(images))
    with Taps(copy.network, [at.name], keep="cut") as taps, torch.enable_grad():
        for start in range(0, len(images), size):
            logits = logits_of(taps.run(copy.inputs(images[start : start + size]))).float()
            target = chosen(logits.detach(), None if given is None else given[start : start + size])
            activation = taps[at.name]
            (g,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), activation)
            a = activation.detach().float()
            maps.append(weighted(a, weights(a, g.float())))
            targets.append(target)
            outputs.append(logits.detach())
    return result_of(method, model, images, torch.cat(maps), torch.cat(targets), torch.cat(outputs), unit,
                     {"precision": copy.precision}, layer=at.name)


def weighted(activation: Tensor, weights: Tensor) -> Tensor:
    """Return max(0, sum_k a_k A_k) (N, 1, h, w) for maps A (N, K, h, w) and weights a (N, K, 1, 1)."""
    return (activation * weights).sum(1, keepdim=True).clamp_min(0)
