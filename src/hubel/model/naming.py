"""Classes by their names. Depends on errors."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from hubel.errors import InputError


def class_number(name: str, classes: Sequence[str]) -> int:
    """Return the number of a class by its name, or by one of the synonyms that ImageNet's names consist of. Raises InputError
    with the nearest names."""
    wanted = name.strip().lower()
    synonyms = [[part.strip().lower() for part in c.split(",")] for c in classes]
    for number, (whole, parts) in enumerate(zip(classes, synonyms, strict=True)):
        if wanted == whole.lower() or wanted in parts:
            return number
    near = get_close_matches(wanted, [p for parts in synonyms for p in parts], 3, 0.4) or list(classes[:3])
    raise InputError(f"the model has no class {name!r}: did you mean {', '.join(near)}?")
