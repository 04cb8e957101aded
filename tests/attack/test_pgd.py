"""PGD and the loop against linear models, whose best perturbation is known in closed form."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from hubel import engine
from hubel.attack import fgsm, pgd
from hubel.attack.subject import Subject
from hubel.errors import HubelError, InputError

SHAPES = [(1, 5, 7), (3, 8, 4), (2, 1, 9)]


class Linear(nn.Module):
    """Two classes: z_1 - z_0 = w . x + b."""

    def __init__(self, shape: tuple[int, int, int], offset: float, seed: int = 0) -> None:
        super().__init__()
        w = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        self.dense = nn.Linear(w.numel(), 2)
        with torch.no_grad():
            self.dense.weight.copy_(torch.stack([torch.zeros(w.numel()), w.flatten()]))
            self.dense.bias.copy_(torch.tensor([0.0, offset]))
        self.w = w

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x.flatten(1))

    def gap(self, x: torch.Tensor) -> torch.Tensor:
        return self(x).diff(dim=1).squeeze(1).detach()


def images(shape: tuple[int, int, int], n: int, low: int = 100, high: int = 156) -> np.ndarray:
    c, h, w = shape
    return np.random.default_rng(n).integers(low, high, (n, h, w, c)).astype(np.uint8)


def centred(shape: tuple[int, int, int], x: np.ndarray, distance: float) -> Linear:
    """A linear model on whose class-1 side every image lies, on average `distance` |w|_1 from the border."""
    model = Linear(shape, 0.0)
    t = torch.from_numpy(x.transpose(0, 3, 1, 2) / 255.0).float()
    offset = -model.gap(t).min() + distance * model.w.abs().sum()
    with torch.no_grad():
        model.dense.bias[1] = offset
    return model


def reach(model: Linear, x: np.ndarray, norm: str) -> np.ndarray:
    """The closed-form distance of every image to the border (the box is far away)."""
    gap = model.gap(torch.from_numpy(x.transpose(0, 3, 1, 2) / 255.0).float()).numpy()
    if norm == "l1":  # here the box is not far away: the largest weights first, each as far as its value can go
        w = model.w.flatten().numpy()
        return np.array([greedy(w, v.transpose(2, 0, 1).ravel() / 255, g) for v, g in zip(x, gap, strict=True)])
    return gap / float({"linf": model.w.abs().sum(), "l2": model.w.norm()}[norm])


def greedy(w: np.ndarray, v: np.ndarray, gap: float) -> float:
    total = 0.0
    for i in np.argsort(-np.abs(w)):
        room = v[i] if w[i] > 0 else 1 - v[i]
        step = min(room, gap / abs(w[i]))
        total, gap = total + step, gap - step * abs(w[i])
        if gap <= 1e-12:
            return total
    return np.inf


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_linf_breaks_exactly_what_the_closed_form_says(shape, n):
    x = images(shape, n)
    model = centred(shape, x, 5.5 / 255)
    for levels in (5, 6, 7, 9):
        result = pgd(model, x, np.ones(n, int), levels / 255, steps=10)
        assert np.array_equal(result.success, reach(model, x, "linf") < levels / 255)
        change = result.adversarials.astype(int) - x
        assert np.abs(change).max() <= levels
        assert result.adversarials.dtype == np.uint8
    moved = result.success
    sign = np.sign(model.w.numpy().transpose(1, 2, 0))
    assert (change[moved] * sign <= 0).all()  # down along w, as the optimum is


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize(("norm", "slack"), [("l2", 1.05), ("l1", 1.25)])
def test_l2_and_l1_break_close_to_the_closed_form(norm, slack, n):
    shape = (3, 8, 4)
    x = images(shape, n)
    model = centred(shape, x, 8 / 255)
    best = reach(model, x, norm)
    eps = float(np.median(best)) * slack
    result = pgd(model, x, np.ones(n, int), eps, norm, steps=60, precision="float")
    assert result.success[best <= eps / slack].all()
    assert not result.success[best > eps].any()
    broken = result.success
    assert (result.distances[broken] <= eps * (1 + 1e-5)).all()
    assert (result.distances[broken] >= best[broken] * (1 - 1e-4)).all()


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_whole_levels_stay_in_the_ball_and_still_break(norm):
    x = images((3, 16, 16), 8)
    model = centred((3, 16, 16), x, 4 / 255)
    eps = 1.3 * float(reach(model, x, norm).max())
    result = pgd(model, x, np.ones(8, int), eps, norm, steps=60)
    change = (result.adversarials.astype(float) - x).reshape(8, -1) / 255
    size = np.linalg.norm(change, ord=2 if norm == "l2" else 1, axis=1)
    assert (size <= eps * (1 + 1e-6)).all()
    assert result.success.all()
    assert np.allclose(size, result.distances, rtol=1e-6)


def test_the_box_is_respected_at_black_and_white():
    x = np.concatenate([np.zeros((2, 6, 6, 1), np.uint8), np.full((2, 6, 6, 1), 255, np.uint8)])
    model = Linear((1, 6, 6), 0.01)
    y = model(torch.from_numpy(x.transpose(0, 3, 1, 2) / 255.0).float()).argmax(1)
    result = pgd(model, x, y, "3/255", steps=5)
    change = result.adversarials.astype(int) - x
    assert np.abs(change).max() <= 3
    assert (change[:2] >= 0).all() and (change[2:] <= 0).all()


@pytest.fixture(scope="module")
def case(small):
    return small


def test_the_fast_copy_is_tried_on_the_same_images_in_any_order(case, monkeypatch):
    """Whether bf16 will do can depend on the images it is tried on."""
    model, x, _ = case
    pixels, tried = torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255, []
    frozen = engine.frozen
    monkeypatch.setattr(engine, "frozen", lambda network, sample, *rest: tried.append(sample) or frozen(network, sample, *rest))
    for order in (np.arange(len(x)), np.random.default_rng(0).permutation(len(x))):
        Subject(model).ready(pixels[order])
    assert len(tried) == 2 and len(tried[0]) == 8 and torch.equal(*tried)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_verdict_does_not_depend_on_batch_size_or_order(case, norm):
    model, x, y = case
    eps = {"linf": "2/255", "l2": 0.12}[norm]
    options = {"steps": 8, "restarts": 2}
    whole = pgd(model, x, y, eps, norm, **options)
    assert 0 < whole.success.sum() < len(x), "the case must be neither trivial nor hopeless"
    order = np.random.default_rng(2).permutation(len(x))
    small = pgd(model, x, y, eps, norm, batch_size=5, **options)
    for other in (small, pgd(model, x[order], y[order], eps, norm, **options)):
        back = np.argsort(order) if np.array_equal(other.originals, x[order]) else slice(None)
        assert np.array_equal(other.success[back], whole.success)
        assert np.array_equal(other.iterations[back], whole.iterations)
        assert np.array_equal(other.adversarials[back], whole.adversarials)
    alone = [pgd(model, x[i : i + 1], y[i : i + 1], eps, norm, **options) for i in range(6)]
    assert [bool(a.success[0]) for a in alone] == whole.success[:6].tolist()


def test_every_success_survives_a_png(case):
    model, x, y = case
    result = pgd(model, x, y, "4/255", steps=8)
    assert result.success.any()
    for i in np.flatnonzero(result.success):
        buffer = io.BytesIO()
        Image.fromarray(result.adversarials[i, :, :, 0]).save(buffer, "PNG")
        again = torch.from_numpy(np.asarray(Image.open(buffer)).copy())[None, None].float() / 255
        assert model(again).argmax(1).item() == result.predicted_after[i] != y[i]


def test_targets_are_reached_and_only_targets_count(case):
    model, x, y = case
    target = (y + 1) % 5
    result = pgd(model, x, y, "24/255", target=target, steps=40)
    assert result.success.mean() > 0.5, result
    assert (result.predicted_after[result.success] == target[result.success]).all()
    with pytest.raises(InputError, match="true class"):
        pgd(model, x, y, "8/255", target=y)


def test_clean_errors_count_as_broken_and_are_not_attacked(case):
    model, x, y = case
    wrong = (y + 1) % 5
    result = pgd(model, x, wrong, "4/255")
    assert result.success.all() and (result.iterations == 0).all() and (result.distances == 0).all()
    assert result.backwards == 0
    assert np.array_equal(result.adversarials, x)


class Flattering(nn.Module):
    """Says the right thing about whole 8-bit images and the wrong one about anything in between."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        between = ((x * 255) - (x * 255).round()).abs().amax(dim=(1, 2, 3)) > 1e-3
        logits = torch.stack([torch.ones(len(x)), torch.zeros(len(x))], dim=1) * self.scale
        return torch.where(between[:, None], logits.flip(1), logits) + 0 * x.mean(dim=(1, 2, 3))[:, None]


