"""What is written while the guide is built: the page of benchmarks, from bench/RESULTS.md. Depends on nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "bench" / "RESULTS.md"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the measured sections where the page of benchmarks asks for them."""
    if page.file.src_uri != "benchmarks.md":
        return markdown
    sections = re.split(r"(?m)^(?=## )", RESULTS.read_text("utf-8"))[1:]
    return markdown.replace("<!-- results -->", "".join(sorted(sections, key=str.casefold)))


def on_serve(server: Any, **_: Any) -> None:
    """`mkdocs serve` builds again when something has been measured."""
    server.watch(str(RESULTS))
