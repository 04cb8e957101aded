"""Attacks for the smallest change against closed forms: linear models, for which the optimum in the box is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from sklearn.datasets import load_sample_images
from torch import nn

from hubel.attack import carlini_wagner, deepfool, fab, fmn
from hubel.attack.planes import onto
from hubel.errors import InputError
from hubel.model import pretrained


class Linear(nn.Module):
    """K classes on (C, H, W), with the border of classes 0 and 1 near grey."""

    def __init__(self, shape: tuple[int, int, int], classes: int, seed: int = 0) -> None:
        super().__init__()
        n = int(np.prod(shape))
        self.dense = nn.Linear(n, classes)
        g = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            w = torch.randn(classes, n, generator=g)
            self.dense.weight.copy_(w)
            self.dense.bias.copy_(-0.5 * w.sum(1) + 0.3 * torch.randn(classes, generator=g))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x.flatten(1))


def optimum(model: Linear, x: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and least distances to another class in the box, by linear programs (linf, l1), or far from the box (l2)."""
    t = torch.from_numpy(x.transpose(0, 3, 1, 2)).float().flatten(1).double() / 255
    w, b = model.dense.weight.detach().double(), model.dense.bias.detach().double()
    z = (t @ w.T + b).numpy()
    y = z.argmax(1)
    best = np.full(len(x), np.inf)
    for i in range(len(x)):
        for k in range(z.shape[1]):
            if k == y[i]:
                continue
            d, gap = (w[k] - w[y[i]]).numpy(), z[i, y[i]] - z[i, k]
            best[i] = min(best[i], hyperplane(t[i].numpy(), d, gap, norm))
    return y, best


def hyperplane(v: np.ndarray, w: np.ndarray, c: float, norm: str) -> float:
    """min |d| with w . d >= c in the box, by SciPy."""
    n = len(v)
    if norm == "l2":
        start = w * c / (w @ w)
        found = minimize(lambda d: d @ d, start, jac=lambda d: 2 * d, bounds=list(zip(-v, 1 - v, strict=True)),
                         constraints={"type": "ineq", "fun": lambda d: w @ d - c, "jac": lambda d: w}, method="SLSQP",
                         options={"maxiter": 500, "ftol": 1e-12})
        return float(np.linalg.norm(found.x))
    if norm == "linf":  # variables d, t; |d_i| <= t
        cost = np.r_[np.zeros(n), 1.0]
        eye = np.hstack([np.eye(n), -np.ones((n, 1))])
        upper = np.vstack([eye, np.hstack([-np.eye(n), -np.ones((n, 1))]), np.r_[-w, 0.0]])
        found = linprog(cost, upper, np.r_[np.zeros(2 * n), -c], bounds=[*zip(-v, 1 - v, strict=True), (0, 1)])
    else:  # d = p - m
        cost = np.ones(2 * n)
        found = linprog(cost, np.r_[-w, w][None], [-c], bounds=[*((0, 1 - a) for a in v), *((0, a) for a in v)])
    return float(found.fun)


def images(shape: tuple[int, int, int], n: int) -> np.ndarray:
    c, h, w = shape
    return np.random.default_rng(n).integers(90, 166, (n, h, w, c)).astype(np.uint8)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_onto_is_the_nearest_point_of_the_plane_in_the_box(norm, share):
    """`share` of all that the box allows is asked for: much of it is at its limits then."""
    g = np.random.default_rng(0)
    for sign in (1, -1):
        v, w = g.random(20), g.normal(size=20)
        w[3] = 0.0
        c = sign * share * np.where(sign * w > 0, abs(w) * (1 - v), abs(w) * v).sum()
        d = onto(torch.tensor(v)[None], torch.tensor(w)[None], torch.tensor([c]), norm)[0].numpy()
        size = {"linf": np.abs(d).max(), "l2": np.linalg.norm(d), "l1": np.abs(d).sum()}[norm]
        assert w @ d == pytest.approx(c, rel=1e-5)
        assert ((v + d >= -1e-9) & (v + d <= 1 + 1e-9)).all()
        assert size == pytest.approx(hyperplane(v, sign * w, abs(c), norm), rel=1e-4)


def test_onto_goes_as_far_as_the_box_lets_it():
    d = onto(torch.tensor([[0.5, 0.2]]), torch.tensor([[1.0, -1.0]]), torch.tensor([5.0]), "linf")
    assert torch.allclose(d, torch.tensor([[0.5, -0.2]]))


ATTACKS = {
    "fab": lambda m, x, y, norm: fab(m, x, y, norm, steps=60),
    "fmn": lambda m, x, y, norm: fmn(m, x, y, norm, steps=200, runners_up=4),
    "deepfool": lambda m, x, y, norm: deepfool(m, x, y, norm),
    "carlini_wagner": lambda m, x, y, norm: carlini_wagner(m, x, y, rounds=6, steps=100, rate=0.005, weight=0.1, runners_up=4),
}
CASES = [("fab", "linf"), ("fab", "l2"), ("fab", "l1"), ("fmn", "linf"), ("fmn", "l2"), ("deepfool", "linf"),
         ("deepfool", "l2"), ("carlini_wagner", "l2")]


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize(("attack", "norm"), CASES)
@pytest.mark.parametrize(("shape", "classes"), [((1, 5, 7), 2), ((3, 4, 6), 5)])
def test_within_a_twentieth_of_the_optimum(attack, norm, shape, classes, n):
    model, x = Linear(shape, classes), images(shape, n)
    y, best = optimum(model, x, norm)
    result = ATTACKS[attack](model, x, y, norm)
    assert result.success.all()
    assert (result.distances >= best * (1 - 1e-3)).all()
    fine = 3e-4 if attack == "carlini_wagner" else 1e-6  # Adam's steps of 0.005 resolve no less: a tenth of one 8-bit level
    assert (result.distances <= best * 1.05 + fine).all()
    assert result.adversarials.min() >= 0 and result.adversarials.max() <= 1
    with torch.no_grad():
        after = model(torch.from_numpy(result.adversarials.transpose(0, 3, 1, 2))).argmax(1).numpy()
    assert np.array_equal(after, result.predicted_after) and (after != y).all()


