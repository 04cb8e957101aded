"""Receptive fields: against formulas for stacks, and against the support of a gradient in networks of positive weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel.errors import ModelError
from hubel.look import Taps, layers
from hubel.model import Model


def listed(network, size, channels=1):
    return layers(Model(network.eval(), ["x"], size=size, channels=channels), torch.rand(1, channels, *size))


def test_vgg_like_stack_against_the_formula():
    parts, r, j, expected = [], 1, 1, []
    for kind in "ccpccpcccp":
        k, s = (3, 1) if kind == "c" else (2, 2)
        parts.append(nn.Conv2d(1, 1, 3, padding=1) if kind == "c" else nn.MaxPool2d(2))
        r, j = r + (k - 1) * j, j * s
        expected.append((r, j))
    found = [(layer.receptive_field, layer.stride) for layer in listed(nn.Sequential(*parts), (128, 128))]
    assert found == [((r, r), (j, j)) for r, j in expected]
    assert expected[-1][0] == 44  # VGG-16's pool3


class Branches(nn.Module):
    """Dilation, odd padding, rectangular kernels, strides, pooling, a residual, concatenation, and functional calls."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 3, (5, 3), stride=(2, 1), padding=(1, 2))
        self.wide = nn.Conv2d(3, 3, 3, dilation=3, padding=3)
        self.point = nn.Conv2d(3, 3, 1)
        self.down = nn.Conv2d(6, 2, 3, stride=2)
        self.mix = nn.Linear(2, 2)
        self.up = nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1)
        self.mark = nn.Identity()

    def forward(self, x):
        x = F.relu(self.stem(F.pad(x, (2, 1, 0, 3))))
        y = self.wide(x).relu_()
        x = x + y
        x = torch.cat([F.avg_pool2d(x, 3, 1, 1), self.point(y)], 1)
        x = F.relu6(self.down(x))
        x = self.mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.mark(x[:, :, 1:])
        return self.mark(F.interpolate(self.up(x), scale_factor=2, mode="nearest"))


def positive(network):
    with torch.no_grad():
        for p in network.parameters():
            p.uniform_(0.01, 0.02)
    return network


def support(network, name, row, column, size):
    """Rows and columns of the input with a gradient: in a network of positive weights, those that are seen."""
    x = torch.full((1, 1, *size), 0.001, requires_grad=True)
    with Taps(network, [name], keep="graph") as taps:
        taps.run(x)
    (g,) = torch.autograd.grad(taps[name][0, :, row, column].sum(), x)
    rows, columns = (g[0, 0] != 0).nonzero(as_tuple=True)
    if not len(rows):
        return None
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


@pytest.mark.parametrize("name", ["stem", "wide", "point", "down", "mix", "mark#0", "up", "mark#1"])
def test_boxes_are_the_gradients_support(name):
    size = (47, 38)
    network = positive(Branches())
    layer = listed(network, size)[name]
    height, width = layer.shape[1:] if name != "mix" else (layer.shape[0], layer.shape[1])
    for row in {0, height // 2, height // 2 + 1, height - 1}:
        for column in {0, width // 2, width // 2 + 1, width - 1}:
            if name == "mix":  # channels last inside the network: (H, W, C)
                continue
            box, seen = layer.box(row, column), support(network, name, row, column, size)
            if seen is None:  # a unit that sees padding alone
                assert box[0] >= box[1] or box[2] >= box[3]
            elif name in ("up", "mark#1"):  # enlarging layers: less than one step too large
                slack = [b - s for b, s in zip(box, seen, strict=True)]
                assert -4 < slack[0] <= 0 <= slack[1] < 4 and -2 < slack[2] <= 0 <= slack[3] < 2, (row, column)
            else:
                assert box == seen, (row, column)


class Gate(nn.Module):
    """Squeeze and excitation: each place is scaled by what the whole image says."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.gate = nn.Conv2d(2, 2, 1)
        self.out = nn.Identity()
        self.fc = nn.Linear(2, 3)

    def forward(self, x):
        x = self.conv(x)
        x = self.out(x * self.gate(F.adaptive_avg_pool2d(x, 1)).sigmoid())
        return self.fc(x.mean((2, 3)))


def test_a_gate_sees_the_whole_image():
    found = listed(Gate(), (9, 7))
    assert found["conv"].receptive_field == (3, 3)
    assert found["gate"].receptive_field == found["out"].receptive_field == (9, 7)
    assert found["out"].stride == (1, 1) and found["fc"].stride is None and found["fc"].shape == (3,)


def test_group_norm_and_attention_are_not_underestimated():
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 1), nn.Flatten(2), nn.Flatten(),
                            nn.Linear(4 * 48, 2))
    found = listed(network, (6, 8))
    assert found["0"].receptive_field == (1, 1)
    assert found["1"].receptive_field == found["2"].receptive_field == found["5"].receptive_field == (6, 8)


def test_writing_into_a_slice_is_noticed():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Identity()

        def forward(self, x):
            y = x.clone()
            y[:, :, 1:] += x[:, :, :-1]
            return self.out(y)

    box = listed(Writes(), (5, 5))["out"].box(2, 2)
    assert box[0] <= 1 and box[1] >= 3


def test_reused_layers_are_listed_per_run_and_modes_stay(small):
    relu = nn.ReLU()
    found = listed(nn.Sequential(nn.Conv2d(1, 1, 3), relu, nn.Conv2d(1, 1, 3), relu), (9, 9))
    assert [x.name for x in found] == ["0", "1#0", "2", "1#1"]
    small.network.train()
    layers(small)
    assert all(m.training for m in small.network.modules())
    assert not any(m._forward_hooks for m in small.network.modules())


def test_last_map_is_the_last_convolutions_output(small):
    assert layers(small).last_map().name == "4"
    assert "3 × 3" in str(layers(small)) and "<table>" in layers(small)._repr_html_()
    with pytest.raises(ModelError, match="no layer of this network gives maps"):
        listed(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), (4, 4)).last_map()


def test_lite0_ends_with_its_known_field():
    from hubel.model import pretrained

    found = layers(pretrained())
    assert found["stem"].receptive_field == (3, 3) and found["stem"].stride == (2, 2)
    head = found["head_act"]
    assert head.shape == (1280, 7, 7) and head.stride == (32, 32)
    r, j = 1, 1
    for k, s in [(3, 2), (3, 1), (3, 2), (3, 1), (5, 2), (5, 1), (3, 2), (3, 1), (3, 1)] + [(5, 1)] * 3 + [(5, 2)] + [
            (5, 1)] * 3 + [(3, 1)]:
        r, j = r + (k - 1) * j, j * s
    assert head.receptive_field == (r, r)
