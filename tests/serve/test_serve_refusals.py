"""What is refused: with which status, in one sentence, and before it costs anything."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
import threading
import zlib
from typing import Any

import numpy as np
import pytest
from asking import ask, encoded, form_of, one, run

from hubel import Model
from hubel.errors import InputError
from hubel.serve import Limits, application, serve
from hubel.serve.refusal import Refusal


def bomb(side: int) -> bytes:
    """A PNG of a few hundred bytes whose header promises side x side pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + chunk(b"IEND", b""))


def npy(array: np.ndarray, shape: str | None = None) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    data = file.getvalue()
    if shape is not None:
        old = str(array.shape).encode()
        data = data.replace(old + b", }" + b" " * (len(shape) - len(old)), shape.encode() + b", }")
    return data


@pytest.fixture(scope="module")
def picture(pictures: np.ndarray) -> bytes:
    return encoded(pictures[0])


@pytest.mark.parametrize(("body", "kind", "status", "says"), [
    (b"", "image/png", 400, "no body"),
    (b"hello", "image/png", 415, "no image of a known format"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 415, "no image of a known format"),
    (b"%!PS-Adobe", "application/octet-stream", 415, "no image of a known format"),
    (b"{}", "application/json", 415, "'application/json' is not read"),
    (b"x", "", 415, "type is missing"),
    (b"--x\r\n", "multipart/form-data; boundary=x", 400, "before its last boundary"),
    (b"--x--\r\n", "multipart/form-data", 400, "boundary"),
    (b"\x89PNG\r\n\x1a\n junk", "image/png", 422, "damaged at its start"),
    (b"\xff\xd8\xff", "image/jpeg", 422, "damaged at its start"),
    (bomb(50_000), "image/png", 413, "more pixels"),
    (bomb(7_000), "image/png", 413, "7000 x 7000 pixels: at most 40 million"),
    (npy(np.zeros((1, 12, 12, 1), np.uint8))[:-4], "application/x-npy", 422, "promises 144 bytes and 140 follow"),
    (npy(np.zeros((1, 12, 12, 1), np.uint8), "(99999999999, 12, 12, 1)"), "application/x-npy", 422, "promises"),
    (npy(np.array([{"a": 1}], object)), "application/x-npy", 415, "object"),
    (npy(np.full((12, 12), np.nan)), "application/x-npy", 422, "NaN"),
    (npy(np.full((12, 12), 3.5)), "application/x-npy", 422, "0..1"),
    (npy(np.zeros((0, 12, 12, 1), np.uint8)), "application/x-npy", 400, "empty array"),
    (npy(np.zeros((7, 7, 7, 7, 7), np.uint8)), "application/x-npy", 422, "dimensions"),
    (npy(np.zeros((2049, 12, 12, 1), np.uint8)), "application/x-npy", 413, "2049 inputs: at most 2048"),
])
def test_bodies_that_are_refused(app: Any, body: bytes, kind: str, status: int, says: str) -> None:
    got = one(app, "/predict", body, kind)
    assert got.status == status and says in got.error


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_images_are_damaged_not_guessed(app: Any, pictures: np.ndarray, form: str) -> None:
    whole = encoded(pictures[0], form)
    assert one(app, "/predict", whole).status == 200
    got = one(app, "/predict", whole[: len(whole) * 2 // 3])
    assert got.status == 422 and "the image" in got.error


def test_a_bad_file_of_several_is_named(app: Any, picture: bytes) -> None:
    body, kind = form_of(picture, b"hello", picture)
    got = one(app, "/predict", body, kind)
    assert got.status == 415 and got.error.startswith("file 2 ")


@pytest.mark.parametrize(("path", "status", "says"), [
    ("/predict?top=0", 422, "outside 1..1000"),
    ("/predict?top=x", 422, "not a whole number"),
    ("/predict?to=3", 422, "did you mean top?"),
    ("/predict?top=1&top=2", 422, "twice"),
    ("/explain?class=zebra", 422, "no class 'zebra'"),
    ("/explain?method=magic", 422, "one of gradcam"),
    ("/attack?target=zebra", 422, "no class"),
    ("/attack?eps=-1/255", 422, "eps"),
    ("/attack?eps=nan", 422, "eps"),
    ("/attack?norm=l0", 422, "one of linf, l2"),
    ("/attack?steps=100000", 422, "outside"),
    ("/nothing", 404, "there is no /nothing"),
])
def test_options_that_are_refused(app: Any, picture: bytes, path: str, status: int, says: str) -> None:
    got = one(app, path, picture)
    assert got.status == status and says in got.error


def test_methods(app: Any, picture: bytes) -> None:
    assert one(app, "/predict", method="GET").headers["allow"] == "POST"
    assert one(app, "/health", picture, method="POST").status == 405
    head = one(app, "/openapi.json", method="HEAD")
    assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 1000


def test_bodies_above_the_limit_are_not_kept(model: Model) -> None:
    app = application(model, limits=Limits(megabytes=0.01))
    for parts in (1, 7):
        assert one(app, "/predict", b"x" * 10_001, parts=parts).status == 413
        unsaid = one(app, "/predict", b"x" * 10_001, parts=parts, content_length="0")  # as in a chunked body
        assert unsaid.status == 413
    for length in ("0", "50000"):
        endless = one(app, "/predict", b"x" * 50_000, parts=50, content_length=length)
        assert endless.status == 413 and endless.headers["connection"] == "close"
    assert one(app, "/predict", b"x" * 10_000, parts=7).status == 415
    assert one(app, "/predict", b"x", content_length="many").status == 400


def test_a_body_that_never_ends_is_given_up(model: Model) -> None:
    app = application(model, limits=Limits(receive_seconds=0.05))

    async def silent() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    async def work(a: Any) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"",
                 "headers": [(b"content-type", b"image/png")]}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await a(scope, silent, send)
        return sent

    assert run(app, work)[0][0]["status"] == 408


def test_more_than_the_queue_holds_is_refused_and_all_else_answered(model: Model, picture: bytes) -> None:
    app = application(model, limits=Limits(queue=10))
    release = threading.Event()
    compute = app.batcher.compute

    def slowly(requests: Any) -> Any:
        release.wait()
        return compute(requests)

    app.batcher.compute = slowly

    async def crowd(a: Any) -> list[Any]:
        waiting = [asyncio.ensure_future(ask(a, "/predict", picture)) for _ in range(25)]
        await asyncio.sleep(0.1)
        refused = [w.result() for w in waiting if w.done()]
        assert a.batcher.waiting == 10
        release.set()
        answered = [g for g in await asyncio.gather(*waiting) if g not in refused]
        assert a.batcher.waiting == 0
        again = await ask(a, "/predict", picture)
        return [refused, answered, again]

    ((refused, answered, again),) = run(app, crowd)
    assert len(refused) == 15 and {g.status for g in refused} == {429}
    assert all(int(g.headers["retry-after"]) >= 1 and "10 inputs are waiting" in g.error for g in refused)
    assert [g.status for g in answered] == [200] * 10 and again.status == 200


def test_slow_work_has_a_queue_of_its_own_and_is_dropped_with_its_client(model: Model, picture: bytes) -> None:
    app = application(model, limits=Limits(slow_queue=2))
    release, begun = threading.Event(), []
    app.slow = lambda verb, data, options: (begun.append(verb), release.wait(), (b"{}", b"application/json"))[-1]

    async def crowd(a: Any) -> list[Any]:
        gone = asyncio.Event()
        first = asyncio.ensure_future(ask(a, "/attack", picture))
        second = asyncio.ensure_future(ask(a, "/explain", picture, gone=gone))
        await asyncio.sleep(0.05)
        third = await ask(a, "/explain", picture)
        quick = await ask(a, "/predict", picture)  # is not held up
        gone.set()
        left = await second
        release.set()
        return [await first, left, third, quick]

    ((first, left, third, quick),) = run(app, crowd)
    assert (first.status, left.status, third.status, quick.status) == (200, 0, 429, 200)
    assert begun == ["attack"] and app.slow_waiting == 0


def test_one_input_the_model_fails_on_does_not_spoil_the_others(model: Model, pictures: np.ndarray) -> None:
    app = application(model)
    compute = app.batcher.compute

    def choosy(requests: Any) -> Any:
        if any(r.options.get("top") == 4 for r in requests):
            raise RuntimeError("too\nmuch")
        return compute(requests)

    app.batcher.compute = choosy
    got = run(app, *(lambda a, i=i: ask(a, f"/predict?top={4 if i == 3 else 1}", encoded(pictures[i])) for i in range(8)))
    assert [g.status for g in got] == [200, 200, 200, 500, 200, 200, 200, 200]
    assert got[3].error == "the model failed on this input: RuntimeError: too much"


def test_who_may_ask(model: Model, picture: bytes) -> None:
    app = application(model, token="0123456789", auth="me:a:b")
    basic = base64.b64encode(b"me:a:b").decode()
    for given, status in ((None, 401), ("Bearer 0123456789", 200), ("bearer 0123456789", 200), ("Bearer 012345678", 401),
                          ("Bearer", 401), (f"Basic {basic}", 200), ("Basic !!", 401), ("Basic 0123456789", 401),
                          (f"Bearer {basic}", 401)):
        headers = {} if given is None else {"authorization": given}
        assert one(app, "/predict", picture, **headers).status == status, given
        assert one(app, "/openapi.json", method="GET", **headers).status == status
    assert one(app, "/health", method="GET").status == 200
    assert "Basic" in one(app, "/").headers["www-authenticate"]


def test_pages_from_elsewhere_do_not_get_in_by_a_name_of_theirs(app: Any, picture: bytes) -> None:
    for host, status in (("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:9", 200), ("evil.example", 421), ("evil.example:80", 421)):
        assert one(app, "/predict", picture, host=host).status == status, host


def test_what_a_server_is_not_started_with(model: Model) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(InputError, match="--token or --auth"):
            serve(model, host)
    for options, says in (({"token": "short"}, "8 characters"), ({"auth": "me"}, "USER:PASSWORD"), ({"auth": ":x"}, "USER:PASSWORD")):
        with pytest.raises(InputError, match=says):
            serve(model, **options)
    with pytest.raises(InputError, match="queue=0"):
        Limits(queue=0)
    with pytest.raises(ValueError):
        Refusal(999, "no such status")