@pytest.mark.parametrize("n", [1, 3, 8])
def test_l1_by_fmn_comes_near(n):
    """Its sparse steps are not made for a dense linear model: within a quarter."""
    model, x = Linear((1, 5, 7), 2), images((1, 5, 7), n)
    y, best = optimum(model, x, "l1")
    result = fmn(model, x, y, "l1", steps=500)
    assert result.success.all() and (result.distances <= 1.25 * best).all()


def test_l0_changes_the_fewest_values():
    model, x = Linear((1, 5, 7), 2), images((1, 5, 7), 8)
    t = torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255
    z = model(t).detach()
    y = z.argmax(1).numpy()
    w = model.dense.weight.detach().diff(dim=0)[0].numpy() * np.where(y == 0, 1, -1)[:, None]
    v = t.flatten(1).numpy()
    gain = np.sort(np.where(w > 0, w * (1 - v), -w * v), axis=1)[:, ::-1].cumsum(1)
    fewest = 1 + (gain < z.diff(dim=1).abs().numpy()).sum(1)
    result = fmn(model, x, y, "l0", steps=200)
    assert result.success.all()
    assert (result.distances >= fewest).all()
    assert (result.distances <= fewest + 1).all()


@pytest.mark.parametrize("attack", ["fab", "fmn", "deepfool", "carlini_wagner"])
def test_towards_a_class(attack):
    model, x = Linear((3, 4, 6), 5), images((3, 4, 6), 3)
    y, _ = optimum(model, x, "linf")
    target = (y + 2) % 5
    call = {"fab": fab, "fmn": fmn, "deepfool": deepfool}.get(attack)
    result = carlini_wagner(model, x, y, target=target, rounds=5, steps=150) if call is None else call(
        model, x, y, "l2", target=target)
    reached = result.success
    assert reached.sum() >= 2  # DeepFool's straight line may meet a third class first
    assert np.array_equal(result.predicted_after[reached], target[reached])


def test_whole_levels_and_any_company():
    model, x = Linear((3, 4, 6), 5), images((3, 4, 6), 8)
    y, _ = optimum(model, x, "l2")
    together = fmn(model, x, y, "l2", steps=60, precision="uint8")
    assert together.adversarials.dtype == np.uint8 and together.success.all()
    change = (together.adversarials.astype(float) - x).reshape(8, -1) / 255
    assert np.allclose(np.linalg.norm(change, axis=1), together.distances, rtol=1e-6)
    alone = fmn(model, x[5:6], y[5:6], "l2", steps=60, precision="uint8")
    assert np.array_equal(alone.adversarials[0], together.adversarials[5])


def test_fab_within_a_ball_ends_there_and_breaks_what_can_be_broken():
    model, x = Linear((3, 4, 6), 5), images((3, 4, 6), 8)
    y, best = optimum(model, x, "linf")
    eps = float(np.median(best)) * 1.03
    result = fab(model, x, y, "linf", eps=eps, runners_up=4)
    assert result.attack == "fab-t"
    assert np.array_equal(result.success, best <= eps) or not result.success[best > eps].any()
    assert result.success[best <= eps / 1.03].all()
    assert (result.distances[result.success] <= eps * (1 + 1e-5)).all()


def test_fab_gives_up_what_is_hopeless_and_nothing_else(monkeypatch):
    """Balls of half the distance to the border: with the rule as without it nothing breaks, in fewer passes."""
    model, x = Linear((3, 4, 6), 5), images((3, 4, 6), 8)
    y, best = optimum(model, x, "linf")
    short = fab(model, x, y, "linf", eps=float(best.min()) / 2, runners_up=4)
    reached = fab(model, x, y, "linf", eps=float(best.max()) * 1.01, runners_up=4)
    monkeypatch.setattr(sys.modules["hubel.attack.pace"], "PATIENCE", float("inf"))
    whole = fab(model, x, y, "linf", eps=float(best.min()) / 2, runners_up=4)
    assert not short.success.any() and not whole.success.any() and reached.success.all()
    assert short.backwards < 0.5 * whole.backwards


def test_errors_are_one_line():
    model, x = Linear((1, 5, 7), 2), images((1, 5, 7), 1)
    for call in (lambda: deepfool(model, x, [0], "l1"), lambda: fab(model, x, [0], "l0"),
                 lambda: fab(model, x, [0], runners_up=3, restarts=2), lambda: carlini_wagner(model, x, [0], rounds=0)):
        with pytest.raises(InputError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_deepfool_breaks_photos_whose_borders_bf16_cannot_see() -> None:
    """Close to a border the logits of a bf16 copy tie: a step of the linearised gap, which is 0 there, would stay for ever."""
    model = pretrained()
    x = np.stack([model.prepare(p[:, :420])[0].permute(1, 2, 0).numpy() for p in load_sample_images().images])
    found = deepfool(model, x, model.predict(x).argmax(1))
    assert found.success.all() and (found.distances < 0.2).all()
