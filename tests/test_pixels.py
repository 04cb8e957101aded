"""The pixel conventions: type decides the layout, values are checked, nothing is guessed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hubel.errors import InputError
from hubel.pixels import as_arrays, as_batch, parse_eps


@given(st.tuples(*[st.integers(1, 5)] * 3), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_uint8_survives_the_round_trip(shape, channels, seed):
    x = np.random.default_rng(seed).integers(0, 256, (*shape, channels), dtype=np.uint8)
    t = as_batch(x)
    assert t.shape == (shape[0], channels, *shape[1:]) and t.dtype == torch.float32
    np.testing.assert_array_equal(as_arrays(t), x)
    torch.testing.assert_close(as_batch(torch.from_numpy(x).permute(0, 3, 1, 2)), t)


def test_ranks():
    assert as_batch(np.zeros((4, 5))).shape == as_batch(torch.zeros(4, 5)).shape == (1, 1, 4, 5)
    assert as_batch(np.zeros((4, 5, 3))).shape == as_batch(torch.zeros(3, 4, 5)).shape == (1, 3, 4, 5)


def test_grey_of_colour_is_pillows_luma_and_alpha_is_dropped():
    x = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(x).convert("L"), dtype=float)
    np.testing.assert_allclose(as_batch(x, 1)[0, 0].numpy() * 255, expected, atol=1)
    with_alpha = np.concatenate([x, np.full((6, 7, 1), 9, np.uint8)], axis=2)
    torch.testing.assert_close(as_batch(with_alpha, 3), as_batch(x, 3))
    assert as_batch(x[..., :1], 3).shape == (1, 3, 6, 7)


def test_views_and_read_only_arrays():
    x = np.random.default_rng(0).random((2, 6, 6, 3))
    x.flags.writeable = False
    torch.testing.assert_close(as_batch(x[:, ::-1, ::2]), as_batch(np.ascontiguousarray(x[:, ::-1, ::2])))
    big_endian = x.astype(">f4")
    torch.testing.assert_close(as_batch(big_endian), as_batch(x))


def test_gradients_pass():
    t = torch.rand(1, 3, 4, 4, requires_grad=True)
    as_batch(t, 1).sum().backward()
    assert t.grad is not None


EPSILONS = [("8/255", 8 / 255), (8 / 255, 8 / 255), ("0.03", 0.03), (" 1 / 255 ", 1 / 255), (0, 0)]


@pytest.mark.parametrize(("text", "value"), EPSILONS)
def test_eps(text, value):
    assert parse_eps(text) == pytest.approx(value)


@pytest.mark.parametrize("bad", ["8/0", "eight", -1, float("nan"), "1/2/3", None])
def test_bad_eps(bad):
    with pytest.raises(InputError, match="eps"):
        parse_eps(bad)
