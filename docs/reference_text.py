"""How docstrings read in the reference: lines `name : meaning` as a list, tables of calls as code. Depends on griffe.

In the sources both are plain lines, which Markdown would run together.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

FIELD = re.compile(r"(?:^|(?<=[.;] ))(\w+(?:, \w+)*) : (?=\S)", re.MULTILINE)
SECTION = re.compile(r"^\w+\n-{3,}$", re.MULTILINE)


class Readable(griffe.Extension):
    """Rewrites the text before the first section; sections (Parameters, Raises) are griffe's to read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(text: str) -> str:
    """Return a docstring with its fields as a list and its tables of calls as code."""
    first = SECTION.search(text)
    end = first.start() if first else len(text)
    return "\n\n".join(_paragraph(p) for p in text[:end].split("\n\n")) + text[end:]


def _paragraph(text: str) -> str:
    lines = text.split("\n")
    if len(lines) > 1 and sum(bool(re.search(r"\S {3,}\S", line)) for line in lines) > len(lines) / 2:
        return "\n".join(("```text", *textwrap.dedent(text).split("\n"), "```"))
    if not FIELD.search(text):
        return text
    before = text[: FIELD.search(text).start()]  # type: ignore[union-attr]
    listed = FIELD.sub(r"\n- `\1`: ", text[len(before) :]).replace("\n\n", "\n").lstrip("\n")
    return (before.rstrip() + "\n\n" if before.strip() else "") + listed
