"""Counters in the text format of Prometheus (exposition format 0.0.4). Depends on the standard library.

A counter is a number in a dictionary: the client library's locks and label objects would cost more than the rest of a request.
"""

from __future__ import annotations

import bisect
import os
import threading
import time
from collections.abc import Callable, Sequence

LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Histogram:
    """Counts of values by the first bound that is not below them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: str = "") -> list[str]:
        total, out, comma = 0, [], f"{labels}," if labels else ""
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            out.append(f'{name}_bucket{{{comma}le="{bound}"}} {total}')
        braces = f"{{{labels}}}" if labels else ""
        return [*out, f"{name}_sum{braces} {self.sum:.9g}", f"{name}_count{braces} {total}"]


class Metrics:
    """All is counted in the event loop's thread: no number has two writers."""

    def __init__(self) -> None:
        self.started = time.time()
        self.requests: dict[tuple[str, int], int] = {}
        self.latency: dict[str, Histogram] = {}
        self.batches = Histogram(BATCHES)
        self.computing = 0.0
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def request(self, path: str, status: int, seconds: float) -> None:
        """One request has been answered. `path` is one of the server's own, or 'other'."""
        key = path, status
        self.requests[key] = self.requests.get(key, 0) + 1
        if status == 200:
            if path not in self.latency:
                self.latency[path] = Histogram(LATENCIES)
            self.latency[path].add(seconds)

    def batch(self, count: int, seconds: float) -> None:
        self.batches.add(count)
        self.computing += seconds

    def text(self) -> str:
        """What /metrics answers."""
        out = ["# HELP hubel_requests_total Requests answered, by path and status.", "# TYPE hubel_requests_total counter"]
        out += [f'hubel_requests_total{{path="{path}",status="{status}"}} {n}'
                for (path, status), n in sorted(self.requests.items())]
        out += ["# HELP hubel_request_seconds From a request's headers to its answer, of those answered with 200.",
                "# TYPE hubel_request_seconds histogram"]
        for path, histogram in sorted(self.latency.items()):
            out += histogram.lines("hubel_request_seconds", f'path="{path}"')
        out += ["# HELP hubel_batch_inputs Inputs that were computed together.", "# TYPE hubel_batch_inputs histogram",
                *self.batches.lines("hubel_batch_inputs")]
        out += ["# HELP hubel_computing_seconds_total Time spent decoding and computing batches.",
                "# TYPE hubel_computing_seconds_total counter", f"hubel_computing_seconds_total {self.computing:.9g}"]
        for name, (about, read) in self.gauges.items():
            out += [f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {read():.9g}"]
        out += ["# HELP process_start_time_seconds When the server was started, in seconds since 1970.",
                "# TYPE process_start_time_seconds gauge", f"process_start_time_seconds {self.started:.3f}"]
        memory = resident_bytes()
        if memory is not None:
            out += ["# HELP process_resident_memory_bytes Memory in use.", "# TYPE process_resident_memory_bytes gauge",
                    f"process_resident_memory_bytes {memory}"]
        out += ["# HELP hubel_threads Threads of the process.", "# TYPE hubel_threads gauge",
                f"hubel_threads {threading.active_count()}"]
        return "\n".join(out) + "\n"


def resident_bytes() -> int | None:
    """This process's resident memory, where the system tells (Linux)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
