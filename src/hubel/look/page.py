"""A folder with what was seen: a PNG for each result, the facts as JSON, and one page that needs nothing else. Depends on
draw.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from hubel.dataurl import data_url
from hubel.look.draw import png
from hubel.replacing import replacing

STYLE = ("body{font:16px/1.5 system-ui,sans-serif;color:#1f2430;max-width:960px;margin:0 auto;padding:16px}"
         "img{max-width:100%;width:480px}code{background:#f1f2f4;padding:2px 4px;overflow-wrap:anywhere}"
         "table{border-collapse:collapse;font-size:13px}td,th{padding:2px 8px;text-align:left;"
         "border-bottom:1px solid #e5e7eb}"
         "div.wide{overflow-x:auto}")


def write_page(folder: Path, title: str, results: dict[str, Any], listed: Any, command: str,
               notes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Write NAME.png for each result (anything with `.plot()` and `.to_dict()`), facts.json and index.html; return the
    facts. A list of layers goes below as a table, addresses of single pictures with the command that draws each again."""
    folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"title": title, "command": command, "notes": notes or {}}
    parts = [f"<h1>{html.escape(title)}</h1>", _note(f"Drawn by {command}")]
    for name, result in results.items():
        picture = png(result.plot())
        _write(folder / f"{name}.png", picture)
        facts[name] = result.to_dict()
        parts.append(f'<h2>{html.escape(name.replace("_", " "))}</h2><img alt="{html.escape(name)}" '
                     f'src="{data_url(picture, "image/png")}">')
        addresses = facts[name].get("addresses", [])
        if addresses:
            rows = "".join(f"<tr><td><code>{html.escape(a)}</code></td><td><code>{html.escape(command)} --unit {unit}</code>"
                           "</td></tr>" for a, unit in zip(addresses, facts[name]["units"], strict=True))
            parts.append(f'<div class="wide"><table><tr><th>address</th><th>draws it again</th></tr>{rows}</table></div>')
    if notes:
        rows = "".join(f"<tr><td>{html.escape(k)}</td><td>{v:.3g}</td></tr>" for k, v in notes.items())
        parts.append(f"<h2>Checks</h2><table>{rows}</table>")
    if listed is not None:
        parts.append(f'<h2>Layers</h2><div class="wide">{listed._repr_html_()}</div>')
    page = (f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{html.escape(title)}</title><style>{STYLE}</style>{''.join(parts)}</html>")
    _write(folder / "index.html", page.encode())
    _write(folder / "facts.json", json.dumps(facts, ensure_ascii=False, indent=1).encode())
    return facts


def _note(text: str) -> str:
    return f"<p><code>{html.escape(text)}</code></p>"


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(content)
