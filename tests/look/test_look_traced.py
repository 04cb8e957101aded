"""Functional operations as layers: names, values, receptive fields, and refusals that say why."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel import look
from hubel.errors import ModelError
from hubel.model import Model


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        y = F.relu(self.drop(self.conv(x)))
        y += x
        return F.relu(y, inplace=True)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.blocks(F.max_pool2d(F.relu(self.stem(x)), 2))
        return self.head(x.mean((2, 3)).view(x.size(0), -1))


@pytest.fixture
def model():
    torch.manual_seed(2)
    return Model(Functional().train(), size=12, channels=1, mean=0.5, std=0.25)


def test_operations_are_layers_with_the_right_values(model):
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    named = look.traced(model)
    listed = look.layers(named)
    names = [layer.name for layer in listed]
    assert [n for n in names if n.startswith("blocks.1")] == [
        "blocks.1.conv", "blocks.1.drop", "blocks.1.relu", "blocks.1.add", "blocks.1.relu_1"]
    assert listed["max_pool2d"].receptive_field == (4, 4) and listed["blocks.0.relu_1"].receptive_field == (8, 8)
    x = torch.rand(5, 1, 12, 12)
    n = model.network
    z = model.normalise(x)
    a = F.max_pool2d(n.stem(z).relu(), 2)
    inner = n.blocks[0].conv(a).relu()
    found = look.activations(named.network, z, ["blocks.0.relu", "blocks.0.add", "relu"])
    for name, expected in {"blocks.0.relu": inner, "blocks.0.add": inner + a, "relu": n.stem(z).relu()}.items():
        torch.testing.assert_close(found[name], expected.detach())
    assert look.gradcam(named, x).layer == "blocks.1.relu_1"
    assert look.exciting(named, x, "blocks.0.add", units=[0], k=2).units == (0,)
    # nothing of the model has changed: mode, hooks, weights
    assert all(m.training for m in n.modules()) and not any(m._forward_hooks for m in n.modules())
    assert all(torch.equal(v, before[k]) for k, v in n.state_dict().items())
    assert named.network.stem.weight is n.stem.weight


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x):
        x = self.conv(x)
        return (x if x.sum() > 0 else -x).mean((2, 3))


def test_what_cannot_be_traced_is_refused():
    with pytest.raises(ModelError, match=r"Branches cannot be traced .*only its modules"):
        look.traced(Model(Branches(), size=6, channels=1))


def test_a_compiled_network_is_refused_by_the_layer_that_did_not_run(model):
    script = torch.jit.trace(model.network.eval(), torch.rand(1, 1, 12, 12))
    with pytest.raises(ModelError, match="did not run"):
        look.activations(script, torch.rand(1, 1, 12, 12), ["stem"])
