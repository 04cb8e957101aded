"""Attributions against closed forms on linear models and brute force, and the checks against cases that must fail them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel import look
from hubel.errors import InputError
from hubel.look.occlusion import random_masks
from hubel.model import Model


def linear():
    torch.manual_seed(0)
    return Model(nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 6, 3)), size=(8, 6), channels=3, mean=0.1, std=0.5)


@pytest.mark.parametrize("n", [1, 3])
def test_integrated_gradients_of_a_linear_model(n):
    model, x, b = linear(), torch.rand(n, 3, 8, 6), torch.rand(1, 3, 8, 6)
    y = torch.arange(n) % 3
    result = look.integrated_gradients(model, x, y, baseline=b, steps=2)
    w = model.network[1].weight.detach()[y].view(n, 3, 8, 6) / 0.5
    torch.testing.assert_close(result.maps, w * (x - b), rtol=1e-4, atol=1e-5)
    assert all(result.checks["complete"]) and max(map(abs, result.checks["completeness"])) < 1e-4


def test_integrated_gradients_are_complete_on_a_network(small):
    x = torch.rand(4, 3, 12, 12)
    result = look.integrated_gradients(small, x, tolerance=0.01)
    with torch.no_grad():
        difference = (small.forward(x) - small.forward(torch.zeros_like(x))).gather(1, result.targets[:, None])[:, 0]
    assert ((result.maps.sum((1, 2, 3)) - difference).abs() <= 0.0101 * difference.abs()).all()
    with pytest.raises(InputError, match="a baseline of shape"):
        look.integrated_gradients(small, x, baseline=torch.zeros(3, 3, 12, 12))


def test_smoothgrad_of_a_linear_model_is_its_weights_and_averages_otherwise(small):
    model, x = linear(), torch.rand(2, 3, 8, 6)
    result = look.smoothgrad(model, x, 1, samples=4, precision="fp32")
    torch.testing.assert_close(result.maps, look.gradient(model, x, 1).maps, rtol=1e-4, atol=1e-5)
    x = torch.rand(2, 3, 12, 12)
    still = look.smoothgrad(small, x, 0, noise=0.0, samples=3, precision="fp32")
    torch.testing.assert_close(still.maps, look.gradient(small, x, 0).maps, rtol=1e-3, atol=1e-5)
    few, many = (look.smoothgrad(small, x, 0, samples=k).checks["standard_error"] for k in (8, 128))
    assert many < few / 2


def test_occlusion_of_a_linear_model():
    model, x = linear(), torch.rand(1, 3, 8, 6)
    result = look.occlusion(model, x, 2, window=2, stride=2, fill=0.25, precision="fp32")
    w = model.network[1].weight.detach()[2].view(1, 3, 8, 6) / 0.5
    drop = F.avg_pool2d((w * (x - 0.25)).sum(1, keepdim=True), 2) * 4
    torch.testing.assert_close(result.maps, F.interpolate(drop, scale_factor=2), rtol=1e-4, atol=1e-4)
    everywhere = look.occlusion(model, x, 2, window=3, stride=2)
    assert everywhere.maps.isfinite().all()  # windows reach every pixel though strides do not fit
    with pytest.raises(InputError, match="must fit the image"):
        look.occlusion(model, x, window=7)


class Corner(nn.Module):
    """Its only evidence for class 1 is the brightness of the top left quarter."""

    def forward(self, x):
        z = 8 * (x[:, :, :8, :8].mean((1, 2, 3)) - 0.25)
        return torch.stack([-z, z], 1)


def test_rise_finds_the_only_place_that_matters():
    model = Model(Corner(), size=16, channels=3)
    result = look.rise(model, torch.full((2, 3, 16, 16), 0.9), 1, masks=400, seed=1)
    assert (result.maps[:, :, :7, :7].mean((1, 2, 3)) > result.maps[:, :, 9:, 9:].mean((1, 2, 3)) + 0.05).all()
    assert torch.equal(result.maps[0], result.maps[1]) and max(result.checks["standard_error"]) < 0.5
    masks = random_masks(4000, 4, 0.3, (10, 14), 0)
    assert masks.min() >= 0 and masks.max() <= 1
    torch.testing.assert_close(masks.mean(0), torch.full((1, 10, 14), 0.3), rtol=0, atol=0.03)


def test_gradcam_plus_against_its_definition(small):
    x = torch.rand(2, 3, 12, 12)
    result = look.gradcam_plus(small, x, 1, layer="4")
    a = look.activations(small.network, small.normalise(x), ["4"])["4"].requires_grad_()
    (g,) = torch.autograd.grad(small.network[5:](a)[:, 1].sum(), a)
    a = a.detach()
    expected = torch.zeros(2, 1, 6, 6)
    for n in range(2):
        for k in range(12):
            weight = 0.0
            for i in range(6):
                for j in range(6):
                    v = g[n, k, i, j]
                    below = 2 * v**2 + a[n, k].sum() * v**3
                    weight += float(v**2 / below * v.clamp_min(0)) if below != 0 else 0.0
            expected[n, 0] += weight * a[n, k]
    torch.testing.assert_close(result.maps, expected.clamp_min(0), rtol=0.03, atol=0.03 * float(expected.abs().max()))


def test_randomisation_tells_methods_that_ignore_the_weights(small):
    x = torch.rand(3, 3, 12, 12)

    def edges(model, x, y):  # draws the image whatever the model
        result = look.gradient(model, x, y)
        return look.Attribution(**{**vars(result), "maps": result.images})

    assert look.randomisation(small, edges, x) > 0.99
    assert look.randomisation(small, look.gradient, x) < 0.5


def test_deletion_and_insertion_rank_a_true_map_above_chance():
    model = Model(Corner(), size=16, channels=3)
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.2
    x[:, :, :8, :8] += 0.8
    areas = look.insertion_deletion(model, look.occlusion(model, x, 1, window=4)).areas()
    assert areas["deletion"] < areas["random_deletion"] and areas["insertion"] > areas["random_insertion"]


def test_curves_draw_themselves(small):
    x = torch.rand(2, 3, 12, 12)
    curves = look.insertion_deletion(small, look.gradcam(small, x), steps=4)
    assert len(curves.deletion) == 5 and "<img" in curves._repr_html_()
    p = small.probabilities(small.forward(x)).detach().amax(1).mean()
    assert float(curves.deletion[0]) == pytest.approx(float(p), abs=0.01)
    assert float(curves.insertion[-1]) == pytest.approx(float(p), abs=0.01)
