"""What a request is refused with: a status, one sentence, and headers. Depends on nothing."""

from __future__ import annotations

from http import HTTPStatus


class Refusal(Exception):
    """Raised anywhere while a request is served; its client gets `{"error": sentence}` with the status."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        self.status = status
        self.sentence = " ".join(sentence.split())
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(f"{status} {HTTPStatus(status).phrase}: {self.sentence}")
