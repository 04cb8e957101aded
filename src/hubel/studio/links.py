"""What a view shows, as a query string and back: the link that restores it. Depends on the standard library.

A view's settings are a frozen dataclass of strings, numbers and truth values with defaults. The link names those that are
not at their default; what a link says wrongly is left at its default and reported in a sentence, since links are typed,
cut off and sent on.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

LONGEST = 4000  # characters of one setting


@dataclass(frozen=True)
class Settings:
    """Base of a view's settings: `TAB` is its name in links."""

    TAB: ClassVar[str]


S = TypeVar("S", bound=Settings)


def setting(default: Any, *, least: float | None = None, most: float | None = None, one_of: Sequence[str] = ()) -> Any:
    """A dataclass field that links may set within these bounds."""
    return field(default=default, metadata={"least": least, "most": most, "one_of": tuple(one_of)})


def to_query(settings: Settings) -> str:
    """Return '?tab=...&...' with all settings that are not at their default."""
    said = {f.name: getattr(settings, f.name) for f in fields(settings)}
    given = {name: _text(value) for name, value in said.items() if value != settings.__dataclass_fields__[name].default}
    return "?" + urlencode({"tab": settings.TAB, **given})


def from_query(kind: type[S], query: Mapping[str, str]) -> tuple[S, list[str]]:
    """Return the settings that `query` (names to texts) describes, and a sentence for each that it cannot."""
    values: dict[str, Any] = {}
    complaints: list[str] = []
    for f in fields(kind):
        if f.name in query:
            try:
                values[f.name] = _value(f, query[f.name])
            except ValueError as error:
                complaints.append(f"The link's {f.name} is left out: {error}.")
    return kind(**values), complaints


def _text(value: Any) -> str:
    return {True: "1", False: "0"}[value] if isinstance(value, bool) else f"{value:.10g}" if isinstance(value, float) else str(value)


def _value(f: Field[Any], text: str) -> Any:
    default: Any = f.default
    kind, bounds = type(default), f.metadata
    if len(text) > LONGEST:
        raise ValueError(f"it has {len(text)} characters")
    if kind is bool:
        if text not in ("0", "1"):
            raise ValueError(f"{text[:40]!r} is neither 0 nor 1")
        return text == "1"
    if kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no {'whole ' if kind is int else ''}number") from None
        least, most = bounds.get("least"), bounds.get("most")
        if number != number or (least is not None and number < least) or (most is not None and number > most):
            raise ValueError(f"{text[:40]} is outside {least:g} to {most:g}")
        return number
    if bounds.get("one_of") and text not in bounds["one_of"]:
        raise ValueError(f"{text[:40]!r} is none of {', '.join(bounds['one_of'])}")
    return text


def command(*words: object) -> str:
    """Return a command line, quoted for a shell; None and False are left out."""
    return shlex.join(str(word) for word in words if word is not None and word is not False)


@dataclass(frozen=True)
class Again:
    """How to see the same again: by a link, on the command line, in Python."""

    link: str
    command: str
    python: str


def again_value(settings: Settings, how: Again) -> dict[str, str]:
    """The value of the folded part at the end of each view (`widgets.again`)."""
    return {"tab": settings.TAB, "link": how.link, "command": how.command, "python": how.python}
