"""Auto-PGD against closed forms on linear models, and against PGD with as many steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hubel.attack import apgd, pgd
from hubel.errors import InputError


def linear(shape: tuple[int, int, int], classes: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.randn_like(model[1].weight))
        model[1].bias.copy_(-0.5 * model[1].weight.sum(1))  # grey is on the border of all classes
    return model


def pixels(shape: tuple[int, int, int], n: int) -> np.ndarray:
    c, h, w = shape
    return np.random.default_rng(n).integers(100, 156, (n, h, w, c)).astype(np.uint8)


def least(model: nn.Module, x: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and the closed-form distance to the nearest other class, the box being far away."""
    t = torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255
    z, w = model(t).detach(), model[1].weight.detach()
    y = z.argmax(1)
    dw = w[None] - w[y][:, None]
    dual = dw.abs().sum(2) if norm == "linf" else dw.norm(dim=2)
    gap = (z.gather(1, y[:, None]) - z) / dual.clamp_min(1e-9)
    return y.numpy(), gap.scatter(1, y[:, None], torch.inf).amin(1).numpy()


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("shape", "classes"), [((1, 5, 7), 2), ((3, 8, 4), 6)])
def test_breaks_what_the_closed_form_breaks(shape, classes, norm, n):
    model, x = linear(shape, classes), pixels(shape, n)
    y, best = least(model, x, norm)
    eps = float(np.median(best)) * 1.02
    result = apgd(model, x, y, eps, norm, steps=50, loss="dlr", runners_up=classes - 1, precision="float")
    assert result.success[best <= eps / 1.02].all()
    assert not result.success[best > eps * (1 + 1e-4)].any()
    assert (result.distances[result.success] <= eps * (1 + 1e-5)).all()


def test_l1_stays_in_the_ball_and_finds_the_few_values_that_count():
    model, x = linear((3, 8, 8)), pixels((3, 8, 8), 8)
    y, _ = least(model, x, "l2")
    t = torch.from_numpy(x.transpose(0, 3, 1, 2)).float().flatten(1).numpy() / 255
    w = model[1].weight.detach().diff(dim=0)[0].numpy()
    gaps = np.abs(t @ w + float(model[1].bias.detach().diff()))
    best = []
    for v, label, gap in zip(t, y, gaps, strict=True):  # the largest weights first, each as far as the box lets it
        away, total = w * (1 if label == 0 else -1), 0.0
        for i in np.argsort(-np.abs(w)):
            step = min(1 - v[i] if away[i] > 0 else v[i], gap / abs(w[i]))
            total, gap = total + step, gap - step * abs(w[i])
            if gap < 1e-9:
                break
        best.append(total)
    eps = max(best) * 1.15  # its steps never fall below a tenth of eps: five runs, as AutoAttack makes, come this near
    result = apgd(model, x, y, eps, "l1", restarts=5, precision="float")
    assert result.success.all()
    assert (result.distances <= eps * (1 + 1e-5)).all()
    assert not apgd(model, x, y, min(best) * 0.99, "l1", precision="float").success.any()


@pytest.fixture(scope="module")
def case():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(12, 16, 3), nn.Tanh(),
                          nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 5)).eval()
    with torch.no_grad():
        model[-1].bias -= model(torch.rand(100, 1, 12, 10)).mean(0)
    x = np.random.default_rng(1).integers(0, 256, (32, 12, 10, 1)).astype(np.uint8)
    y = model(torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255).argmax(1).numpy()
    return model, x, y


@pytest.mark.parametrize(("norm", "eps"), [("linf", "2/255"), ("l2", 0.1)])
def test_finds_no_less_than_pgd_and_the_same_in_any_batch(case, norm, eps):
    model, x, y = case
    plain = pgd(model, x, y, eps, norm, steps=40, restarts=2)
    auto = apgd(model, x, y, eps, norm, steps=40, restarts=2)
    assert 0 < auto.success.sum() < len(x)
    assert auto.success.sum() >= plain.success.sum() - 1
    order = np.random.default_rng(0).permutation(len(x))
    again = apgd(model, x[order], y[order], eps, norm, steps=40, restarts=2, batch_size=7)
    assert np.array_equal(again.success[np.argsort(order)], auto.success)
    assert np.array_equal(again.adversarials[np.argsort(order)], auto.adversarials)


def test_runners_up_look_for_any_wrong_class(case):
    model, x, y = case
    result = apgd(model, x, y, "3/255", loss="dlr", runners_up=9, steps=30)  # 5 classes: 4 runs
    assert result.attack == "apgd-t-dlr"
    assert (result.predicted_after[result.success] != y[result.success]).all()
    assert result.success.sum() >= apgd(model, x, y, "3/255", loss="dlr", steps=30).success.sum() - 1


def test_options_that_do_not_go_together(case):
    model, x, y = case
    with pytest.raises(InputError, match="runners_up"):
        apgd(model, x, y, "8/255", runners_up=3, target=(y + 1) % 5)
    with pytest.raises(InputError, match="l0"):
        apgd(model, x, y, 5, "l0")
