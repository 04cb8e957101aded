"""Which classes a mirror turns into each other, by their names: left and right, b and d, p and q. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SIDES = {"left": "right", "right": "left"}
_LETTERS = {"b": "d", "d": "b", "p": "q", "q": "p"}


def mirrored_pair(classes: Iterable[str]) -> tuple[str, str] | None:
    """The first two classes whose names say that each is the other's mirror image; None if there are none."""
    names = [str(name) for name in classes]
    known = {name.lower(): name for name in names}
    for name in names:
        swapped = re.sub("left|right", lambda m: _SIDES[m[0]], name.lower())
        swapped = _LETTERS.get(swapped, swapped)
        if swapped != name.lower() and swapped in known:
            return name, known[swapped]
    return None
