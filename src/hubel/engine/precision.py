"""When may a network run in bf16? Where the CPU computes in it, the answers agree and it is faster. Depends on torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

# bf16 keeps 8 bits: a relative error of 2^-9 a rounding, which adds up over the depth. On EfficientNet-Lite0 the errors of
# logits and features are 0.04 to 0.05 of their spread over photos, 0.06 to 0.08 over noise, and up to twice that for an
# image; a limit near that would leave the choice to which images were tried. More means the network is not fit for it.
TOLERANCE = 0.1


@cache
def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 natively (AVX-512 BF16, AMX or Arm's BF16): without, bf16 is slower than fp32."""
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if capability:
        return any(bool(v) and name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16") for name, v in capability.items())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def agrees(low: Tensor, full: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Whether low-precision outputs `low` are `full` up to `tolerance` of its spread, over all rows and twice that in each."""
    low, full = low.detach().double(), full.detach().double()
    if not torch.isfinite(low).all():
        return False
    rows = full.reshape(len(full), -1)
    spread = rows.std(dim=1, correction=0).clamp_min(1e-3 * rows.abs().mean().clamp_min(1e-12))
    error = (low.reshape(len(low), -1) - rows).square().mean(dim=1).sqrt()
    share = error / spread
    return bool((share <= 2 * tolerance).all()) and bool(share.square().mean().sqrt() <= tolerance)


def faster(a: Callable[[], object], b: Callable[[], object], repeats: int = 3) -> bool:
    """Whether `a` takes less time than `b`: the best of a few alternating runs after one warm-up each.

    The CPU's time is counted, not the clock's: the answer is kept for good, and a busy machine must not decide it.
    """
    a(), b()
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for which, run in enumerate((a, b)):
            start = time.process_time()
            run()
            times[which].append(time.process_time() - start)
    return min(times[0]) < min(times[1])


def input_gradient(network: nn.Module, x: Tensor) -> Tensor:
    """Return the gradient of the largest output of each sample with respect to `x`: the work of one attack step."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(network(x).amax(dim=1).sum(), x)[0]
