"""The main job: train (or load) a model on some data, look at it from all sides, and write one honest report.

    study = hubel.study.run("photos/")        # the same call goes on after an interruption
    study.report                              # hubel-study-photos/report.html
    study = hubel.study.load("hubel-study-photos")

A study needs every room; what others take from here (a model opened, data fetched) does not, so names are imported when they
are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubel.study.runner import run
    from hubel.study.study import Study, load

__all__ = ["Study", "load", "run"]
_MODULES = {"run": "runner", "Study": "study", "load": "study"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"hubel.study.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'hubel.study' has no attribute {name!r}")
