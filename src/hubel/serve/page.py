"""The page at /: what can be asked, with a form to try it, from the OpenAPI document. Depends on nothing, nor does the page."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any


def page(about: dict[str, Any]) -> bytes:
    """Return the page (HTML, self-contained) of a service described by `about`."""
    sections = [_section(path, methods["post"]) for path, methods in about["paths"].items() if "post" in methods]
    refused = next(m["post"]["responses"] for m in about["paths"].values() if "post" in m)
    rows = "".join(f"<tr><td>{status}</td><td>{html.escape(r['description'])}</td></tr>" for status, r in refused.items() if status != "200")
    text = Path(__file__).with_name("page.html").read_text("utf-8")
    for name, value in {"description": html.escape(about["info"]["description"]), "sections": "".join(sections), "refused": rows}.items():
        text = text.replace(f"<!-- {name} -->", value)
    return text.encode()


def _section(path: str, operation: dict[str, Any]) -> str:
    rows = "".join(f"<tr><td><code>{html.escape(p['name'])}</code></td><td>{html.escape(p['description'])} {_range(p['schema'])}</td></tr>"
                   for p in operation["parameters"])
    options = "".join(_field(p) for p in operation["parameters"])
    several = " multiple" if path in ("/predict", "/embed") else ""
    label = "files" if several else "file"
    return f"""<section id="{path[1:]}"><h2><code>POST {path}</code></h2><p><b>{html.escape(operation['summary'])}.</b>
{_code(operation['description'])}</p>{f'<table>{rows}</table>' if rows else ''}
<form data-path="{path}"><label>{label} <input type="file" name="file" required{several}></label>{options}<button>Ask</button></form>
<pre class="command"></pre><div class="answer" role="status"></div></section>"""


def _code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _range(schema: dict[str, Any]) -> str:
    words = []
    if "enum" in schema:
        words.append(f"One of {', '.join(schema['enum'])}.")
    if "minimum" in schema and "maximum" in schema:
        words.append(f"{schema['minimum']:g} to {schema['maximum']:g}.")
    if "default" in schema:
        words.append(f"Default {schema['default']}.")
    return html.escape(" ".join(words))


def _field(parameter: dict[str, Any]) -> str:
    name, schema = html.escape(parameter["name"]), parameter["schema"]
    if "enum" in schema:
        choices = "".join(f"<option{' selected' if c == schema.get('default') else ''}>{html.escape(c)}</option>" for c in schema["enum"])
        return f'<label>{name} <select name="{name}">{choices}</select></label>'
    return f'<label>{name} <input name="{name}" size="10" placeholder="{html.escape(str(schema.get("default", "")))}"></label>'
