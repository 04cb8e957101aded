"""Runs that are given up: those that cannot get there, and none that can."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hubel.attack import robust_evaluation
from hubel.attack.pace import Pace


def given_up(gaps: np.ndarray, skips: int = 1) -> np.ndarray:
    """At which look each of the runs is given up, or -1. gaps (n, steps + 1); `skips`: looks at every so many steps."""
    runs, looks = gaps.shape
    pace, s, gap, widest = Pace(looks - 1), {}, torch.full((runs,), torch.inf), torch.full((runs,), -torch.inf)
    pace.begin(s, runs)
    at = np.full(runs, -1)
    for t in range(0, looks, skips):
        now = torch.from_numpy(gaps[:, t]).float()
        gap, widest = torch.minimum(gap, now), torch.maximum(widest, torch.where(now.isfinite(), now, -torch.inf))
        hopeless = pace.hopeless(s, torch.full((runs,), t), gap, widest).numpy()
        at[hopeless & (at < 0)] = t
    return at


@pytest.mark.parametrize("steps", [40, 100, 5000])
@pytest.mark.parametrize("skips", [1, 3])
def test_what_arrives_is_never_given_up(steps, skips):
    t = np.arange(steps + 1) / steps
    paths = [1.001 - t**p for p in (0.25, 0.5, 0.75, 1.0)]  # to 0.001 short of the border, at an even or a slowing pace
    paths += [1.001 - np.log1p(k * t) / np.log1p(k) for k in (1, 10, 100)]
    assert (given_up(np.stack(paths), skips) < 0).all()


@pytest.mark.parametrize("steps", [40, 100, 5000])
def test_what_levels_off_far_away_is(steps):
    t = np.arange(steps + 1) / steps
    paths = np.stack([10 - g * (1 - np.exp(-30 * t)) for g in (1.0, 2.0, 4.0)])
    at = given_up(paths)
    assert (at > 0).all() and (at <= 0.3 * steps).all()
    assert (given_up(1000 * paths) == at).all()  # logits of any size


def test_a_gap_that_is_not_known_yet_counts_from_where_it_is():
    t = np.arange(101) / 100
    late = np.stack([10 - 6 * (1 - np.exp(-5 * t)), 1.001 - t**0.5])
    late[:, :40] = np.inf
    at = given_up(late)
    assert 40 < at[0] <= 80 and at[1] < 0
    assert (given_up(np.full((1, 101), np.inf)) < 0).all()


def test_a_plateau_is_no_reason():
    """No step has closed anything yet, as where gradients vanish: nothing is known."""
    assert given_up(np.full((1, 101), 5.0))[0] < 0
    assert given_up(np.full((1, 11), 5.0))[0] < 0  # too few steps to judge by


def test_an_evaluation_that_gives_up_comes_to_the_same_verdicts(small):
    model, x, y = small
    short, whole = (robust_evaluation(model, x, y, "linf", "1/255", version="fast", give_up=g, check=False, progress=False)
                    for g in (True, False))
    assert np.array_equal(short.least, whole.least, equal_nan=True) and short.least[0] != short.least[1]
    passes = [sum(s.forwards + s.backwards for s in r.stages) for r in (short, whole)]
    assert passes[0] < 0.9 * passes[1], passes
