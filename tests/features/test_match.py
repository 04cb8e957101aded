"""Normalised cross-correlation against OpenCV and brute force; patterns found where they were put."""

import cv2
import numpy as np
import pytest
import skimage.data
import skimage.feature

from hubel import features
from hubel.errors import InputError
from hubel.features.match import _transform
from hubel.features.score import masked_score_map


@pytest.fixture(scope="module")
def photo():
    return skimage.data.astronaut()


def definition(pattern, x):
    """The formula in float64, on windows laid out in memory; 0 where a window's deviation is below 1e-4 of x's range."""
    x, p = x.astype(float), pattern.astype(float)
    x, p = (a if a.ndim == 3 else a[..., None] for a in (x, p))
    windows = np.lib.stride_tricks.sliding_window_view(x, p.shape[:2], (0, 1))  # (H', W', C, h, w)
    windows = windows - windows.mean((3, 4), keepdims=True)
    p = (p - p.mean((0, 1))).transpose(2, 0, 1)
    lengths = np.sqrt((windows**2).sum((2, 3, 4)))
    flat = lengths < 1e-4 * np.ptp(x) * np.sqrt(p.size)
    return np.where(flat, 0, np.einsum("ijchw,chw->ij", windows, p) / np.where(flat, 1, lengths) / np.sqrt((p**2).sum()))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("size", [(4, 5), (9, 20), (33, 17)])
@pytest.mark.parametrize("colour", [False, True])
def test_scores_are_the_definitions_and_the_peers(photo, dtype, size, colour):
    x = photo[100:200, 150:280] if colour else photo[100:200, 150:280, 1]
    x = x.astype(dtype) if dtype == "uint8" else (x / 255).astype(dtype)
    p = x[20 : 20 + size[0], 30 : 30 + size[1]]
    got = features.score_map(p, x)
    np.testing.assert_allclose(got, definition(p, x), atol=1e-3)
    assert got[20, 30] == pytest.approx(1, abs=1e-4)
    want = cv2.matchTemplate(x.astype(np.float32), p.astype(np.float32), cv2.TM_CCOEFF_NORMED)
    assert np.quantile(np.abs(got - want), 0.999) < 2e-3  # OpenCV's float32 sums err where contrast is low
    if not colour:
        assert np.quantile(np.abs(got - skimage.feature.match_template(x.astype(float), p.astype(float))), 0.999) < 5e-4


def test_many_patterns_at_once_are_each_alone(photo):
    x = photo[..., 0]
    patterns = np.stack([x[i : i + 20, i : i + 30] for i in (0, 50, 100)])
    scores = features.score_map(patterns, x)
    for one, many in zip(patterns, scores, strict=True):
        np.testing.assert_allclose(features.score_map(one, x), many, atol=1e-3)


def test_series_and_masks_follow_the_definition():
    rng = np.random.default_rng(0)
    x, p = rng.standard_normal(300), rng.standard_normal(40)
    want = [np.corrcoef(x[i : i + 40], p)[0, 1] for i in range(261)]
    np.testing.assert_allclose(features.score_map(p, x), want, atol=1e-5)
    image, pattern, mask = rng.random((30, 25)), rng.random((7, 8)), rng.random((7, 8)) > 0.4
    got = masked_score_map(pattern, mask, image)
    want = [[np.corrcoef(image[i : i + 7, j : j + 8][mask], pattern[mask])[0, 1] for j in range(18)] for i in range(24)]
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_flat_regions_score_nothing():
    x = np.full((60, 60), 0.3, np.float32)
    x[20:40, 20:40] = np.random.default_rng(0).random((20, 20))
    for scale in (1, 255):
        scores = features.score_map(x[20:40, 20:40], (x * scale).astype(np.float32))
        assert np.isfinite(scores).all()
        assert (scores[:1] == 0).all() and scores.max() == scores[20, 20] == pytest.approx(1, abs=1e-3)
    flat = features.score_map(np.full((5, 5), 7, np.uint8), (x * 255).astype(np.uint8))
    assert (flat == 0).all()
    quiet = np.zeros(5000)
    quiet[1000:1500] = np.sin(np.arange(500))
    assert (features.score_map(np.sin(np.arange(300.0)), quiet)[2000:] == 0).all()


