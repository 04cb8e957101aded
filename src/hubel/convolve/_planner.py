"""Which way of computing is fastest here: a cost model whose constants are measured once on each machine.

The constants live in `planner-<machine>.json` in the user's cache folder (the environment variable HUBEL_CACHE names
another). Small problems are decided with shipped constants; the first one of about a millisecond or more measures the
machine's own, in about a second. The choice never changes the answer beyond rounding, and stays the same from then
on, so repeated runs agree to the bit. Depends on the backends beside it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hubel.caching import cache_folder
from hubel.convolve import _direct, _engine, _fourier, _native, _separable

Table = dict[str, dict[str, float]]

# Nanoseconds on two cores of an AMD EPYC (Zen 4, AVX-512): the definition per output, by taps across an image's kernel, the
# same for a bank of 16, and by taps of a series; passes per output, by taps across; FFT per point x log2; the engine per
# multiplication, by taps across, for one filter, a bank of 16, and 16 of 8 channels.
SHIPPED: Table = {
    "direct": {"1": 0.14, "3": 0.22, "7": 0.75, "11": 1.6, "15": 2.7},
    "direct16": {"3": 0.16, "7": 0.57, "15": 2.1},
    "series": {"8": 0.25, "64": 1.2, "256": 4.7},
    "separable": {"3": 0.28, "7": 0.42, "15": 0.75, "31": 1.4, "63": 2.3},
    "fourier": {"point": 0.055},
    "engine1": {"3": 0.2, "7": 0.25, "15": 0.18},
    "engine16": {"3": 0.047, "7": 0.016, "15": 0.0115},
    "engine128": {"3": 0.015, "7": 0.01, "15": 0.0095},
}
OVERHEAD = {"direct": 2e4, "separable": 3e4, "fft": 6e4, "engine": 4e4}
WORTH_MEASURING = 1e6  # ns


@dataclass(frozen=True)
class Case:
    """What costs depend on: n planes of c channels, `filters` outputs each, padded shape, kernel, rank (0: none)."""

    n: int
    c: int
    filters: int
    shape: tuple[int, ...]
    k: tuple[int, ...]
    rank: int = 0
    double: bool = False
    stride: int = 1  # product over the axes
    taps: tuple[int, ...] = ()  # the kernel before dilation; the same as k without

    @property
    def outputs(self) -> int:
        return math.prod(s - k + 1 for s, k in zip(self.shape, self.k, strict=True))


@dataclass(frozen=True)
class Plan:
    """The chosen method and the predicted milliseconds of every method that could do it."""

    method: str
    predicted_ms: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        return {"method": self.method, "predicted_ms": self.predicted_ms}


def choose(case: Case, allowed: tuple[str, ...]) -> Plan:
    """Return the plan for `case` among the `allowed` methods."""
    return _choose(case, allowed, os.environ.get("HUBEL_CACHE"), torch.get_num_threads())


@lru_cache(maxsize=1024)
def _choose(case: Case, allowed: tuple[str, ...], _folder: str | None, _threads: int) -> Plan:  # what constants depend on
    costs = _costs(case, allowed, SHIPPED)
    if min(costs.values()) >= WORTH_MEASURING and len(costs) > 1:
        costs = _costs(case, allowed, constants())
    method = min(costs, key=lambda name: costs[name])
    return Plan(method, {name: cost / 1e6 for name, cost in sorted(costs.items(), key=lambda pair: pair[1])})


def explain(x: Any, w: Any, padding: Any = "valid", **options: Any) -> Plan:
    """Return what `correlate` with the same arguments would choose, and the predicted times of all methods."""
    from hubel.convolve._correlate import plan

    return plan(x, w, padding, **options)


def _costs(case: Case, allowed: tuple[str, ...], table: Table) -> dict[str, float]:
    estimates: dict[str, Callable[[Case, Table], float]] = {
        "direct": _direct_cost, "separable": _separable_cost, "fft": _fft_cost, "engine": _engine_cost}  # fmt: skip
    scale = {"engine": 6.0}
    return {name: OVERHEAD[name] + (scale.get(name, 2.0) if case.double else 1.0) * estimates[name](case, table)
            for name in allowed}


def _direct_cost(case: Case, table: Table) -> float:
    taps = math.prod(case.taps or case.k) * case.c
    if len(case.k) == 1:
        row = _at(table["series"], taps)
    else:  # a bank's filters share what is fetched
        one, bank = (_at(table[name], math.sqrt(taps)) for name in ("direct", "direct16"))
        row = one + (bank - one) * math.sqrt(min(1.0, (case.filters - 1) / 15))
    return case.n * case.filters * case.outputs * row


def _separable_cost(case: Case, table: Table) -> float:
    rate = _at(table["separable"], max(case.taps or case.k)) * (len(case.k) - 1)
    return case.n * case.filters * max(case.rank, 1) * case.outputs * rate


def _fft_cost(case: Case, table: Table) -> float:
    return _fourier.work(case.shape, case.k, case.n, case.c, case.filters) * table["fourier"]["point"]


def _engine_cost(case: Case, table: Table) -> float:
    taps = case.taps or case.k
    area = math.prod(taps)
    across = math.sqrt(area)
    one, bank, many = (_at(table[name], across) for name in ("engine1", "engine16", "engine128"))
    share = min(1.0, (case.filters - 1) / 15)
    rate = one + (bank - one) * math.sqrt(share)
    rate += (many - rate) * min(1.0, (case.c - 1) / 7) * share
    return case.n * case.filters * case.c * case.outputs / case.stride * area * rate


def _at(row: dict[str, float], taps: float) -> float:
    """Interpolate between the taps measured, log by log; beyond the last a cost that grew goes on growing as it did."""
    xs, ys = np.log([float(name) for name in row]), np.log(list(row.values()))
    at = math.log(max(taps, 1))
    beyond = max(at - xs[-1], 0.0) * max((ys[-1] - ys[-2]) / (xs[-1] - xs[-2]), 0.0) if len(xs) > 1 else 0.0
    return float(np.exp(np.interp(at, xs, ys) + beyond))


@lru_cache(maxsize=1)
def _cpu() -> str:
    cpu = platform.processor() or platform.machine()
    try:
        info = Path("/proc/cpuinfo").read_text()
        return next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), cpu)
    except OSError:
        return cpu


def _machine() -> str:
    return f"{_cpu()} | {torch.get_num_threads()} threads | torch {torch.__version__} | vectors {_native.level()}, 4"


def constants() -> Table:
    """Return this machine's constants: from memory, from the cache folder, or measured now."""
    return _constants(os.environ.get("HUBEL_CACHE"), torch.get_num_threads())


