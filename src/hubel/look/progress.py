"""A progress bar with a rate and a time left on a terminal; elsewhere only listeners hear of it. Depends on Rich, hubel.progress."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from hubel.progress import tell

T = TypeVar("T")


def track(steps: Iterable[T], total: int, what: str, unit: str = "images", size: Any = lambda step: 1) -> Iterator[T]:
    """Yield from `steps`, each of which counts for `size(step)` of `total` units."""
    if not sys.stderr.isatty():
        done = 0
        for step in steps:
            yield step
            done += size(step)
            tell(what, done, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(bar_width=24), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
               TextColumn("{task.fields[rate]}"), TimeRemainingColumn(compact=True), TextColumn("left"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")
        for step in steps:
            yield step
            bar.update(task, advance=size(step))
            tell(what, bar.tasks[0].completed, total)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed and speed >= 10 else f"{speed or 0:.1f} {unit}/s")