def test_success_between_the_levels_does_not_count_on_8_bit_images():
    x, y = images((1, 6, 6), 3), np.zeros(3, int)
    assert not pgd(Flattering(), x, y, "8/255", restarts=2).success.any()
    assert pgd(Flattering(), x, y, "8/255", restarts=2, precision="float").success.all()


class Liar:
    """A model whose fast copy always says it is broken."""

    classes = ("a", "b")

    def __init__(self) -> None:
        self.network = Linear((1, 4, 4), 100.0)

    def prepare(self, x):
        return torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255

    def forward(self, x):
        return self.network(x)

    def fast(self, sample, precision="auto"):
        return lambda x: self.network(x) - torch.tensor([0.0, 1000.0])


def test_a_hit_of_the_fast_copy_counts_only_if_the_network_agrees():
    result = pgd(Liar(), images((1, 4, 4), 2), [1, 1], "8/255", steps=3)
    assert not result.success.any()
    assert result.robust_accuracy == 1.0


def test_runs_that_begin_together_find_what_runs_in_turn_find(case):
    model, x, y = case
    for eps in ("1/255", "2/255", "3/255"):
        turn, together = (pgd(model, x, y, eps, steps=6, restarts=3, together=t) for t in (False, True))
        assert (turn.success == together.success).all()
        assert np.nanmax(together.distances, initial=0.0) <= together.eps + 1e-6


