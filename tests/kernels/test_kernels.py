"""Hand-made kernels against SciPy, OpenCV and scikit-image, and against what each is for."""

import doctest
import math
import warnings

import cv2
import numpy as np
import pytest
import scipy.ndimage
import skimage.filters

from hubel import kernels
from hubel.convolve import correlate, separate
from hubel.errors import InputError


def test_doctests():
    result = doctest.testmod(kernels)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3, 7])
def test_gaussian_is_scipys(sigma):
    x = np.random.default_rng(0).random((60, 70))
    w = kernels.gaussian(sigma)
    radius = (w.shape[0] - 1) // 2
    assert radius >= 2 * sigma
    np.testing.assert_allclose(correlate(x, w, "mirror"),
                               scipy.ndimage.gaussian_filter(x, sigma, mode="mirror", radius=radius), atol=1e-12)
    assert kernels.gaussian(sigma, dims=3).weights.sum() == pytest.approx(1)


def test_a_cut_gaussian_says_so():
    with pytest.warns(UserWarning, match="use at least 13"):
        kernels.gaussian(3, size=7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernels.gaussian(3, size=13)


@pytest.mark.parametrize("edges", ["vertical", "horizontal"])
def test_gradients_are_scikit_images(edges):
    x = np.random.default_rng(1).random((40, 30))
    for name, scale in (("sobel", 4), ("scharr", 16), ("prewitt", 3)):
        theirs = getattr(skimage.filters, f"{name}_{edges[0]}")(x)[1:-1, 1:-1]
        np.testing.assert_allclose(-correlate(x, getattr(kernels, name)(edges)) / scale, theirs, atol=1e-12)


def test_laplacians():
    x = np.random.default_rng(2).random((80, 80))
    np.testing.assert_allclose(correlate(x, kernels.laplacian(), "mirror"), cv2.Laplacian(x, -1), atol=1e-12)
    y, z = np.mgrid[:80, :80] / 10
    smooth = np.sin(y) * np.cos(z)
    ours = correlate(smooth, kernels.laplacian_of_gaussian(2.0))
    r = (80 - len(ours)) // 2
    np.testing.assert_allclose(ours, scipy.ndimage.gaussian_laplace(smooth, 2.0)[r:-r, r:-r], atol=2e-4)
    for w in (kernels.laplacian(True), kernels.laplacian_of_gaussian(1.5), kernels.laplacian()):
        assert abs(w.weights.sum()) < 1e-12


def step(angle, size=61):
    """An ideal edge along `angle`: 1 on the left of (above) it, drawn at 8x8 points a pixel."""
    fine = (np.arange(size * 8) + 0.5) / 8 - size / 2
    t = math.radians(angle)
    side = -fine[None, :] * math.sin(t) - fine[:, None] * math.cos(t) > 0
    return side.reshape(size, 8, size, 8).mean((1, 3))


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 137])
def test_steered_edges_answer_to_their_angle_most(angle):
    image = step(angle)
    response = {a: correlate(image, kernels.edge(a, 2.0), "nearest")[30, 30] for a in range(0, 180, 5)}
    assert response[round(angle / 5) * 5 % 180] == pytest.approx(1, abs=0.03)
    best = max(response, key=lambda a: response[a])
    assert min(abs(best - angle), 180 - abs(best - angle)) <= 5
    assert separate(kernels.edge(angle, 2.0).weights) is not None
    assert abs(correlate(np.full((30, 30), 7.0), kernels.edge(angle, 2.0))).max() < 1e-12


def test_edges_agree_with_sobel_and_the_lecture_in_sign():
    for edges, angle in (("vertical", 90), ("horizontal", 0)):
        image = step(angle)
        for w in (kernels.sobel(edges), kernels.difference(edges), kernels.edge(angle)):
            assert correlate(image, w, "nearest").max() > 0.49
            assert correlate(image, w, "nearest").min() > -1e-9


def test_gabor_answers_to_its_wave():
    y, x = np.mgrid[:81, :81] - 40.0
    for angle in (0, 45, 90, 150):
        t = math.radians(angle)
        wave = np.cos(2 * np.pi * (-x * math.sin(t) - y * math.cos(t)) / 8)
        answers = [abs(correlate(wave, kernels.gabor(8, a), "valid")).max() for a in range(0, 180, 15)]
        assert np.argmax(answers) == angle // 15
    for w in kernels.gabor_bank().weights:
        assert abs(w.sum()) < 1e-9 and (w**2).sum() == pytest.approx(1)
    assert kernels.gabor_bank().shape[0] == len(kernels.gabor_bank().names) == 32


@pytest.mark.parametrize("length", [1, 2, 5, 20, 21])
def test_lines_add_up_over_their_length(length):
    for angle in (0, 33, 90, 120):
        plain = kernels.line(length, angle, surround=0).weights
        assert plain.sum() == pytest.approx(1) and plain.min() >= 0
        assert kernels.line(length, angle).weights.sum() == pytest.approx(0, abs=1e-12)
    w = kernels.line(length, 90, surround=0).weights
    assert w.shape == (length + (length + 1) % 2, 1)
    np.testing.assert_allclose(kernels.line(length, 0, surround=0).weights, w.T, atol=1e-12)


def test_a_long_line_wins_where_it_lies():
    image = np.zeros((64, 64))
    image[10:40, 25] = 1  # a line
    image[::5, 50] = 1  # scattered points, as bright together in a column
    response = correlate(image, kernels.line(21), "same")
    assert np.unravel_index(response.argmax(), response.shape)[1] == 25
    assert response[15:35, 25].min() > 3 * response[:, 50].max()


def test_banks_and_figures(tmp_path):
    b = kernels.bank([kernels.sobel(), kernels.difference(), kernels.uniform(5)])
    assert b.shape == (3, 5, 5)
    x = np.random.default_rng(0).random((20, 20))
    np.testing.assert_allclose(correlate(x, b, "same")[..., 0], correlate(x, kernels.sobel(), "same"), atol=1e-12)
    np.testing.assert_allclose(correlate(x, b, "same")[..., 1], correlate(x, kernels.difference(), "same"), atol=1e-12)
    for k in (b, kernels.sobel(), kernels.gaussian(2, dims=1), kernels.gabor(), kernels.uniform(3, dims=3)):
        k.plot().savefig(tmp_path / "k.png")
        assert k.to_dict()["weights"]


@pytest.mark.parametrize("call", [
    lambda: kernels.gaussian(0), lambda: kernels.gaussian(float("nan")), lambda: kernels.gaussian(1, size=0),
    lambda: kernels.uniform(0), lambda: kernels.sobel("diagonal"), lambda: kernels.gabor(1), lambda: kernels.line(0),
    lambda: kernels.edge(float("inf")), lambda: kernels.bank([]), lambda: kernels.edge_bank(0),
    lambda: kernels.gabor(sigma=-1),
])  # fmt: skip
def test_bad_input_is_one_line(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
