"""Leaks: copies planted in real and made images are found, different images are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from hubel.data import find_leaks, load
from hubel.data.dataset import Dataset
from hubel.data.leaks import _coefficients
from hubel.data.store import ArrayStore


def scenes(count, seed=0, side=128):
    """Images with the 1/f spectrum of natural ones."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1
    out = []
    for _ in range(count):
        wave = np.fft.ifft2(np.exp(2j * np.pi * rng.random((side, side))) / frequency).real
        out.append(np.clip(127 + 45 * wave / wave.std(), 0, 255).astype(np.uint8)[..., None])
    return out


def dataset(images, labels=None):
    labels = np.arange(len(images)) % 2 if labels is None else labels
    return Dataset(ArrayStore(images), labels, "ab", "made", "photo")


CHANGES = {
    "recompressed": lambda a: cv2.imdecode(cv2.imencode(".jpg", a, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0),
    "halved": lambda a: cv2.resize(a, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "darker": lambda a: (a * 0.6).astype(np.uint8),
    "gamma": lambda a: (255 * (a / 255) ** 0.7).astype(np.uint8),
    "blurred": lambda a: cv2.GaussianBlur(a, (0, 0), 1.5),
    "noisy": lambda a: np.clip(a + np.random.default_rng(0).normal(0, 8, a.shape), 0, 255).astype(np.uint8),
    "border lost": lambda a: a[1:-1, 1:-1],
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_changed_copies_are_found_and_nothing_else(change):
    images = scenes(60)
    copies = [CHANGES[change](images[i][..., 0])[..., None] for i in (7, 33)]
    leaks = find_leaks(dataset(images), dataset([*scenes(30, seed=1), *copies]))
    assert [(leak.test_index, leak.train_index, leak.exact) for leak in leaks] == [(30, 7, False), (31, 33, False)]
    assert all(0 < leak.distance <= 0.4 for leak in leaks)


def test_exact_copies_whatever_the_format(tmp_path):
    for k, name in enumerate(("train/a", "train/b", "test/a", "test/b")):
        (tmp_path / name).mkdir(parents=True)
        for i, image in enumerate(scenes(6, seed=k)):
            Image.fromarray(image[..., 0]).save(tmp_path / name / f"{i}.png")
    original = Image.open(tmp_path / "train" / "b" / "3.png")
    original.convert("RGB").save(tmp_path / "test" / "a" / "9.bmp")
    original.save(tmp_path / "test" / "b" / "9.webp", lossless=True)
    source = load(tmp_path)
    assert source.leaks == ()
    source = source.with_leaks()
    assert [leak.exact for leak in source.leaks] == [True, True] and {leak.distance for leak in source.leaks} == {0.0}
    for leak in source.leaks:
        assert source.train.paths[leak.train_index].parts[-2:] == ("b", "3.png")
        assert source.test.paths[leak.test_index].stem == "9"
    assert source.to_dict()["leaks"][0]["exact"] is True and "2 test images are also" in source.describe()


def test_flat_images_count_only_if_exact():
    flat = lambda values: dataset([np.full((40, 40, 1), v, np.uint8) for v in values])  # noqa: E731
    leaks = find_leaks(flat([0, 10, 200, 200]), flat([11, 200, 12]))
    assert [(leak.test_index, leak.train_index, leak.exact) for leak in leaks] == [(1, 2, True)]


def test_many_equal_images_and_broken_files(tmp_path):
    same = scenes(1)[0]
    leaks = find_leaks(dataset([same] * 300), dataset([same] * 50 + [same // 2]))
    assert len(leaks) == 51 and [leak.exact for leak in leaks] == [True] * 50 + [False]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i, image in enumerate(scenes(10, seed=ord(name))):
            Image.fromarray(image[..., 0]).save(tmp_path / name / f"{i}.png")
    source = load(tmp_path)
    for path in (*source.test.paths[:2], *source.train.paths[:3]):
        path.write_bytes(b"gone")
    assert find_leaks(source.train, source.test) == ()
    assert find_leaks(source.train.subset([]), source.test) == ()


def test_the_short_vectors_never_hide_a_pair():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (40, 32, 32))
    thumbs = np.concatenate([base, np.clip(base + rng.integers(-60, 61, base.shape), 0, 255)]).astype(np.uint8)
    coarse, fine = _coefficients(thumbs)
    full = fine.astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(full, axis=1), 1, atol=1e-3)
    assert (coarse @ coarse.T >= full @ full.T - 1e-3).all()
    from scipy.fft import dctn
    spectrum = dctn(thumbs[0].astype(float), norm="ortho")[:16, :16] * np.hypot(*np.mgrid[:16, :16])
    spectrum /= np.linalg.norm(spectrum)
    np.testing.assert_allclose(np.sort(np.abs(full[0])), np.sort(np.abs(spectrum.ravel()[1:])), atol=1e-3)


def test_real_photos(shared_data):
    source = load(shared_data / "scenes15").with_leaks()
    assert len(source.leaks) <= 5  # a few pairs of 15 Scenes are the same photo twice
    for leak in source.leaks:
        a, b = (part[i][0].astype(float) for part, i in ((source.train, leak.train_index),
                                                         (source.test, leak.test_index)))
        assert a.shape == b.shape and np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95


@pytest.mark.slow
def test_mnist_has_hardly_any_and_planted_ones_are_found(shared_data):
    source = load(shared_data / "mnist")
    assert len(find_leaks(source.train, source.test)) <= 2
    rng = np.random.default_rng(0)
    chosen = rng.choice(60000, 20, replace=False)
    x = source.train.subset(chosen).arrays().astype(float)
    near = np.clip(x + rng.normal(0, 6, x.shape), 0, 255).astype(np.uint8)
    planted = Dataset(ArrayStore(near), source.train.labels[chosen], source.classes, "planted", "digit")
    leaks = find_leaks(source.train, source.test.concat(planted))
    found = {leak.test_index - 10000: leak.train_index for leak in leaks if leak.test_index >= 10000}
    assert found == dict(enumerate(chosen.tolist()))
