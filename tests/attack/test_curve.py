"""The robustness curve and noise against closed forms, and against attacking each size on its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hubel.attack import noise, pgd, robustness_curve
from hubel.errors import InputError


def sum_model(shape: tuple[int, int, int], border: float) -> nn.Module:
    """Class 1 where the mean pixel (0..1) is above `border`."""
    d = int(np.prod(shape))
    model = nn.Sequential(nn.Flatten(), nn.Linear(d, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([torch.zeros(d), torch.full((d,), 1 / d)]))
        model[1].bias.copy_(torch.tensor([0.0, -border]))
    return model


def test_each_image_breaks_at_the_first_size_beyond_its_distance():
    distances = np.array([0.5, 1.5, 3.5, 7.5, 15.5, 40.5])  # levels above the border
    x = np.stack([np.full((6, 5, 1), 100 + int(np.ceil(d)), np.uint8) for d in distances])
    model = sum_model((1, 6, 5), 100.5 / 255)
    curve = robustness_curve(model, x, np.ones(6, int), draws=3)
    expected = np.array([1, 2, 4, 8, 16, np.nan]) / 255
    margins = np.ceil(distances) - 0.5
    expected = np.array([next((e for e in (1, 2, 4, 8, 16, 32) if e > m), np.nan) for m in margins]) / 255
    assert np.allclose(curve.least, expected, equal_nan=True)
    assert np.allclose(curve.worst, [1.0] + [float((~(expected <= e / 255 + 1e-9)).mean()) for e in (1, 2, 4, 8, 16, 32)])
    assert (np.diff(curve.worst) <= 0).all()
    assert (curve.worst_interval[:, 0] <= curve.worst).all() and (curve.worst <= curve.worst_interval[:, 1]).all()
    for values in curve.noise.values():
        assert len(values) == 7 and (values[:4] >= curve.worst[:4]).all()
    broken = np.isfinite(curve.least)
    change = np.abs(curve.smallest.adversarials.astype(int) - x).reshape(6, -1).max(1)
    assert (change[broken] <= np.round(curve.least[broken] * 255)).all()
    assert curve.fragile(1)[0] == 0 and curve.sturdy(1)[0] == 5


def test_the_curve_finds_what_separate_attacks_find():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
                          nn.Linear(108, 4)).eval()
    x = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3)).astype(np.uint8)
    y = model(torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255).argmax(1).numpy()
    curve = robustness_curve(model, x, y, epsilons=["1/255", "2/255", "4/255", "8/255"], draws=0)
    for eps, worst in zip(curve.epsilons[1:], curve.worst[1:], strict=True):
        assert abs(worst - pgd(model, x, y, eps).robust_accuracy) <= 1.5 / 30
    again = robustness_curve(model, x[::-1], y[::-1], epsilons=curve.epsilons, draws=0, batch_size=7)
    assert np.array_equal(again.least[::-1], curve.least, equal_nan=True)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pictures(norm, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
    x = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)
    y = model(torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255).argmax(1).numpy()
    curve = robustness_curve(model, x, y, norm=norm, draws=1)
    for figure in (curve.plot(), curve.plot_examples()):
        figure.savefig(tmp_path / "a.png")
    assert "<img" in curve._repr_html_() and len(curve.to_dict()["worst"]) == len(curve.epsilons)


def test_noise_is_of_its_size_and_changes_as_often_as_probability_says():
    x = np.full((40, 5, 5, 1), 128, np.uint8)
    x[:, 0, 0, 0] = np.arange(40)  # each image its own random numbers
    picky = nn.Sequential(nn.Flatten(), nn.Linear(25, 2))
    with torch.no_grad():  # class 1 where the last pixel is above 128.5: sign noise decides it by a coin
        picky[1].weight.zero_()
        picky[1].weight[1, 24] = 255.0
        picky[1].bias.copy_(torch.tensor([0.0, -128.5]))
    flips = noise(picky, x, np.zeros(40, int), "8/255", kind="sign", draws=25)
    assert abs(flips.changed.mean() - 0.5) < 0.06  # 1,000 coins: 3.8 standard deviations
    even = noise(picky, x, np.zeros(40, int), "8/255", kind="uniform", draws=25)
    assert abs(even.changed.mean() - 8 / 17) < 0.06  # levels 1..8 of -8..8
    small = noise(picky, x, np.zeros(40, int), 0.4 / 255, kind="uniform", precision="float")
    assert small.changed.mean() == 0 and small.accuracy == 1


def test_gaussian_noise_has_the_length_asked_for():
    from hubel.attack.loop import Points
    from hubel.attack.noise import perturbed

    x = torch.full((5, 3, 9, 9), 128 / 255)
    points = Points(x, torch.arange(5), "l2", exact=False)
    q = perturbed(points, torch.arange(5), 0.5, "gaussian", 0)
    assert torch.allclose((q - x).flatten(1).norm(dim=1), torch.full((5,), 0.5), atol=1e-5)
    exact = Points(x, torch.arange(5), "l2")
    r = perturbed(exact, torch.arange(5), 0.5, "gaussian", 0)
    assert ((r - x).flatten(1).norm(dim=1) <= 0.5 + 1e-6).all()
    assert ((r - x).flatten(1).norm(dim=1) > 0.4).all()
    with pytest.raises(InputError, match="sign noise"):
        perturbed(points, torch.arange(5), 0.5, "sign", 0)
