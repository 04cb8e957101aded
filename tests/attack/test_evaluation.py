"""`robust_evaluation`, Square and the battery of distrust: verdicts, resuming, budgets, and defences that only seem to be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from attacked import labelled, network
from torch import nn

from hubel.attack import Expectation, distrust, pgd, robust_evaluation, sandwich, square
from hubel.attack.square import Square, _inside, pyramids
from hubel.errors import InputError


@pytest.fixture(scope="module")
def case(small):
    model, x, y = small
    y = y.copy()
    y[3] = (y[3] + 1) % 5  # one clean error
    return model, x, y


@pytest.mark.parametrize(("norm", "eps"), [("linf", "2/255"), ("l2", 0.08), ("l1", 0.9)])
def test_square_stays_in_the_ball_and_breaks_without_gradients(case, norm, eps):
    model, x, y = case
    result = square(model, x, y, eps, norm, steps=300, precision="float")
    size = 2 / 255 if norm == "linf" else eps
    assert 1 < result.success.sum() < len(x)
    assert result.backwards == 0
    assert (result.distances[result.success] <= size * (1 + 1e-5)).all()
    white = pgd(model, x, y, eps, norm, steps=100, restarts=2, precision="float")
    assert result.success.sum() <= white.success.sum() + 1
    again = square(model, x[::-1].copy(), y[::-1].copy(), eps, norm, steps=300, precision="float", batch_size=5)
    assert np.array_equal(again.success[::-1], result.success)


def test_square_skips_what_changes_nothing_and_finds_the_same(case, monkeypatch):
    model, x, y = case
    short = square(model, x, y, "2/255", steps=300, precision="float")
    monkeypatch.setattr(Square, "_idle", lambda self, s, which: which[:0])
    whole = square(model, x, y, "2/255", steps=300, precision="float")
    assert np.array_equal(short.adversarials, whole.adversarials) and np.array_equal(short.iterations, whole.iterations)
    assert short.forwards < 0.9 * whole.forwards


def test_squares_are_squares_and_pyramids_of_unit_length():
    u = torch.tensor([0.0, 0.999, 0.5])
    masks = _inside(u, u, torch.tensor([3, 3, 1]), 7, 9)[:, 0]
    assert masks.flatten(1).sum(1).tolist() == [9, 9, 1]
    assert masks[0, :3, :3].all() and masks[1, 4:, 6:].all()
    for norm, power in (("l2", 2), ("l1", 1)):
        shape = pyramids(5, norm)
        assert shape.abs().pow(power).sum().item() == pytest.approx(1, rel=1e-5)
        assert shape.max() > 0 > shape.min()


def test_standard_protocol_and_its_sandwich(case):
    model, x, y = (part[:12] if k else part for k, part in enumerate(case))
    result = robust_evaluation(model, x, y, "linf", "2/255", progress=False)
    attack = pgd(model, x, y, "2/255", steps=40, precision="float")
    assert result.stopped is None and not result.undecided.any()
    assert result.broken_by[3] == "clean" and result.least[3] == 0
    assert not sandwich(clean=attack.predicted_before == y, pgd=~attack.success, autoattack=result.robust())
    assert [s.name for s in result.stages] == ["apgd-ce", "apgd-t-dlr", "fab-t", "square"]
    assert result.stages[0].tried == len(x) - 1
    for before, after in zip(result.stages, result.stages[1:], strict=False):
        assert after.tried == before.tried - before.broken
    hit = result.smallest
    found = hit.success & (hit.iterations > 0)
    d = np.abs(hit.adversarials[found] - hit.originals[found]).reshape(found.sum(), -1).max(1)
    assert (d <= 2 / 255 + 1e-6).all()
    json.dumps(result.to_dict())


def test_a_curve_is_what_single_sizes_give(case):
    model, x, y = case
    sizes = ["0.5/255", "1/255", "2/255", "4/255"]
    curve = robust_evaluation(model, x, y, "linf", sizes, version="fast", check=False, progress=False)
    assert (np.diff(curve.accuracies) <= 0).all() and len(curve.epsilons) == 4
    for k, eps in enumerate(sizes):
        single = robust_evaluation(model, x, y, "linf", eps, version="fast", check=False, progress=False)
        assert abs(single.robust().sum() - curve.robust(curve.epsilons[k]).sum()) <= 1
    found = curve.smallest.success & (curve.smallest.iterations > 0)
    assert (curve.smallest.distances[found] <= curve.least[found] + 1e-6).all()


def test_goes_on_from_a_journal_to_the_same_verdicts(case, tmp_path):
    model, x, y = case
    whole = robust_evaluation(model, x, y, "linf", ["1/255", "2/255"], version="fast", check=False, progress=False, journal=tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    for keep in (1, 9, len(lines) // 2, len(lines)):
        part = tmp_path / f"part{keep}"
        part.write_text("".join(lines[:keep]) + '{"i": 3, "e')  # cut short in the middle of a line
        again = robust_evaluation(model, x, y, "linf", ["1/255", "2/255"], version="fast", check=False, progress=False, journal=part,
                                  batch_size=5)
        assert np.array_equal(again.least, whole.least, equal_nan=True)
        assert np.array_equal(again.broken_by, whole.broken_by)
        assert np.array_equal(again.smallest.adversarials, whole.smallest.adversarials)
    with pytest.raises(InputError, match="another evaluation: its eps"):
        robust_evaluation(model, x, y, "linf", "2/255", version="fast", check=False, progress=False, journal=tmp_path / "whole")


SCRIPT = """
import sys, numpy as np
sys.path.insert(0, {here!r})
from attacked import labelled, network
from hubel.attack import robust_evaluation
model = network()
x, y = labelled(model, 40, 2)
robust_evaluation(model, x, y, "linf", "1/255", check=False, progress=False, journal={journal!r})
"""


@pytest.mark.slow
def test_kill_9_in_the_middle_changes_nothing(tmp_path):
    journal = tmp_path / "journal"
    code = SCRIPT.format(here=os.path.dirname(__file__), journal=str(journal))
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code])
        before = journal.read_text().count("\n") if journal.exists() else 0
        while process.poll() is None and (not journal.exists() or journal.read_text().count("\n") < before + 8):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    model = network()
    x, y = labelled(model, 40, 2)
    resumed = robust_evaluation(model, x, y, "linf", "1/255", check=False, progress=False, journal=journal)
    whole = robust_evaluation(model, x, y, "linf", "1/255", check=False, progress=False)
    assert np.array_equal(resumed.least, whole.least, equal_nan=True)
    assert np.array_equal(resumed.smallest.adversarials, whole.smallest.adversarials)


def test_a_budget_is_kept_and_what_is_undecided_is_said(case):
    model, x, y = case
    result = robust_evaluation(model, x, y, "linf", "1/255", minutes=1e-5, progress=False)
    assert "budget" in result.stopped and result.undecided[0] > 0
    assert result.robust().sum() >= result.undecided[0]
    assert "undecided" in str(result)


class Masked(nn.Module):
    """Rounds its logits through a step function: right on clean images, without any gradient."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.inner(x) * 20).round() / 20


