"""Images as the hand-made features want them: grey float32 batches, and gradients. Depends on `hubel.pixels`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.pixels import as_batch


def grey(x: Any) -> Tensor:
    """Return images as float32 (N, H, W) in 0..1 (see `hubel.pixels.as_batch`); one image is a batch of one."""
    return as_batch(_plain(x), channels=1)[:, 0].detach()


def colour(x: Any) -> Tensor:
    """Return images as float32 (N, C, H, W) in 0..1."""
    return as_batch(_plain(x)).detach()


def exact_colour(x: Any) -> tuple[Tensor, float]:
    """Return images (N, C, H, W) as they are stored, and what to divide them by to have them in 0..1: float64 stays
    float64, and uint8 keeps its whole numbers, so that equal differences stay equal."""
    images = colour(x)
    kinds = {v.dtype for v in (x if isinstance(x, (list, tuple)) else [x]) if isinstance(v, (Tensor, np.ndarray))}
    if kinds == {np.dtype(np.uint8)} or kinds == {torch.uint8}:
        return images.mul_(255).round_(), 255.0
    if kinds != {np.dtype(np.float64)}:
        return images, 1.0
    values = [np.asarray(v) for v in x] if isinstance(x, (list, tuple)) else [x]
    stacks = [v.reshape(-1, *v.shape[-2:], 1) if v.ndim == 2 else v.reshape(-1, *v.shape[-3:]) for v in values]
    return torch.cat([torch.from_numpy(np.array(np.moveaxis(v, -1, 1))) for v in stacks]), 1.0


def _plain(x: Any) -> Any:
    if isinstance(x, (Tensor, list, tuple)):
        return x
    a = np.asarray(x)
    if a.ndim == 3 and a.shape[2] > 4:
        raise InputError(f"a NumPy array of 3 dimensions is one image (H, W, C), and {a.shape} has {a.shape[2]} channels: "
                         "give a stack of grey images as x[..., None]")
    return a


def is_batch(x: Any) -> bool:
    """Return whether x is more than one image by the conventions: a list, or rank 4."""
    return isinstance(x, (list, tuple)) or getattr(x, "ndim", 0) == 4


def centred_differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return (down, right) differences x[i+1] - x[i-1] over the last two axes, 0 on the rim."""
    down, right = torch.zeros_like(x), torch.zeros_like(x)
    torch.sub(x[..., 2:, :], x[..., :-2, :], out=down[..., 1:-1, :])
    torch.sub(x[..., :, 2:], x[..., :, :-2], out=right[..., :, 1:-1])
    return down, right


def strongest_channel(down: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (down, right, magnitude) (N, H, W) of the channel (axis 1) whose gradient is longest at each pixel."""
    magnitude = torch.hypot(down, right)
    if down.shape[1] == 1:
        return down[:, 0], right[:, 0], magnitude[:, 0]
    magnitude, which = magnitude.max(1, keepdim=True)
    return down.gather(1, which)[:, 0], right.gather(1, which)[:, 0], magnitude[:, 0]
