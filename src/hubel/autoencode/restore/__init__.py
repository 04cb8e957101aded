"""Photographs restored by networks that ship with the package: noise taken off, holes filled."""

from hubel.autoencode.restore.denoise import denoise
from hubel.autoencode.restore.inpaint import inpaint
from hubel.autoencode.restore.masks import random_mask

__all__ = ["denoise", "inpaint", "random_mask"]
