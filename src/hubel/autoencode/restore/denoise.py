"""Take noise off photographs, told its strength or not. Depends on network, tiles, weights and the engine."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.autoencode.restore import weights
from hubel.autoencode.restore.network import denoiser
from hubel.autoencode.restore.pictures import as_picture, like
from hubel.autoencode.restore.tiles import by_tiles
from hubel.errors import InputError

HIGHEST = 75.0  # the strongest noise that the shipped network has seen, of 255


@torch.no_grad()
def denoise(image: Any, sigma: float | None = None) -> np.ndarray:
    """Return the image without its noise.

    Parameters
    ----------
    image : (H, W), (H, W, 1) or (H, W, 3), uint8 or float 0..1 (noise may lead floats outside: they are not clipped).
    sigma : the noise's standard deviation in levels of 0..255, 0 to 75, as papers on denoising give it, whatever the
        image's type. None: unknown; the network then judges it by the image.

    Returns
    -------
    An array of the image's shape; uint8 for uint8, float32 in 0..1 for floats.

    Raises
    ------
    InputError : another shape or type, NaN, sigma outside 0..75.

    The network is a U-net (Ronneberger et al. 2015) at half resolution that is told a map of sigma, as FFDNet is (Zhang et
    al. 2018), and for unknown noise a map that says so. It learned white Gaussian noise, the same everywhere; grain that is
    coarser than a pixel, and JPEG's blocks, it takes for the picture. README.md here says how it was trained and what it
    reaches.
    """
    if sigma is not None and not 0 <= sigma <= HIGHEST:
        raise InputError(f"sigma={sigma} is outside 0..{HIGHEST:.0f} (levels of 0..255): leave it out if it is unknown")
    x, grey = as_picture(image, clipped=False)
    level, known = (0.0, 0.0) if sigma is None else (sigma / 255, 1.0)
    maps = torch.tensor([level, known]).view(1, 2, 1, 1).expand(1, 2, *x.shape[2:])
    network, multiple, reach = _network()
    change = by_tiles(network, torch.cat([x - 0.5, maps], dim=1), multiple, reach)
    return like(image, x + change, grey)


@lru_cache(maxsize=1)
def _network() -> tuple[nn.Module, int, int]:
    network = denoiser()
    weights.unpack(network, weights.shipped("hubel.autoencode.restore", "denoise.safetensors"))
    draws = torch.Generator().manual_seed(0)
    sample: Tensor = torch.rand(1, network.inputs, 96, 96, generator=draws) - 0.5
    sample[:, 3:] = 0
    return engine.frozen(network, sample), network.multiple, network.reach
