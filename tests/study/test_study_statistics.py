"""Counts into numbers, against SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics

from hubel.study.statistics import confusion, most_confused, per_class, wilson


@pytest.mark.parametrize(("correct", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 9), (357, 359), (9930, 10000)])
def test_wilson_is_scipys(correct: int, n: int) -> None:
    expected = binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_per_class_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 6, 200), rng.integers(0, 5, 200)  # class 5 is never predicted
    matrix = confusion(true, predicted, 6)
    assert (matrix == metrics.confusion_matrix(true, predicted, labels=range(6))).all()
    expected = metrics.precision_recall_fscore_support(true, predicted, labels=range(6), zero_division=0)
    for ours, theirs in zip(per_class(matrix), expected, strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_the_most_confused_come_first() -> None:
    found = most_confused(np.array([[5, 0, 2], [3, 9, 0], [0, 0, 1]]), ["a", "b", "c"])
    assert [(f["true"], f["predicted"], f["count"]) for f in found] == [("b", "a", 3), ("a", "c", 2)]
