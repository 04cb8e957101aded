"""From a request's headers and body to the files in it. Depends on refusal alone.

A body is one file (image/*, audio/*, application/octet-stream), an array (application/x-npy, what `numpy.save` writes), or a
form (multipart/form-data) with a file in each part. The whole body is in memory, within `Limits.megabytes`: then a form is
a split at its boundary, which costs a hundredth of a parser that is fed piece by piece.
"""

from __future__ import annotations

import re

from hubel.serve.refusal import Refusal

FILES = ("image/", "audio/", "application/octet-stream", "application/x-npy")
FORM = "multipart/form-data"
TAKEN = "image/*, audio/*, application/octet-stream, application/x-npy or multipart/form-data"


def check_type(content_type: str) -> None:
    """Raise Refusal (415) for a type of body that is not read here."""
    if not content_type.lower().startswith((*FILES, FORM)):
        what = f"a body of type {content_type.split(';')[0]!r} is not read" if content_type else "the body's type is missing"
        raise Refusal(415, f"{what}: send {TAKEN}")


def files_in(content_type: str, body: bytes) -> list[bytes]:
    """Return the files of a body, in order. Raises Refusal (400) for an empty body and a broken form."""
    if not body:
        raise Refusal(400, "the request has no body: send an image in it")
    if not content_type.lower().startswith(FORM):
        return [body]
    match = re.search(r'boundary=(?:"([^"]{1,70})"|([^;\s]{1,70}))', content_type, re.IGNORECASE)
    if match is None:
        raise Refusal(400, "the form's Content-Type names no boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + (match[1] or match[2]).encode("latin-1"))
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise Refusal(400, "the form ends before its last boundary")
    found = []
    for part in parts[1:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank or not head.startswith((b"\r\n", b" ", b"\t")):
            raise Refusal(400, "a part of the form has no headers")
        if b"filename" not in head.lower():
            raise Refusal(400, "a part of the form is no file: options belong into the URL, after a ?")
        found.append(content)
    if not found:
        raise Refusal(400, "the form holds no file")
    return found
