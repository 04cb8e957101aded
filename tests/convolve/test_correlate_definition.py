"""correlate against the definition by brute force, over ranks, layouts, borders, strides, dilations and methods."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hubel.convolve import convolve, correlate

METHODS = ("auto", "direct", "separable", "fft", "engine")
NUMPY_NAME = {"nearest": "edge", "symmetric": "symmetric", "mirror": "reflect", "wrap": "wrap"}


def brute(x, w, mode="valid", stride=1, dilation=1):
    """The definition, one output at a time, on plain arrays of one rank."""
    reach = [(k - 1) * dilation + 1 for k in w.shape]
    if mode == "full":
        x = np.pad(x, [(k - 1, k - 1) for k in reach])
    elif mode != "valid":
        pads = [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in reach]
        x = np.pad(x, pads) if mode in ("same", "zeros") else np.pad(x, pads, mode=NUMPY_NAME[mode])
    shape = [(n - k) // stride + 1 for n, k in zip(x.shape, reach, strict=True)]
    out = np.zeros(shape, np.result_type(x, w))
    for place in product(*(range(n) for n in shape)):
        window = tuple(slice(p * stride, p * stride + k, dilation) for p, k in zip(place, reach, strict=True))
        out[place] = (x[window] * w).sum()
    return out


@st.composite
def problems(draw):
    dims = draw(st.integers(1, 3))
    k = [draw(st.integers(1, (9, 5, 3)[dims - 1])) for _ in range(dims)]
    dilation = draw(st.integers(1, 2))
    shape = [draw(st.integers((n - 1) * dilation + 1, (n - 1) * dilation + (30, 9, 5)[dims - 1])) for n in k]
    mode = draw(st.sampled_from(["valid", "same", "full", "nearest", "symmetric", "mirror", "wrap"]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    w = rng.standard_normal(k)
    if draw(st.booleans()):
        w = rng.standard_normal(k[0])
        for n in k[1:]:
            w = np.multiply.outer(w, rng.standard_normal(n))
    return rng.standard_normal(shape), w, mode, draw(st.integers(1, 3)), dilation


@settings(max_examples=120, deadline=None)
@given(problems(), st.sampled_from(METHODS), st.booleans(), st.booleans())
def test_every_method_follows_the_definition(problem, method, use_torch, double):
    x, w, mode, stride, dilation = problem
    if method == "separable" and np.linalg.matrix_rank(w.reshape(w.shape[0], -1)) > 2 - (w.ndim == 3):
        method = "auto"
    if method == "separable" and w.ndim == 3 and np.linalg.matrix_rank(w.transpose(1, 0, 2).reshape(w.shape[1], -1)) > 1:
        method = "auto"
    want = brute(x, w, mode, stride, dilation)
    if not double:
        x, w = x.astype(np.float32), w.astype(np.float32)
    given_x, given_w = (torch.from_numpy(x), torch.from_numpy(w)) if use_torch else (x, w)
    got = correlate(given_x, given_w, mode, stride=stride, dilation=dilation, method=method)
    assert isinstance(got, torch.Tensor) == use_torch
    got = np.asarray(got)
    assert got.dtype == x.dtype and got.shape == want.shape
    bound = (1e-10 if double else 1e-6) * np.abs(x).max() * np.abs(w).sum()
    assert np.abs(got - want).max() <= bound


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("method", ["auto", "direct", "fft", "engine"])
def test_banks_and_channels(dims, method):
    rng = np.random.default_rng(dims)
    shape, k = (13, 11, 8)[:dims], (3, 2, 4)[:dims]
    x, bank = rng.standard_normal((5, *shape, 4)), rng.standard_normal((6, *k, 4))
    layout = "n" + {1: "t", 2: "hw", 3: "dhw"}[dims] + "c"
    want = np.stack([[sum(brute(x[n, ..., c], bank[f, ..., c], "same") for c in range(4)) for f in range(6)]
                     for n in range(5)])  # (N, F, *S)
    got = correlate(x, bank, "same", layout=layout, method=method)
    np.testing.assert_allclose(got, np.moveaxis(want, 1, -1), atol=1e-10)
    one = correlate(x, bank[2], "same", layout=layout, method=method)
    np.testing.assert_allclose(one, want[:, 2], atol=1e-10)
    each = correlate(x, bank[0, ..., 0], "same", layout=layout, method=method)
    np.testing.assert_allclose(each[1, ..., 3], brute(x[1, ..., 3], bank[0, ..., 0], "same"), atol=1e-10)
    first = torch.from_numpy(np.moveaxis(x, -1, 1).copy()), torch.from_numpy(np.moveaxis(bank, -1, 1).copy())
    np.testing.assert_allclose(correlate(*first, "same", layout="nc" + layout[1:-1], method=method), want, atol=1e-10)
    if dims == 2:  # by rank alone
        np.testing.assert_array_equal(correlate(x, bank, "same", method=method), got)
        np.testing.assert_array_equal(correlate(x[1], bank, "same", method=method).shape, got[1].shape)
        np.testing.assert_allclose(correlate(*first, "same", method=method), want, atol=1e-10)


@pytest.mark.parametrize("method", ["auto", "direct", "separable", "fft", "engine"])
def test_bank_on_a_grey_image_and_a_stack(method):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((4, 20, 17)).astype(np.float32)
    bank = np.einsum("fi,fj->fij", *rng.standard_normal((2, 3, 5))).astype(np.float32)
    want = np.stack([[brute(image, w, "mirror") for w in bank] for image in x])
    np.testing.assert_allclose(correlate(x[0], bank, "mirror", method=method), np.moveaxis(want[0], 0, -1), atol=2e-5)
    np.testing.assert_allclose(correlate(x, bank, "mirror", layout="nhw", method=method), np.moveaxis(want, 1, -1),
                               atol=2e-5)
    tensor = correlate(torch.from_numpy(x), torch.from_numpy(bank), "mirror", layout="nhw", method=method)
    np.testing.assert_allclose(tensor, want, atol=2e-5)


@pytest.mark.parametrize("shape", [(40, 33, 3), (7, 21, 26, 3), (40, 33, 7)])
@pytest.mark.parametrize("method", ["auto", "direct", "separable", "fft", "engine"])
def test_one_kernel_over_every_channel(shape, method):
    rng = np.random.default_rng(0)
    x, w = rng.random(shape, dtype=np.float32), np.outer(*rng.random((2, 5))).astype(np.float32)
    got = correlate(x, w, "symmetric", method=method)
    flat = np.moveaxis(x, -1, 0).reshape(-1, *shape[-3:-1])
    want = np.stack([brute(p, w, "symmetric") for p in flat]).reshape(shape[-1], *shape[:-1])
    np.testing.assert_allclose(got, np.moveaxis(want, 0, -1), atol=2e-5)


def test_tiles_and_blocks_of_large_inputs_join_without_seams():
    rng = np.random.default_rng(1)
    x, series = rng.standard_normal((523, 611)), rng.standard_normal(50_001)
    for k in (3, 15, 24, 41):
        w = rng.standard_normal((k, k + 2))
        want = correlate(x, w, "mirror", method="direct")
        np.testing.assert_allclose(correlate(x, w, "mirror", method="fft"), want, atol=1e-10)
        taps = rng.standard_normal(k * 7)
        np.testing.assert_allclose(correlate(series, taps, method="fft"), np.correlate(series, taps, "valid"), atol=1e-9)
        outer = np.outer(taps[: k + 1], taps[-k:]) + np.outer(taps[k : 2 * k + 1], taps[1 : k + 1])
        np.testing.assert_allclose(correlate(x, outer, "wrap", method="separable"),
                                   correlate(x, outer, "wrap", method="fft"), atol=1e-9)


def test_gradients_are_those_of_the_definition():
    rng = np.random.default_rng(2)
    x = torch.from_numpy(rng.standard_normal((2, 2, 6, 5))).requires_grad_()
    w = torch.from_numpy(rng.standard_normal((2, 2, 3, 3))).requires_grad_()
    for method, padding in product(("direct", "fft", "engine", "auto"), ("valid", "same", "mirror", "wrap")):
        assert torch.autograd.gradcheck(lambda a, b: correlate(a, b, padding, method=method), (x, w))  # noqa: B023


def test_convolve_flips_space_only():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((30, 20)), rng.standard_normal((4, 3))
    from scipy.signal import convolve as scipy_convolve

    for mode in ("valid", "full"):
        np.testing.assert_allclose(convolve(x, w, mode), scipy_convolve(x, w, mode), atol=1e-12)
    images, bank = rng.standard_normal((2, 12, 11, 3)), rng.standard_normal((5, 3, 3, 3))
    np.testing.assert_allclose(convolve(images, bank), correlate(images, bank[:, ::-1, ::-1]), atol=1e-12)
    np.testing.assert_allclose(convolve(images[0], bank[0], layout="hwc"),
                               correlate(images[0], bank[0, ::-1, ::-1], layout="hwc"), atol=1e-12)
