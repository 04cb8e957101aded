"""Smoothing, noise, pyramids, PSNR, SSIM and edges against SciPy, OpenCV, scikit-image and known truths."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import skimage.metrics
import torch

from hubel import features
from hubel.errors import InputError


@pytest.fixture(scope="module")
def photo():
    return cv2.resize(skimage.data.camera(), (256, 256), interpolation=cv2.INTER_AREA)


def test_smoothing_is_scipys_for_series_images_and_colour(photo):
    rng = np.random.default_rng(0)
    series, colour = rng.standard_normal(500), rng.random((40, 50, 3))
    radius = 6
    for x, axes in ((series, None), (photo.astype(float), None), (colour, (0, 1))):
        want = scipy.ndimage.gaussian_filter(x, 2.0, mode="mirror", radius=radius, axes=axes)
        np.testing.assert_allclose(features.smooth(x, 2.0), want, atol=1e-9)
    tensor = torch.from_numpy(np.moveaxis(colour, -1, 0).copy())
    np.testing.assert_allclose(np.moveaxis(features.smooth(tensor, 2.0).numpy(), 0, -1), features.smooth(colour, 2.0))
    np.testing.assert_allclose(features.smooth(photo.astype(float), kind="uniform", size=7),
                               scipy.ndimage.uniform_filter(photo.astype(float), 7, mode="mirror"), atol=1e-9)


@pytest.mark.parametrize("sd", [2.0, 8.0, 25.0])
def test_noise_is_found_and_the_default_sigma_is_nearly_the_best(photo, sd):
    rng = np.random.default_rng(1)
    clean = photo.astype(np.float32)
    noisy = clean + rng.normal(0, sd, clean.shape).astype(np.float32)
    assert features.noise(noisy) == pytest.approx(sd, rel=0.25, abs=1.5)
    error = {s: np.mean((features.smooth(noisy, s) - clean) ** 2) for s in (0.35, 0.5, 0.7, 0.9, 1.2, 1.7, 2.5, 4)}
    mine = np.mean((features.smooth(noisy) - clean) ** 2)
    assert mine <= 1.15 * min(*error.values(), sd**2)
    assert features.psnr(features.smooth(noisy), clean, 255) >= features.psnr(noisy, clean, 255) - 0.1


@pytest.mark.parametrize("sd", [0.02, 0.06, 0.15])
def test_noise_errs_no_more_than_scikit_images_estimate(photo, sd):
    pytest.importorskip("pywt")
    from skimage.restoration import estimate_sigma

    noisy = photo / 255 + np.random.default_rng(3).normal(0, sd, photo.shape)
    assert abs(features.noise(noisy) - sd) <= abs(estimate_sigma(noisy) - sd) + 0.1 * sd


def test_noise_of_a_series_and_of_nothing():
    t = np.linspace(0, 20, 4000)
    rng = np.random.default_rng(2)
    noisy = np.sin(t) + rng.normal(0, 0.3, t.shape)
    assert features.noise(noisy) == pytest.approx(0.3, rel=0.05)
    assert np.mean((features.smooth(noisy) - np.sin(t)) ** 2) < 0.05 * 0.3**2
    assert features.noise(np.full((20, 20), 3.0)) == 0
    np.testing.assert_array_equal(features.smooth(np.full((20, 20), 3.0)), 3.0)


@pytest.mark.parametrize("shape", [(64, 64), (65, 40), (37, 51, 3)])
def test_pyramid_is_opencvs(shape):
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    levels = features.pyramid(x, 4)
    want = x
    for level in levels:
        np.testing.assert_allclose(level, want, atol=1e-6)
        want = cv2.pyrDown(want)
    assert min(features.pyramid(x)[-1].shape[:2]) < 16
    assert len(features.scale_space(x, (1, 2, 3))) == 3
    with pytest.raises(InputError, match="levels=30"):
        features.pyramid(x, 30)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_psnr_and_ssim_are_scikit_images(colour, dtype):
    rng = np.random.default_rng(0)
    a = rng.random((48, 40, 3) if colour else (48, 40))
    b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1)
    if dtype == "uint8":
        a, b = (a * 255).astype(np.uint8), (b * 255).astype(np.uint8)
    top = 255 if dtype == "uint8" else 1.0
    assert features.psnr(b, a) == pytest.approx(skimage.metrics.peak_signal_noise_ratio(a, b, data_range=top), abs=1e-9)
    want = skimage.metrics.structural_similarity(a, b, data_range=top, gaussian_weights=True, sigma=1.5,
                                                 use_sample_covariance=False, channel_axis=2 if colour else None)
    assert features.ssim(b, a) == pytest.approx(want, abs=1e-9)
    assert features.ssim(a, a) == 1 and features.psnr(a, a) == np.inf


def test_edges_steer(photo):
    every = features.edge_maps(photo, 4)
    for i, angle in enumerate((0, 45, 90, 135)):
        one = features.edges(photo, angle)
        np.testing.assert_allclose(np.abs(one), every[..., i], atol=1e-6)
        np.testing.assert_allclose(one, -features.edges(photo, angle + 180), atol=1e-6)
    strongest = features.edges(photo)
    finer = features.edge_maps(photo, 60).max(-1)
    assert (strongest >= finer - 1e-6).all() and (strongest <= finer / np.cos(np.pi / 120) + 1e-6).all()
    batch = features.edges(np.stack([photo, photo.T])[..., None])
    np.testing.assert_allclose(batch[0], strongest, atol=1e-6)
    np.testing.assert_allclose(batch[1], strongest.T, atol=1e-6)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: features.smooth(np.ones((9, 9)), -1), "sigma=-1"),
    (lambda: features.smooth(np.ones((9, 9)), kind="median"), "kind='median'"),
    (lambda: features.noise(np.ones((2, 9))), "2x9"),
    (lambda: features.smooth(np.ones((2,) * 5), 1), "layout"),
    (lambda: features.psnr(np.ones((3, 3)), np.ones((3, 4))), "one shape"),
    (lambda: features.psnr(np.ones((3, 3)), np.ones((3, 3), np.uint8)), "one range"),
    (lambda: features.ssim(np.ones((5, 50)), np.ones((5, 50))), "11x11"),
    (lambda: features.edges(np.full((9, 9), np.nan)), "NaN"),
    (lambda: features.edges(np.ones((9, 9)), float("nan")), "angle=nan"),
    (lambda: features.edges(np.ones((9, 30, 40))), "stack"),
    (lambda: features.edge_maps(np.ones((9, 9)), 0), "orientations=0"),
])  # fmt: skip
def test_bad_input_is_one_line(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
