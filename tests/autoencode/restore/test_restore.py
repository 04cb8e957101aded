"""Denoising and in-painting with the weights that ship, on photographs that come with scikit-image."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage

from hubel.autoencode.restore import denoise, inpaint, random_mask
from hubel.engine import using
from hubel.errors import InputError


def photo() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut()[60:252, 120:376])


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return (image + noise).round().clip(0, 255).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


@pytest.mark.parametrize("sigma", [5, 25, 60])
def test_beats_gaussians_wavelets_and_non_local_means(sigma: int) -> None:
    clean = photo()
    given = noisy(clean, sigma)
    told, blind = psnr(denoise(given, sigma), clean), psnr(denoise(given), clean)
    gaussian = max(psnr(cv2.GaussianBlur(given, (0, 0), s), clean) for s in (0.4, 0.6, 0.8, 1, 1.3, 1.7))
    means = psnr(cv2.fastNlMeansDenoisingColored(given, None, sigma, sigma, 7, 21), clean)
    assert told > max(gaussian, means) + 1
    assert blind > told - 1.2
    assert told > psnr(given, clean) + 1


def test_a_clean_image_stays_nearly_as_it_is() -> None:
    clean = photo()
    assert psnr(denoise(clean, 0), clean) > 40


def test_grey_and_floats_come_back_as_they_went_in() -> None:
    grey = photo().mean(axis=2).astype(np.uint8)
    given = noisy(grey, 25)
    flat, deep = denoise(given, 25), denoise(given[..., None], 25)
    assert flat.shape == grey.shape and flat.dtype == np.uint8 and np.array_equal(flat, deep[..., 0])
    assert psnr(flat, grey) > psnr(cv2.GaussianBlur(given, (0, 0), 1.0), grey) + 0.5
    floats = denoise(given / 255, 25)
    assert floats.dtype == np.float32 and np.abs(floats * 255 - flat).max() <= 0.51


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (33, 7), (161, 95)])
def test_any_size(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 90, np.uint8)
    assert np.abs(denoise(image, 10).astype(int) - 90).max() <= 6
    mask = np.zeros(size, bool)
    mask[0, 0] = size != (1, 1)
    assert np.abs(inpaint(image, mask).astype(int) - 90).max() <= 3


@pytest.mark.parametrize("function", [lambda x: denoise(x, 25), lambda x: inpaint(x, random_mask("pixels", x.shape[:2], 0.3,
                                                                                                 np.random.default_rng(0)))])
def test_low_precision_agrees_with_full(function: Callable[[np.ndarray], np.ndarray]) -> None:
    import sys

    from hubel.autoencode.restore import denoise as _  # noqa: F401

    given = noisy(photo(), 25)
    fast = function(given).astype(int)
    caches = [sys.modules[f"hubel.autoencode.restore.{n}"]._network for n in ("denoise", "inpaint")]
    for cache in caches:
        cache.cache_clear()
    with using(bf16=False, layout=False):
        full = function(given).astype(int)
    for cache in caches:
        cache.cache_clear()
    assert np.abs(fast - full).mean() < 0.3


@pytest.mark.parametrize(("kind", "share", "size"), [("pixels", 0.25, 1), ("pixels", 0.8, 1), ("blocks", 0.1, 8), ("blocks", 0.2, 24),
                                                     ("strokes", 0.1, 3)])
def test_fills_holes_better_than_opencv(kind: str, share: float, size: int) -> None:
    clean = photo()
    mask = random_mask(kind, clean.shape[:2], share, np.random.default_rng(3), size)
    broken = clean.copy()
    broken[mask] = (255, 0, 255)
    ours = inpaint(broken, mask)
    assert np.array_equal(ours[~mask], clean[~mask])
    theirs = max(psnr(cv2.inpaint(broken, mask.astype(np.uint8), 3, flag)[mask], clean[mask])
                 for flag in (cv2.INPAINT_TELEA, cv2.INPAINT_NS))
    assert psnr(ours[mask], clean[mask]) > theirs


def test_known_pixels_stay_to_the_bit_and_holes_are_not_read() -> None:
    draws = np.random.default_rng(0)
    image = draws.random((50, 40, 3))  # float64: would not survive a trip through float32
    mask = random_mask("strokes", (50, 40), 0.2, draws, 3)
    out = inpaint(image, mask)
    assert out.dtype == image.dtype and np.array_equal(out[~mask], image[~mask])
    spoiled = image.copy()
    spoiled[mask] = np.nan
    assert np.array_equal(inpaint(spoiled, mask), out)
    assert np.array_equal(inpaint(image, mask[..., None].astype(np.uint8) * 255), out)


def test_tiles_without_holes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = photo()
    mask = np.zeros(image.shape[:2], bool)
    assert np.array_equal(inpaint(image, mask), image)
    mask[100:110, 30:40] = True
    whole = inpaint(image, mask)
    monkeypatch.setattr("hubel.autoencode.restore.tiles.TILE", 64)
    assert np.array_equal(inpaint(image, mask)[~mask], image[~mask]) and whole.shape == image.shape


def test_masks_have_the_share_asked_for() -> None:
    for kind, share in (("pixels", 0.25), ("blocks", 0.25), ("strokes", 0.1)):
        mask = random_mask(kind, (120, 90), share, np.random.default_rng(0), 6)
        assert mask.shape == (120, 90) and share - 0.02 < mask.mean() < share + 0.1
    blocks = random_mask("blocks", (64, 64), 0.01, np.random.default_rng(0), 10)
    rows, columns = np.nonzero(blocks)
    assert blocks.sum() == 100 and np.ptp(rows) == np.ptp(columns) == 9
    assert not random_mask("blocks", (8, 8), 0.99, np.random.default_rng(0), 20).all()


def test_what_cannot_be_done_is_said_in_one_line() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    for call in (lambda: denoise(image, -1), lambda: denoise(image, 76), lambda: denoise(image, float("nan")),
                 lambda: denoise(np.zeros((8, 8, 2), np.uint8)), lambda: denoise(np.full((8, 8), np.nan)),
                 lambda: denoise(np.full((8, 8), 200.0)), lambda: inpaint(image, np.ones((8, 8))),
                 lambda: inpaint(image, np.ones((8, 9))), lambda: random_mask("rings", (8, 8), 0.1, np.random.default_rng(0)),
                 lambda: random_mask("blocks", (8, 8), 1.0, np.random.default_rng(0))):
        with pytest.raises(InputError) as caught:
            call()
        assert "\n" not in str(caught.value)
