"""Opening what the user names: a model file or a pretrained network, a device. Depends on model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubel.errors import InputError, ModelError

if TYPE_CHECKING:
    from hubel.model import Model

PRETRAINED = ("efficientnet_lite0", "efficientnet_lite2")
DEVICES = ("auto", "cpu", "cuda")


def open_model(model: Any) -> Model:
    """A Model as it is, a file written by `Model.save`, or the name of a pretrained network.

    Raises ModelError for a file that is missing, a folder or of another kind.
    """
    from hubel import model as room

    if isinstance(model, room.Model):
        return model
    if str(model) in PRETRAINED and not Path(model).exists():
        return room.pretrained(str(model))
    path = Path(model)
    if path.is_dir():
        inside = sorted(path.glob("*.hubel"))
        hint = f"did you mean {inside[0]}?" if inside else "name the model's file"
        raise ModelError(f"{path} is a folder, not a model file: {hint}")
    if not path.exists():
        raise ModelError(f"{path} does not exist: give a model file of Hubel's, or {' or '.join(PRETRAINED)}")
    return room.Model.load(path)


def open_classifier(model: Any) -> Model:
    """As `open_model`, and raises ModelError for an autoencoder or a model of pixels' classes: those tell no images apart."""
    opened = open_model(model)
    if hasattr(opened.network, "code_shape"):
        raise ModelError(f"{model} gives images back and tells no classes apart: use it with 'hubel autoencode', 'hubel look' or "
                         "'hubel info', and give a classifier here")
    return opened


def device_for(name: str) -> str:
    """'cpu' or 'cuda' for 'auto', 'cpu' or 'cuda'; InputError where there is no such device."""
    if name not in DEVICES:
        raise InputError(f"device {name!r} is unknown: give one of {', '.join(DEVICES)}")
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' is not there: this machine (or this build of torch) has none, use --device cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
