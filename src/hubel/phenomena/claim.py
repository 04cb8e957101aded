"""A claim, what it needs to hold, and the verdict. The judge stands here, apart from every measurement.

A claim's needs are bounds on named numbers, written down before anything is run. A measurement returns those numbers with
their 95% intervals; `judge` compares. A need is met if the whole interval is on its side of the bound, missed if the whole
interval is on the other side, and open otherwise; a claim holds if all its needs are met, and does not hold if one is missed.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hubel.errors import InputError
from hubel.look.draw import Shown
from hubel.phenomena.statistics import Number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = ("default", "quick", "smallest")
HELD, FAILED, OPEN = "held", "did not hold", "inconclusive"


@dataclass(frozen=True)
class Need:
    """`number` must be `at_least` or `at_most` a bound. `about` says what the number is; `percent` how it is written."""

    number: str
    about: str
    at_least: float | None = None
    at_most: float | None = None
    percent: bool = False

    def judge(self, n: Number) -> str:
        if math.isnan(n.value) or math.isnan(n.low) or math.isnan(n.high):
            return OPEN
        if self.at_least is not None:
            return HELD if n.low >= self.at_least else FAILED if n.high < self.at_least else OPEN
        assert self.at_most is not None
        return HELD if n.high <= self.at_most else FAILED if n.low > self.at_most else OPEN

    @property
    def bound(self) -> str:
        word, value = ("at least", self.at_least) if self.at_least is not None else ("at most", self.at_most)
        return f"{word} {Number.exact(value or 0.0).text(self.percent)}"

    def __str__(self) -> str:
        return f"{self.about}: {self.bound}"


@dataclass(frozen=True)
class Claim:
    """What somebody says, who says it, and what would have to be measured for it to hold.

    seconds : what it costs on one core at the sizes 'default', 'quick' and 'smallest', measured. name and module are filled
    in by the registry: the file's name.
    """

    number: int
    title: str
    statement: str
    source: str
    needs: tuple[Need, ...]
    seconds: tuple[float, float, float]
    name: str = ""
    module: str = ""

    @property
    def tolerance(self) -> str:
        """The needs in words."""
        return "; ".join(map(str, self.needs))

    @property
    def minutes(self) -> float:
        """The cost of the default size on one core."""
        return self.seconds[0] / 60

    def cost(self, size: str) -> float:
        """Seconds on one core. Raises InputError for a size that is none."""
        if size not in SIZES:
            raise InputError(f"size={size!r}: give one of {', '.join(SIZES)}")
        return self.seconds[SIZES.index(size)]

    def options(self, size: str) -> dict[str, Any]:
        """What the measurement is called with at this size: at the default, its own defaults."""
        self.cost(size)
        return {} if size == "default" else dict(getattr(importlib.import_module(self.module), size.upper()))


@dataclass(frozen=True)
class Findings:
    """What a measurement returns: the needed numbers and others by name, a remark on what was seen and why, and what the
    figure is drawn from."""

    numbers: Mapping[str, Number]
    remark: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict(Shown):
    """`outcome` is 'held', 'did not hold' or 'inconclusive'; `parts` says so for each need, in their order. `seconds` are of
    one core."""

    claim: Claim
    size: str
    seed: int
    outcome: str
    parts: tuple[str, ...]
    numbers: Mapping[str, Number]
    remark: str
    evidence: Mapping[str, Any]
    seconds: float

    def plot(self) -> Figure:
        """Return the claim's figure, 16:9 and legible on a slide."""
        import matplotlib

        from hubel.phenomena.figures import STYLE

        with matplotlib.rc_context(STYLE):
            return importlib.import_module(self.claim.module).draw(self.evidence)

    def to_dict(self) -> dict[str, Any]:
        c = self.claim
        return {"number": c.number, "name": c.name, "title": c.title, "statement": c.statement, "source": c.source,
                "outcome": self.outcome, "size": self.size, "seed": self.seed, "remark": self.remark,
                "needs": [{"number": need.number, "about": need.about, "bound": need.bound, "outcome": part,
                           "measured": self.numbers[need.number].text(need.percent)}
                          for need, part in zip(c.needs, self.parts, strict=True)],
                "numbers": {name: n.to_dict() for name, n in self.numbers.items()}, "seconds": round(self.seconds, 2)}

    def __str__(self) -> str:
        lines = [f"{self.claim.number}. {self.claim.statement}", f"   {self.outcome.upper()}. {self.remark}"]
        lines += [f"   {part}: {need.about} is {self.numbers[need.number].text(need.percent)}, needed {need.bound}"
                  for need, part in zip(self.claim.needs, self.parts, strict=True)]
        return "\n".join(lines)


def judge(claim: Claim, found: Findings, size: str, seed: int, seconds: float) -> Verdict:
    """Return the verdict on what was found. Raises InputError if a needed number was not measured."""
    missing = [need.number for need in claim.needs if need.number not in found.numbers]
    if missing:
        raise InputError(f"claim {claim.name}: its measurement returned no {', '.join(missing)}")
    parts = tuple(need.judge(found.numbers[need.number]) for need in claim.needs)
    outcome = FAILED if FAILED in parts else OPEN if OPEN in parts else HELD
    return Verdict(claim, size, seed, outcome, parts, found.numbers, found.remark, found.evidence, seconds)
