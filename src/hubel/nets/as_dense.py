"""Weight sharing made visible: the dense matrix that computes what a convolution computes. Depends on torch.

The matrix has (outputs) x (inputs) entries, of which all but n C k² per position are forced to 0 and the others are
copies of n C k² numbers. The gradient of a shared weight is the sum over its copies.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.errors import InputError

_CONVS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d


def as_dense(conv: Conv, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return (W, b) with W (outputs, inputs) and b (outputs,) so that conv(x).flatten() == W @ x.flatten() + b.

    shape : of one input, (C, ...), channels first. W is differentiable in conv.weight. Raises InputError for an input
    that does not fit, and for a matrix of more than 10^8 entries.
    """
    index, dims = weight_index(conv, shape)
    flat = torch.cat([conv.weight.flatten(), conv.weight.new_zeros(1)])  # the last place is the forced zero
    positions = math.prod(dims[1:])
    bias = conv.bias if conv.bias is not None else conv.weight.new_zeros(conv.out_channels)
    return flat[index], bias.repeat_interleave(positions)


def weight_index(conv: Conv, shape: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
    """Return, for each entry of the dense matrix, which entry of conv.weight stands there (conv.weight.numel() for a
    forced zero), and the output's shape."""
    if len(shape) != conv.weight.ndim - 1 or shape[0] != conv.in_channels:
        raise InputError(f"shape {shape} does not fit a convolution of {conv.in_channels} channels: give (C, ...)")
    if conv.padding_mode != "zeros":
        raise InputError(f"padding_mode={conv.padding_mode!r} has no matrix of forced zeros: only 'zeros' has")
    inputs = math.prod(shape)
    with torch.no_grad():
        # Number the weights from 1 and send unit inputs through, a filter at a time: what comes out is the number.
        run = _CONVS[conv.weight.ndim - 2]
        names = torch.arange(1, conv.weight.numel() + 1, dtype=torch.float64).view_as(conv.weight)
        probe = run(torch.zeros(1, *shape, dtype=torch.float64), names, None, conv.stride, conv.padding, conv.dilation,
                    conv.groups)
        dims = tuple(probe.shape[1:])
        if inputs * math.prod(dims) > 10**8:
            raise InputError(f"the dense matrix would have {inputs * math.prod(dims):,} entries: take a smaller shape")
        units = torch.eye(inputs, dtype=torch.float64).view(inputs, *shape)
        columns = run(units, names, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    index = columns.flatten(1).t().round().long() - 1
    return torch.where(index < 0, conv.weight.numel(), index), dims
