"""Captured activations are what the layer computed, whatever comes after it, and the network is left as it was."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel.errors import InputError, ModelError
from hubel.look import Taps, activations


class Tricky(nn.Module):
    """An in-place follower, a re-used layer, an in-place operator, a tuple and a layer that never runs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 4, 1)
        self.keep = nn.Identity()
        self.rnn = nn.LSTM(4, 3, batch_first=True)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        a = self.relu(self.conv(x))
        b = self.keep(self.second(a))
        b += 1
        b = self.relu(b)
        return self.rnn(b.flatten(2).transpose(1, 2))[0].mean(1)


@pytest.fixture
def tricky():
    torch.manual_seed(1)
    return Tricky()


def test_in_place_followers_do_not_show(tricky):
    x = torch.randn(2, 2, 6, 6)
    seen = activations(tricky, x, ["conv", "relu#0", "keep", "relu#1"])
    conv = F.conv2d(x, tricky.conv.weight, tricky.conv.bias)
    second = F.conv2d(conv.relu(), tricky.second.weight, tricky.second.bias)
    for name, expected in {"conv": conv, "relu#0": conv.relu(), "keep": second, "relu#1": (second + 1).relu()}.items():
        torch.testing.assert_close(seen[name], expected.detach())
    assert (seen["conv"] < 0).any()


@pytest.mark.parametrize("keep", ["graph", "cut"])
def test_gradient_at_a_layer_with_in_place_followers(tricky, keep):
    x = torch.randn(2, 2, 6, 6, requires_grad=keep == "graph")
    with Taps(tricky, ["conv"], keep=keep) as taps:
        out = taps.run(x)
    (found,) = torch.autograd.grad(out.sum(), taps["conv"])
    a = F.conv2d(x, tricky.conv.weight, tricky.conv.bias).detach().requires_grad_()
    b = (F.conv2d(a.relu(), tricky.second.weight, tricky.second.bias) + 1).relu()
    (expected,) = torch.autograd.grad(tricky.rnn(b.flatten(2).transpose(1, 2))[0].mean(1).sum(), a)
    torch.testing.assert_close(found, expected)


def test_frozen_network_has_gradients_at_layers(tricky):
    tricky.requires_grad_(False)
    with Taps(tricky, ["conv"], keep="graph") as taps:
        out = taps.run(torch.randn(1, 2, 6, 6))
    assert torch.autograd.grad(out.sum(), taps["conv"])[0].abs().sum() > 0
    assert not any(p.requires_grad for p in tricky.parameters())


@pytest.mark.parametrize(("name", "error", "says"), [
    ("relu", ModelError, "relu#0 to relu#1"), ("relu#2", ModelError, "2 times only"), ("unused", ModelError, "did not run"),
    ("rnn", ModelError, "tuple with"), ("conw", InputError, "did you mean conv"),
    ("relu#x", InputError, "number of the call"),
])
def test_refusals_are_precise(tricky, name, error, says):
    with pytest.raises(error, match=says):
        activations(tricky, torch.randn(1, 2, 6, 6), [name])


def test_network_is_left_as_it_was(tricky):
    tricky.train()
    tricky.second.eval()
    tricky.second.weight.requires_grad_(False)
    modes = [m.training for m in tricky.modules()]
    grads = [p.requires_grad for p in tricky.parameters()]
    state = {k: v.clone() for k, v in tricky.state_dict().items()}
    with pytest.raises(RuntimeError):
        activations(tricky, torch.randn(1, 5, 6, 6), ["conv"])  # a wrong number of channels, in the middle of a run
    activations(tricky, torch.randn(1, 2, 6, 6), ["conv"])
    with Taps(tricky, ["second"]) as taps:
        assert taps.run(torch.randn(1, 2, 6, 6), stop=True) is None
        assert taps["second"].shape == (1, 4, 4, 4)
    assert [m.training for m in tricky.modules()] == modes
    assert [p.requires_grad for p in tricky.parameters()] == grads
    assert all(not m._forward_hooks for m in tricky.modules())
    assert all(torch.equal(v, state[k]) for k, v in tricky.state_dict().items())


def test_batch_norm_runs_in_evaluation_mode():
    network = nn.Sequential(nn.BatchNorm2d(2))
    x = torch.randn(4, 2, 3, 3) * 5 + 3
    seen = activations(network.train(), x, ["0"])["0"]
    torch.testing.assert_close(seen, x / (1 + 1e-5) ** 0.5)
    assert network[0].num_batches_tracked == 0