def test_restarts_and_momentum_and_losses_break_no_fewer(case):
    model, x, y = case
    base = pgd(model, x, y, "3/255", steps=6).success
    assert (pgd(model, x, y, "3/255", steps=6, restarts=3).success >= base).all()
    for options in ({"loss": "dlr"}, {"loss": "margin"}, {"momentum": 0.9}, {"step_size": "1/255"}, {"random_start": True}):
        assert pgd(model, x, y, "3/255", steps=6, **options).success.mean() >= base.mean() - 0.3
    assert fgsm(model, x, y, "3/255").success.mean() <= base.mean()


def test_broken_points_leave_the_batch(case):
    model, x, y = case
    result = pgd(model, x, y, "64/255", steps=50)
    assert result.success.all()
    assert result.backwards < len(x) * 8  # all 50 steps for all would be 1,200


@pytest.mark.parametrize(("change", "text"), [
    ({"y": [0] * 23}, "24 images need 24 labels"), ({"y": [7] * 24}, "0..4"), ({"y": ["cat"] * 24}, "'cat'"),
    ({"x": np.full((2, 10, 12, 1), np.nan), "y": [0, 0]}, "NaN"), ({"x": np.full((2, 10, 12, 1), 7.0), "y": [0, 0]}, "0..1"),
    ({"x": np.zeros((2, 1, 1, 10, 12)), "y": [0, 0]}, "4 dimensions"), ({"eps": -1}, "at least 0"),
    ({"eps": "0.5/255"}, "1/255"),
    ({"norm": "l7"}, "l7"), ({"steps": 0}, "steps=0"), ({"restarts": 0}, "restarts=0"), ({"loss": "mse"}, "mse"),
    ({"precision": "int4"}, "int4"), ({"x": np.zeros((0, 10, 12, 1), np.uint8), "y": []}, "no images"),
])
def test_bad_input_is_one_line(case, change, text):
    model, x, y = case
    with pytest.raises(HubelError, match=text) as caught:
        pgd(**{"model": model, "x": x, "y": y, "eps": "8/255", **change})
    assert "\n" not in str(caught.value)


class Broken(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :3] * torch.nan


def test_a_network_that_gives_nan_is_an_error():
    with pytest.raises(HubelError, match="NaN"):
        pgd(Broken(), images((1, 4, 4), 2), [0, 1], "8/255")


def test_results_show_themselves(case):
    model, x, y = case
    result = pgd(model, x, y, "8/255")
    import json

    assert json.loads(json.dumps(result.to_dict()))["points"] == 24
    assert "<img" in result._repr_html_() and "withstand" in str(result)
