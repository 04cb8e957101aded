"""The order of images in memory: channels last, which the fast convolutions of this kind of machine want. Depends on torch."""

from __future__ import annotations

import torch
from torch import nn

from hubel.engine.settings import settings


def lay_out(network: nn.Module) -> nn.Module:
    """Put the weights of 2-D convolutions in channels-last order, in place, if `settings.layout`; the values stay. Those of
    1-D and 3-D convolutions have no such order in torch's convolutions."""
    if settings.layout:
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
