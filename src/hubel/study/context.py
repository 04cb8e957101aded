"""What a stage of a study is given: the subject, the folder, the plan, and a way to say how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hubel.study.plan import Plan
from hubel.study.store import Folder
from hubel.study.subject import Subject


@dataclass
class Context:
    """`facts` are those of the stages before. `small` pictures are enlarged without smoothing in the report."""

    folder: Folder
    facts: dict[str, Any]
    seed: int
    device: str
    minutes: float | None
    say: Callable[[str], None]
    verbose: int
    request: dict[str, Any] = field(default_factory=dict)
    source: Any = None
    model: Any = None
    plan: Plan | None = None
    began: float = field(default_factory=time.monotonic)
    spent: float = 0.0  # seconds of earlier, interrupted runs

    @property
    def subject(self) -> Subject:
        return Subject(self.model, self.source, self.seed)

    @property
    def planned(self) -> Plan:
        assert self.plan is not None, "the plan is made before the stages that need it"
        return self.plan

    @property
    def small(self) -> bool:
        """Whether the model sees so few pixels that each should be seen."""
        return max(self.subject.size) <= 64

    def left(self) -> float | None:
        """Seconds left of the budget, or None without one."""
        if self.minutes is None:
            return None
        return max(0.0, 60 * self.minutes - self.spent - (time.monotonic() - self.began))
