"""Start the server, say where it is, stop it in an orderly way. Depends on uvicorn, of the extra hubel[serve]."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

from hubel.engine import keep_memory
from hubel.errors import InputError
from hubel.loopback import is_loopback
from hubel.serve.access import Access
from hubel.serve.app import Service
from hubel.serve.limits import Limits

SWITCH_SECONDS = 0.001  # how long a thread may keep the interpreter from the one that computes (Python's own: 5 ms)


def serve(model: Any, host: str = "127.0.0.1", port: int = 8000, *, token: str | None = None, auth: str | None = None,
          precision: str = "fp32", limits: Limits | None = None, ready: Callable[[str], Any] | None = None) -> bool:
    """Serve `model` until SIGTERM or Ctrl-C, then answer the requests in hand and return. Call it from the main thread.

    model : a Model. host : where to listen; anything but loopback needs `token` (Bearer) or `auth` ('USER:PASSWORD').
    port : 0 takes a free one. precision : 'fp32' gives `Model.predict`'s answers; 'auto' runs in bf16 where the
    engine's self-test allows it: faster, but of classes that are nearly as likely another may come first. ready : called
    with the address once requests are answered.

    Returns whether all work was done: False where an attack or explanation still runs, which nobody waits for any more.
    Raises InputError for a host without protection, for a port that is taken, and where uvicorn is not installed.
    """
    try:
        from hubel.serve.server import Server
    except ImportError:
        raise InputError("hubel serve needs uvicorn: pip install 'hubel[serve]'") from None
    local = is_loopback(host)
    if not local and token is None and auth is None:
        raise InputError(f"--host {host} can be reached from other machines: give --token or --auth as well, or listen on 127.0.0.1")
    limits = limits or Limits()
    keep_memory()  # before there are threads, which take a memory arena each and stay with it
    service = Service(model, limits, Access(token, auth, local), precision)
    listening = _listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    log, handler, interval = logging.getLogger("hubel.serve"), logging.StreamHandler(sys.stderr), sys.getswitchinterval()
    log.addHandler(handler)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with listening:
            Server(service, limits, lambda: None if ready is None else ready(address)).run([listening])
    finally:
        sys.setswitchinterval(interval)
        log.removeHandler(handler)
    return service.slow_waiting == 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
        listening.setblocking(False)
        return listening
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen at {host}:{port}: {getattr(error, 'strerror', None) or error}; give another --port or --host") from error
