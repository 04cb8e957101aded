"""The frozen copy computes what the network computes, and its input gradients are right."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel.convolve import Depthwise
from hubel.engine import frozen, using
from hubel.engine.conv import FrozenConv2d
from hubel.engine.fold import fold_batch_norm
from hubel.nets import build
from hubel.nets.efficientnet import SameConv2d


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2, 4, "valid"])
@pytest.mark.parametrize("groups", ["dense", "depthwise", 2])
@pytest.mark.parametrize("size", [(9, 9), (8, 11)])
def test_input_gradient_of_a_frozen_convolution_is_autograds(kernel, stride, padding, groups, size):
    torch.manual_seed(0)
    g = {"dense": 1, "depthwise": 4}.get(groups, groups)
    conv = nn.Conv2d(4, 4, kernel, stride, padding, groups=g).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    expected = conv(x)
    weight = torch.randn_like(expected)
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), x)
    ours = FrozenConv2d(conv, torch.float64)(x)
    (gradient,) = torch.autograd.grad((ours * weight).sum(), x)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (8, 11), (7, 10)])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("depthwise", [True, False])
def test_tensorflow_padding_has_the_same_gradient_too(size, kernel, stride, depthwise):
    torch.manual_seed(0)
    conv = SameConv2d(4, 4, kernel, stride, groups=4 if depthwise else 1).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    expected = conv(x)
    assert expected.shape[2:] == tuple(-(-n // stride) for n in size)
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), x)
    (gradient,) = torch.autograd.grad(FrozenConv2d(conv, torch.float64)(x).square().sum(), x)
    torch.testing.assert_close(gradient, expected_gradient)


def test_dilated_and_string_padded_convolutions():
    torch.manual_seed(0)
    dilated, same = nn.Conv2d(3, 6, 3, dilation=2, padding=2), nn.Conv2d(3, 6, 4, padding="same")
    depthwise = nn.Conv2d(3, 3, 4, groups=3, padding="same")
    for conv in (dilated.double(), same.double(), depthwise.double()):
        x = torch.randn(1, 3, 10, 9, dtype=torch.float64, requires_grad=True)
        (expected,) = torch.autograd.grad(conv(x).square().sum(), x)
        (gradient,) = torch.autograd.grad(FrozenConv2d(conv, torch.float64)(x).square().sum(), x)
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("ceiling", [None, 6.0, float("inf")])
@pytest.mark.parametrize("same", [True, False])
def test_depthwise_in_bf16_agrees_with_and_without_gradient(kernel, stride, ceiling, same):
    """One rounding between the compiled core, which nobody who asks for a gradient gets, and torch's own kernels."""
    torch.manual_seed(0)
    layer = SameConv2d(48, 48, kernel, stride, groups=48) if same else nn.Conv2d(48, 48, kernel, stride, 1, groups=48)
    conv = FrozenConv2d(layer, torch.bfloat16)
    conv.ceiling = ceiling
    x = torch.randn(3, 48, 18, 21).mul(4).bfloat16().contiguous(memory_format=torch.channels_last)
    compiled, asked = conv(x), conv(x.requires_grad_())
    torch.testing.assert_close(compiled, asked, rtol=2.0**-7, atol=1e-5)
    with using(depthwise=False), torch.no_grad():
        assert torch.equal(conv(x), asked)
    (gradient,) = torch.autograd.grad(asked.sum(), x)
    assert gradient.shape == x.shape and gradient.isfinite().all()
    y = x.detach().float().requires_grad_()
    left, right, top, bottom = conv.pads(18, 21)
    full = F.conv2d(F.pad(y, (left, right, top, bottom)), conv.weight.float(), None, stride, groups=48)
    (expected,) = torch.autograd.grad((full * ((asked > 0) & (asked < (ceiling or 1)) if ceiling else 1)).sum(), y)
    torch.testing.assert_close(gradient.float(), expected, rtol=0.02, atol=0.02)


def test_depthwise_takes_the_compiled_core_only_for_what_it_is_for(monkeypatch):
    if not Depthwise.possible(torch.zeros(8, 1, 3, 3), (1, 1), (1, 1), 8):
        pytest.skip("no compiled core or no AVX512-BF16 here")
    calls = []
    real = Depthwise.__call__
    monkeypatch.setattr(Depthwise, "__call__", lambda self, *args: calls.append(1) or real(self, *args))
    conv = FrozenConv2d(nn.Conv2d(32, 32, 3, padding=1, groups=32), torch.bfloat16)
    x = torch.randn(2, 32, 9, 9).bfloat16()
    laid_out = x.contiguous(memory_format=torch.channels_last)
    plain = conv(x)
    assert not calls
    torch.testing.assert_close(conv(laid_out), plain, rtol=2.0**-7, atol=1e-5)
    assert len(calls) == 1
    conv(laid_out.requires_grad_())
    assert len(calls) == 1
    with using(depthwise=False):
        FrozenConv2d(nn.Conv2d(32, 32, 3, groups=32), torch.bfloat16)(laid_out.detach())
    FrozenConv2d(nn.Conv2d(32, 32, 7, groups=32), torch.bfloat16)(laid_out.detach())
    FrozenConv2d(nn.Conv2d(32, 32, 3, groups=32), torch.float32)(laid_out.detach().float())
    assert len(calls) == 1


def _trained_statistics(network, x):
    network.train()
    for _ in range(3):
        network(x)
    return network.eval()


