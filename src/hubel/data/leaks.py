"""Find test images that are, or nearly are, among the training images. Depends on `dataset`; torch for the products.

Every image becomes a 32 x 32 grey thumbnail and its first 16 x 16 cosine coefficients without the mean, each weighted by
its frequency (natural images fall off as 1/f, so all scales then count alike) and scaled to unit length: brightness and
contrast drop out. Two images are as far apart as these vectors, 0..2; unrelated photos are about sqrt(2) apart.

How far copies lie apart was measured (99% of them): JPEG quality 30 0.08, halved size 0.14, gamma 0.7 0.19, brighter with
clipped lights 0.42, 1% cropped off all round 0.38; the nearest different photos of 15 Scenes 0.60, of CIFAR-10 (whose real
near copies lie at 0.3 to 0.45) about 0.47. Glyphs are nearer to each other: the nearest of MNIST's ones 0.13. So the limit
depends on how near the images of *different* classes come in the test set: median 1.2 for photos, 0.9 for MNIST.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from hubel.data.dataset import Dataset
from hubel.data.parallel import pool
from hubel.data.resize import fit_image
from hubel.data.series import SeriesDataset
from hubel.errors import DataError

NEAR_PHOTO, NEAR_GLYPH = 0.4, 0.12  # distances up to which images are near copies
PHOTO_LIKE = 1.05  # median distance to the nearest image of another class, from which on images are like photos
_SIDE, _FINE, _COARSE = 32, 16, 8
_ROWS = 1024  # test images compared at a time
_KEPT = 16  # training images a test image is compared with in full


@dataclass(frozen=True)
class Leak:
    """A test image and the training image nearest to it: the same pixels (`exact`), or `distance` apart."""

    train_index: int
    test_index: int
    exact: bool
    distance: float


@dataclass(frozen=True)
class _Signatures:
    hashes: list[bytes]  # b"" where the image cannot be read
    coarse: np.ndarray  # float32 (N, 64): 63 coefficients and the length of the rest
    fine: np.ndarray  # float16 (N, 255)


def find_leaks(train: Dataset, test: Dataset) -> tuple[Leak, ...]:
    """The test images with a copy or near copy in `train`, each with its nearest, by test index.

    Exact copies have the same pixels, whatever the file format. Near copies survive recompression, resizing, changes of
    brightness and contrast and the loss of a border of 1%; not mirroring, rotation or stronger cropping. Among glyphs the
    limit is so strict that only changes of contrast and slight noise are sure to be seen: strong JPEG compression is
    found about half the time, resizing is not. Images of a single colour count only if exact. Of recordings and series exact copies are found.

    60,000 against 10,000 MNIST digits take seconds; memory is 1 kB an image.
    """
    if not len(train) or not len(test):
        return ()
    if isinstance(train, SeriesDataset):
        return _same_series(train, test)
    a, b = _signatures(train), _signatures(test)
    limit = NEAR_PHOTO if _between(b, test.labels) >= PHOTO_LIKE else NEAR_GLYPH
    place = {digest: i for i, digest in reversed(list(enumerate(a.hashes))) if digest}
    exact = {j: place[digest] for j, digest in enumerate(b.hashes) if digest in place}
    found = {j: Leak(i, j, True, 0.0) for j, i in exact.items()}
    for j, i, distance in _near(a, b, limit):
        found.setdefault(j, Leak(i, j, False, distance))
    return tuple(found[j] for j in sorted(found))


def _same_series(train: Dataset, test: Dataset) -> tuple[Leak, ...]:
    """Recordings with the same samples, to 16 bits."""
    digests = [[_samples_digest(ds, i) for i in range(len(ds))] for ds in (train, test)]
    place = {digest: i for i, digest in reversed(list(enumerate(digests[0])))}
    return tuple(Leak(place[digest], j, True, 0.0) for j, digest in enumerate(digests[1]) if digest and digest in place)


def _samples_digest(dataset: Dataset, index: int) -> bytes:
    try:
        return hashlib.blake2b(np.round(dataset[index][0] * 32767).tobytes(), digest_size=16).digest()
    except DataError:
        return b""


def _signatures(dataset: Dataset) -> _Signatures:
    hashes = [b""] * len(dataset)
    thumbs = np.zeros((len(dataset), _SIDE, _SIDE), dtype=np.uint8)

    def look(start: int, stop: int) -> None:
        for i in range(start, stop):
            try:
                image = dataset[i][0]
            except DataError:
                continue
            if image.shape[2] == 3 and (image == image[..., :1]).all():
                image = image[..., :1]  # grey, whatever it is stored as
            digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
            digest.update(np.ascontiguousarray(image).data)
            hashes[i] = digest.digest()
            thumbs[i] = fit_image(image, (_SIDE, _SIDE), 1)[..., 0]

    with pool() as executor:
        for future in [executor.submit(look, i, min(i + 64, len(dataset))) for i in range(0, len(dataset), 64)]:
            future.result()
    return _Signatures(hashes, *_coefficients(thumbs))


def _coefficients(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The unit vectors in full, and shortened so that the product of two short ones is never below that of the full
    ones: a . b <= a' . b' + |a''| |b''| for vectors cut in two."""
    frequency, place = np.arange(_FINE), np.arange(_SIDE) + 0.5
    cosines = np.cos(np.pi / _SIDE * frequency[:, None] * place)  # DCT-II, up to the scale of row 0
    cosines[0] /= np.sqrt(2)
    weights = np.hypot(*np.meshgrid(frequency, frequency))
    low = np.add.outer(frequency >= _COARSE, frequency >= _COARSE).ravel() == 0
    order = np.concatenate([np.flatnonzero(low)[1:], np.flatnonzero(~low)])  # without the mean
    basis = (weights[:, :, None, None] * np.einsum("ui,vj->uvij", cosines, cosines)).reshape(_FINE**2, -1)[order]
    basis = np.ascontiguousarray(basis.T, dtype=np.float32)
    coarse = np.zeros((len(thumbs), _COARSE**2), dtype=np.float32)
    fine = np.zeros((len(thumbs), _FINE**2 - 1), dtype=np.float16)
    for start in range(0, len(thumbs), 4096):
        block = thumbs[start:start + 4096].reshape(-1, _SIDE**2).astype(np.float32)
        block = (block - block.mean(axis=1, keepdims=True)) @ basis
        block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1)  # a flat image keeps a vector of zeros
        fine[start:start + 4096] = block
        coarse[start:start + 4096, :-1] = block[:, :_COARSE**2 - 1]
        coarse[start:start + 4096, -1] = np.linalg.norm(block[:, _COARSE**2 - 1:], axis=1)
    return coarse, fine


