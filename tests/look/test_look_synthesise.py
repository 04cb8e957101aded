"""Synthesised inputs: the closed form of a linear unit, the limits they keep to, and evidence measured independently."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel.errors import InputError
from hubel.look import RECIPES, activations, synthesise
from hubel.look.canvasses import Colours, Components, Fourier, blurred, generator, within
from hubel.look.wobble import Draws, wobble
from hubel.model import Model


@pytest.mark.parametrize("kernel", [3, 5])
def test_bounded_maximiser_of_a_first_layer_unit_is_its_kernel(kernel):
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(3, 6, kernel, padding=kernel // 2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 121, 2))
    model = Model(network, size=11, channels=3, mean=0.5, std=(0.2, 0.25, 0.3))
    result = synthesise(model, layer="0", units=range(6), preset="ball")
    change = result.images - result.images[:, :, :1, :1]  # the corner is far from the unit: still the mean colour
    at = 5 - kernel // 2
    patch = change[:, :, at : at + kernel, at : at + kernel]
    expected = network[0].weight.detach() / torch.tensor([0.2, 0.25, 0.3])[:, None, None]
    assert F.cosine_similarity(patch.flatten(1), expected.flatten(1)).min() > 0.999
    torch.testing.assert_close(change.flatten(1).norm(dim=1), torch.ones(6), rtol=1e-3, atol=0)
    assert patch.flatten(1).norm(dim=1).min() > 0.999  # nothing outside what the unit sees


@pytest.mark.parametrize(("place", "sign"), [("centre", 1), ("everywhere", 1), ("centre", -1)])
def test_evidence_is_what_the_network_gives(small, place, sign):
    result = synthesise(small, layer="3", units=[1, 7], place=place, sign=sign, steps=24)
    again = activations(small.network, small.normalise(result.images), ["3"])["3"]
    own = torch.stack([again[0, 1], again[1, 7]])
    expected = own.mean((1, 2)) if place == "everywhere" else own[:, 3, 3]
    torch.testing.assert_close(result.activations, expected)
    assert (sign * (result.activations - result.noise) > 0).all()
    assert (sign * (result.under_transforms - result.noise) > 0).all()
    assert result.images.min() >= 0 and result.images.max() <= 1


def test_best_real_is_brute_force(small):
    data = torch.rand(40, 3, 12, 12)
    result = synthesise(small, classes=[0, 3], data=data, preset="photo", steps=4)
    expected = small.forward(data).amax(0).detach()[[0, 3]]
    torch.testing.assert_close(result.best_real, expected)
    assert result.layer == "7" and result.names == ("a", "d") and result.colours == "the data"
    torch.testing.assert_close(result.activations, small.forward(result.images).detach()[[0, 1], [0, 3]])


def test_a_picture_is_settled_by_its_address(small):
    alone = synthesise(small, layer="3", units=[7], steps=8, seed=3)
    again = synthesise(small, layer="3", units=[7], steps=8, seed=3)
    together = synthesise(small, layer="3", units=[1, 7, 9], steps=8, seed=3)
    other = synthesise(small, layer="3", units=[7], steps=8, seed=4)
    assert torch.equal(alone.images, again.images) and alone.address(0) == f"{small.hash}/3/7/3"
    torch.testing.assert_close(together.images[1], alone.images[0], rtol=0, atol=0.02)
    assert (other.images - alone.images).abs().max() > 0.02


def test_components_span_the_data_and_go_no_farther():
    generator = torch.Generator().manual_seed(0)
    basis = torch.rand(3, 1, 4, 4, generator=generator) * 0.1
    weights = torch.randn(200, 3, generator=generator)
    data = 0.5 + torch.einsum("nk,kchw->nchw", weights, basis)
    canvas = Components([(0, 0), (1, 0)], data, kept=0.9999)
    assert canvas.parameters.shape == (2, 3)
    for _ in range(50):
        canvas.ascend(torch.ones_like(canvas.parameters), 0.3)
    assert canvas.parameters.norm(dim=1).max() <= canvas.radius * 1.0001
    assert canvas.radius == pytest.approx(3**0.5, rel=0.2)  # whitened: near the root of the number of components
    flat = (canvas.images() - data.mean(0)).flatten(1).detach()
    rest = flat - flat @ torch.linalg.pinv(basis.flatten(1)) @ basis.flatten(1)
    assert rest.abs().max() < 0.01


def test_digits_recipe_needs_data_and_makes_classes_likely(small):
    with pytest.raises(InputError, match="hand in data="):
        synthesise(small, preset="digit")
    data = torch.rand(60, 3, 12, 12)
    result = synthesise(small, data=data)
    assert result.recipe.canvas == "components" and result.recipe.objective == "odds"
    def odds(x):
        logits = small.forward(x).detach()
        return torch.stack([row[k] - torch.cat([row[:k], row[k + 1 :]]).logsumexp(0) for k, row in enumerate(logits)])

    assert (odds(result.images) > odds(data.mean(0).expand(4, -1, -1, -1)) + 0.01).all()


def test_fourier_canvas_begins_at_the_mean_colour_with_decorrelated_noise():
    colours = Colours.of(torch.rand(30, 3, 8, 8) * torch.tensor([1.0, 0.5, 0.2])[:, None, None])
    images = Fourier([(k, 0) for k in range(4)], (32, 24), colours, power=1.0).images()
    torch.testing.assert_close(images.mean((0, 2, 3)), colours.mean, rtol=0, atol=0.01)
    covariance = torch.diag(torch.tensor([1, 0.25, 0.04]) / 12)
    torch.testing.assert_close(colours.root @ colours.root.T, covariance, rtol=0.2, atol=2e-3)


def test_wobble_shifts_turns_and_resizes():
    x = torch.zeros(1, 1, 20, 30)
    x[0, 0, 10, 12] = 1
    down = wobble(x, torch.tensor([[1.0, -1.0, 0.0, 0.0]]), shift=3)
    assert down.argmax() == 13 * 30 + 9
    smooth = wobble(x, torch.tensor([[1.0, -1.0, 0.0, 0.0]]), shift=3, turn=1e-6)
    torch.testing.assert_close(smooth, down, rtol=0, atol=1e-4)
    y = torch.rand(2, 3, 9, 9)
    turned = wobble(y, torch.tensor([[0, 0, 1.0, 0]] * 2), turn=90)
    torch.testing.assert_close(turned, y.rot90(1, (2, 3)), rtol=0, atol=1e-4)
    bump = torch.exp(-((torch.arange(41) - 20.0) ** 2) / 50)
    bump = (bump[:, None] * bump)[None, None]
    larger = wobble(bump, torch.tensor([[0, 0, 0, 1.0]]), scale=0.5)
    assert larger.sum() / bump.sum() == pytest.approx(1.5**2, rel=0.02)
    draws = Draws([generator((4, 1)), generator((5, 1))])
    first, second = draws.next(), draws.next()
    assert first.abs().max() <= 1 and not torch.equal(first, second)
    torch.testing.assert_close(Draws([generator((5, 1))]).next()[0], first[1])


def test_within_shortens_only_what_is_too_long():
    p = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    torch.testing.assert_close(within(p, 1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4]]))


def test_requests_that_cannot_be_met(small):
    for wrong in ({"layer": "3"}, {"units": [1]}, {"classes": [0], "layer": "3", "units": [0]}, {"place": "left"}):
        with pytest.raises(InputError):
            synthesise(small, **wrong)
    with pytest.raises(InputError, match="0 to 3"):
        synthesise(small, classes=[4])
    with pytest.raises(InputError, match="preset='x' is unknown"):
        synthesise(small, classes=[1], preset="x")
    assert set(RECIPES) >= {"photo", "digit", "sketch", "ball"}


def test_silent_units_are_rescued_and_dead_ones_named():
    """Unit 0 is silent near the mean colour and wakes for strong images, unit 1 never does, unit 2 always works."""
    network = nn.Sequential(nn.Conv2d(1, 3, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 64, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.linspace(-1, 1, 25).reshape(1, 1, 5, 5).expand(3, -1, -1, -1))
        network[0].bias.copy_(torch.tensor([-0.6, -100.0, 1.0]))
    model = Model(network, size=8, channels=1, mean=0.5, std=1)
    for preset in ("sketch", "yosinski-c", "ball"):
        result = synthesise(model, layer="1", units=[0, 1, 2], preset=preset, steps=60)
        assert result.states == ("rescued", "dead", "moved"), preset
        assert result.activations[0] > 0 and result.activations[1] == 0
    assert synthesise(model, layer="1", units=[1], sign=-1, steps=20).states == ("saturated",)
    assert "dead" in result._evidence(1) and result.plot()


def test_diversity_drives_copies_apart(small):
    options = {"layer": "3", "units": [2], "place": "everywhere", "steps": 40, "seeds": 3}

    def alike(result):
        from hubel.look.ascent import likeness

        a = activations(small.network, small.normalise(result.images), ["3"])["3"]
        return float(likeness(a, torch.tensor([2, 2, 2])).mean())

    plain, apart = synthesise(small, **options), synthesise(small, **options, diversity=20.0)
    assert alike(apart) < alike(plain) - 0.02
    assert plain.seeds == (0, 1, 2) and plain.over_seeds[0] == pytest.approx(float(plain.activations.std()), rel=1e-4)


@pytest.mark.parametrize("preset", ["yosinski-a", "yosinski-b", "yosinski-c", "yosinski-d"])
def test_yosinskis_presets_excite(small, preset):
    result = synthesise(small, layer="3", units=[0, 5], preset=preset, steps=40)
    assert (result.activations > result.noise).all()
    if preset == "yosinski-a":  # half of the pixels, those of small norm, are the mean colour
        mean = Colours.default(3).mean[:, None, None]
        assert ((result.images - mean).abs().amax(1) < 1e-6).float().mean() > 0.4


def test_whole_layer_and_gaussian_blur(small):
    dream = synthesise(small, layer="3", units=[0], place="layer", steps=30)
    a = activations(small.network, small.normalise(dream.images), ["3"])["3"]
    assert dream.activations[0] == pytest.approx(float(a.square().mean()), rel=1e-4) and dream.activations > dream.noise
    x = torch.zeros(1, 2, 15, 15)
    x[0, 1, 7, 7] = 1
    line = torch.exp(-torch.arange(-7.0, 8).square() / 2)
    torch.testing.assert_close(blurred(x, 1.0)[0, 1], torch.outer(line, line) / line.sum() ** 2, rtol=0, atol=2e-3)
    assert blurred(x, 1.0)[0, 0].abs().max() == 0


@pytest.mark.parametrize("place", ["centre", "everywhere"])
def test_units_that_are_full_are_climbed_on(place):
    """A ReLU6 at 6 has no slope; what it is given has, so the picture still becomes the kernel."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 5), nn.ReLU6(inplace=True), nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        network[0].weight.mul_(200).sub_(network[0].weight.mean((1, 2, 3), keepdim=True))
        network[0].bias.fill_(0.5)
    model = Model(network, size=5, channels=1, mean=0.5, std=1)
    result = synthesise(model, layer="1", units=[0, 1, 2], preset="ball", place=place)
    assert set(result.states) <= {"moved", "rescued"} and result.activations.tolist() == [6, 6, 6]
    change, kernel = (result.images - 0.5).flatten(1), network[0].weight.detach().flatten(1)
    if place == "centre":
        assert F.cosine_similarity(change, kernel).min() > 0.99
