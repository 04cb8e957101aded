"""Images in, float tensors in 0..1 out: the conventions of DESIGN.md in code. Depends on NumPy and torch alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError


def as_batch(x: Any, channels: int | None = None) -> Tensor:
    """Return images as a float32 tensor (N, C, H, W) with values in 0..1.

    Parameters
    ----------
    x : NumPy array (H, W), (H, W, C) or (N, H, W, C); torch tensor (H, W), (C, H, W) or (N, C, H, W);
        anything NumPy can read, such as a PIL image; or a list of such single images of one size.
        uint8 and bool are 0..255 and 0..1; floats must lie in 0..1 already.
    channels : 1 or 3 turns colour into grey (ITU-R BT.601 luma, as Pillow does) or repeats grey, and drops an
        alpha channel; None leaves the channels as they are.

    Raises
    ------
    InputError : NaN or infinite values, floats outside 0..1, integer types other than uint8, a wrong rank,
        or a channel count that cannot be turned into `channels`.

    A torch tensor that needs a gradient keeps it: everything here is differentiable.
    """
    if isinstance(x, (list, tuple)):
        return _as_batch_of_list(x, channels)
    t = x if isinstance(x, Tensor) else _from_numpy(x)
    if t.ndim == 2:
        t = t[None, None]
    elif t.ndim == 3:
        t = t[None]
    elif t.ndim != 4:
        raise InputError(
            f"an image batch has 4 dimensions, not {t.ndim} (shape {tuple(x.shape)}): "
            "NumPy is (N, H, W, C), torch is (N, C, H, W)"
        )
    if 0 in t.shape[1:]:
        raise InputError(f"an image of shape {tuple(t.shape[1:])} has no pixels")
    return with_channels(_unit_range(t), channels)


def _as_batch_of_list(images: Sequence[Any], channels: int | None) -> Tensor:
    if not images:
        raise InputError("the list of images is empty: give at least one")
    singles = [as_batch(image, channels) for image in images]
    shapes = {tuple(s.shape[1:]) for s in singles}
    if len(shapes) > 1:
        raise InputError(f"images of different shapes {sorted(shapes)[:3]} cannot share a batch: resize them first")
    return torch.cat(singles)


def _from_numpy(x: Any) -> Tensor:
    a = np.asarray(x)
    if a.dtype == object or a.dtype.kind in "USOc":
        raise InputError(f"expected images as an array of numbers, not {type(x).__name__} of {a.dtype}")
    if a.ndim == 3:
        a = a.transpose(2, 0, 1)
    elif a.ndim == 4:
        a = a.transpose(0, 3, 1, 2)
    if not a.flags.writeable or any(s < 0 for s in a.strides):
        a = a.copy()
    return torch.from_numpy(a.astype(a.dtype.newbyteorder("="), copy=False))


def _unit_range(t: Tensor) -> Tensor:
    if t.dtype == torch.uint8:
        return t.float().div_(255)
    if t.dtype == torch.bool:
        return t.float()
    if not t.dtype.is_floating_point:
        raise InputError(f"pixels are uint8 0..255 or float 0..1, not {str(t.dtype).removeprefix('torch.')}")
    t = t.float()
    if t.numel():
        low, high = (v.item() for v in torch.aminmax(t.detach()))
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError("the images hold NaN or infinite pixels: replace them first")
        if low < -1e-6 or high > 1 + 1e-6:
            hint = "divide by 255" if low >= 0 and high <= 255 else "Hubel normalises inside the model"
            raise InputError(f"float pixels must lie in 0..1, these span {low:.4g}..{high:.4g}: {hint}")
    return t


def with_channels(t: Tensor, channels: int | None) -> Tensor:
    """Turn a batch (N, C, H, W) in 0..1 into one of `channels` channels (see `as_batch`)."""
    have = t.shape[1]
    if channels is None or have == channels:
        return t
    if have in (2, 4) and have - 1 in (1, channels, 3):
        t, have = t[:, :-1], have - 1  # drop alpha
    if have == channels:
        return t
    if have == 3 and channels == 1:
        return (0.299 * t[:, 0] + 0.587 * t[:, 1] + 0.114 * t[:, 2])[:, None]
    if have == 1:
        return t.expand(-1, channels, -1, -1)
    raise InputError(f"the images have {t.shape[1]} channels and {channels} are wanted")


def as_arrays(t: Tensor) -> np.ndarray:
    """Return a batch (N, C, H, W) in 0..1 as uint8 (N, H, W, C), rounded to the nearest of the 256 levels."""
    return (t.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def parse_eps(eps: float | str) -> float:
    """Return a perturbation size in pixels of 0..1: `"8/255"`, `8/255` and `0.0314` are all understood.

    Raises InputError for text that is not a number, negatives, NaN.
    """
    try:
        parts = [float(part) for part in eps.split("/", 1)] if isinstance(eps, str) else [float(eps)]
        value = parts[0] / parts[1] if len(parts) == 2 else parts[0]
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise InputError(f"eps={eps!r} is not a number: write '8/255' or 0.03") from error
    if not np.isfinite(value) or value < 0:
        raise InputError(f"eps={eps!r} must be a finite number of at least 0")
    return value
