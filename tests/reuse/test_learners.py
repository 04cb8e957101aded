"""The learners against scikit-learn, closed forms and brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from hubel.reuse import (
    Discriminant,
    LabelSpreader,
    LogisticClassifier,
    NearestNeighbour,
    NormalisedCentroid,
    TransductivePrototypes,
)
from hubel.reuse.learners import ledoit_wolf, unit

LEARNERS = [NearestNeighbour(), NormalisedCentroid(), Discriminant(), LogisticClassifier()]


def blobs(n: int, d: int, classes: int, seed: int = 0, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = np.random.default_rng(99).normal(size=(classes, d))
    return (centres[y] + noise * rng.normal(size=(n, d))).astype(np.float32), y


def test_nearest_neighbour_is_sklearns_with_cosine() -> None:
    (x, y), (z, _) = blobs(40, 7, 5), blobs(100, 7, 5, 1, 2.0)
    expected = KNeighborsClassifier(1, metric="cosine").fit(x, y).predict(z)
    assert (NearestNeighbour().fit(x, y).predict(z) == expected).all()


def test_centroid_by_brute_force() -> None:
    (x, y), (z, _) = blobs(30, 6, 3), blobs(50, 6, 3, 1, 2.0)
    expected = []
    for row in z:
        scores = []
        for c in range(3):
            mean = np.mean([v / np.linalg.norm(v) for v in x[y == c]], axis=0)
            scores.append(row @ mean / np.linalg.norm(row) / np.linalg.norm(mean))
        expected.append(int(np.argmax(scores)))
    assert NormalisedCentroid().fit(x, y).predict(z).tolist() == expected


@pytest.mark.parametrize(("n", "d"), [(60, 8), (12, 40)])  # both ways to solve
@pytest.mark.parametrize("shrinkage", [0.1, 0.7])
def test_discriminant_is_sklearns_with_equal_priors(n: int, d: int, shrinkage: float) -> None:
    (x, y), (z, _) = blobs(n, d, 3), blobs(50, d, 3, 1, 2.0)
    ours = Discriminant(shrinkage=shrinkage).fit(x.astype(np.float64), y)
    u = unit(x.astype(np.float64))
    means = np.stack([u[y == c].mean(0) for c in range(3)])
    rest = u - means[y]
    w = rest.T @ rest / (n - 3)
    s = (1 - shrinkage) * w + shrinkage * np.trace(w) / d * np.eye(d)
    coef = np.linalg.solve(s, means.T).T
    np.testing.assert_allclose(ours.coef_, coef, rtol=1e-6, atol=1e-8 * np.abs(coef).max())
    np.testing.assert_allclose(ours.intercept_, -0.5 * (coef * means).sum(1), rtol=1e-6)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5, priors=[1 / 3] * 3).fit(u, y)
    same = Discriminant(shrinkage=0.5).fit(x.astype(np.float64), y).predict(z.astype(np.float64))
    assert (same == theirs.predict(unit(z.astype(np.float64)))).mean() > 0.95  # their S has another denominator


@pytest.mark.parametrize(("n", "d"), [(50, 9), (9, 50)])
def test_ledoit_wolf_is_sklearns(n: int, d: int) -> None:
    x = np.random.default_rng(3).normal(size=(n, d)) * np.linspace(0.2, 3, d)
    x -= x.mean(0)
    assert ledoit_wolf(x) == pytest.approx(ledoit_wolf_shrinkage(x, assume_centered=True), rel=1e-6)


def test_one_example_per_class_makes_discriminant_the_nearest_mean() -> None:
    (x, y), (z, _) = blobs(5, 12, 5), blobs(80, 12, 5, 1, 2.0)
    assert (Discriminant().fit(x, y).predict(z) == NormalisedCentroid().fit(x, y).predict(z)).all()


def test_logistic_finds_the_minimum_that_sklearn_finds() -> None:
    (x, y), (z, _) = blobs(90, 5, 3), blobs(40, 5, 3, 1, 2.0)
    ours = LogisticClassifier(strengths=(0.1,)).fit(x, y)
    u = unit(x)
    std = u.std(0) + 1e-3 * u.std(0).mean()
    theirs = LogisticRegression(C=1 / (0.1 * len(x)), tol=1e-8, max_iter=2000).fit((u.astype(np.float64) - u.mean(0)) / std, y)
    np.testing.assert_allclose(ours.predict_proba(z), theirs.predict_proba((unit(z) - u.mean(0)) / std), atol=2e-4)


def test_logistic_chooses_more_penalty_for_noise() -> None:
    x, y = blobs(120, 30, 2)
    noise = np.random.default_rng(0).permutation(y)
    assert LogisticClassifier().fit(x, noise).strength_ > LogisticClassifier().fit(x, y).strength_


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("names", [False, True])
def test_estimator_habits(learner: object, names: bool) -> None:
    x, y = blobs(40, 6, 2)
    labels = np.array(["cat", "dog"])[y] if names else y
    made = clone(learner).fit(x, labels)
    p = made.predict_proba(x)
    assert p.shape == (40, 2) and np.allclose(p.sum(1), 1) and (p >= 0).all()
    assert (made.predict(x) == made.classes_[p.argmax(1)]).all()
    assert made.score(x, labels) > 0.9
    assert made.n_features_in_ == 6
    scaled = make_pipeline(FunctionTransformer(lambda v: 7 * v), clone(learner)).fit(x, labels)
    np.testing.assert_allclose(scaled.predict_proba(x), p, atol=1e-4)  # length does not count
    with pytest.raises(ValueError, match="one class only"):
        clone(learner).fit(x[:3], np.zeros(3))


def test_power_can_be_searched() -> None:
    x, y = blobs(60, 6, 3)
    found = GridSearchCV(NormalisedCentroid(), {"power": [0.5, 1.0]}, cv=3).fit(x, y)
    assert found.best_score_ > 0.8


@pytest.mark.parametrize("learner", [*LEARNERS[:3], LogisticClassifier(strengths=(0.1, 1.0), folds=2), TransductivePrototypes(), LabelSpreader()],
                         ids=lambda learner: type(learner).__name__)
def test_what_scikit_learn_asks_of_an_estimator(learner: Any) -> None:
    """Its own 50 or so checks, none excepted: what is left out of a run is not there to be checked (array API, pandas)."""
    wrong = [(r["check_name"], r["exception"]) for r in check_estimator(learner, on_fail=None, on_skip=None) if r["status"] == "failed"]
    assert not wrong
