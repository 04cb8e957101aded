"""Who may ask: anybody on this machine, elsewhere whoever has the token or the password. Depends on errors and refusal."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from hubel.errors import InputError
from hubel.serve.refusal import Refusal

NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Access:
    """token : 'Authorization: Bearer TOKEN'. auth : 'USER:PASSWORD', which browsers ask for. local : only requests that name
    this machine as their host are answered, so that no page from elsewhere gets at the server by a name of its own."""

    token: str | None = None
    auth: str | None = None
    local: bool = True

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < 8:
            raise InputError("the token is shorter than 8 characters: make one with 'openssl rand -hex 16'")
        if self.auth is not None and not all(self.auth.partition(":")):
            raise InputError("--auth is USER:PASSWORD, both of them")

    def check(self, headers: dict[bytes, bytes]) -> None:
        """Raise Refusal: 421 for a request to another host, 401 without the right token or password."""
        if self.local:
            host = headers.get(b"host", b"localhost").decode("latin-1")
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name.lower() not in NAMES:
                raise Refusal(421, f"this server answers to localhost, not to {host[:100]}: start it with --host and --token for that")
        if self.token is None and self.auth is None:
            return
        given = headers.get(b"authorization", b"").partition(b" ")
        wanted = {b"bearer": self.token, b"basic": self.auth}.get(given[0].lower())
        if wanted is None or not hmac.compare_digest(_content(given), wanted.encode()):
            ways = [word for word, there in (('Bearer realm="hubel"', self.token), ('Basic realm="hubel"', self.auth)) if there]
            raise Refusal(401, "who are you? Send 'Authorization: Bearer TOKEN', or user and password, as the server was started with",
                          WWW_Authenticate=", ".join(ways))


def _content(given: tuple[bytes, bytes, bytes]) -> bytes:
    if given[0].lower() == b"bearer":
        return given[2].strip()
    try:
        return base64.b64decode(given[2], validate=True)
    except ValueError:
        return b""
