"""Architectures: published parameter counts, torchvision's names, weight sharing made visible."""

import numpy as np
import pytest
import torch
from torch import nn

from hubel.errors import InputError
from hubel.nets import ARCHITECTURES, as_dense, build, default
from hubel.nets.as_dense import weight_index
from hubel.nets.speed_run import whiten


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("name", "parameters"), [
    ("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032),  # torchvision's documentation
    ("alexnet", 60_965_224),  # Krizhevsky et al. 2012: 60 million
    ("efficientnet_lite0", 4_652_008), ("efficientnet_lite1", 5_416_680), ("efficientnet_lite2", 6_092_072),  # 4.7, 5.4, 6.1
])  # fmt: skip
def test_published_parameter_counts(name, parameters):
    with torch.device("meta"):
        assert count(ARCHITECTURES[name](1000)) == parameters


def test_cifar_resnet_has_the_papers_counts():
    for depth, millions in ((20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)):  # He et al. 2016, table 6
        assert count(build("cifar_resnet", 10, depth=depth)) / 1e6 == pytest.approx(millions, abs=0.04)
    assert count(build("cifar_resnet", 10, residual=False)) == count(build("cifar_resnet", 10))


def test_resnet_names_are_torchvisions():
    names = set(build("resnet50", 1000).state_dict())
    assert len(names) == 320
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer4.2.conv3.weight", "fc.bias"} <= names


@pytest.mark.parametrize(("name", "channels", "size"), [
    ("small_resnet", 1, 8), ("small_resnet", 3, 33), ("lenet", 1, 28), ("alexnet", 3, 227), ("vgg", 3, 32),
    ("resnet18", 3, 64), ("cifar_resnet", 3, 32), ("efficientnet_lite0", 3, 65), ("efficientnet_lite2", 3, 65),
    ("cifar94", 3, 32),
])  # fmt: skip
def test_networks_give_logits_and_seeds_repeat(name, channels, size):
    a, b = build(name, 7, channels, seed=3).eval(), build(name, 7, channels, seed=3).eval()
    x = torch.rand(2, channels, size, size)
    with torch.no_grad():
        assert a(x).shape == (2, 7)
        torch.testing.assert_close(a(x), b(x))


@pytest.mark.parametrize(("name", "length"), [("series_fcn", 50), ("series_fcn", 9), ("waveform", 8000)])
def test_networks_for_series(name, length):
    network = build(name, 4, 2, seed=0, width=16).eval()
    with torch.no_grad():
        assert network(torch.rand(3, 2, length)).shape == (3, 4)


def test_the_series_networks_are_the_papers():
    # Wang et al. 2017, figure 1; Dai et al. 2017, table 1: M3 and M5 of 0.2 and 0.5 million parameters
    assert count(build("series_fcn", 2, 1)) == 8 * 128 + 5 * 128 * 256 + 3 * 256 * 128 + 2 * (128 + 256 + 128) + 128 * 2 + 2
    assert count(build("waveform", 10, 1, depth=3, width=256)) / 1e6 == pytest.approx(0.22, abs=0.01)
    assert count(build("waveform", 10, 1)) / 1e6 == pytest.approx(0.56, abs=0.01)
    with pytest.raises(InputError, match="depth"):
        build("waveform", 10, 1, depth=9)


def test_the_first_layer_of_the_speed_run_whitens_patches_and_the_others_begin_as_the_identity():
    network = build("cifar94", 10, 3, seed=0)
    smooth = torch.nn.functional.avg_pool2d(torch.randn(200, 3, 36, 36), 5, 1)  # neighbours alike, as in photos
    whiten(network[0], smooth, floor=0.0)
    y = network[0](smooth)[:, :12].permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(torch.cov(y), torch.eye(12), rtol=0.0, atol=0.02)
    second = network[6]
    x = torch.randn(1, 64, 8, 8)
    torch.testing.assert_close(second(x)[:, :64], x)
    assert count(network) / 1e6 == pytest.approx(2.0, abs=0.1)


def test_colour_networks_say_so():
    with pytest.raises(InputError, match="3 channels"):
        build("efficientnet_lite2", 10, 1)


def test_building_with_a_seed_leaves_torchs_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build("lenet", 10, 1, seed=0)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize("side", [8, 16, 28, 32, 64, 96, 224])
def test_the_default_fits_its_input(side):
    network = default(5, 3, (side, side), seed=0).eval()
    maps = []
    network.stages.register_forward_hook(lambda _m, _i, y: maps.append(y.shape[-1]))
    with torch.no_grad():
        network(torch.rand(1, 3, side, side))
    assert 3 <= maps[0] <= 16


def test_errors():
    with pytest.raises(InputError, match="unknown"):
        build("resnet19", 10)
    with pytest.raises(InputError, match="6n"):
        build("cifar_resnet", 10, depth=21)
    with pytest.raises(InputError, match="wings"):
        build("lenet", 10, 1, wings=2)


@pytest.mark.parametrize("conv", [
    nn.Conv1d(2, 3, 3, padding=1), nn.Conv2d(1, 2, 5), nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
    nn.Conv2d(2, 2, 2, dilation=2, bias=False), nn.Conv3d(1, 2, 2, padding=1), nn.Conv1d(4, 4, 3, 2, 2, 2, groups=4),
    nn.Conv3d(2, 4, (1, 3, 2), (1, 2, 1), (0, 1, 1), groups=2), nn.Conv2d(1, 1, 3, padding="same"),
])  # fmt: skip
def test_the_dense_matrix_is_the_convolution_and_so_is_its_gradient(conv):
    conv = conv.double()
    shape = (conv.in_channels, *(6, 5, 4)[: conv.weight.ndim - 2])
    x = torch.randn(shape, dtype=torch.float64)
    w, b = as_dense(conv, shape)
    y = conv(x[None])
    torch.testing.assert_close(w @ x.flatten() + b, y.flatten())
    # what is shared: where the matrix has one weight several times, its gradient is the sum over the copies
    free = w.detach().requires_grad_()
    (apart,) = torch.autograd.grad((free @ x.flatten() + b.detach()).square().sum(), free)
    index, _ = weight_index(conv, shape)
    sums = torch.zeros(conv.weight.numel() + 1, dtype=torch.float64).index_add(0, index.flatten(), apart.flatten())
    (expected,) = torch.autograd.grad(y.square().sum(), conv.weight)
    (shared,) = torch.autograd.grad((w @ x.flatten() + b).square().sum(), conv.weight)
    torch.testing.assert_close(shared, expected)
    torch.testing.assert_close(sums[:-1].view_as(expected), expected)


def test_the_lectures_count_of_the_matrix():
    conv = nn.Conv2d(1, 1, 5, bias=False)
    w, _ = as_dense(conv, (1, 28, 28))
    assert w.numel() == 451_584
    nonzero = w[w != 0].detach().numpy()
    assert len(np.unique(nonzero)) == 25 and len(nonzero) == 25 * 24 * 24
