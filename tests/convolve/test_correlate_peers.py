"""correlate against SciPy, OpenCV, scikit-image's neighbours and torch; types, saturation and bad input."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hubel.convolve import border, correlate
from hubel.errors import InputError

SCIPY = {"constant": "constant", "nearest": "nearest", "reflect": "reflect", "mirror": "mirror", "grid-wrap": "wrap"}
OPENCV = {"border_constant": cv2.BORDER_CONSTANT, "border_replicate": cv2.BORDER_REPLICATE,
          "border_reflect": cv2.BORDER_REFLECT, "border_reflect_101": cv2.BORDER_REFLECT_101}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(SCIPY)), st.sampled_from(["uint8", "int16", "float32", "float64"]),
       st.integers(0, 4), st.integers(0, 4))
def test_scipy_borders(seed, mode, dtype, a, b):
    rng = np.random.default_rng(seed)
    x = (rng.random((rng.integers(9, 40), rng.integers(9, 40))) * 255).astype(dtype)
    w = rng.standard_normal((2 * a + 1, 2 * b + 1))
    want = scipy.ndimage.correlate(x.astype(float), w, mode=mode)
    got = correlate(x, w, mode)
    assert got.dtype == (np.float64 if dtype == "float64" else np.float32)
    assert np.abs(got - want).max() <= (1e-10 if dtype == "float64" else 1e-6) * np.abs(x).max() * np.abs(w).sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(OPENCV)), st.integers(1, 8), st.integers(0, 3),
       st.sampled_from(["direct", "fft", "engine", "auto"]))
def test_opencv_borders(seed, mode, k, channels, method):
    rng = np.random.default_rng(seed)
    x = rng.random((31, 27, channels) if channels else (31, 27), dtype=np.float32)
    w = rng.standard_normal((k, 9 - k)).astype(np.float32)
    anchor = ((9 - k - 1) // 2, (k - 1) // 2)  # ours for even kernels
    want = cv2.filter2D(x, -1, w, anchor=anchor, borderType=OPENCV[mode]).reshape(x.shape)
    np.testing.assert_allclose(correlate(x, w, mode, method=method), want, atol=2e-5)


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_scipy_signal(mode):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((40, 31)), rng.standard_normal((5, 7))
    np.testing.assert_allclose(correlate(x, w, mode), scipy.signal.correlate2d(x, w, mode), atol=1e-12)


def test_torch_same_with_even_kernels():
    x, w = torch.randn(2, 3, 12, 13, dtype=torch.float64), torch.randn(4, 3, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(correlate(x, w, "same"), torch.conv2d(x, w, padding="same"))


def test_border_names_and_the_two_reflects():
    assert border("reflect") == border("opencv:reflect") == "symmetric"
    assert border("numpy:reflect") == border("torch:reflect") == border("reflect101") == "mirror"
    with pytest.raises(InputError, match="did you mean 'mirror'"):
        border("mirrored")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["uint8", "int8", "int16", "int32", "int64", "bool"]),
       st.sampled_from(["direct", "fft", "engine", "auto"]))
def test_integers_with_integers_are_exact(seed, dtype, method):
    rng = np.random.default_rng(seed)
    info = (0, 1) if dtype == "bool" else (max(np.iinfo(dtype).min, -10**9), min(np.iinfo(dtype).max, 10**9))
    x = rng.integers(*info, (17, 19), endpoint=True).astype(dtype)
    w = rng.integers(-300, 300, (3, 5))
    got = correlate(x, w, "same", method=method)
    want = scipy.signal.correlate2d(x.astype(np.int64), w, "same")
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, want)


def test_nothing_overflows_silently():
    x = np.full((20, 20), 250, np.uint8)
    np.testing.assert_allclose(correlate(x, np.ones((3, 3))), 2250)
    assert correlate(x, np.ones((3, 3)), dtype=np.uint8).max() == 255
    assert correlate(x, -np.ones((3, 3)), dtype="uint8").max() == 0
    assert correlate(x, -np.ones((9, 9)), dtype=np.int16).min() == -81 * 250
    assert correlate(x, -np.ones((13, 13)), dtype=np.int16).min() == -32768
    with pytest.raises(InputError, match="2\\*\\*53"):
        correlate(np.full(9, 2**40), np.full(3, 2**20))


@pytest.mark.parametrize("mode", ["same", "mirror", "symmetric", "nearest", "wrap"])
@pytest.mark.parametrize("k", [1, 3, 5, 7, 15])
def test_saturated_answers_are_the_rounded_ones(mode, k):
    rng = np.random.default_rng(k)
    x, w = rng.integers(0, 256, (50, 61)).astype(np.uint8), rng.standard_normal((k, k))
    exact = correlate(x.astype(float), w, mode)
    got = correlate(x, w, mode, dtype=np.uint8)
    assert got.dtype == np.uint8
    off = np.abs(got - np.clip(exact, 0, 255))
    assert off.max() <= 0.5 + 1e-3  # nearest, but for float32 rounding of ties


@pytest.mark.parametrize("method", ["auto", "direct", "fft", "engine", "separable"])
@pytest.mark.parametrize("k", [3, 31])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_stay_in_their_windows(method, k, bad):
    rng = np.random.default_rng(0)
    x, w = rng.random((90, 80), dtype=np.float32), np.outer(*rng.random((2, k)) + 0.1).astype(np.float32)
    clean = correlate(x, w, "same", method=method)
    x[40, 33] = bad
    got = correlate(x, w, "same", method=method)
    r = k // 2
    touched = np.zeros(x.shape, bool)
    touched[40 - r : 41 + r, 33 - r : 34 + r] = True
    assert not np.isfinite(got[touched]).any()
    np.testing.assert_allclose(got[~touched], clean[~touched], rtol=1e-5, atol=1e-5)


def test_odd_arrays_are_right():
    rng = np.random.default_rng(0)
    base, w = rng.random((60, 50)), rng.random((4, 5))
    want = correlate(base, w)
    readonly = base.copy()
    readonly.flags.writeable = False
    np.testing.assert_array_equal(correlate(readonly, w), want)
    np.testing.assert_allclose(correlate(base[::-1, ::-1], w[::-1, ::-1]), want[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(correlate(base[::2, 1::3], w), correlate(base[::2, 1::3].copy(), w), atol=1e-12)
    np.testing.assert_allclose(correlate(base.T, w.T), want.T, atol=1e-12)
    np.testing.assert_allclose(correlate(base.astype(">f8"), w.astype(">f4")), want, atol=1e-5)
    np.testing.assert_allclose(correlate(np.asfortranarray(base), w), want, atol=1e-12)
    np.testing.assert_allclose(correlate(np.broadcast_to(base[0], (9, 50)), w)[0], want[0] * 0 + correlate(
        np.tile(base[0], (4, 1)), w)[0], atol=1e-12)
    np.testing.assert_allclose(correlate(base.astype(np.float16), w).astype(float), want, atol=2e-2)
    assert correlate(torch.from_numpy(base).bfloat16(), torch.from_numpy(w)).dtype == torch.bfloat16
    np.testing.assert_array_equal(correlate(base.astype(np.uint16), w.astype(np.uint32)),
                                  correlate(base.astype(int), w.astype(int)))
    np.testing.assert_array_equal(base[3], base[3])


@pytest.mark.parametrize(("x", "w", "options", "words"), [
    (np.ones((3, 3)), np.ones((4, 4)), {}, "kernel covers 4x4 and x only 3x3"),
    (np.ones((3, 3)), np.ones((2, 2)), {"dilation": 3}, "covers 4x4"),
    (np.ones((3, 0)), np.ones((2, 2)), {}, "nothing to correlate"),
    (np.float64(3), np.ones(2), {}, "nothing to correlate"),
    (np.ones((3, 3)), np.ones((0, 2)), {}, "empty"),
    (np.ones((3, 3), complex), np.ones((2, 2)), {}, "complex"),
    (np.ones((3, 3)), np.ones((2, 2)) * 1j, {}, "complex"),
    (torch.ones(3, dtype=torch.complex64), torch.ones(2), {}, "complex"),
    (np.array(["a", "b"]), np.ones(1), {}, "not of numbers"),
    ([[1, 2], [3]], np.ones(1), {}, "not an array"),
    (np.ones((2, 2, 2, 2, 2, 2)), np.ones((2, 2)), {}, "layout"),
    (np.ones(5), np.ones((2, 2, 2)), {}, "layout"),
    (np.ones((5, 5)), np.ones((2, 2)), {"layout": "hwx"}, "name each axis"),
    (np.ones((5, 5)), np.ones((2, 2)), {"layout": "nhw"}, "names 3 axes"),
    (np.ones((5, 5, 3)), np.ones((4, 2, 2, 2)), {}, "2 channels and x has 3"),
    (np.ones((5, 5)), np.ones((2, 2)), {"padding": "sama"}, "padding or border mode 'sama'"),
    (np.ones((5, 5)), np.ones((2, 2)), {"padding": (1, 2, 3)}, "padding=\\(1, 2, 3\\)"),
    (np.ones((5, 5)), np.ones((2, 2)), {"padding": -1}, "padding=-1"),
    (np.ones((5, 5)), np.ones((2, 2)), {"stride": 0}, "stride=0"),
    (np.ones((5, 5)), np.ones((2, 2)), {"method": "magic"}, "no method 'magic'"),
    (np.ones((5, 5)), np.diag([1.0, 2, 3]), {"method": "separable"}, "outer products"),
    (np.ones((5, 5)), np.ones((2, 2)), {"dtype": "cheese"}, "not a number type"),
    (np.ones((5, 5, 3)), np.ones((1, 2, 2, 3)), {"method": "separable"}, "sums over channels"),
    (np.array([2**64 - 1], np.uint64), np.ones(1, int), {}, "convert it to float64"),
])  # fmt: skip
def test_bad_input_is_one_line(x, w, options, words):
    with pytest.raises(InputError, match=words) as caught:
        correlate(x, w, **options)
    assert "\n" not in str(caught.value)


def test_padding_larger_than_the_image():
    rng = np.random.default_rng(0)
    x, w = rng.random((3, 4)), rng.random((15, 9))
    for mode in ("same", "mirror", "symmetric", "nearest", "wrap"):
        kind = {"same": "constant", "mirror": "mirror", "symmetric": "reflect", "nearest": "nearest",
                "wrap": "grid-wrap"}[mode]  # fmt: skip
        want = scipy.ndimage.correlate(x, w, mode=kind)
        for method in ("direct", "fft", "engine", "auto"):
            np.testing.assert_allclose(correlate(x, w, mode, method=method), want, atol=1e-12)
