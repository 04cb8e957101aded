"""Model: preprocessing + network + classes, and everything else is a verb on it."""

from hubel.model.model import Model
from hubel.model.pretrained import pretrained
from hubel.model.sequential import Sequential
from hubel.model.signals import Signals, Sound

__all__ = ["Model", "Sequential", "Signals", "Sound", "pretrained"]
