"""Fill holes in photographs. Depends on filling, network, tiles, weights and the engine."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.autoencode.restore import weights
from hubel.autoencode.restore.filling import filled
from hubel.autoencode.restore.network import painter
from hubel.autoencode.restore.pictures import as_picture, like
from hubel.autoencode.restore.tiles import by_tiles
from hubel.errors import InputError

REACH = 160  # pixels of overlap between tiles: what lies further away hardly counts (the network's reach is larger)


@torch.no_grad()
def inpaint(image: Any, mask: Any) -> np.ndarray:
    """Return the image with its holes filled; every known pixel stays what it was, to the bit.

    Parameters
    ----------
    image : (H, W), (H, W, 1) or (H, W, 3), uint8 or float 0..1. What it holds inside the holes is not looked at.
    mask : (H, W) or (H, W, 1), bool or numbers: not zero where a pixel is missing, as in OpenCV's inpaint.

    Returns
    -------
    An array of the image's shape; uint8 for uint8, the image's float type for floats.

    Raises
    ------
    InputError : shapes that do not fit, or a mask that leaves nothing known.

    Holes are first filled smoothly (push-pull); a U-net then adds what the surroundings suggest. It minimises squared errors:
    wide holes are filled plausibly but without invented detail.
    """
    array = np.asarray(image)
    hole = _as_mask(mask, array.shape)
    clean = np.where(hole.reshape(hole.shape + (1,) * (array.ndim - 2)), np.zeros((), array.dtype), array)
    x, grey = as_picture(clean)
    out = array.copy()
    if not hole.any():
        return out
    if hole.all():
        raise InputError("the mask covers the whole image: there is nothing to go by")
    missing = torch.from_numpy(hole)[None, None].float()
    x = filled(x, missing)
    network, multiple = _network()
    change = by_tiles(network, torch.cat([x - 0.5, missing], dim=1), multiple, REACH, wanted=hole)
    answer = like(array, x + change, grey)
    out[hole] = answer[hole]
    return out


def _as_mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    hole = np.asarray(mask)
    if hole.ndim == 3 and hole.shape[2] == 1:
        hole = hole[..., 0]
    if hole.shape != shape[:2]:
        raise InputError(f"a mask of shape {hole.shape} does not fit an image of shape {shape}: it must be (H, W)")
    return hole != 0


@lru_cache(maxsize=1)
def _network() -> tuple[nn.Module, int]:
    network = painter()
    weights.unpack(network, weights.shipped("hubel.autoencode.restore", "inpaint.safetensors"))
    draws = torch.Generator().manual_seed(0)
    sample: Tensor = torch.rand(1, network.inputs, 96, 96, generator=draws) - 0.5
    sample[:, 3:] = (sample[:, 3:] > 0).float()
    return engine.frozen(network, sample), network.multiple