@pytest.mark.parametrize(("scale", "angle"), [(1, 0), (0.6, 0), (1.5, 0), (1, 30), (1.25, -45), (1, 90)])
def test_patterns_are_found_at_their_place_scale_and_angle(photo, scale, angle):
    grey = cv2.GaussianBlur(photo[..., 1], (0, 0), 1.5)
    pattern = grey[70:150, 180:270]
    image, mask = _transform(pattern.astype(np.float32), scale, angle)
    mask = np.ones(image.shape, bool) if mask is None else mask
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (300, 320)).astype(np.float32), (0, 0), 3)
    top, left = 60, 110
    scene[top : top + image.shape[0], left : left + image.shape[1]][mask] = image[mask] * 0.7 + 20
    found = features.match(pattern, scene, scales=(0.6, 1, 1.25, 1.5), angles=(-45, 0, 30, 90), threshold=0.8)
    best = found.found[0]
    assert (best.scale, best.angle) == (scale, angle) and best.score > 0.95
    x, y, w, h = best.box
    assert x + w / 2 == pytest.approx(left + image.shape[1] / 2, abs=2)
    assert y + h / 2 == pytest.approx(top + image.shape[0] / 2, abs=2)
    assert found.best == pytest.approx(best.score)


def test_colour_tells_apart_what_grey_does_not():
    rng = np.random.default_rng(0)
    texture = rng.random((16, 16)).astype(np.float32)
    x = np.zeros((80, 120, 3), np.float32)
    x[10:26, 10:26, 0] = texture  # red
    x[40:56, 80:96, 2] = texture  # blue
    pattern = x[10:26, 10:26].copy()
    scores = features.score_map(pattern, x)
    assert scores[10, 10] == pytest.approx(1, abs=1e-4) and scores[40, 80] < 0.5


def test_overlapping_finds_are_suppressed_and_counted(photo):
    tile = photo[:32, :32, 0]
    x = np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8)
    places = [(10, 10), (10, 150), (100, 60), (160, 160)]
    for top, left in places:
        x[top : top + 32, left : left + 32] = tile
    found = features.match(tile, x, threshold=0.5)
    assert sorted((m.box[1], m.box[0]) for m in found) == sorted(places)
    assert len(features.match(tile, x, threshold=0.5, top=2)) == 2
    data = found.to_dict()
    assert len(data["found"]) == 4 and data["found"][0]["score"] > 0.99
    assert "<table>" in found._repr_html_()


def test_a_recording_is_found_inside_a_longer_one():
    rng = np.random.default_rng(0)
    word = np.convolve(rng.standard_normal(2000), np.hanning(9), "same") * np.hanning(2000)
    long = rng.standard_normal(20000) * 0.2
    long[7000:9000] += word
    found = features.match(word, long, rate=8000)
    assert len(found) == 1 and found.found[0].box == (7000, 2000)
    assert found.to_dict()["found"][0]["seconds"] == [7000 / 8000, 9000 / 8000]
    assert found.plot() is not None


@pytest.mark.parametrize(("pattern", "x", "options", "words"), [
    (np.eye(5), np.eye(4), {}, "larger than x"),
    (np.eye(5), np.eye(4), {"scales": (0.01,)}, "larger than x"),
    (np.ones((3, 3)), np.eye(9), {}, "flat"),
    (np.eye(3), np.full((9, 9), np.nan), {}, "NaN"),
    (np.full((3, 3), np.nan), np.eye(9), {}, "NaN"),
    (np.ones((3, 3, 3)), np.eye(9), {}, "dimensions"),
    (np.eye(9).reshape(9, 3, 3), np.eye(9).reshape(9, 3, 3)[..., :2], {}, "channels"),
    (np.eye(3) * 1j, np.eye(9), {}, "complex"),
    (np.zeros((0, 3)), np.eye(9), {}, "nothing to match"),
    (np.eye(3), np.eye(9), {"scales": ()}, "scales"),
    (np.eye(3), np.eye(9), {"scales": (-1,)}, "scales"),
    (np.arange(3.0), np.arange(9.0), {"angles": (30,)}, "do not turn"),
    (np.eye(3), np.eye(9), {"threshold": 2}, "threshold"),
])  # fmt: skip
def test_bad_input_is_one_line(pattern, x, options, words):
    with pytest.raises(InputError, match=words) as caught:
        features.match(pattern, x, **options)
    assert "\n" not in str(caught.value)
