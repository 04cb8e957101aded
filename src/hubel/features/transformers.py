"""Hand-made features as scikit-learn transformers. Depends on scikit-learn and the functions beside it.

Each takes images (N, H, W, C) or a list of them, uint8 or float 0..1, or grey (N, H, W), resizes them to `size` if one
is given (without it all must be of one size), learns nothing but sizes, and gives (N, features) float32. They clone, go
into pipelines and grid searches, and name what they give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from hubel import kernels
from hubel.convolve import correlate
from hubel.errors import InputError
from hubel.features import hierarchy
from hubel.features._images import grey
from hubel.features.hog import hog
from hubel.features.sift import dense_sift

ANGLES = tuple(22.5 * i for i in range(8))  # degrees


class _Features(TransformerMixin, BaseEstimator):
    """fit notes the number of features; transform works through the images in groups."""

    size: int | tuple[int, int] | None
    _group = 64

    def fit(self, X: Any, y: Any = None) -> Self:
        """Note the size of the images and how many features they give."""
        images = _images(X[:1], self.size)
        self.image_shape_ = images[0].shape[:2]
        first, self.feature_names_ = self._compute(images), self._names(images)
        self.n_features_out_ = first.shape[1]
        if len(self.feature_names_) != self.n_features_out_:
            raise AssertionError("as many names as features")
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return (N, features) float32. Raises InputError for images of another size than those of `fit`."""
        check_is_fitted(self, "n_features_out_")
        parts = []
        for i in range(0, len(X), self._group):
            images = _images(X[i : i + self._group], self.size)
            if images[0].shape[:2] != self.image_shape_:
                raise InputError(f"these images are {images[0].shape[:2]}, those of fit were {self.image_shape_}: give size=")
            parts.append(self._compute(images))
        if not parts:
            return np.zeros((0, self.n_features_out_), np.float32)
        return np.concatenate(parts).astype(np.float32, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features, as strings."""
        check_is_fitted(self, "n_features_out_")
        return np.array(self.feature_names_, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags

    def _compute(self, images: list[np.ndarray]) -> np.ndarray:
        raise NotImplementedError

    def _names(self, images: list[np.ndarray]) -> list[str]:
        raise NotImplementedError


def _images(X: Any, size: int | tuple[int, int] | None) -> list[np.ndarray]:
    """Return images as a list of (H, W[, C]) arrays of one size."""
    images = [np.asarray(x) for x in X]
    if not images:
        raise InputError("no images: give at least one")
    if any(x.ndim not in (2, 3) or 0 in x.shape for x in images):
        bad = next(x for x in images if x.ndim not in (2, 3) or 0 in x.shape)
        raise InputError(f"each image is (H, W) or (H, W, C), not of shape {bad.shape}")
    if size is not None:
        import cv2

        h, w = (size, size) if isinstance(size, int) else size
        images = [x if x.shape[:2] == (h, w) else cv2.resize(
            np.ascontiguousarray(x), (w, h), interpolation=cv2.INTER_AREA if h < x.shape[0] else cv2.INTER_LINEAR)
            for x in images]  # fmt: skip
    shapes = {x.shape[:2] for x in images}
    if len(shapes) > 1:
        raise InputError(f"images of different sizes {sorted(shapes)[:3]}: give size=, such as size=128")
    return images


class FilterBank(_Features):
    """Mean and spread of what each filter of a bank answers, on a grid of cells: texture in a few numbers.

    bank : a `kernels.Kernel` or array (F, k, k); None is `kernels.gabor_bank()`. grid : cells a side.
    """

    def __init__(self, bank: Any = None, grid: int = 1, size: int | tuple[int, int] | None = None) -> None:
        self.bank = bank
        self.grid = grid
        self.size = size

    def _weights(self) -> np.ndarray:
        bank = np.asarray(kernels.gabor_bank() if self.bank is None else self.bank, dtype=np.float32)
        if bank.ndim != 3:
            raise InputError(f"a bank of filters is (F, k, k), not {bank.shape}")
        return bank

    def _compute(self, images: list[np.ndarray]) -> np.ndarray:
        answers = correlate(grey(images), torch.from_numpy(self._weights()), "mirror", layout="nhw").abs_()
        pool = torch.nn.functional.adaptive_avg_pool2d
        mean = pool(answers, self.grid)
        spread = (pool(answers.square_(), self.grid) - mean**2).clamp_min(0).sqrt()
        return torch.stack([mean, spread], 2).flatten(1).numpy()

    def _names(self, images: list[np.ndarray]) -> list[str]:
        count = len(self._weights())
        bank = kernels.gabor_bank() if self.bank is None else self.bank
        filters = list(getattr(bank, "names", ()) or [f"filter {f}" for f in range(count)])
        cells = [f" in cell {r},{c}" if self.grid > 1 else "" for r in range(self.grid) for c in range(self.grid)]
        return [f"{what} |{name}|{cell}" for name in filters for what in ("mean", "spread") for cell in cells]


class EdgeHierarchy(_Features):
    """The lecture's hierarchy: mean edge response and mean response of long lines in it, for each angle.

    angles : degrees, 90 is vertical. lengths : of the lines, in pixels of the (resized) image. sigma, width : of the
    edges and the lines. log : logarithms of the means, whose differences are ratios of lines to edges: blind to
    contrast. `edges=False` leaves out the mean edge response: EdgeHierarchy(angles=(90,), lengths=(25,), edges=False)
    is the lecture's one number. Lengths, width and sigma were chosen on 15 Scenes (`python -m bench.hierarchy`).
    """

    def __init__(self, angles: Sequence[float] = ANGLES, lengths: Sequence[int] = (9, 25),
                 sigma: float = 0.7, width: float = 2.0, log: bool = True, edges: bool = True,
                 size: int | tuple[int, int] | None = 128) -> None:
        self.angles = angles
        self.lengths = lengths
        self.sigma = sigma
        self.width = width
        self.log = log
        self.edges = edges
        self.size = size

    def _compute(self, images: list[np.ndarray]) -> np.ndarray:
        means = hierarchy.summary(grey(images), self.angles, self.lengths, self.sigma, self.width)
        means = means if self.edges else means[:, :, 1:]
        return (means.flatten(1) + 1e-6).log().numpy() if self.log else means.flatten(1).numpy()

    def _names(self, images: list[np.ndarray]) -> list[str]:
        what = (["edges"] if self.edges else []) + [f"lines of {n}" for n in self.lengths]
        return [f"{'log ' if self.log else ''}mean {name} at {angle:g}°" for angle in self.angles for name in what]


class HOG(_Features):
    """Histograms of oriented gradients, flattened: see `hubel.features.hog`."""

    def __init__(self, orientations: int = 9, cell: int = 8, block: int = 2, norm: str = "L2-Hys",
                 variant: str = "dalal-triggs", size: int | tuple[int, int] | None = None) -> None:
        self.orientations = orientations
        self.cell = cell
        self.block = block
        self.norm = norm
        self.variant = variant
        self.size = size

    def _blocks(self, images: list[np.ndarray]) -> np.ndarray:
        return hog(images, orientations=self.orientations, cell=self.cell, block=self.block, norm=self.norm,
                   variant=self.variant)

    def _compute(self, images: list[np.ndarray]) -> np.ndarray:
        return self._blocks(images).reshape(len(images), -1)

    def _names(self, images: list[np.ndarray]) -> list[str]:
        return [f"block {r},{c} cell {i},{j} {180 * o / self.orientations:g}°"
                for r, c, i, j, o in np.ndindex(self._blocks(images[:1]).shape[1:])]


class DenseSIFT(_Features):
    """Dense SIFT. pool=None gives all descriptors of the grid, flattened; 'mean' or 'max' one over the whole image."""

    def __init__(self, step: int = 8, bin_size: int = 4, pool: str | None = None,
                 size: int | tuple[int, int] | None = None) -> None:
        self.step = step
        self.bin_size = bin_size
        self.pool = pool
        self.size = size

    def _compute(self, images: list[np.ndarray]) -> np.ndarray:
        if self.pool not in (None, "mean", "max"):
            raise InputError(f"pool={self.pool!r} must be None, 'mean' or 'max'")
        found = dense_sift(images, step=self.step, bin_size=self.bin_size)
        if self.pool is None:
            return found.reshape(len(images), -1)
        return np.asarray(getattr(found, self.pool)(axis=(1, 2)))

    def _names(self, images: list[np.ndarray]) -> list[str]:
        grid = dense_sift(images[:1], step=self.step, bin_size=self.bin_size).shape[1:3]
        places = [""] if self.pool else [f"place {r},{c} " for r in range(grid[0]) for c in range(grid[1])]
        return [f"{place}bin {i},{j} {45 * o}°" for place in places for i in range(4) for j in range(4) for o in range(8)]


def similarity(features: Any, others: Any = None, *, normalise: bool = True) -> np.ndarray:
    """Return phi(x)^T phi(x') for all pairs, float64 (N, M): a kernel matrix for SVC(kernel=similarity) and its kin.

    features, others : (N, D) and (M, D) features; others=None compares `features` with itself. normalise : unit length
    first, so that scores are cosines (rows of zeros stay zero).
    """
    a = np.asarray(features, dtype=float)
    b = a if others is None else np.asarray(others, dtype=float)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InputError(f"features of shapes {a.shape} and {b.shape} cannot be compared: both are (N, D) with one D")
    if normalise:
        a, b = (v / np.where((n := np.linalg.norm(v, axis=1, keepdims=True)) > 0, n, 1.0) for v in (a, b))
    return np.asarray(a @ b.T)
