"""The service as an ASGI application: paths, refusals, counts. Depends on the rest of the room, and on no framework.

Measured on two cores with 50 clients (requests a second, empty answers): this way 31,000, Starlette 16,000, FastAPI 7,500. On
small networks that is the difference between serving and waiting; the OpenAPI document is written from `verbs`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from hubel.serve.access import Access
from hubel.serve.batching import Batcher
from hubel.serve.body import check_type, files_in
from hubel.serve.inputs import Reader
from hubel.serve.limits import Limits
from hubel.serve.metrics import Metrics
from hubel.serve.openapi import document
from hubel.serve.page import page
from hubel.serve.parameters import read_query
from hubel.serve.quick import Quick, batch_size
from hubel.serve.refusal import Refusal
from hubel.serve.slow import JSON, Slow
from hubel.serve.verbs import VERBS, Verb

log = logging.getLogger("hubel.serve")
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, bytes, bytes, dict[str, str]]  # status, body, content type, headers


class Service:
    """One model, served: an ASGI 3 application. Its lifespan starts and stops the threads that compute."""

    def __init__(self, model: Any, limits: Limits, access: Access, precision: str = "fp32") -> None:
        self.model, self.access = model, access
        self.limits = limits = limits.for_batches_of(batch_size(model))
        self.metrics = Metrics()
        self.reader = Reader(model, limits)
        self.quick = Quick(model, self.reader, precision)
        self.batcher = Batcher(self.quick, self.quick.batch, limits.queue or 1, self.metrics, self.quick.threads, self.quick.begin)
        self.slow = Slow(model, self.reader)
        self.slow_waiting = 0
        self._slow_thread: ThreadPoolExecutor | None = None
        self.verbs = {f"/{name}": verb for name, verb in VERBS.items() if model.kind == "image" or not verb.images}
        self.ready = False
        about = document(model, limits, list(self.verbs.values()), bool(access.token or access.auth))
        pages = {"/": (page(about), b"text/html; charset=utf-8"), "/openapi.json": (json.dumps(about).encode(), JSON)}
        self.views: dict[str, Callable[[], Answer]] = {"/health": self._health, "/metrics": self._metrics}
        self.views |= {path: partial(_fixed, body, kind) for path, (body, kind) in pages.items()}
        self.metrics.gauges |= {
            "hubel_waiting_inputs": ("Inputs taken and not yet answered.", lambda: self.batcher.waiting),
            "hubel_waiting_slow_requests": ("Requests to explain or attack that wait or run.", lambda: self.slow_waiting)}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # a web socket
            await send({"type": "websocket.close"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.batcher.start()
        self._slow_thread = ThreadPoolExecutor(1, thread_name_prefix="hubel-slow")
        await asyncio.to_thread(self.quick.warm)
        self.ready = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.ready = False
        await asyncio.to_thread(self.batcher.stop)
        self._slow_thread.shutdown(wait=False, cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        path = scope["path"]
        try:
            headers = dict(scope["headers"])
            status, body, kind, more = await self._answer(scope, headers, receive)
        except Refusal as refusal:
            status, kind, more = refusal.status, JSON, refusal.headers
            body = json.dumps({"error": refusal.sentence}, ensure_ascii=False).encode()
        except Gone:
            self.metrics.request(path, 499, 0)
            return
        except asyncio.CancelledError:  # the server stops, and this has taken too long
            status, kind, more = 503, JSON, {"Connection": "close"}
            body = b'{"error": "the server is stopping: ask another, or again later"}'
        except Exception as error:
            log.exception("%s failed", path)
            status, kind, more = 500, JSON, {}
            body = json.dumps({"error": f"the server failed: {type(error).__name__}; its log says more"}).encode()
        head = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"x-content-type-options", b"nosniff")]
        head += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        known = path in self.verbs or path in self.views
        self.metrics.request(path if known else "other", status, time.perf_counter() - began)

    async def _answer(self, scope: Message, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        path, method = scope["path"], scope["method"]
        if path != "/health":
            self.access.check(headers)
        if view := self.views.get(path):
            if method not in ("GET", "HEAD"):
                raise Refusal(405, f"{path} takes GET, not {method}", Allow="GET, HEAD", Connection="close")
            return view()
        verb = self.verbs.get(path)
        if verb is None:
            raise Refusal(404, f"there is no {path[:100]}: there are {', '.join((*self.verbs, *self.views))}", Connection="close")
        if method != "POST":
            raise Refusal(405, f"{path} takes POST with a file in its body, not {method}", Allow="POST")
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        try:
            options = read_query(scope["query_string"], verb.parameters)
            self._check_room(verb)
            check_type(content_type)
        except Refusal:
            await self._body(receive, headers, keep=False)
            raise
        files = files_in(content_type, await self._body(receive, headers))
        return await (self._ask_slowly if verb.images else self._ask)(verb, files, options, receive)

    async def _ask(self, verb: Verb, files: list[bytes], options: dict[str, Any], receive: Receive) -> Answer:
        count = len(files) if len(files) > 1 else self.reader.count(files[0])
        if count > self.batcher.limit:
            raise Refusal(413, f"the request holds {count} inputs: at most {self.batcher.limit} are taken")
        return 200, await self.batcher.ask(verb.name, files, options, count), JSON, {}

    async def _ask_slowly(self, verb: Verb, files: list[bytes], options: dict[str, Any], receive: Receive) -> Answer:
        if len(files) > 1:
            raise Refusal(422, f"the form holds {len(files)} files: send one to /{verb.name}")
        self._check_room(verb)
        self.slow_waiting += 1
        work = asyncio.get_running_loop().run_in_executor(self._slow_thread, self.slow, verb.name, files[0], options)
        work.add_done_callback(self._slow_done)
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():  # nobody waits any more: what has not begun never will
                work.cancel()
                raise Gone
            body, kind = work.result()
            return 200, body, kind, {}
        finally:
            gone.cancel()

    def _slow_done(self, work: asyncio.Future[Any]) -> None:
        self.slow_waiting -= 1
        if not work.cancelled():
            work.exception()  # has been looked at

    def _check_room(self, verb: Verb) -> None:
        if not verb.images:
            self.batcher.check_room()
        elif self.slow_waiting >= self.limits.slow_queue:
            raise Refusal(429, f"{self.slow_waiting} requests to explain or attack are waiting, and at most "
                               f"{self.limits.slow_queue} may: try again in 5 s", Retry_After="5")

    async def _body(self, receive: Receive, headers: dict[bytes, bytes], keep: bool = True) -> bytes:
        """The request's body; b"" where it is not kept. Raises Refusal (400, 408, 413).

        A client that is cut off while it sends never sees why: what is too large, but not absurd, is let run out unseen.
        """
        limit = self.limits.bytes
        try:
            declared = int(headers.get(b"content-length", b"0"))
        except ValueError:
            raise Refusal(400, "the Content-Length is no number", Connection="close") from None
        too_large = f"the body has more than {self.limits.megabytes:g} MB, which is the most that is taken"
        if declared > 4 * limit:
            raise Refusal(413, too_large, Connection="close")
        parts: list[bytes] = []
        size, message = 0, Message(more_body=True)
        try:
            async with asyncio.timeout(self.limits.receive_seconds):
                while message.get("more_body") and size <= 4 * limit:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    part = message.get("body", b"")
                    size += len(part)
                    if keep and declared <= limit and size <= limit:
                        parts.append(part)
        except TimeoutError:
            raise Refusal(408, f"the body did not arrive within {self.limits.receive_seconds:g} s", Connection="close") from None
        if size > limit:
            raise Refusal(413, too_large, **({"Connection": "close"} if message.get("more_body") else {}))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _health(self) -> Answer:
        alive = self.batcher.alive and self.ready
        facts = {"status": "ok" if alive else "not ready", "model": self.model.hash, "kind": self.model.kind,
                 "classes": len(self.model.classes), "size": self.model.size, "precision": self.quick.used,
                 "waiting": self.batcher.waiting, "slow_waiting": self.slow_waiting}
        return (200 if alive else 503), json.dumps(facts).encode(), JSON, {"Cache-Control": "no-store"}

    def _metrics(self) -> Answer:
        return 200, self.metrics.text().encode(), b"text/plain; version=0.0.4; charset=utf-8", {"Cache-Control": "no-store"}


def _fixed(body: bytes, kind: bytes) -> Answer:
    return 200, body, kind, {}


class Gone(Exception):
    """The client has closed its connection."""
