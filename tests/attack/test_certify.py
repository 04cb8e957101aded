"""Certificates against closed forms: smoothed linear classifiers, Clopper-Pearson bounds, boxes run through by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm
from torch import nn

from hubel import nets
from hubel.attack import interval_bounds, pgd, sandwich, smoothed
from hubel.attack.bounds import Interval
from hubel.attack.certify import least_share, looks, radius_of
from hubel.errors import InputError, ModelError


class Half(nn.Module):
    """Class 1 where w . x > b: smoothed, its certified radius is its distance to the border."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.dense = nn.Linear(30, 2)
        w = torch.randn(30, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            self.dense.weight.copy_(torch.stack([torch.zeros(30), w / w.norm()]))
            self.dense.bias.copy_(torch.tensor([0.0, offset]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x.flatten(1))


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (1, 5, 6, 1)).astype(np.uint8)


def at_distance(distance: float) -> tuple[Half, np.ndarray]:
    x, model = image(), Half(0.0)
    t = torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255
    return Half(distance - float(model(t)[0, 1].detach())), x


def test_bounds_are_clopper_and_pearsons():
    for agreed, votes in ((90, 100), (99, 100), (50, 100), (1, 3), (100, 100), (0, 10)):
        ours = least_share(agreed, votes, 0.001)
        exact = binomtest(agreed, votes, alternative="greater").proportion_ci(0.999, method="exact").low
        assert ours == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("n", [100, 1000, 100_000])
def test_the_radius_when_all_agree(n):
    assert radius_of(n, n, 0.001, 0.5) == pytest.approx(0.5 * norm.ppf(0.001 ** (1 / n)), rel=1e-12)


def test_all_agree_far_from_the_border():
    model, x = at_distance(5.0)
    result = smoothed(model, x, [1], 0.25, n=500, first=50, progress=False)
    assert result.agreed[0] == 500
    assert result.radius[0] == pytest.approx(0.25 * norm.ppf(0.001 ** (1 / 500)), rel=1e-12)


@pytest.mark.parametrize("distance", [0.1, 0.3])
def test_near_the_true_radius_and_below_it(distance):
    """The smoothed linear classifier changes exactly at the border: certificates come near and do not pass it."""
    model, x = at_distance(distance)
    result = smoothed(model, x, [1], 0.25, n=4000, progress=False)
    assert 0.7 * distance < result.radius[0] < distance
    share = result.agreed[0] / result.votes[0]
    assert share == pytest.approx(norm.cdf(distance / 0.25), abs=0.03)


def test_abstains_on_the_border_and_stops_there_early():
    model, x = at_distance(0.0)
    result = smoothed(model, x, [1], 0.25, n=20_000, progress=False)
    assert result.predicted[0] == -1 and result.radius[0] == 0 and not result.certified().any()
    assert result.votes[0] < 20_000


def test_a_radius_asked_for_is_decided_early_and_rightly():
    far, x = at_distance(0.6)
    yes = smoothed(far, x, [1], 0.25, n=6400, at=0.2, progress=False)
    assert yes.radius[0] == 0.2 and yes.votes[0] <= 400
    no = smoothed(far, x, [1], 0.25, n=6400, at=0.7, progress=False)
    assert no.radius[0] == 0 and no.votes[0] < 6400


def test_looks_share_alpha():
    for n in (50, 1000, 10_000, 100_000):
        plan = looks(n, 0.001)
        assert sum(a for _, a in plan) == pytest.approx(0.001)
        assert plan[-1][0] == n and [k for k, _ in plan] == sorted({k for k, _ in plan})


def test_early_stopping_errs_no_more_often_than_alpha():
    """A share of exactly what the radius needs, 2,000 times: certified in at most alpha of them (with room for chance)."""
    from hubel.attack.certify import _certified

    class Coins:
        def __init__(self, p: float, seed: int) -> None:
            self.p, self.g = p, np.random.default_rng(seed)

        def cast(self, count: int) -> np.ndarray:
            ones = int(self.g.binomial(count, self.p))
            return np.array([count - ones, ones])

    alpha, at = 0.05, 0.2
    p = float(norm.cdf(at / 0.25))
    wrong = sum(_certified(Coins(p - 1e-6, seed), 100, looks(3200, alpha), 0.25, at)[1] > 0 for seed in range(2000))
    assert binomtest(wrong, 2000, alpha, alternative="greater").pvalue > 1e-4


def test_votes_do_not_depend_on_company():
    model, x = at_distance(0.2)
    others = np.concatenate([255 - x, x])
    assert smoothed(model, others, [1, 1], n=500, progress=False).agreed[1] == smoothed(model, x, [1], n=500,
                                                                                       progress=False).agreed[0]


# -- interval bounds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small_resnet", "cifar_resnet", "lenet"])
def test_bounds_hold_for_whatever_is_in_the_box(name):
    options = {"small_resnet": {"width": 4, "stages": 2}, "cifar_resnet": {"depth": 8, "width": 4}}.get(name, {})
    network = nets.build(name, 3, 3, seed=0, **options).eval()
    size = 32
    for m in network.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.uniform_(-0.5, 0.5)
            m.running_var.uniform_(0.5, 2)
            nn.init.uniform_(m.weight, -1, 1)
    network = network.double()
    g = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, size, size, generator=g).double()
    eps = 0.003
    with torch.no_grad():
        box = network(Interval(x - eps, x + eps))
        assert (box.low <= box.high).all()
        for k in range(40):
            d = torch.rand(x.shape, generator=g).double() * 2 - 1
            z = network(x + eps * (d.sign() if k % 2 else d))
            assert (z >= box.low - 1e-12).all() and (z <= box.high + 1e-12).all()
        point = network(Interval(x, x))
        assert torch.allclose(point.low, network(x)) and torch.allclose(point.high, network(x))


def test_bounds_of_a_linear_model_are_exact():
    model, x = at_distance(0.5)
    t = torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255
    w = model.dense.weight.detach()[1]
    reach = float(model(t)[0].diff().detach()) / float(w.abs().sum())
    assert interval_bounds(model, x, [1], reach * 0.999).certified.all()
    assert not interval_bounds(model, x, [1], reach * 1.001).certified.any()
    attack = pgd(model, x, [1], reach * 1.001, precision="float", steps=5)
    assert attack.success.all()
    assert not sandwich(clean=np.array([True]), pgd=~attack.success, certified=interval_bounds(model, x, [1], reach * 1.001).certified)


def test_says_what_it_cannot_bound():
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sin(x).flatten(1)

    with pytest.raises(ModelError, match="sin"):
        interval_bounds(Odd(), image(), [1], 0.01)
    with pytest.raises(InputError):
        smoothed(at_distance(1.0)[0], image(), [1], sigma=0)
