"""The recipes: their parts against closed forms, every trick's switch, what they train and how it is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hubel import Model, nets, training
from hubel.cli import run
from hubel.errors import InputError
from hubel.training import recipes
from hubel.training.recipes import cifar94, mnist, mnist_hard

RNG = np.random.default_rng(0)


def coloured(count=40):
    """Smooth random images: neighbouring pixels are alike, as in photos."""
    rough = RNG.normal(size=(count, 3, 8, 8)).cumsum(2).cumsum(3)
    rough = (rough - rough.min()) / (rough.max() - rough.min())
    fine = F.interpolate(torch.from_numpy(rough).float(), 32, mode="bilinear")
    return (fine * 255).to(torch.uint8), torch.from_numpy(RNG.integers(0, 4, count))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(cifar94, "WIDTHS", (8, 16, 16))


def test_whitened_patches_are_uncorrelated_and_of_one_variance():
    layer = torch.nn.Conv2d(3, 24, 2)
    x = coloured(200)[0].float() / 255
    floor = 1e-6
    cifar94.whiten(layer, x, floor)
    out = layer(x).detach()[:, :12].transpose(0, 1).reshape(12, -1).numpy()
    covariance = np.cov(out)
    patches = np.stack([x[:, c, i : 31 + i, j : 31 + j].numpy().ravel() for c in range(3) for i in (0, 1) for j in (0, 1)])
    spectrum = np.linalg.eigvalsh(np.cov(patches))
    np.testing.assert_allclose(np.diag(covariance), spectrum / (spectrum + floor), atol=0.02)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=0.02)
    assert torch.equal(layer.weight[:12], -layer.weight[12:]) and not layer.weight.requires_grad


def test_kernels_begin_as_the_identity_on_the_channels_that_fit():
    net = cifar94.network()
    x = torch.randn(2, 24, 9, 9)
    torch.testing.assert_close(net[2](x)[:, :24], x)
    assert not torch.allclose(cifar94.network(dirac=False)[2](x)[:, :24], x, atol=0.1)


def test_the_schedule_of_cifar94_peaks_after_a_tenth_and_ends_at_nothing():
    shares = np.linspace(0, 1, 1001)
    rates = np.array([cifar94.warm_then_linear(s) for s in shares])
    assert rates[0] == pytest.approx(0.2) and shares[rates.argmax()] == pytest.approx(0.1) and rates[-1] == pytest.approx(0)
    assert rates.max() == pytest.approx(1.0) and np.abs(np.diff(rates)).max() < 0.01


def test_thresholds_are_a_ramp_with_a_leak_and_are_not_learned():
    layers = torch.nn.Sequential(*mnist_hard.thresholds(4))
    x = torch.rand(3, 4, 5, 5, requires_grad=True)
    ramp = ((x - 0.3) / 0.4).clamp(0, 1)
    torch.testing.assert_close(layers(x), 4 * (0.97 * ramp + 0.03 * x) - 2)
    (slope,) = torch.autograd.grad(layers(x).sum(), x)
    assert slope.min() > 0.1, "a gradient leads everywhere"
    assert not any(p.requires_grad for p in layers.parameters())


def test_predictions_are_averaged_over_six_views(small):
    x = coloured(5)[0]
    net = cifar94.network(4)
    net.eval()
    normalised = ((x.permute(0, 2, 3, 1).numpy() / 255 - cifar94.MEAN) / cifar94.STD).astype(np.float32)
    padded = np.pad(normalised, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = 0.0
    for weight, view in ((0.5, normalised), (0.25, padded[:, :32, :32]), (0.25, padded[:, 2:, 2:])):
        for mirrored in (view, view[:, :, ::-1]):
            with torch.no_grad():
                expected = expected + weight / 2 * net(torch.from_numpy(mirrored.copy()).permute(0, 3, 1, 2))
    torch.testing.assert_close(cifar94.predict(net, x, batch_size=2), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", recipes.names())
def test_each_trick_has_a_switch_that_does_something(name, small):
    recipe = recipes.get(name)
    x, y = coloured()
    x = x[:, : recipe.CHANNELS, : recipe.SIZE[0], : recipe.SIZE[1]].contiguous()
    options = {"epochs": 3, "batch_size": 8, "verbose": 0, "classes": 4}

    def weights(*without):
        net, _ = recipe.train(x, y, without=without, **options)
        return torch.cat([p.flatten() for p in net.parameters()])

    whole = weights()
    assert torch.equal(whole, weights()), "the same seed gives the same weights"
    for trick in recipe.TRICKS:
        left_out = weights(trick)
        assert left_out.shape != whole.shape or not torch.allclose(left_out, whole, atol=1e-4), trick


def test_muon_with_a_fixed_norm_turns_kernels_only():
    net = cifar94.network()
    made = training.optimizers.get(training.Muon(0.1, 0.6, 3, fixed_norm=True), net)
    net(torch.randn(8, 3, 32, 32)).square().mean().backward()
    kernel = net[2].weight
    with torch.no_grad():
        kernel *= 7.0
    before = kernel.detach().clone()
    made.step()
    brought = before * (len(before) ** 0.5 / before.norm())
    step = brought - kernel.detach()
    values = torch.linalg.svdvals(step.reshape(64, -1) / 0.1)
    assert values.min() > 0.3 and values.max() < 1.3  # three iterations come less near to 1 than five


def test_wrong_arguments_are_one_line(capsys, tmp_path):
    x, y = coloured()
    with pytest.raises(InputError, match="no recipe 'mnits': there are cifar94, mnist"):
        recipes.get("mnits")
    with pytest.raises(InputError, match=r"\(N, 1, 28, 28\)"):
        mnist.train(x, y)
    with pytest.raises(InputError, match="no trick 'luck'"):
        cifar94.train(x, y, without=["luck"])
    assert run(["train", "digits", "--recipe", "luck", "-o", str(tmp_path / "a.hubel")]) == 2
    assert "no recipe 'luck'" in capsys.readouterr().err


def test_the_command_follows_a_recipe_and_the_file_loads(tmp_path, capsys):
    path = tmp_path / "digits.hubel"
    assert run(["train", "digits", "--recipe", "mnist", "--epochs", "6", "-q", "-o", str(path)]) == 0
    assert "test images" in capsys.readouterr().out
    model = Model.load(path)
    assert model.size == (28, 28) and model.channels == 1 and "mnist" in model.notes["recipe"]
    from hubel import data

    test = data.load("digits").test
    right = (model.predict(test.arrays(size=(28, 28), channels=1)).argmax(1) == test.labels).mean()
    assert right > 0.93
    assert nets.describe(model.network) is not None
