"""Augmentation of whole batches, the same for a sample in a batch of any size.

    augment = Compose(Flip(), Shift(4), Rotate(10), CutOut(8))
    show(image, augment)                      # what it does
    fit(network, (x, y), augment=augment)
"""

from hubel.training.augment.colours import Brightness, Contrast, Darken, Lighten, ShiftColours
from hubel.training.augment.compose import Compose, Mixup, check_meaning, default_augmentation, get
from hubel.training.augment.moves import CutOut, Flip, Shift
from hubel.training.augment.picture import show
from hubel.training.augment.transform import Transform
from hubel.training.augment.warps import Crop, Rotate, Skew, Zoom
from hubel.training.randomness import Draws

__all__ = [
    "Brightness", "Compose", "Contrast", "Crop", "CutOut", "Darken", "Draws", "Flip", "Lighten", "Mixup", "Rotate",
    "Shift", "ShiftColours", "Skew", "Transform", "Zoom", "check_meaning", "default_augmentation", "get", "show",
]
