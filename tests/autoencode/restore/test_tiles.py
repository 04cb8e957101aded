"""Pieces give what the whole gives, to the bit, for a network that looks no further than it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hubel.autoencode.restore.network import RestorationNet
from hubel.autoencode.restore.tiles import by_tiles, mirrored


def network(widths: tuple[int, ...] = (4, 6)) -> RestorationNet:
    torch.manual_seed(0)
    net = RestorationNet(3, 3, widths, (1,) * len(widths)).double().eval()
    for p in net.parameters():  # parts of it start at zero
        nn.init.normal_(p, std=0.1)
    return net


@pytest.mark.parametrize("size", [(64, 64), (61, 90), (7, 130), (1, 1)])
@torch.no_grad()
def test_tiles_give_what_the_whole_gives(size: tuple[int, int]) -> None:
    net = network()
    x = torch.rand(1, 3, *size, dtype=torch.float64)
    whole = net(mirrored(x, net.multiple))[:, :, : size[0], : size[1]]
    assert whole.abs().max() > 1e-3
    for tile in (16, 40):
        torch.testing.assert_close(by_tiles(net, x, net.multiple, net.reach, tile), whole, rtol=0, atol=1e-12)


@torch.no_grad()
def test_with_less_overlap_than_the_reach_they_would_differ() -> None:
    net = network()
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    assert (by_tiles(net, x, net.multiple, 0, 16) - net(x)).abs().max() > 1e-6


@torch.no_grad()
def test_reach_is_the_radius_of_the_receptive_field() -> None:
    for widths in ((4,), (4, 4), (2, 2, 2)):
        net = network(widths)
        side = 8 * net.reach // net.multiple * net.multiple
        x = torch.zeros(1, 3, side, side, dtype=torch.float64)
        base = net(x)
        middle = side // 2
        far = 0
        for shift in range(net.multiple):  # where on the coarsest grid the pixel lies matters
            x[...] = 0
            x[0, :, middle + shift, middle + shift] = 1
            changed = (net(x) - base).abs().amax(dim=(0, 1)).nonzero()
            far = max(far, int((changed - middle - shift).abs().max()))
        assert far <= net.reach <= far + 2 * net.multiple


@torch.no_grad()
def test_only_wanted_tiles_are_computed() -> None:
    calls: list[tuple[int, ...]] = []

    def run(x: torch.Tensor) -> torch.Tensor:
        calls.append(tuple(x.shape))
        return x + 1

    wanted = np.zeros((32, 48), bool)
    wanted[5, 20] = True
    out = by_tiles(run, torch.zeros(1, 3, 32, 48), 16, 0, 16, wanted)
    assert calls == [(1, 3, 16, 16)]
    assert out[0, :, 5, 20].tolist() == [1, 1, 1] and out.sum() == 3 * 256


def test_mirrored_continues_by_mirroring_also_tiny_images() -> None:
    x = torch.arange(6.0).view(1, 1, 2, 3)
    assert mirrored(x, 8)[0, 0, 0].tolist() == [0, 1, 2, 2, 1, 0, 0, 1]
    assert mirrored(torch.full((1, 1, 1, 1), 3.0), 4).eq(3).all()