def test_folding_keeps_the_function_and_removes_every_batch_norm():
    torch.manual_seed(0)
    x = torch.rand(4, 3, 32, 32)
    network = _trained_statistics(build("small_resnet", 5, 3, seed=1), x)
    expected = network(x)
    count = fold_batch_norm(network, x)
    assert count == 9  # one a convolution, shortcuts too
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4)


class ReadTwice(nn.Module):
    """The convolution's output is read by batch norm and again elsewhere: folding would be wrong."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, x):
        y = self.conv(x)
        return self.head((self.norm(y) + y).mean(dim=(2, 3)))


class CalledTwice(nn.Module):
    """One convolution in two places, and a batch norm after only one of them."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Linear(3, 4)

    def forward(self, x):
        return self.head(self.conv(self.norm(self.conv(x))).mean(dim=(2, 3)))


class ActivatedAndNot(nn.Module):
    """The convolution's output is read by ReLU and again elsewhere: fusing would be wrong."""

    def __init__(self):
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(8, 4)

    def forward(self, x):
        y = self.conv(x)
        return self.head((self.act(y) + y).mean(dim=(2, 3)))


@pytest.mark.parametrize("make", [ReadTwice, CalledTwice, ActivatedAndNot])
def test_networks_that_must_not_be_folded_keep_their_function(make):
    torch.manual_seed(0)
    x = torch.rand(4, 3, 12, 12)
    network = _trained_statistics(make(), x)
    copy = frozen(network, x, "fp32")
    torch.testing.assert_close(copy(x), network(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (33, 20)])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6, lambda: nn.Hardtanh(0.0, 1.5)])
def test_fused_activations_give_the_same_values_and_gradients(activation, size):
    torch.manual_seed(0)
    x = 8 * torch.randn(3, 3, *size)
    network = nn.Sequential(SameConv2d(3, 16, 3, 2), activation(), SameConv2d(16, 16, 5, 2, groups=16), activation(),
                            nn.Conv2d(16, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).requires_grad_(False)
    run = frozen(network, x, "fp32")
    assert sum(isinstance(m, nn.Identity) for m in run.network.modules()) == 2
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    mine, theirs = run(a), network(b)
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    g = torch.randn(3, 4)
    torch.testing.assert_close(*torch.autograd.grad((mine * g).sum() + (theirs * g).sum(), [a, b]), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(run(x), network(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("switch", ["layout", "bf16", "folding", "fusion", "input_gradient", "depthwise"])
def test_answers_do_not_depend_on_the_switches(switch):
    torch.manual_seed(0)
    x = torch.rand(6, 3, 32, 32)
    network = _trained_statistics(build("small_resnet", 5, 3, seed=1), x)
    for p in network.parameters():
        p.requires_grad_(False)

    def gradient(run):
        a = x.clone().requires_grad_()
        F.cross_entropy(run(a), torch.arange(6) % 5).backward()
        return a.grad

    with using(**{switch: False}):
        run = frozen(network, x, "fp32")
    torch.testing.assert_close(run(x), network(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradient(run), gradient(network), rtol=1e-3, atol=1e-6)


def test_freezing_leaves_the_network_as_it_was():
    network = build("small_resnet", 5, 3, seed=1).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    frozen(network, torch.rand(2, 3, 32, 32))
    assert network.training and all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_chunks_do_not_show(monkeypatch):
    monkeypatch.setattr(sys.modules["hubel.engine.frozen"], "CHUNK_PIXELS", 2 * 32 * 32)
    network = build("small_resnet", 5, 3, seed=1).eval()
    x = torch.rand(7, 3, 32, 32, requires_grad=True)
    run = frozen(network, x, "fp32")
    torch.testing.assert_close(run(x), network(x), rtol=1e-4, atol=1e-4)
    (a,) = torch.autograd.grad(run(x).square().sum(), x)
    (b,) = torch.autograd.grad(network(x).square().sum(), x)
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_low_precision_that_is_wrong_is_not_taken():
    class Big(nn.Module):
        """Differences that bf16 cannot hold: a large constant swamps the logits."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3)

        def forward(self, x):
            return (self.conv(x).mean(dim=(2, 3)) * 1e-2 + 1000) - 1000

    x = torch.rand(4, 1, 32, 32)
    assert frozen(Big(), x).precision == "fp32"


def test_the_last_dense_layer_of_a_bf16_copy_is_in_float32(monkeypatch):
    """Logits near 100 that differ by less than bf16 can tell apart keep their order; one in the middle is as it was."""
    module = sys.modules["hubel.engine.frozen"]
    monkeypatch.setattr(module, "faster", lambda *_: True)
    monkeypatch.setattr(module, "choose", lambda name, network, sample, of: of())
    ends = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        ends[4].bias.copy_(torch.tensor([100.0, 100.1, 100.2]))
        ends[4].weight.mul_(0.1)
    x = torch.rand(4, 1, 32, 32)
    run = frozen(ends, x)
    if not module.cpu_has_bf16():
        pytest.skip("no bf16 on this processor")
    assert run.precision == "bf16"
    torch.testing.assert_close(run(x), ends(x), rtol=0, atol=0.01)
    assert frozen(nn.Sequential(*ends, nn.Identity()), x).precision == "fp32"  # ends in no dense layer: its logits tie
    wide = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 900, 8), nn.Unflatten(1, (8, 1, 1)), nn.Conv2d(8, 2, 1))
    torch.testing.assert_close(frozen(wide, x)(x), wide(x), rtol=0.05, atol=0.05)