class Noisy(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x + 0.02 * torch.randn_like(x))


def names(found) -> set[str]:
    return {flag.test for flag in found.flags}


def test_distrust_of_an_honest_network_is_silent(case):
    model, x, y = case
    found = distrust(model, x, y, "linf", "2/255")
    assert names(found) <= {"more steps"}
    assert {"softmax outputs", "randomness", "normalisation", "one step against many", "unbounded size", "zero gradients",
            "random search", "noise", "planted adversarials"} <= set(found.facts)


def test_distrust_says_what_is_wrong(case):
    model, x, y = case
    masked = names(distrust(Masked(model), x, y, "linf", "4/255"))
    assert "zero gradients" in masked and masked & {"random search", "planted adversarials", "unbounded size", "noise"}
    assert "softmax outputs" in names(distrust(nn.Sequential(model, nn.Softmax(1)), x, y, "linf", "2/255"))
    assert "randomness" in names(distrust(Noisy(model), x, y, "linf", "2/255"))

    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, q: torch.Tensor) -> torch.Tensor:
            return self.inner(q / 255)

    assert "normalisation" in names(distrust(Shifted(), x, y, "linf", "2/255"))


def test_sandwich_names_what_contradicts():
    a, b = np.array([True, True, False]), np.array([True, False, False])
    assert not sandwich(clean=a, pgd=b, certified=b)
    flags = sandwich(clean=a, autoattack=b, certified=a)
    assert len(flags) == 1 and "certified" in flags[0].seen and flags[0].facts == {"images": 1}


def test_expectation_averages(case):
    model, x, _ = case
    t = torch.from_numpy(x.transpose(0, 3, 1, 2)).float() / 255
    torch.manual_seed(0)
    spread = torch.stack([Expectation(Noisy(model), 1)(t) for _ in range(20)]).std(0).mean()
    mean = torch.stack([Expectation(Noisy(model), 25)(t) for _ in range(20)]).std(0).mean()
    assert mean < spread / 3
