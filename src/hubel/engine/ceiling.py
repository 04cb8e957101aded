"""How fast can this machine convolve? Measured: what everything else is compared with. Depends on torch and precision."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F

from hubel.engine.memory import keep_memory
from hubel.engine.precision import cpu_has_bf16

# (channels, side, images): the four stages of ResNet at 224 px. 3 x 3 convolutions of as many channels as come in:
# dense enough that arithmetic, not memory, is the limit.
SHAPES = ((64, 56, 16), (128, 28, 16), (256, 14, 32), (512, 7, 64))


@dataclass(frozen=True)
class Ceiling:
    """Floating-point operations a second (two a multiply-add) of 3 x 3 convolutions: the median run of each of SHAPES in
    one precision and layout, and the best of those medians, `flops`. `per_shape` goes as SHAPES do."""

    precision: str  # 'fp32' or 'bf16'
    layout: str  # 'NCHW' or 'channels-last'
    threads: int
    per_shape: tuple[float, ...]

    @property
    def flops(self) -> float:
        return max(self.per_shape)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "flops": self.flops}


def ceiling(precision: str = "auto", layout: str = "channels-last", seconds: float = 0.4) -> Ceiling:
    """Measure, for `seconds` a shape, what convolutions reach in 'fp32', 'bf16', or 'auto': what this CPU computes in."""
    if precision == "auto":
        precision = "bf16" if cpu_has_bf16() else "fp32"
    keep_memory()
    return Ceiling(precision, layout, torch.get_num_threads(),
                   tuple(_one(c, side, n, precision, layout, seconds) for c, side, n in SHAPES))


def ways() -> list[tuple[str, str]]:
    """(precision, layout): how people convolve, and what to change in turn. Without bf16 in the CPU the last is left out."""
    chosen = [("fp32", "NCHW"), ("fp32", "channels-last"), ("bf16", "channels-last")]
    return chosen if cpu_has_bf16() else chosen[:2]


@torch.inference_mode()
def _one(channels: int, side: int, images: int, precision: str, layout: str, seconds: float) -> float:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    order = torch.channels_last if layout == "channels-last" else torch.contiguous_format
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(images, channels, side, side, generator=draws).to(dtype).contiguous(memory_format=order)
    w = torch.randn(channels, channels, 3, 3, generator=draws).to(dtype).contiguous(memory_format=order)
    F.conv2d(x, w, padding=1)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        F.conv2d(x, w, padding=1)
        times.append(time.perf_counter() - start)
    return 2 * 9 * images * channels**2 * side**2 / statistics.median(times)
