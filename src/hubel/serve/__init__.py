"""A model over HTTP: predict, embed, explain and attack, in batches, with a bound on what waits. Extra: hubel[serve].

    serve(model, port=8000)                     until Ctrl-C; the page at http://127.0.0.1:8000/ says what can be asked
    application(model)                          the same as an ASGI application, for a server of your own

Depends on model, data, engine, look and attack; computes nothing itself.
"""

from __future__ import annotations

from typing import Any

from hubel.serve.limits import Limits
from hubel.serve.running import serve

__all__ = ["Limits", "application", "serve"]


def application(model: Any, *, token: str | None = None, auth: str | None = None, local: bool = False, precision: str = "fp32",
                limits: Limits | None = None) -> Any:
    """Return an ASGI 3 application that serves `model` (see `serve`). local : answer only requests to localhost."""
    from hubel.serve.access import Access
    from hubel.serve.app import Service

    return Service(model, limits or Limits(), Access(token, auth, local), precision)
