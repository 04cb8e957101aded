"""How fast a network trains and answers here, and where the time of a training step goes. Depends on fitting and engine.

Operations are counted by torch as it runs them (two a multiply-add), forward and backward: convolutions and matrix
products alone, as is the custom.
"""

from __future__ import annotations

import copy
import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from hubel import engine
from hubel.training.callbacks import Callback
from hubel.training.fitting import fit
from hubel.training.precision import Context, forward_context

# What torch's operators are called here; the rest is 'other'.
_PARTS = {
    "convolution_backward": "convolution, backward", "mkldnn_convolution": "convolution, forward",
    "native_batch_norm_backward": "batch norm", "native_batch_norm": "batch norm",
    "threshold_backward": "activation", "clamp_min_": "activation", "relu": "activation", "gelu": "activation",
    "gelu_backward": "activation", "silu": "activation", "silu_backward": "activation", "hardtanh_": "activation",
    "max_pool2d_with_indices": "pooling", "max_pool2d_with_indices_backward": "pooling", "avg_pool2d": "pooling",
    "mm": "dense layers", "addmm": "dense layers", "_fused_sgd_": "optimiser", "_fused_adamw_": "optimiser",
    "_fused_adam_": "optimiser", "copy_": "copies and precision", "fill_": "copies and precision", "add": "additions",
    "add_": "additions",
}


@dataclass(frozen=True)
class Throughput:
    """`seconds` is the median of one pass over `images` images; `flops` what it computes; `parts` the share of a
    profiled step's time in each kind of operation, the largest first."""

    what: str  # 'training step', 'inference', 'input gradient'
    precision: str
    images: int
    seconds: float
    flops: float
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds

    @property
    def flops_per_second(self) -> float:
        return self.flops / self.seconds

    def share(self, ceiling: engine.Ceiling) -> float:
        """Operations a second as a share of the machine's convolution ceiling."""
        return self.flops_per_second / ceiling.flops

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "images_per_second": self.images_per_second, "flops_per_second": self.flops_per_second}


class _Clock(Callback):
    """Seconds of each step, by the time between the ends of two: data, augmentation and the loop's own work included."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.ends.append(time.perf_counter())


def training_step(network: nn.Module, x: Tensor, y: Tensor, *, batch_size: int, steps: int = 8, parts: bool = False,
                  **options: Any) -> Throughput:
    """Measure `fit`'s own steps on a copy of `network` (normalised or uint8 images x, classes y, repeated as needed);
    two steps come before those that count. `options` go to fit."""
    twin = copy.deepcopy(network)
    places = torch.arange((steps + 2) * batch_size) % len(x)
    clock = _Clock()
    fit(twin, (x[places], y[places]), batch_size=batch_size, verbose=0, callbacks=[clock], **options)
    gaps = [b - a for a, b in zip(clock.ends[1:], clock.ends[2:], strict=False)]
    batch, labels = _float(x[:batch_size]), y[:batch_size]
    context, low = forward_context(twin, batch)
    twin.train()
    with FlopCounterMode(display=False) as counter:
        _step(twin, batch, labels, context)
    found = _profiled(twin, batch, labels, context) if parts else {}
    return Throughput("training step", "bf16" if low else "fp32", batch_size, statistics.median(gaps),
                      float(counter.get_total_flops()), found)


def inference(network: nn.Module, x: Tensor, *, steps: int = 8) -> Throughput:
    """Measure the engine's frozen copy of `network` on the batch x."""
    x = _float(x)
    copied = engine.frozen(network, x)
    with engine.evaluation(network), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(x)
    times = []
    with torch.inference_mode():
        for _ in range(steps + 1):
            began = time.perf_counter()
            copied(x)
            times.append(time.perf_counter() - began)
    return Throughput("inference", str(getattr(copied, "precision", "fp32")), len(x), statistics.median(times[1:]),
                      float(counter.get_total_flops()))


def _float(x: Tensor) -> Tensor:
    x = x.float() / 255 if x.dtype == torch.uint8 else x
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 and engine.settings.layout else x


def _step(network: nn.Module, x: Tensor, y: Tensor, context: Context) -> None:
    with context():
        outputs = network(x)
    F.cross_entropy(outputs.float(), y).backward()


def _profiled(network: nn.Module, x: Tensor, y: Tensor, context: Context) -> dict[str, float]:
    optimizer = torch.optim.SGD(network.parameters(), 1e-6, momentum=0.9, fused=True)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            _step(network, x, y, context)
            optimizer.step()

    steps(2)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        steps(3)
    sums: dict[str, float] = {}
    for event in seen.key_averages():
        part = _PARTS.get(event.key.removeprefix("aten::"), "other")
        sums[part] = sums.get(part, 0.0) + event.self_cpu_time_total
    total = sum(sums.values())
    return {name: value / total for name, value in sorted(sums.items(), key=lambda item: -item[1])}
