"""Bytes as a `data:` URL, so that a page needs no file beside it. Depends on the standard library."""

from __future__ import annotations

import base64


def data_url(content: bytes, media: str) -> str:
    """Return `content` as a URL of that media type ('image/png')."""
    return f"data:{media};base64,{base64.b64encode(content).decode()}"
