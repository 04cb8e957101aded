"""A fast evaluation copy of a network whose layers can still be read by the original's names. Depends on the engine.

The engine's copy has batch norm folded and runs in bf16 where that is right for the logits; a layer in the middle may
still differ (a convolution whose norm was folded into it). So every layer that is asked for is compared with the
original on a sample, and the fastest copy on which all of them agree is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hubel.engine import settings, using
from hubel.look.capture import Taps, activations

TOLERANCE = 0.1  # of a layer's spread, root mean square: bf16 stays below 0.065 in all layers of EfficientNet-Lite0


class Quick:
    """`network` takes what `inputs(x)` makes of pixels in 0..1; its layers have the original's names."""

    def __init__(self, model: Any, network: nn.Module, dtype: torch.dtype, copied: bool) -> None:
        self.model, self.network, self.dtype, self.copied = model, network, dtype, copied
        self.precision = "bf16" if dtype is torch.bfloat16 else "fp32"

    def inputs(self, x: Tensor) -> Tensor:
        x = self.model.normalise(x).to(self.dtype)
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 and self.copied else x


def quick(model: Any, names: Sequence[str], x: Tensor, fusion: bool = True) -> Quick:
    """Return the fastest copy of `model`'s network that agrees with it at the layers `names` and at the output.

    `x` is a batch (N, C, H, W) in 0..1, of which the first four are tried. Without a sound copy, the network itself.
    `fusion=False`: what activation functions are given can be read, too.
    """
    sample = model.normalise(x[:4]).detach()
    with Taps(model.network, names) as taps, torch.no_grad():
        taps.run(sample)
    for folding, fusing, precision in ((True, True, "auto"), (True, False, "auto"), (False, False, "auto"), (False, False, "fp32")):
        if fusing and not fusion:
            continue
        with using(folding=folding and settings.folding, fusion=fusing and settings.fusion):
            copy = model.frozen(sample, precision)
        if not copy.owns:
            break
        candidate = Quick(model, copy.network.network, copy.dtype, True)
        if _agrees(candidate, names, x[:4], taps.seen):
            return candidate
    return Quick(model, model.network, torch.float32, False)


def _agrees(candidate: Quick, names: Sequence[str], x: Tensor, expected: dict[str, Tensor]) -> bool:
    try:
        found = activations(candidate.network, candidate.inputs(x), names)
    except (RuntimeError, ValueError):  # a layer that folding has taken out, an operation without a bf16 kernel
        return False
    for name in names:
        a, b = found[name].double(), expected[name].double()
        if a.shape != b.shape or not torch.isfinite(a).all():
            return False
        error = (a - b).square().mean().sqrt()
        if error > TOLERANCE * b.std(correction=0).clamp_min(1e-3 * b.abs().mean().clamp_min(1e-12)):
            return False
    return True
