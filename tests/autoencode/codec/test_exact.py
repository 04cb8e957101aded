"""The decoder's integers: the same whatever they are computed in, and what a sum of Python integers gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hubel.autoencode.codec.exact import Arithmetic, IntegerConv, Narrow, best, products
from hubel.autoencode.codec.layers import EDGE, SUM_LIMIT, TOP, Bounded, Narrowed, ScaledConv2d
from hubel.engine import cpu_has_bf16


def conv(inputs: int, outputs: int, kernel: int, high: int = 127, seed: int = 0) -> IntegerConv:
    draws = torch.Generator().manual_seed(seed)
    w = torch.randint(-high, high + 1, (outputs, inputs, kernel, kernel), generator=draws)
    b = torch.randint(-5000, 5000, (outputs,), generator=draws).bfloat16().double().long()
    return IntegerConv(w.to(torch.int8), b, torch.rand(outputs, generator=draws).mul(0.01).add(0.001).bfloat16().float())


def activations(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3)).double()


def test_sums_are_those_of_python_integers() -> None:
    c, x = conv(3, 2, 3), activations(1, 3, 5, 4)
    padded = np.pad(x[0].numpy().astype(int), ((0, 0), (1, 1), (1, 1)))
    w, b = c.weight.numpy().astype(int), c.bias.numpy()
    for o in range(2):
        for i in range(5):
            for j in range(4):
                expected = sum(int(w[o, k, a, d]) * int(padded[k, i + a, j + d]) for k in range(3) for a in range(3) for d in range(3))
                assert c.sums64(x)[0, o, i, j] == expected + b[o]


def test_strips_and_left_out_taps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    c, x = conv(6, 4, 5), activations(1, 6, 17, 9)
    c.weight[:, :, 0, 1] = 0
    c.weight[:, :, 2] = 0
    expected = F.conv2d(x, c.weight.double(), c.bias.double(), padding=2)
    assert len(c.taps) == 19
    assert torch.equal(c.sums64(x), expected)
    monkeypatch.setattr("hubel.autoencode.codec.exact.STRIP", 1)
    assert torch.equal(c.sums64(x), expected)


@pytest.mark.parametrize(("inputs", "outputs", "kernel"), [(64, 64, 3), (48, 64, 3), (384, 1024, 1), (5, 3, 3)])
def test_every_arithmetic_gives_the_same_bits(inputs: int, outputs: int, kernel: int) -> None:
    c = conv(inputs, outputs, kernel, high=60)
    assert float(c.weight.double().abs().sum(dim=(1, 2, 3)).max()) * 255 < SUM_LIMIT
    x = activations(1, inputs, 21, 34)
    given = x.bfloat16().contiguous(memory_format=torch.channels_last)
    expected = c.sums64(x).float().bfloat16()
    for dtype in [torch.float64, torch.float32] + [torch.bfloat16] * cpu_has_bf16():
        assert torch.equal(Arithmetic(dtype).layer(c)(given), expected)
    assert torch.equal(Narrow(c, best())(given), Narrow(c, Arithmetic(torch.float64))(given))


def test_an_arithmetic_that_rounds_sums_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = F.conv2d

    def half(x, w, b, *rest):  # type: ignore[no-untyped-def]  # a machine that adds up in half precision
        if x.dtype is torch.float64:
            return honest(x, w, b, *rest)
        return honest(x.float(), w.float(), None, *rest).bfloat16().to(x.dtype) + b.view(-1, 1, 1) + 0.5

    monkeypatch.setattr("hubel.autoencode.codec.exact.F.conv2d", half)
    Arithmetic.best.cache_clear()
    try:
        assert best().dtype is torch.float64
    finally:
        Arithmetic.best.cache_clear()


def test_products_that_may_be_rounded_are_taken_in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    assert products() in (torch.float32, torch.float64)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    assert products() is torch.float64


def test_scaled_weights_are_integers_of_their_bits_and_sums_stay_in_range() -> None:
    for bits, highest in ((8, 255), (12, 4095)):
        c = ScaledConv2d(200, 3, 3, bits=bits, highest=highest)
        torch.nn.init.constant_(c.weight, 0.3)  # the largest sums there may be
        whole = (c.weight / c.scales()).round()
        assert whole.abs().max() <= 2 ** (bits - 1) - 1
        assert torch.equal(c.scales(), c.scales().bfloat16().float())
        if highest == 255:
            assert whole.abs().sum(dim=(1, 2, 3)).max() * highest < SUM_LIMIT


def test_bounded_rounds_forward_and_not_backward() -> None:
    layer = Bounded(255)
    layer.quantised = True
    x = torch.tensor([-1.0, 0.011, 3.0, 9.0], requires_grad=True)
    y = layer(x)
    torch.testing.assert_close(y * 255 / TOP, torch.tensor([0.0, 0.0, 128.0, 255.0]), atol=1e-4, rtol=0)
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, 1, 1, 0]


def test_narrowed_is_what_the_integers_do() -> None:
    c, x = conv(8, 6, 3), activations(1, 8, 12, 10) - 100
    for leaky in (False, True):
        layer = Narrowed(leaky)
        layer.quantised = True
        step = EDGE / 255
        sums = c.sums64(x).float().bfloat16().float() * c.scale.view(-1, 1, 1)
        whole = Narrow(c, Arithmetic(torch.float64))(x.bfloat16(), leaky=leaky).float()
        assert (whole - layer(sums * step) / step).abs().max() <= 1  # one rounding of the product to bfloat16
        assert whole.min() < 0 < whole.max() <= 255
