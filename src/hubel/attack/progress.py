"""A progress bar for attacks: how many points are decided, how many broke, the rate and the time left. Depends on Rich."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Bar:
    """`with Bar('pgd', total, 'auto') as bar: bar.advance(broke=True)`. 'auto' shows on terminals, False never."""

    def __init__(self, what: str, total: int, show: bool | str = "auto") -> None:
        self.what, self.total, self.broke = what, total, 0
        self.show = sys.stderr.isatty() if show == "auto" else bool(show)
        self._bar: Any = None

    def __enter__(self) -> Bar:
        if self.show and self.total:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(TextColumn(self.what), BarColumn(bar_width=24),
                                 TextColumn("{task.completed:.0f}/{task.total:.0f}, {task.fields[broke]} broken"),
                                 TextColumn("{task.fields[rate]}"), TimeRemainingColumn(compact=True), TextColumn("left"),
                                 console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self.what, total=self.total, broke=0, rate="")
        return self

    def advance(self, broke: bool = False, by: int = 1) -> None:
        self.broke += int(broke)
        if self._bar is not None:
            speed = self._bar.tasks[0].speed or 0.0
            self._bar.update(self._task, advance=by, broke=self.broke, rate=f"{speed:.3g} images/s")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
