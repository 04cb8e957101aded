"""The pictures at hand on every machine: the sample photos of scikit-learn, and of scikit-image where it is installed.

Files are found without importing either package. `samples_parts` cuts them into tiles, a small set of real photographs
whose classes are the pictures: `hubel.data.load("samples")`. Depends on decode.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hubel.data.decode import read_image
from hubel.data.formats import Parts

_SKLEARN = {"temple": "china.jpg", "flower": "flower.jpg"}
_SKIMAGE = {"cat": "chelsea.png", "coffee": "coffee.png", "astronaut": "astronaut.png", "rocket": "rocket.jpg",
            "motorcycle": "motorcycle_left.png", "photographer": "camera.png", "coins": "coins.png", "horse": "horse.png",
            "bricks": "brick.png", "grass": "grass.png", "gravel": "gravel.png", "moon": "moon.png", "clock": "clock_motion.png",
            "text": "text.png", "page": "page.png", "galaxies": "hubble_deep_field.jpg", "tissue": "ihc.png",
            "cells": "cell.png", "retina": "retina.jpg"}
_DRAWN = ("horse", "text", "page", "tissue", "cells", "retina")  # no photographs of things
TILES = 16  # of each picture
SIDE = 224


def sample_paths() -> dict[str, Path]:
    """Return the files of the sample pictures by name, photographs of things first."""
    found: dict[str, Path] = {}
    for package, inside, names in (("skimage", "data", _SKIMAGE), ("sklearn", "datasets/images", _SKLEARN)):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            found |= {name: path for name, file in names.items() if (path := Path(folder, inside, file)).is_file()}
    return dict(sorted(found.items(), key=lambda item: item[0] in _DRAWN))


def samples_parts() -> Parts:
    """Return the sample photographs as tiles (N, 224, 224, 3), TILES of each, with their pictures' names as classes."""
    tiles: list[np.ndarray] = []
    labels: list[int] = []
    names: list[str] = []
    for name, path in sample_paths().items():
        if name in _DRAWN:
            continue
        tiles += _tiles(read_image(path, channels=3))
        labels += [len(names)] * TILES
        names.append(name)
    return Parts(np.stack(tiles), np.array(labels), classes=tuple(names))


def _tiles(image: np.ndarray) -> list[np.ndarray]:
    """TILES squares: four over the picture as a whole, the rest half as large, all on a grid, brought to SIDE pixels."""
    from hubel.data.resize import fit_image

    squares = []
    for share, count in ((1.0, 2), (0.5, 4)):
        side = int(min(image.shape[:2]) * share * (0.9 if share == 1.0 else 1.0))
        rows, columns = (np.linspace(0, extent - side, count).round().astype(int) for extent in image.shape[:2])
        squares += [image[r : r + side, c : c + side] for r in rows for c in columns]
    chosen = squares[:4] + [squares[4 + i] for i in np.linspace(0, 15, TILES - 4).round().astype(int)]
    return [fit_image(np.ascontiguousarray(square), (SIDE, SIDE), 3) for square in chosen]
