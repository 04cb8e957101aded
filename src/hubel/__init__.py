"""Hubel: build convolutional networks, look inside them, break them, harden them, reuse what they learned.

    import hubel
    model = hubel.pretrained()                 # or hubel.Model(any_nn_module, classes=..., size=224), or hubel.Sequential()
    source = hubel.data.load("photos/")
    hubel.study.run("photos/")                 # the main job: train, look, break, report

Rooms are imported when they are first used, so that `import hubel` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hubel.errors import DataError, DivergedError, HubelError, InputError, ModelError

__version__ = "0.1.0"

_ROOMS = ("attack", "convolve", "data", "engine", "features", "kernels", "look", "model", "nets", "phenomena", "pixels", "reuse",
          "studio", "study", "training")
_NAMES = {"Model": "model", "Sequential": "model", "pretrained": "model", "Dataset": "data", "load": "data",
          "Dense": "nets", "Conv1D": "nets", "Conv2D": "nets", "Conv3D": "nets", "MaxPooling2D": "nets",
          "AveragePooling2D": "nets", "GlobalAveragePooling2D": "nets", "BatchNormalization": "nets", "Residual": "nets",
          "Dropout": "nets", "Flatten": "nets"}

__all__ = ["DataError", "DivergedError", "HubelError", "InputError", "ModelError", *_NAMES, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"hubel.{_NAMES[name]}"), name)
    if name in _ROOMS:
        return import_module(f"hubel.{name}")
    raise AttributeError(f"module 'hubel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