def _between(b: _Signatures, labels: np.ndarray) -> float:
    """The median distance to the nearest image of another class, of up to 1,000 images evenly spread."""
    rows = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), 1000)).astype(np.int64))
    fine = b.fine[rows].astype(np.float32)
    nearest = []
    for start in range(0, len(labels), 4096):  # in blocks of columns: bounded memory
        products = fine @ b.fine[start:start + 4096].astype(np.float32).T
        products[labels[rows][:, None] == labels[None, start:start + 4096]] = -1
        nearest.append(products.max(axis=1))
    return float(np.median(_distance(np.max(nearest, axis=0))))


def _near(a: _Signatures, b: _Signatures, limit: float) -> list[tuple[int, int, float]]:
    """(test index, index of its nearest training image, distance) of all that are at most `limit` apart."""
    import torch

    least = 1 - limit**2 / 2 - 1e-3  # of the product of unit vectors, less what float16 may lose
    columns = torch.from_numpy(a.coarse)
    found = []
    rows = max(1, min(_ROWS, 2**26 // len(a.coarse)))
    for start in range(0, len(b.coarse), rows):
        products = torch.from_numpy(b.coarse[start:start + rows]) @ columns.T
        hits = torch.nonzero(products.amax(dim=1) >= least)[:, 0]
        top = products[hits].topk(min(_KEPT, len(a.coarse)), dim=1)
        for j, values, indices in zip((hits + start).tolist(), top.values.numpy(), top.indices.numpy(), strict=True):
            candidates = indices[values >= least]
            distances = _distance(a.fine[candidates].astype(np.float32) @ b.fine[j].astype(np.float32))
            best = int(distances.argmin())
            if distances[best] <= limit:
                found.append((j, int(candidates[best]), float(distances[best])))
    return found


def _distance(products: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(0, 2 - 2 * products))
