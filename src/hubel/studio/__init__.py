"""The studio: the same verbs with hands and eyes, a web app for one user on their own machine. Depends on Gradio and every room.

    hubel studio                       # on the command line
    hubel.studio.launch()              # in Python

It computes nothing itself: each view calls a verb, shows what it returns, and says how to call it without the studio.
"""

from typing import Any

__all__ = ["build", "launch"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        try:
            from hubel.studio import app
        except ImportError as error:
            from hubel.errors import InputError

            raise InputError(f"the studio needs {error.name}: pip install 'hubel[studio]'") from error
        return getattr(app, name)
    raise AttributeError(f"module 'hubel.studio' has no attribute {name!r}")
