"""The studio's own controls: a lens, a kernel, a dial, pictures to pick from, paper to paint on, how to see it again.

Each is a small script in static/ on Gradio's HTML component: `value` is plain JSON, events are Gradio's. Depends on Gradio.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

STATIC = Path(__file__).parent / "static"


def _widget(name: str, value: Any, **options: Any) -> gr.HTML:
    script = (STATIC / f"{name}.js").read_text("utf-8")
    return gr.HTML(value, html_template=f'<div class="hb-{name}"></div>', js_on_load=script, **options)


def lens(**options: Any) -> gr.HTML:
    """value: {input, output: data URLs, title_in, title_out, size_in, size_out: [h, w], kernel: [h, w] or None, stride, at}.
    Event `select` with row and column of the answer."""
    return _widget("lens", None, **options)


def kernel(**options: Any) -> gr.HTML:
    """value: {rows: [[...]]}. Event `input`."""
    return _widget("kernel", None, **options)


def dial(value: float = 90, **options: Any) -> gr.HTML:
    """value: degrees, 0..359. Event `input`."""
    return _widget("dial", value, **options)


def picker(value: dict[str, Any], **options: Any) -> gr.HTML:
    """value: {group, label, choices: [{key, name, thumb}], chosen, own}. Events `input`, `drop_file` with name and data."""
    return _widget("picker", value, **options)


def paint(value: dict[str, Any], **options: Any) -> gr.HTML:
    """value: {image: data URL or None, size: [h, w], strokes: data URL or None, ink, brush, version}. Event `input`."""
    return _widget("paint", value, **options)


def again(**options: Any) -> gr.HTML:
    """value: {tab, link, command, python}."""
    return _widget("again", None, **options)


def groups(value: dict[str, Any], **options: Any) -> gr.HTML:
    """value: {groups: [{name, keys}], thumbs: {key: data URL}, names: {key: name}, named}. Events `input`, `drop_file` with group,
    name and data."""
    return _widget("groups", value, **options)
