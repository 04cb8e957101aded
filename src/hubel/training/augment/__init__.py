"""Augmentation of whole batches, the same for a sample in a batch of any size.

    augment = Compose(Flip(), Shift(4), Rotate(10), CutOut(8))
    show(image, augment)                      # what it does
    fit(network, (x, y), augment=augment)
"""

from hubel.training.augment.colours import Brightness, Contrast, Darken, Lighten, ShiftColours
from hubel.training.augment.compose import Compose, check_meaning, default_augmentation, get
from hubel.training.augment.mixing import CutMix, Mixup
from hubel.training.augment.moves import CutOut, Flip, Shift
from hubel.training.augment.picture import show
from hubel.training.augment.sound import Equalise, Gain, Noise, ShiftTime, Speed
from hubel.training.augment.transform import Transform
from hubel.training.augment.warps import Crop, Rotate, Skew, Zoom
from hubel.training.randomness import Draws

__all__ = [
    "Brightness", "Compose", "Contrast", "Crop", "CutMix", "CutOut", "Darken", "Draws", "Equalise", "Flip", "Gain", "Lighten", "Mixup",
    "Noise", "Rotate", "Shift", "ShiftColours", "ShiftTime", "Skew", "Speed", "Transform", "Zoom", "check_meaning",
    "default_augmentation", "get", "show",
]
