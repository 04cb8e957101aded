"""How fast the machine, busy as it is, runs a model: what a budget in minutes is divided by. Depends on engine and model."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from hubel.engine.precision import input_gradient

_REPEATS = 2


def measured_rate(model: Any, x: Tensor, multiply_adds: float) -> float:
    """Multiply-adds a second over an input gradient of the fast copy on the images `x` (N, C, H, W), at its slower of two
    repeats after one to warm up; a gradient counts as three forward passes, as in `plan`."""
    fast = model.fast(x)
    times = []
    for _ in range(1 + _REPEATS):
        began = time.perf_counter()
        input_gradient(fast, x)
        times.append(time.perf_counter() - began)
    return 3 * max(multiply_adds, 1.0) * len(x) / max(times[1:])
