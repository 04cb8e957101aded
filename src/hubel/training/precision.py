"""How a training step runs fast here: memory layout and bf16, as `hubel.engine` says where it pays.

The loop asks the engine through these functions only. A resumed run keeps the precision it began in, whatever a new
measurement would say: the same bits come out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from hubel import engine

Context = Callable[[], AbstractContextManager]


def forward_context(network: nn.Module, sample: Tensor, low: bool | None = None) -> tuple[Context, bool]:
    """What to run the forward pass in (a fresh context manager at every call), and whether that is low precision.

    `sample` is one normalised batch; `low` is the answer of an earlier part of the run, None to let the engine decide.
    """
    if low is None:
        context = engine.autocast(network, sample)
        return context, context is not nullcontext
    if not low:
        return nullcontext, False
    return lambda: torch.autocast(sample.device.type, dtype=torch.bfloat16), True


def image_order(x: Tensor) -> torch.memory_format:
    """The memory order in which a batch goes into the network."""
    return torch.channels_last if x.ndim == 4 and engine.settings.layout else torch.preserve_format
