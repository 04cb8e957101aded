"""Architectures: published parameter counts, torchvision's names, weight sharing made visible."""

import numpy as np
import pytest
import torch
from torch import nn

from hubel.errors import InputError
from hubel.nets import ARCHITECTURES, as_dense, build, default


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("name", "parameters"), [
    ("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032),  # torchvision's documentation
    ("alexnet", 60_965_224),  # Krizhevsky et al. 2012: 60 million
    ("efficientnet_lite0", 4_652_008),  # 4.7 million published
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
    ("resnet18", 3, 64), ("cifar_resnet", 3, 32), ("efficientnet_lite0", 3, 65),
])  # fmt: skip
def test_networks_give_logits_and_seeds_repeat(name, channels, size):
    a, b = build(name, 7, channels, seed=3).eval(), build(name, 7, channels, seed=3).eval()
    x = torch.rand(2, channels, size, size)
    with torch.no_grad():
        assert a(x).shape == (2, 7)
        torch.testing.assert_close(a(x), b(x))


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
    nn.Conv2d(2, 2, 2, dilation=2, bias=False), nn.Conv3d(1, 2, 2, padding=1),
])  # fmt: skip
def test_the_dense_matrix_is_the_convolution_and_so_is_its_gradient(conv):
    conv = conv.double()
    shape = (conv.in_channels, *(6, 5, 4)[: conv.weight.ndim - 2])
    x = torch.randn(shape, dtype=torch.float64)
    w, b = as_dense(conv, shape)
    y = conv(x[None])
    torch.testing.assert_close(w @ x.flatten() + b, y.flatten())
    (expected,) = torch.autograd.grad(y.square().sum(), conv.weight)
    (shared,) = torch.autograd.grad((w @ x.flatten() + b).square().sum(), conv.weight)
    torch.testing.assert_close(shared, expected)


def test_the_lectures_count_of_the_matrix():
    conv = nn.Conv2d(1, 1, 5, bias=False)
    w, _ = as_dense(conv, (1, 28, 28))
    assert w.numel() == 451_584
    nonzero = w[w != 0].detach().numpy()
    assert len(np.unique(nonzero)) == 25 and len(nonzero) == 25 * 24 * 24
