"""Which claims there are: the files in `claims/`, found by looking. Depends on claim.

A claim's file holds CLAIM, `measure(seed, ...) -> Findings` whose defaults are the default size, QUICK and SMALLEST (other
values of the same parameters), and `draw(evidence) -> Figure`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from hubel.errors import InputError
from hubel.phenomena import claims as folder
from hubel.phenomena.claim import Claim


@cache
def _all() -> tuple[Claim, ...]:
    names = [m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_")]
    found = []
    for name in names:
        module = importlib.import_module(f"{folder.__name__}.{name}")
        found.append(replace(module.CLAIM, name=name.replace("_", "-"), module=module.__name__))
    return tuple(sorted(found, key=lambda c: c.number))


def claims() -> list[Claim]:
    """Return all claims in the order of their numbers."""
    return list(_all())


def find(name: str | int) -> Claim:
    """Return a claim by its name ('double-descent') or number (16). Raises InputError, with the nearest name, for others."""
    text = str(name).strip().lower().replace("_", "-")
    for claim in _all():
        if text in (claim.name, str(claim.number)):
            return claim
    close = difflib.get_close_matches(text, [c.name for c in _all()], 1, 0.5)
    hint = f"did you mean {close[0]!r}?" if close else "`hubel claims --list` shows them all"
    raise InputError(f"no claim {str(name)!r}: {hint}")


def chosen(names: Sequence[str | int] = ()) -> list[Claim]:
    """Return the claims of these names, each once, in the order of their numbers; all, where no name is given."""
    return sorted({find(name) for name in names}, key=lambda c: c.number) if names else claims()
