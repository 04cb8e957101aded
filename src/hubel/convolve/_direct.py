"""The definition, window by window: compiled where there is a compiler, else by OpenCV (images) or the engine.

Depends on the ways beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hubel.convolve import _engine, _native, _opencv
from hubel.convolve._borders import Pads, pad


def run(x: Tensor, w: Tensor, mode: str, pads: Pads, dilation: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
    """x (N, C, *S) of w's type or uint8, w (F, C or 1, *K) -> (N, F or C, *O), stride 1; uint8 if `dtype` is, maybe."""
    if _native.usable(x, w):
        return _native.direct(x, w, mode, pads, dilation, dtype)
    x = x.to(w.dtype)
    if _opencv.usable(x, w):
        return _opencv.run(x, w, mode, pads, dilation)
    return _engine.run(pad(x, mode, pads), w, (1,) * len(pads), dilation)
