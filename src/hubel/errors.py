"""What Hubel raises when the user can do something about it: one line that names the value and the remedy."""

from __future__ import annotations


class HubelError(Exception):
    """Base of every error meant for the user. The command line prints its text and exits 2."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(str(message).split()))  # one line, whatever was interpolated


class InputError(HubelError, ValueError):
    """A value, shape, type or option that cannot be used."""


class DataError(HubelError, ValueError):
    """A data source that is missing, empty or unreadable."""


class ModelError(HubelError, ValueError):
    """A network or model file that cannot be used."""


class DivergedError(HubelError, ArithmeticError):
    """Training produced NaN or infinite numbers."""