@lru_cache(maxsize=8)
def _constants(_folder: str | None, _threads: int) -> Table:  # what they depend on
    machine = _machine()
    path = _path(str(cache_folder()), machine)
    try:
        stored = json.loads(path.read_text())
        if stored["machine"] == machine and _wellformed(stored["constants"]):
            return stored["constants"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return _measure_and_store(path, machine)


def _path(folder: str, machine: str) -> Path:
    return Path(folder) / f"planner-{hashlib.sha256(machine.encode()).hexdigest()[:12]}.json"


def _wellformed(table: Any) -> bool:
    return isinstance(table, dict) and all(
        isinstance(table.get(name), dict) and table[name].keys() == row.keys()
        and all(isinstance(v, float) and math.isfinite(v) and v > 0 for v in table[name].values())
        for name, row in SHIPPED.items())  # fmt: skip


def calibrate() -> Table:
    """Measure this machine's constants anew (about a second on an idle machine) and store them."""
    machine = _machine()
    table = _measure_and_store(_path(str(cache_folder()), machine), machine)
    _constants.cache_clear()
    _choose.cache_clear()
    return table


def _measure_and_store(path: Path, machine: str) -> Table:
    table = measure()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(json.dumps({"machine": machine, "constants": table}, indent=1))
        os.replace(partial, path)
    except OSError:
        pass  # a read-only home: measured again in the next process
    return table


def measure() -> Table:
    """Time every backend at a few sizes; see SHIPPED for the units."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    def rate(way: str, call: Callable[[], Any], work: float) -> float:
        return max(1e9 * _best(call) - OVERHEAD[way], 1.0) / work

    size = 1024
    image, line = random(1, 1, size, size), random(1, 1, 1 << 18)
    table: Table = {name: {} for name in SHIPPED}
    same = [(0, 0)] * 2
    for taps in SHIPPED["direct"]:
        w = random(1, 1, int(taps), int(taps))
        call = partial(_direct.run, image, w, "zeros", same, (1, 1))
        table["direct"][taps] = rate("direct", call, (size - int(taps) + 1) ** 2)
    for taps in SHIPPED["direct16"]:
        stack, w = random(32, 1, 128, 128), random(16, 1, int(taps), int(taps))
        call = partial(_direct.run, stack, w, "zeros", [(int(taps) // 2, int(taps) // 2)] * 2, (1, 1))
        table["direct16"][taps] = rate("direct", call, 32 * 16 * 128**2)
    for taps in SHIPPED["series"]:
        w = random(1, 1, int(taps))
        table["series"][taps] = rate("direct", partial(_direct.run, line, w, "zeros", same[:1], (1,)), line.numel())
    for taps in SHIPPED["separable"]:
        term = list(random(2, int(taps)).numpy())
        call = partial(_separable.run, image, [term], "zeros", same, (1, 1))
        table["separable"][taps] = rate("separable", call, (size - int(taps) + 1) ** 2)
    w = random(1, 1, 31, 31)
    call = partial(_fourier.run, image, w, "zeros", same, (1, 1))
    table["fourier"]["point"] = rate("fft", call, _fourier.work((size, size), (31, 31), 1, 1, 1))
    for name, channels, filters in (("engine1", 1, 1), ("engine16", 1, 16), ("engine128", 8, 16)):
        for taps in SHIPPED[name]:
            k, side = int(taps), 128
            images = {"engine1": 1, "engine16": 32, "engine128": 4}[name]  # 32: a bank's answer leaves the caches
            x, w = random(images, channels, side, side), random(filters, channels, k, k)
            call = partial(_engine.run, x, w, (1, 1), (1, 1))
            table[name][taps] = rate("engine", call, images * channels * filters * (side - k + 1) ** 2 * k**2)
    return table


def _best(call: Callable[[], Any], repeats: int = 7, seconds: float = 0.01) -> float:
    """The least seconds of at least `repeats` calls, and of more where those are over soon: the first ones pay for memory."""
    times: list[float] = []
    with torch.no_grad():
        call()
        while len(times) < repeats or sum(times) < seconds:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return min(times)
