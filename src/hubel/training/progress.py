"""What a run shows while it works: a bar on a terminal, a plain line per epoch elsewhere, nothing if not verbose."""

from __future__ import annotations

import sys
import time
from typing import Any

_REDRAW = 0.15  # seconds between two pictures of the bar: drawing costs 1 ms


class Display:
    """verbose 0 is silent; 1 is a bar on a terminal and lines elsewhere; 2 is lines everywhere."""

    def __init__(self, verbose: int | str, epochs: int | None) -> None:
        self.epochs, self.verbose = epochs, 1 if verbose == "auto" else int(verbose)
        self._bar: Any = None
        self._task: Any = None
        self._drawn, self._seen_before = 0.0, 0
        self._epoch_began = time.monotonic()
        if self.verbose == 1 and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(TextColumn("{task.description}"), BarColumn(bar_width=24),
                                 TextColumn("{task.fields[facts]}"), console=Console(stderr=True),
                                 auto_refresh=False, transient=True)

    def begin(self, epoch: int, batches: int, done: int, seen: int) -> None:
        self._seen_before = seen
        self._epoch_began = time.monotonic()
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._name(epoch), total=batches, completed=done, facts="")

    def step(self, done: int, seen: int, logs: Any, share: float, elapsed: float) -> None:
        """`logs()` gives the running means; asked only when the bar is drawn."""
        now = time.monotonic()
        if self._bar is None or now - self._drawn < _REDRAW:
            return
        self._drawn = now
        rate = (seen - self._seen_before) / max(now - self._epoch_began, 1e-9)
        left = elapsed * (1 - share) / share if share > 0 else 0.0
        facts = f"{_describe(logs())}  {_rate(rate)}  {duration(left)} left"
        self._bar.update(self._task, completed=done, facts=facts)
        self._bar.refresh()

    def end(self, epoch: int, seen: int, logs: dict[str, float], elapsed: float) -> None:
        spent = max(time.monotonic() - self._epoch_began, 1e-9)
        if self._bar is not None:
            self._bar.remove_task(self._task)
        rate = _rate((seen - self._seen_before) / spent)
        self.line(f"{self._name(epoch)}: {_describe(logs)}, {rate}, {duration(elapsed)}")

    def line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif self.verbose:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _name(self, epoch: int) -> str:
        return f"epoch {epoch + 1}" + (f"/{self.epochs}" if self.epochs else "")


def duration(seconds: float) -> str:
    """'4.2 s', '3 min 10 s', '2 h 05 min'."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f} images/s" if per_second >= 10 else f"{per_second:.1f} images/s"


def _describe(logs: dict[str, float]) -> str:
    shown = []
    for name, value in logs.items():
        if name == "learning_rate":
            continue
        words = name.replace("val_", "validation ").replace("_", " ")
        shown.append(f"{words} {value:.2%}" if "accuracy" in name else f"{words} {value:.4g}")
    return ", ".join(shown)
