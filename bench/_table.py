"""What the benchmarks share: alternating timing, markdown tables that say where and when, sections of RESULTS.md."""

from __future__ import annotations

import datetime
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("RESULTS.md")


BLOCK = 0.01  # seconds of calls that are timed together


def alternate(candidates: dict[str, Callable[[], Any]], repeats: int = 7) -> dict[str, list[float]]:
    """Return seconds a call of each candidate, `repeats` times, taken in turns.

    In turns, so that whatever else slows the machine slows all of them. What is timed is, as timeit does it, a block of
    calls one after the other, of ten milliseconds at least; it follows a short rest and a call that is not counted, so
    that nobody pays for the caches that the one before left behind, nor for its threads: some libraries' go on spinning
    for milliseconds and keep a core from whoever comes next.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, call in candidates.items():
            time.sleep(0.01)
            call()
            start, calls = time.perf_counter(), 0
            while calls == 0 or time.perf_counter() - start < BLOCK:
                call()
                calls += 1
            times[name].append((time.perf_counter() - start) / calls)
    return times


def median(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the median seconds of each candidate."""
    return {name: statistics.median(values) for name, values in times.items()}


def cpu() -> str:
    """Return the processor's name and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]], note: str = "") -> str:
    """Return a markdown table, under it `note`, the date and the processor. Floats get three significant digits."""
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    stamp = f"{datetime.date.today().isoformat()}, {cpu()}."
    return "\n".join(lines) + "\n\n" + (f"{note} " if note else "") + stamp + "\n"


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def append_results(section: str, text: str) -> None:
    """Write `text` as the section `## section` of bench/RESULTS.md in place of the one that was there."""
    old = RESULTS.read_text() if RESULTS.exists() else "# What was measured\n"
    parts = [part for part in re.split(r"(?m)^(?=## )", old) if not part.startswith(f"## {section}\n")]
    new = "".join(part.rstrip() + "\n\n" for part in parts) + f"## {section}\n\n{text.strip()}\n"
    partial = RESULTS.with_name(f"{RESULTS.name}.{os.getpid()}")
    partial.write_text(new)
    os.replace(partial, RESULTS)
