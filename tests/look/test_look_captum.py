"""Attributions against captum's, on a network with bends. Skipped where captum is not installed (the dev extra has it)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel import look
from hubel.model import Model

captum = pytest.importorskip("captum.attr")


@pytest.fixture
def net():
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3, padding=1), nn.ReLU(),
                            nn.Flatten(), nn.Linear(6 * 6 * 5, 4))
    return Model(network.eval(), size=(12, 10), channels=3, mean=0.4, std=0.25)


@pytest.fixture
def x():
    return torch.rand(3, 3, 12, 10, generator=torch.Generator().manual_seed(5))


def test_gradient(net, x):
    theirs = captum.Saliency(net.forward).attribute(x.clone(), target=2, abs=False)
    torch.testing.assert_close(look.gradient(net, x, 2).maps, theirs, rtol=1e-4, atol=1e-6)


def test_integrated_gradients(net, x):
    theirs = captum.IntegratedGradients(net.forward).attribute(x, torch.full_like(x, 0.5), target=1, n_steps=512)
    mine = look.integrated_gradients(net, x, 1, baseline=0.5, tolerance=1e-4)
    high = float(theirs.abs().max())
    torch.testing.assert_close(mine.maps, theirs.float(), rtol=0, atol=0.01 * high)
    assert max(map(abs, mine.checks["completeness"])) < 0.01


def test_gradcam(net, x):
    theirs = captum.LayerGradCam(net.forward, net.network[4]).attribute(x, target=0, relu_attributions=True)
    mine = look.gradcam(net, x, 0, layer="4").maps
    torch.testing.assert_close(mine, theirs.detach(), rtol=0.02, atol=0.02 * float(theirs.max()))


def test_occlusion(net, x):
    theirs = captum.Occlusion(net.forward).attribute(x, (3, 4, 4), (3, 2, 2), baselines=0.5, target=3)
    mine = look.occlusion(net, x, 3, window=4, stride=2, precision="fp32").maps
    torch.testing.assert_close(mine, theirs[:, :1].float(), rtol=1e-3, atol=1e-4)


def test_smoothgrad(net, x):
    torch.manual_seed(0)
    tunnel = captum.NoiseTunnel(captum.Saliency(net.forward))
    theirs = tunnel.attribute(x, nt_type="smoothgrad", nt_samples=2000, nt_samples_batch_size=500, stdevs=0.1, target=0, abs=False)
    mine = look.smoothgrad(net, x, 0, noise=0.1, samples=2000, precision="fp32")
    alike = F.cosine_similarity(mine.maps.flatten(1), theirs.flatten(1).float())
    assert alike.min() > 0.995  # two independent averages over 2,000 draws
