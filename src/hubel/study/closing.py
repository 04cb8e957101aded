"""What `hubel study` prints when it is done: the key figures and where the report is. Depends on the report's headline."""

from __future__ import annotations

from hubel.study.report.headline import headline
from hubel.study.study import Study


def closing(study: Study) -> str:
    keys = headline(study.facts)
    width = max((len(key.name) for key in keys), default=0)
    lines = [f"  {key.name:<{width}}  {key.value:>8}  {key.note}" for key in keys]
    notes = [f"  left out: {note['stage']}: {note['message']}" for note in study.facts["notes"]]
    return "\n".join(["", *lines, *notes, "", f"  {study.report}"])
