"""How much a server takes on. Depends on errors."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from hubel.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What is more than this is refused, before it costs anything.

    megabytes : of a request's body (413). megapixels : of an image, as its header says, before it is decoded (413).
    queue : inputs taken and not yet answered; the most in one request as well (429, 413). None: eight batches.
    slow_queue : requests to explain or attack that wait or run (429); they run one after the other.
    connections : clients connected at once; those above it get 503.
    receive_seconds : for a request's body to arrive (408). stop_seconds : for requests in hand, once the server is told to stop.
    """

    megabytes: float = 16.0
    megapixels: float = 40.0
    queue: int | None = None
    slow_queue: int = 8
    connections: int = 1000
    receive_seconds: float = 30.0
    stop_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise InputError(f"{field.name}={value}: a limit is above 0")

    def for_batches_of(self, size: int) -> Limits:
        """The same with a queue, for inputs that are computed `size` at a time."""
        return self if self.queue is not None else replace(self, queue=8 * size)

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 1_000_000)

    @property
    def pixels(self) -> int:
        return int(self.megapixels * 1_000_000)
