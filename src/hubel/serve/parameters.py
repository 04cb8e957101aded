"""The options of a verb, in the query of its URL: one table reads them and documents them. Depends on refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl

from hubel.serve.refusal import Refusal


@dataclass(frozen=True)
class Parameter:
    """kind : 'integer', 'number', 'string' or 'size' (a number, or text such as 8/255). low, high : what is allowed."""

    name: str
    kind: str
    about: str
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> Any:
        """Return the value that `text` stands for. Raises Refusal (422)."""
        if self.choices and text not in self.choices:
            raise Refusal(422, f"{self.name}={text!r}: one of {', '.join(self.choices)}")
        if self.kind == "string":
            return text
        value = self._number(text)
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise Refusal(422, f"{self.name}={text} lies outside {self.low:g}..{self.high:g}")
        return value

    def _number(self, text: str) -> float | int:
        from hubel.errors import InputError
        from hubel.pixels import parse_eps

        try:
            return int(text) if self.kind == "integer" else parse_eps(text) if self.kind == "size" else float(text)
        except (ValueError, InputError):
            wanted = {"integer": "a whole number", "size": "a size such as 8/255", "number": "a number"}[self.kind]
            raise Refusal(422, f"{self.name}={text!r} is not {wanted}") from None

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of OpenAPI."""
        kind = {"size": "string"}.get(self.kind, self.kind)
        facts = {"type": kind, "default": self.default, "enum": list(self.choices) or None}
        if self.kind in ("integer", "number"):
            facts |= {"minimum": self.low, "maximum": self.high}
        return {name: value for name, value in facts.items() if value is not None}


def read_query(query: bytes, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the value of each parameter by its name. Raises Refusal for unknown, repeated and impossible ones."""
    values = {p.name: p.default for p in parameters}
    if not query:
        return values
    known = {p.name: p for p in parameters}
    seen = set()
    for name, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none'}"
            raise Refusal(422, f"no parameter {name!r}: {hint}")
        if name in seen:
            raise Refusal(422, f"{name} is given twice")
        seen.add(name)
        values[name] = known[name].read(text)
    return values
