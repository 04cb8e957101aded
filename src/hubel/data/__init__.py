"""Where inputs come from: folders, arrays, IDX, CIFAR, recordings, and what must be said about them.

    source = hubel.data.load("photos/")          # or 'digits', an .npz, an MNIST or CIFAR folder, (x, y)
    x = source.train.arrays(size=224, channels=3)  # uint8 (N, 224, 224, 3)
"""

from hubel.data.dataset import Dataset, Skipped
from hubel.data.decode import decode_image, read_image, read_images
from hubel.data.leaks import Leak, find_leaks
from hubel.data.loading import load
from hubel.data.series import SeriesDataset
from hubel.data.sound import read_sound, resample, write_sound
from hubel.data.source import Source

__all__ = ["Dataset", "Leak", "SeriesDataset", "Skipped", "Source", "decode_image", "find_leaks", "load", "read_image",
           "read_images", "read_sound", "resample", "write_sound"]
