"""The compiled depthwise convolution against torch's in float32 on the same bf16 numbers: one rounding apart."""

import threading

import pytest
import torch
import torch.nn.functional as F

from hubel.convolve import Depthwise

if not Depthwise.possible(torch.zeros(8, 1, 3, 3), (1, 1), (1, 1), 8):
    pytest.skip("no compiled core or no AVX512-BF16 here", allow_module_level=True)


def images(n, c, h, w, seed=0):
    x = torch.randn(n, c, h, w, generator=torch.Generator().manual_seed(seed)).bfloat16()
    return x.contiguous(memory_format=torch.channels_last)


def layer(c, kernel, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(c, 1, kernel, kernel, generator=generator).bfloat16(), torch.randn(c, generator=generator).bfloat16()


def reference(x, w, b, stride, pads, ceiling=None):
    y = F.conv2d(F.pad(x.double(), pads), w.double(), None if b is None else b.double(), stride, groups=len(w))
    return y if ceiling is None else y.clamp(0, ceiling)


def close(y, expected):
    """To half a unit of bf16's last place, and what float32 sums lose where large terms cancel."""
    torch.testing.assert_close(y.double(), expected, rtol=2.0**-8, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [1, 7, 16, 32, 48, 77, 96])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 7), (9, 14), (17, 30)])
def test_answers_are_torchs_rounded_once(kernel, stride, channels, size):
    w, b = layer(channels, kernel)
    k = kernel // 2
    for n, pads in enumerate([(k, k, k, k), (0, kernel - 1, 0, kernel - 1), (k, k + 1, k - 1, k), (kernel, 0, kernel, 1)], 1):
        if size[0] + pads[2] + pads[3] < kernel or size[1] + pads[0] + pads[1] < kernel:
            continue
        x = images(n, channels, *size)
        y = Depthwise(w, b, stride)(x, pads)
        assert y.dtype is torch.bfloat16 and y.is_contiguous(memory_format=torch.channels_last)
        close(y, reference(x, w, b, stride, pads))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(5, 5), (3, 9), (19, 33)])
def test_no_padding_and_no_bias(kernel, size):
    if min(size) < kernel:
        pytest.skip("smaller than the kernel")
    w, x = layer(40, kernel)[0], images(2, 40, *size)
    close(Depthwise(w, None, 1)(x, (0, 0, 0, 0)), reference(x, w, None, 1, (0, 0, 0, 0)))


@pytest.mark.parametrize("ceiling", [None, 1.5, 6.0, float("inf")])
def test_activations(ceiling):
    w, b = layer(48, 3)
    x = images(2, 48, 12, 15)
    y = Depthwise(w, b, 1)(x, (1, 1, 1, 1), ceiling)
    close(y, reference(x, w, b, 1, (1, 1, 1, 1), ceiling))
    assert ceiling is None or (y.min() == 0 and y.max() <= ceiling)


@pytest.mark.parametrize("ceiling", [None, 6.0, float("inf")])
def test_nan_reaches_its_windows_and_no_others(ceiling):
    w, b = layer(32, 3)
    x = images(1, 32, 16, 21)
    x[0, 5, 8, 10] = float("nan")
    found = Depthwise(w, b, 1)(x, (1, 1, 1, 1), ceiling).isnan().nonzero()
    assert found[:, 1].unique().tolist() == [5]
    assert found[:, 2].unique().tolist() == [7, 8, 9] and found[:, 3].unique().tolist() == [9, 10, 11] and len(found) == 9


def test_an_images_answer_does_not_depend_on_the_batch_or_the_threads():
    w, b = layer(80, 5)
    x, run = images(5, 80, 40, 37), Depthwise(w, b, 2)
    whole = run(x, (1, 2, 2, 2), 6.0)
    for n in range(1, 5):
        assert torch.equal(run(x[:n], (1, 2, 2, 2), 6.0), whole[:n])
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            assert torch.equal(run(x, (1, 2, 2, 2), 6.0), whole)
    finally:
        torch.set_num_threads(before)


def test_threads_of_its_own_where_torchs_are_not_found(monkeypatch):
    import hubel.convolve._depthwise as module

    w, b = layer(64, 3)
    x, run = images(4, 64, 56, 56), Depthwise(w, b, 1)
    expected = run(x, (1, 1, 1, 1))
    monkeypatch.setattr(module, "_team", lambda: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(run(x, (1, 1, 1, 1)), expected)


def test_many_threads_at_once():
    w, b = layer(96, 3)
    run = Depthwise(w, b, 1)
    inputs = [images(3, 96, 33, 30, seed=s) for s in range(4)]
    expected = [run(x, (1, 1, 1, 1)) for x in inputs]
    wrong = []

    def work(i):
        for _ in range(20):
            if not torch.equal(run(inputs[i], (1, 1, 1, 1)), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_it_is_not_for():
    run = Depthwise(*layer(32, 3), 1)
    x = images(2, 32, 9, 9)
    assert run.fits(x)
    for other in (x.float(), x.contiguous(), x[..., ::2], x[:, :16], x[0]):
        assert not run.fits(other)
    assert not Depthwise.possible(torch.zeros(8, 1, 7, 7), (1, 1), (1, 1), 8)
    assert not Depthwise.possible(torch.zeros(8, 1, 3, 3), (3, 3), (1, 1), 8)
    assert not Depthwise.possible(torch.zeros(8, 1, 3, 3), (1, 1), (2, 2), 8)
    assert not Depthwise.possible(torch.zeros(8, 1, 3, 3), (1, 1), (1, 1), 4)  # two outputs a channel
