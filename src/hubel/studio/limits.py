"""What the studio lets in: how large files, bodies and pictures may be, and who may connect. Depends on data, errors.

Pictures and sounds come as data URLs in the events of the page: no path ever crosses, so none can be asked for. What the
header of a picture says about its size is believed before a pixel is decoded: a decompression bomb is refused, not opened.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import PurePath
from typing import Any

import numpy as np

from hubel.errors import DataError, InputError
from hubel.loopback import is_loopback

MAX_FILE = 20 * 2**20  # bytes of one picture or sound
MAX_PIXELS = 24_000_000  # of one picture
MAX_SECONDS = 60.0  # of one sound
MAX_BODY = 2 * MAX_FILE  # bytes of one request: a file, in base64, and what goes with it
LEAST_SIDE = 8  # pixels


def file_of(url: Any, name: Any) -> tuple[bytes, str]:
    """Return the bytes of a data URL and a name that is a name, no path. Raises DataError."""
    called = PurePath(str(name or "picture").replace("\\", "/")).name[:80] or "picture"
    if not isinstance(url, str) or not url.startswith("data:") or "," not in url[:200]:
        raise DataError(f"{called} did not arrive as a file: drop it again")
    if len(url) * 3 // 4 > MAX_FILE + 1000:
        raise DataError(f"{called} has {len(url) * 3 // 4 / 2**20:.0f} MB: more than {MAX_FILE >> 20} are refused, make it smaller")
    head, _, body = url.partition(",")
    if not head.endswith(";base64"):
        raise DataError(f"{called} did not arrive whole: drop it again")
    try:
        return base64.b64decode(body, validate=True), called
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{called} did not arrive whole: drop it again") from error


def picture(data: bytes, name: str) -> np.ndarray:
    """Return an image file's pixels, uint8 (H, W, 1 or 3). Raises DataError for what is no image, or too large a one."""
    from PIL import Image

    from hubel.data.decode import FORMATS, decode_image

    if not data:
        raise DataError(f"{name} is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            width, height = opened.size
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} has far more than {MAX_PIXELS // 10**6} million pixels, which are refused: make it smaller") from error
    except Exception as error:  # headers of anything else raise nearly anything
        raise DataError(f"{name} is not a picture that can be read: give a JPEG, PNG, WebP, BMP, TIFF or GIF file") from error
    if width * height > MAX_PIXELS:
        raise DataError(f"{name} has {width} x {height} pixels: more than {MAX_PIXELS // 10**6} million are refused, make it smaller")
    if min(width, height) < LEAST_SIDE:
        raise DataError(f"{name} has {width} x {height} pixels: give at least {LEAST_SIDE} on each side")
    return decode_image(data, name=name)


def sound(data: bytes, name: str) -> tuple[np.ndarray, int]:
    """Return a sound file's samples float32 (T,) and rate. Raises DataError."""
    from hubel.data.sound import decode_sound

    samples, rate = decode_sound(data, name=name)
    if len(samples) > MAX_SECONDS * rate:
        raise DataError(f"{name} lasts {len(samples) / rate:.0f} s: more than {MAX_SECONDS:.0f} are refused, cut it")
    return samples, rate


def check_host(host: str, auth: str | None) -> tuple[str, str] | None:
    """Return (user, password) or None; raises InputError for another host than this machine's own without a password."""
    if auth is None:
        if not is_loopback(host):
            raise InputError(f"--host {host} lets other machines in: add --auth USER:PASSWORD, or stay on 127.0.0.1")
        return None
    user, colon, password = auth.partition(":")
    if not (user and colon and len(password) >= 8):
        raise InputError("--auth needs USER:PASSWORD with a password of at least 8 characters")
    return user, password


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class BodyLimit:
    """ASGI middleware: answers 413 to a request whose body is larger than `most` bytes, whatever its header says."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], most: int = MAX_BODY) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope.get("headers") or ()).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.most:
            await _refuse(send, self.most)
            return
        seen = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body") or b"")
            if seen > self.most:  # chunked: the header told nothing
                return {"type": "http.disconnect"}
            return message

        await self.app(scope, counted, send)


async def _refuse(send: Send, most: int) -> None:
    text = f"The request is larger than {most >> 20} MB.".encode()
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})
