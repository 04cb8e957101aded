"""The studio: the same verbs with hands and eyes, a web app for one user on their own machine. Depends on Gradio and every room.

    hubel studio                       # on the command line
    hubel.studio.launch()              # in Python

It computes nothing itself: each view calls a verb, shows what it returns, and says how to call it without the studio.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["build", "launch"]


def launch(model: str | None = None, data: Sequence[str] = (), *, host: str = "127.0.0.1", port: int | None = None,
           auth: str | None = None, work: Path | None = None, inbrowser: bool = False, block: bool = True) -> Any:
    """Start the studio; with `block` until Ctrl-C. `auth` 'user:password' is needed for any host but this machine's own.

    Raises InputError for such a host without one, ModelError and DataError for a model or data that are not there.
    """
    from hubel.studio.ahead import Ahead

    with Ahead() as ahead:
        app = _app()
        stock, user = app.prepare(model, data, host, auth, work)
        return app.serve(stock, host=host, port=port, user=user, inbrowser=inbrowser, block=block, ahead=ahead)


def build(stock: Any) -> Any:
    """Return the app over a `stock.Stock` as Gradio's Blocks, to be served otherwise."""
    return _app().build(stock)


def _app() -> Any:
    try:
        from hubel.studio.lighter import import_gradio

        import_gradio()
        from hubel.studio import app
    except ImportError as error:
        from hubel.errors import InputError

        raise InputError(f"the studio needs {error.name}: pip install 'hubel[studio]'") from error
    return app
