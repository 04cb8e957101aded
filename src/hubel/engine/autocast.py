"""In which precision should this network train on this machine? Depends on precision and choices."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from hubel.engine.choices import choose
from hubel.engine.memory import keep_memory
from hubel.engine.precision import agrees, cpu_has_bf16, faster
from hubel.engine.settings import settings

Context = Callable[[], AbstractContextManager]


def autocast(network: nn.Module, sample: Tensor) -> Context:
    """Return a maker of contexts for the forward pass of training: bf16 autocast where it pays, else nothing.

    `sample` is one normalised batch. bf16 is taken where the CPU computes in it, the outputs agree with fp32's, and a
    forward and backward pass is faster; the answer is measured once for a structure and shape (`engine.choices`). The
    network is not touched: a copy is measured.
    """
    keep_memory()
    if sample.device.type == "cuda" and settings.bf16 and torch.cuda.is_bf16_supported():
        return lambda: torch.autocast("cuda", dtype=torch.bfloat16)
    if sample.device.type != "cpu" or not (settings.bf16 and cpu_has_bf16()):
        return nullcontext
    if choose("train in bf16", network, sample, lambda: _pays(network, sample[:64])):
        return _bf16
    return nullcontext


def _bf16() -> AbstractContextManager:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def _pays(network: nn.Module, sample: Tensor) -> bool:
    try:
        twin = copy.deepcopy(network)
    except Exception:  # whatever a user's module holds
        return False
    with torch.random.fork_rng():
        twin.eval()
        with torch.no_grad():
            full = twin(sample)
            with _bf16():
                low = twin(sample)
        if not isinstance(full, Tensor) or not agrees(low.float(), full):
            return False
        twin.train()
        return faster(lambda: _step(twin, sample, _bf16), lambda: _step(twin, sample, nullcontext))


def _step(network: nn.Module, sample: Tensor, context: Context) -> None:
    with torch.enable_grad(), context():
        outputs = network(sample)
    outputs.float().square().mean().backward()
