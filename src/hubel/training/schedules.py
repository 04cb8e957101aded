"""Learning-rate schedules: pure functions of the share of training done, 0..1, to a factor of the peak rate.

A function of the share knows nothing of steps or seconds, so the same schedule serves a number of epochs and a budget
of minutes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from hubel.errors import InputError

Schedule = Callable[[float], float]


def one_cycle(progress: float, warm_up: float = 0.23, start: float = 0.15, end: float = 0.01) -> float:
    """Up in a line from `start` to 1 during `warm_up`, then down in a line to `end` (Smith & Topin 2017)."""
    if progress < warm_up:
        return start + (1.0 - start) * progress / warm_up
    return 1.0 + (end - 1.0) * (progress - warm_up) / (1.0 - warm_up)


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov & Hutter 2017), without restarts."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def constant(progress: float) -> float:
    return 1.0


def linear(progress: float) -> float:
    """Down in a line from 1 to 0."""
    return 1.0 - progress


_SCHEDULES: dict[str, Schedule] = {"one_cycle": one_cycle, "cosine": cosine, "constant": constant, "linear": linear}


def get(schedule: str | Schedule | None) -> Schedule:
    """The schedule of that name, or a function of the share of training done (0..1) to a factor of the rate."""
    if schedule is None:
        return constant
    if isinstance(schedule, str):
        if schedule not in _SCHEDULES:
            raise InputError(f"unknown schedule {schedule!r}: give one of {', '.join(_SCHEDULES)}, or a function")
        return _SCHEDULES[schedule]
    if not callable(schedule):
        raise InputError(f"schedule {schedule!r} is neither a name nor a function of the share of training done")
    return schedule
