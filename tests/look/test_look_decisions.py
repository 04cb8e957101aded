"""Gradients and Grad-CAM in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hubel.errors import InputError, ModelError
from hubel.look import filters, gradcam, gradient
from hubel.model import Model


def linear(std=0.5):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 3))
    return Model(network, size=(4, 5), channels=3, mean=0.1, std=std)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_gradient_of_a_linear_model_is_its_weights(n):
    model = linear()
    x = torch.rand(n, 3, 4, 5)
    y = torch.arange(n) % 3
    result = gradient(model, x, y)
    torch.testing.assert_close(result.maps, model.network[1].weight.detach()[y].reshape(n, 3, 4, 5) / 0.5)
    torch.testing.assert_close(result.targets, y)
    assert gradient(model, x).targets.tolist() == model.forward(x).argmax(1).tolist()
    with pytest.raises(InputError, match=r"has 0\.\.2"):
        gradient(model, x, 3)
    with pytest.raises(InputError, match="classes for"):
        gradient(model, x, [0] * (n + 1))


def hand_built():
    """Two filters, red and blue; class 0 counts red twice and blue negatively. Global average, so CAM is known."""
    network = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                            nn.Linear(2, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])[:, :, None, None])
        network[4].weight.copy_(torch.tensor([[2.0, -1.0], [0.5, 3.0]]))
        network[4].bias.fill_(0.7)
    return Model(network, size=6, channels=3)


def test_gradcam_of_a_hand_built_network():
    model = hand_built()
    x = torch.rand(3, 3, 6, 6)
    result = gradcam(model, x, 0)
    expected = (2 * x[:, :1] - x[:, 2:]).clamp_min(0) / 36
    assert result.layer == "1"
    torch.testing.assert_close(result.maps, expected, rtol=0.02, atol=0.02 * float(expected.max()))
    # where all contributions are positive the map sums to the logit less its bias
    full = gradcam(model, x, 1)
    torch.testing.assert_close(full.maps.sum((1, 2, 3)), model.forward(x)[:, 1].detach() - 0.7, rtol=0.01, atol=0.01)


def test_gradcam_keeps_its_absolute_scale():
    model = hand_built()
    x = torch.rand(1, 3, 6, 6)
    maps = gradcam(model, torch.cat([x, x / 10]), 1).maps
    torch.testing.assert_close(maps[1], maps[0] / 10, rtol=0.03, atol=1e-4)


def test_gradcam_refuses_layers_without_places(small):
    with pytest.raises(InputError, match="Grad-CAM needs maps"):
        gradcam(small, torch.rand(1, 3, 12, 12), layer="6")
    with pytest.raises(ModelError, match="no layer"):
        gradcam(linear(), torch.rand(1, 3, 4, 5))


def test_filters_are_weights_per_pixel(small):
    found = filters(small)
    assert found.layer == "0" and len(found) == 8
    torch.testing.assert_close(torch.from_numpy(found.weights), small.network[0].weight.detach() / 0.25)
    dense = filters(linear())
    assert dense.weights.shape == (3, 3, 4, 5)
    assert found.plot() and len(found.to_dict()["weights"]) == 8
    assert all(p.shape == (3, 3, 3) and p.min() >= 0 and p.max() <= 1 for p in found.pictures())


def test_results_show_themselves(small):
    x = torch.rand(2, 3, 12, 12)
    for result in (gradient(small, x), gradcam(small, x)):
        assert "<img" in result._repr_html_()
        facts = result.to_dict()
        assert len(facts["targets"]) == 2 and facts["model"] == small.hash
