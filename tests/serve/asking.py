"""Requests to an ASGI application within the test, and files to send."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def facts(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal: one line, and nothing but it."""
        assert list(self.facts) == ["error"]
        assert "\n" not in self.facts["error"]
        assert "Traceback" not in self.facts["error"]
        return self.facts["error"]


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[Any]:
    """`app` between its start and its stop, as a server would run it."""
    to, back = asyncio.Queue(), asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, to.get, back.put))
    await to.put({"type": "lifespan.startup"})
    assert (await back.get())["type"] == "lifespan.startup.complete"
    try:
        yield app
    finally:
        await to.put({"type": "lifespan.shutdown"})
        await task


async def ask(app: Any, path: str, body: bytes = b"", kind: str = "image/png", method: str = "POST", parts: int = 1,
              gone: asyncio.Event | None = None, **headers: str) -> Got:
    """One request, its body in `parts` messages; the client goes away when `gone` is set."""
    path, _, query = path.partition("?")
    raw = {"host": "localhost", "content-type": kind, "content-length": str(len(body)), **headers}
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(),
             "headers": [(k.replace("_", "-").lower().encode(), v.encode()) for k, v in raw.items()]}
    step = -(-len(body) // parts) or 1
    pieces = [body[i : i + step] for i in range(0, len(body), step)] or [b""]
    messages = [{"type": "http.request", "body": p, "more_body": i + 1 < len(pieces)} for i, p in enumerate(pieces)]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return Got(0, {}, b"")
    names = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return Got(sent[0]["status"], names, b"".join(m.get("body", b"") for m in sent[1:]))


def run(app: Any, *work: Callable[[Any], Awaitable[Any]]) -> list[Any]:
    """What each of `work` returns, all at once, from one run of `app`."""
    async def all_of_it() -> list[Any]:
        async with running(app):
            return list(await asyncio.gather(*(w(app) for w in work)))

    return asyncio.run(all_of_it())


def one(app: Any, *arguments: Any, **options: Any) -> Got:
    return run(app, lambda a: ask(a, *arguments, **options))[0]


def encoded(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, form, **options)
    return buffer.getvalue()


def form_of(*files: bytes, boundary: str = "--a b") -> tuple[bytes, str]:
    """A form as curl and browsers send it, and its content type."""
    body = b"".join(b"--" + boundary.encode() + b'\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
                    b"Content-Type: image/png\r\n\r\n" + f + b"\r\n" for f in files)
    return body + b"--" + boundary.encode() + b"--\r\n", f'multipart/form-data; boundary="{boundary}"'
