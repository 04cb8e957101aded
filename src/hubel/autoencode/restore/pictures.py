"""One picture in, as a float tensor of three channels, and out again as what it was. Depends on NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.pixels import as_arrays, as_batch


def as_picture(image: Any, clipped: bool = True) -> tuple[Tensor, bool]:
    """Return (1, 3, H, W) float32 and whether the image was grey: (H, W), (H, W, 1) or (H, W, 3), uint8 or float.

    Floats are 0..1; with `clipped` false they may be anything finite. Raises InputError.
    """
    array = np.asarray(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        raise InputError(f"an array of shape {array.shape} is no picture: (H, W), (H, W, 1) or (H, W, 3)")
    if not clipped and array.dtype.kind == "f" and array.size:
        if not np.isfinite(array).all():
            raise InputError("the picture holds NaN or infinite pixels: replace them first")
        if array.min() < -4 or array.max() > 5:
            raise InputError(f"float pixels lie around 0..1, these span {array.min():.4g}..{array.max():.4g}: divide by 255")
        x = torch.from_numpy(np.atleast_3d(array).transpose(2, 0, 1)[None].astype(np.float32))
        x = x.expand(1, 3, -1, -1)
    else:
        x = as_batch(array, channels=3)
    return x, array.ndim == 2 or array.shape[2] == 1


def like(image: Any, x: Tensor, grey: bool) -> np.ndarray:
    """Return x (1, 3, H, W) in the shape of `image`: uint8 if that was, else float32, clipped to 0..1."""
    array = np.asarray(image)
    if grey:
        x = x.mean(dim=1, keepdim=True)
    if array.dtype.kind == "f":
        out: np.ndarray = x.clamp(0, 1)[0].permute(1, 2, 0).contiguous().numpy()
    else:
        out = as_arrays(x)[0]
    return out.reshape(array.shape)
