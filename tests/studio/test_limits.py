"""What comes in is small, whole and a picture; who comes in is on this machine or has a password."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from hubel.errors import DataError, InputError
from hubel.studio import limits
from hubel.studio.pictures import Pictures, as_png, shown, uri


def url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_picture_comes_through_to_the_bit():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    data, name = limits.file_of(url(as_png(pixels)), "some/where/cat.png")
    assert name == "cat.png"
    assert np.array_equal(limits.picture(data, name), pixels)


@pytest.mark.parametrize(("data", "words"), [
    (b"", "empty"), (b"MZ\x90\x00" * 100, "not a picture"), (b"<svg onload='x()'/>", "not a picture"), (b"%PDF-1.4 ...", "not a picture"),
    (png_that_claims(60_000, 60_000), "million pixels"), (jpeg(8, 4), "at least 8"), (jpeg(64, 64)[:-25], "cannot be read")],
    ids=["empty", "program", "svg", "pdf", "bomb", "thin", "cut off"])
def test_what_is_no_picture_is_refused_in_a_sentence(data, words):
    with pytest.raises(DataError, match=words) as caught:
        limits.picture(data, "it.png")
    assert "it.png" in str(caught.value) and "\n" not in str(caught.value)


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("the pixels were decoded")

    monkeypatch.setattr("hubel.data.decode.decode_image", never)
    with pytest.raises(DataError, match="million"):
        limits.picture(png_that_claims(5000, 5000), "bomb.png")


@pytest.mark.parametrize("sent", [None, 7, "/etc/passwd", "file:///etc/passwd", "data:image/png;base64,###", "data:image/png,plain", {"path": "/etc/passwd"}])
def test_what_is_no_file_is_refused(sent):
    with pytest.raises(DataError, match="did not arrive"):
        limits.file_of(sent, "x.png")


def test_large_files_are_refused():
    with pytest.raises(DataError, match="21 MB"):
        limits.file_of("data:image/png;base64," + "A" * (28 * 2**20 + 4000), "large.png")


def test_sounds_are_read_and_long_ones_refused():
    import scipy.io.wavfile

    buffer = io.BytesIO()
    scipy.io.wavfile.write(buffer, 1000, np.zeros(1000, np.int16))
    samples, rate = limits.sound(buffer.getvalue(), "a.wav")
    assert (len(samples), rate) == (1000, 1000)
    buffer = io.BytesIO()
    scipy.io.wavfile.write(buffer, 100, np.zeros(7000, np.int16))
    with pytest.raises(DataError, match="70 s"):
        limits.sound(buffer.getvalue(), "a.wav")
    with pytest.raises(DataError):
        limits.sound(b"RIFFxxxxWAVEjunk", "a.wav")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_this_machine_needs_no_password(host):
    assert limits.check_host(host, None) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::", ""])
def test_other_hosts_need_one(host):
    with pytest.raises(InputError, match="--auth"):
        limits.check_host(host, None)
    assert limits.check_host(host, "me:long-enough") == ("me", "long-enough")
    with pytest.raises(InputError, match="8 characters"):
        limits.check_host(host, "me:short")


def test_a_body_that_is_too_large_gets_413():
    async def app(scope, receive, send):
        while (message := await receive())["type"] != "http.disconnect" and message.get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200 if message["type"] == "http.request" else 499, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(headers, parts):
        sent, queue = [], [{"type": "http.request", "body": p, "more_body": i + 1 < len(parts)} for i, p in enumerate(parts)]

        async def receive():
            return queue.pop(0)

        async def send(message):
            sent.append(message)

        await limits.BodyLimit(app, most=100)({"type": "http", "headers": headers}, receive, send)
        return sent[0]["status"]

    assert asyncio.run(ask([(b"content-length", b"90")], [b"x" * 90])) == 200
    assert asyncio.run(ask([(b"content-length", b"101")], [b"x" * 101])) == 413
    assert asyncio.run(ask([(b"content-length", b"-5")], [b""])) == 413
    assert asyncio.run(ask([], [b"x" * 60, b"x" * 60])) == 499  # chunked: no more of it is handed on


def test_dropped_pictures_are_few_and_known_by_content(monkeypatch):
    monkeypatch.setattr("hubel.studio.pictures.KEPT", 30_000)
    pictures = Pictures()
    rng = np.random.default_rng(0)
    keys = [pictures.drop(uri(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)), f"{i}.png").key for i in range(4)]
    assert keys[-1] in pictures and keys[0] not in pictures
    with pytest.raises(InputError, match="not here any more"):
        pictures[keys[0]]
    again = np.random.default_rng(5).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert pictures.drop(uri(again), "a.png").key == pictures.drop(uri(again), "b.png").key


def test_pictures_are_shown_small():
    tall = np.zeros((2000, 10, 1), np.uint8)
    assert shown(tall, 500).shape == (500, 2, 1)
    assert shown(tall[:100], 500) is not None and shown(tall[:100], 500).shape == (100, 10, 1)
