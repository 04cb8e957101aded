"""An evaluation copy of a network that runs as fast as this machine allows. Depends on fold, fuse and precision.

The copy has batch norm folded, activation functions fused with their convolutions, channels-last memory, no weight gradients,
its own input gradient, and bf16 where that is right and faster, but for a last dense layer. Large batches go through in chunks
that fit the cache.
"""

from __future__ import annotations

import copy
import itertools
from typing import TypeGuard

import torch
from torch import Tensor, nn

from hubel.engine.choices import choose
from hubel.engine.conv import FrozenConv2d, fuses
from hubel.engine.fold import fold_batch_norm
from hubel.engine.fuse import fuse_activations
from hubel.engine.layout import lay_out
from hubel.engine.memory import keep_memory
from hubel.engine.precision import TOLERANCE, agrees, cpu_has_bf16, faster, input_gradient
from hubel.engine.settings import settings
from hubel.errors import ModelError
from hubel.nets.efficientnet import SameConv2d

CHUNK_PIXELS = 16 * 224 * 224  # 8 to 16 photos of 224 px measured best on 2 MB of L2 cache
TEST_BATCH = 4


def frozen(network: nn.Module, sample: Tensor, precision: str = "auto") -> nn.Module:
    """Return a fast evaluation copy of `network`: same inputs, float32 outputs, differentiable in its input alone.

    Parameters
    ----------
    network : any nn.Module that maps a float batch to a float batch.
    sample : one or more inputs (N, ...), of the shape that will be used; the self-tests run on up to 4 of them.
    precision : 'auto' takes bf16 where it passes the self-test (`engine.precision`), 'fp32' never does.

    Every step is verified on `sample` against the original; one that does not hold is left out. A network that cannot
    be copied runs as it is. The copy knows what became of it: `.folded`, `.precision`.
    """
    if precision not in ("auto", "fp32"):
        raise ModelError(f"precision={precision!r} is unknown: 'auto' or 'fp32'")
    keep_memory()
    sample = sample[:TEST_BATCH].detach().float()
    with evaluation(network), torch.no_grad():
        expected = network(sample)
    plain = _copy(network)
    if plain is None:
        return Frozen(network, torch.float32, folded=0, owns=False)
    folded = _folded(plain, sample, expected) if settings.folding else None
    base, count = folded if folded is not None else (plain, 0)
    full = _made(base, count, torch.float32, sample, expected, 1e-3) or Frozen(plain, torch.float32, 0)
    if precision == "fp32" or not (settings.bf16 and cpu_has_bf16()) or sample.device.type != "cpu":
        return full
    if not any(isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d) for m in network.modules()):
        return full  # a few dense layers gain nothing that a clock could tell from noise
    low = _made(base, count, torch.bfloat16, sample, expected, TOLERANCE)
    if low is None:
        return full
    pays = choose("run frozen in bf16", network, sample,
                  lambda: faster(lambda: input_gradient(low, sample), lambda: input_gradient(full, sample)))
    return low if pays else full


def _made(base: nn.Module, count: int, dtype: torch.dtype, sample: Tensor, expected: Tensor, tolerance: float) -> Frozen | None:
    """The copy in `dtype`, fused where that is right; None where its outputs are not as expected."""
    fusings = (True, False) if settings.fusion and fuses() else (False,)
    heads = (True, False) if dtype is torch.bfloat16 and _ends_dense(base) else (False,)
    for full_head, fusing in itertools.product(heads, fusings):
        try:
            made = Frozen(_lay_out(base, dtype, full_head), dtype, count)
            if fusing and not fuse_activations(made.network, made.prepared(sample)):
                continue
            if agrees(made(sample), expected, tolerance):
                return made
        except RuntimeError:  # an operation without a bf16 kernel, or a network that makes float32 tensors of its own
            continue
    return None


class Frozen(nn.Module):
    """A network with constant weights; calls go through in chunks of about CHUNK_PIXELS input pixels."""

    def __init__(self, network: nn.Module, dtype: torch.dtype, folded: int, owns: bool = True) -> None:
        super().__init__()
        self.network, self.dtype, self.folded, self.owns = network, dtype, folded, owns
        self.precision = "bf16" if dtype is torch.bfloat16 else "fp32"

    def forward(self, x: Tensor) -> Tensor:
        size = max(1, CHUNK_PIXELS // max(1, x[0, 0].numel())) if x.ndim == 4 and len(x) else max(1, len(x))
        if len(x) <= size:
            return self._one(x)
        return torch.cat([self._one(part) for part in x.split(size)])

    def prepared(self, x: Tensor) -> Tensor:
        """Return the input in the type and the order in memory that the network is in."""
        x = x.to(self.dtype)
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 and settings.layout else x

    def _one(self, x: Tensor) -> Tensor:
        x = self.prepared(x)
        if self.owns:
            return self.network(x).float()
        with evaluation(self.network):
            return self.network(x).float()


class evaluation:
    """Within `with evaluation(network):` its modules are in evaluation mode; afterwards each is as it was."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __enter__(self) -> nn.Module:
        self.training = [m for m in self.network.modules() if m.training]
        for m in self.training:
            m.training = False
        return self.network

    def __exit__(self, *_: object) -> None:
        for m in self.training:
            m.training = True


def _copy(network: nn.Module) -> nn.Module | None:
    try:
        twin = copy.deepcopy(network).eval()
    except Exception:  # locks, open files, non-leaf tensors: whatever a user's module holds
        return None
    for p in twin.parameters():
        p.requires_grad_(False)
    for m in twin.modules():  # hooks of the original belong to whoever set them
        for hooks in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks):
            hooks.clear()
    return twin


def _folded(plain: nn.Module, sample: Tensor, expected: Tensor) -> tuple[nn.Module, int] | None:
    twin = copy.deepcopy(plain)
    try:
        count = fold_batch_norm(twin, sample)
        with torch.no_grad():
            right = agrees(twin(sample), expected, 1e-3)
    except (RuntimeError, AttributeError):
        return None
    return (twin, count) if right else None


class FullLinear(nn.Linear):
    """A dense layer in float32 at the end of a network in bf16. Logits of 8 bits tie: a search that climbs by less than a
    256th of a logit at a time would stand still."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.float(), self.weight, self.bias)


def _ends_dense(network: nn.Module) -> bool:
    return type(list(network.modules())[-1]).forward is nn.Linear.forward


def _lay_out(base: nn.Module, dtype: torch.dtype, full_head: bool) -> nn.Module:
    twin = copy.deepcopy(base)
    if settings.input_gradient:
        _swap(twin, dtype, {})
    twin = lay_out(twin.to(dtype))
    if full_head:
        name, last = list(base.named_modules())[-1]
        head = copy.deepcopy(last).float()
        head.__class__ = FullLinear
        twin.set_submodule(name, head)
    return twin


def _swap(module: nn.Module, dtype: torch.dtype, done: dict[nn.Module, nn.Module]) -> None:
    for name, child in module.named_children():
        if _replaceable(child):
            done.setdefault(child, FrozenConv2d(child, dtype, settings.layout))
            setattr(module, name, done[child])
        else:
            _swap(child, dtype, done)


def _replaceable(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    known = type(module).forward in (nn.Conv2d.forward, SameConv2d.forward)  # a subclass may do something else
    return isinstance(module, nn.Conv2d) and known and module.padding_mode == "zeros"
