"""What the autoencode commands share: images with or without classes, at a network's size; where results go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from hubel.autoencode import Autoencoder

PHOTO = 128  # pixels a side that larger images are brought to


@dataclass(frozen=True)
class Pictures:
    """Images uint8 (N, H, W, C) of one size, their names, and labels where there are any; kind as of a Dataset."""

    images: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    kind: str


def pictures(where: str, size: tuple[int, int] | None, channels: int | None, *, seed: int = 0, limit: int | None = None,
             test: bool = False) -> Pictures:
    """Read what `hubel train` takes, its training or its test images; or an image file, or a folder of images of no classes.

    size None: the images' own, where they have one and it is small, else 128 x 128. Files that cannot be read are named on
    stderr and left out. Raises DataError where nothing is left.
    """
    path = Path(where)
    loose = _loose(path)
    if loose:
        return _read(loose, size, channels, limit, seed)
    from hubel import data

    source = data.load(where, seed=seed)
    part = source.test if test else source.train
    if limit is not None and len(part) > limit:
        part = part.sample(limit, seed)
    if size is None:
        hint, same = part.size_hint()
        size = hint if same and max(hint) <= 64 else (PHOTO, PHOTO)
    names = tuple(p.name for p in part.paths) if part.paths else tuple(f"{part.name} {i}" for i in range(len(part)))
    return Pictures(part.arrays(size, channels or part.channels_hint()), names, part.labels, part.classes, part.kind)


def _loose(path: Path) -> list[Path]:
    """The images of a file, or of a folder that has images of its own."""
    from hubel.commands import _files
    from hubel.data.decode import is_image_name

    if path.is_file() and is_image_name(path):
        return [path]
    if path.is_dir() and any(p.is_file() and is_image_name(p) for p in path.iterdir()):
        return _files.expand([path])
    return []


def _read(paths: list[Path], size: tuple[int, int] | None, channels: int | None, limit: int | None, seed: int) -> Pictures:
    import numpy as np

    from hubel.commands import _files
    from hubel.data import read_image
    from hubel.errors import DataError

    if limit is not None and len(paths) > limit:
        paths = [paths[i] for i in np.sort(np.random.default_rng(seed).permutation(len(paths))[:limit])]
    asked = size or (PHOTO, PHOTO)
    read = list(_files.each(paths, lambda p: read_image(p, size=asked, channels=channels or 3)))
    if not read:
        raise DataError(f"none of the {len(paths)} images could be read")
    images = np.stack([image for _, image in read])
    if channels is None and int((images.max(3).astype(int) - images.min(3)).max()) <= 4:
        images = images[..., :1]
    return Pictures(images, tuple(p.name for p, _ in read), None, (), "photo" if max(asked) > 64 else "image")


def of_coder(where: str, coder: Autoencoder, **options: object) -> Pictures:
    """Images at an autoencoder's size."""
    return pictures(where, coder.size, coder.channels, **options)  # type: ignore[arg-type]
