"""Simple learners for features, as scikit-learn estimators: each good from one labelled example per class.

    Discriminant().fit(features, labels).predict_proba(others)

All of them first bring each feature vector to unit length (after an optional power of its entries), so that the
brightness or contrast of a picture, which mostly scales its features, does not count. Depends on NumPy, scikit-learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from hubel.errors import InputError


def unit(x: np.ndarray, power: float = 1.0) -> np.ndarray:
    """Rows x / |x| of sign(x) |x|^power; rows of zeros stay zeros. (N, D) -> (N, D) of x's precision, float32 at least."""
    x = np.asarray(x, dtype=np.promote_types(x.dtype, np.float32))
    if power != 1.0:
        x = np.sign(x) * np.abs(x) ** x.dtype.type(power)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1)


class Learner(ClassifierMixin, BaseEstimator):
    """fit, scores (N, K), decision_function, predict_proba, predict. Subclasses give `_learn(x, y)` and `_scores(x)`.

    With `centre`, the mean of the unit-length training features is taken off all, and they are brought to unit length
    again (Wang et al. 2019, 'SimpleShot', arXiv:1911.04623): what all pictures share says nothing about classes.
    """

    power: float
    centre: bool = False

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from features X (n, D) and labels y (n,) of any type; a class with one example is enough."""
        X, y = validate_data(self, X, y, dtype=(np.float32, np.float64))
        if y.dtype.kind == "f":  # not asked of others: it would warn of few labels a class, which are what this is for
            check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"one class only ({self.classes_[0]!r}): give examples of two at least")
        u = unit(X, self.power)
        self.centre_ = u.mean(0) if self.centre else None
        self._learn(self._directions(u), labels)
        return self

    def _directions(self, u: np.ndarray) -> np.ndarray:
        return u if self.centre_ is None else unit(u - self.centre_)

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (N, K), whose softmax is `predict_proba`; of two classes, as scikit-learn has it, the second's less the
        first's (N,)."""
        scores = self.scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def scores(self, X: Any) -> np.ndarray:
        """Scores (N, K) of features X (N, D), however many classes there are."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=(np.float32, np.float64))
        return self._scores(self._directions(unit(X, self.power)))

    def predict_proba(self, X: Any) -> np.ndarray:
        return softmax(self.scores(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        best = self.scores(X).argmax(axis=1)
        return self.classes_[best]

    def linear(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(centre (D,), weight (K, D), bias (K,)): the scores are unit(unit(x) - centre) weight' + bias.

        Raises InputError where they are not: nearest neighbours, powers other than 1.
        """
        check_is_fitted(self)
        if self.power != 1:
            raise InputError(f"power={self.power}: scores are a dense layer of unit-length features with power=1 only")
        weight, bias = self._dense()
        centre = np.zeros(weight.shape[1], np.float32) if self.centre_ is None else self.centre_
        return centre.astype(np.float32), weight.astype(np.float32), bias.astype(np.float32)

    def _dense(self) -> tuple[np.ndarray, np.ndarray]:
        raise InputError(f"{type(self).__name__} is no dense layer: take NormalisedCentroid, Discriminant or LogisticClassifier")

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        raise NotImplementedError

    def _scores(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class NearestNeighbour(Learner):
    """The class of the most similar example: cosine similarity, divided by `temperature` for the probabilities."""

    def __init__(self, power: float = 1.0, temperature: float = 0.05) -> None:
        self.power, self.temperature = power, temperature

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        order = np.argsort(y, kind="stable")
        self._examples, self._starts = x[order], np.searchsorted(y[order], np.arange(len(self.classes_)))

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return np.maximum.reduceat(x @ self._examples.T, self._starts, axis=1) / self.temperature


class NormalisedCentroid(Learner):
    """The class whose mean example points in the most similar direction (Snell et al. 2017, with cosines)."""

    def __init__(self, power: float = 1.0, temperature: float = 0.05, centre: bool = False) -> None:
        self.power, self.temperature, self.centre = power, temperature, centre

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        self.centroids_ = unit(class_means(x, y, len(self.classes_)))

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return x @ self.centroids_.T / self.temperature

    def _dense(self) -> tuple[np.ndarray, np.ndarray]:
        return self.centroids_ / self.temperature, np.zeros(len(self.centroids_))


class Discriminant(Learner):
    """Linear discriminant analysis with a shrunken covariance, in closed form: from one example a class to thousands.

    Classes are Gaussians about their means m_c with one covariance S = (1 - a) W + a t I: W is the scatter within
    classes, t the mean of its diagonal. `shrinkage` a is Ledoit and Wolf's (2004) where None. With one example a class
    there is no scatter within, and S is t I with t = `spread`: the nearest mean.

    coef_ (K, D) and intercept_ (K,) act on unit-length features.
    """

    def __init__(self, power: float = 1.0, shrinkage: float | None = None, spread: float = 0.05,
                 centre: bool = False) -> None:
        self.power, self.shrinkage, self.spread, self.centre = power, shrinkage, spread, centre

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        means = class_means(x, y, len(self.classes_))
        rest = x - means[y]
        degrees = len(x) - len(means)
        scatter = float((rest.astype(np.float64) ** 2).sum()) / max(degrees, 1) / x.shape[1]
        if degrees == 0 or scatter == 0:
            a, t = 1.0, self.spread / x.shape[1]
        else:
            a, t = (ledoit_wolf(rest) if self.shrinkage is None else self.shrinkage), scatter
        self.shrinkage_ = a
        self.coef_ = _solve(rest / np.sqrt(max(degrees, 1)), means, 1 - a, max(a * t, 1e-6 * t))
        self.intercept_ = -0.5 * (self.coef_ * means).sum(1)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return x @ self.coef_.T + self.intercept_

    def _dense(self) -> tuple[np.ndarray, np.ndarray]:
        return self.coef_, self.intercept_


def class_means(x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """(K, D) means of the rows of each class 0..K-1."""
    order = np.argsort(y, kind="stable")
    starts = np.searchsorted(y[order], np.arange(classes))
    return np.add.reduceat(x[order], starts, axis=0) / np.bincount(y, minlength=classes)[:, None].astype(x.dtype)


def ledoit_wolf(x: np.ndarray) -> float:
    """The shrinkage a in 0..1 of the covariance of centred rows x (n, D): Ledoit and Wolf 2004, lemmas 3.2 to 3.4.

    Only the smaller of x x' and x' x is formed.
    """
    n, width = x.shape
    gram = x @ x.T if n <= width else x.T @ x
    lengths = (x.astype(np.float64) ** 2).sum(1)
    mean = lengths.sum() / n / width
    square = float((gram.astype(np.float64) ** 2).sum()) / n**2  # |S|^2, Frobenius
    distance = square / width - mean**2
    error = ((lengths**2).sum() / n - square) / n / width
    return float(np.clip(error / distance, 0, 1)) if distance > 0 else 1.0


def _solve(r: np.ndarray, means: np.ndarray, keep: float, ridge: float) -> np.ndarray:
    """means (keep r' r + ridge I)^-1, (K, D), by the smaller of the two systems (Woodbury's identity)."""
    if keep <= 0:
        return means / ridge
    n, width = r.shape
    if n < width:
        inner = r @ r.T
        inner[np.diag_indices(n)] += ridge / keep
        return (means - np.linalg.solve(inner, r @ means.T).T @ r) / ridge
    inner = keep * (r.T @ r)
    inner[np.diag_indices(width)] += ridge
    return np.linalg.solve(inner, means.T).T


class LogisticClassifier(Learner):
    """Multinomial logistic regression on standardised features; its strength is chosen by cross-validation.

    `strengths` are penalties on the weights beside the mean loss (C = 1 / (strength n) in scikit-learn's words). With
    fewer than `folds` examples in a class there are as many folds as examples; with a single one the middle strength is
    taken. strength_ is what was chosen.
    """

    def __init__(self, power: float = 1.0, strengths: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0), folds: int = 5,
                 seed: int = 0) -> None:
        self.power, self.strengths, self.folds, self.seed = power, strengths, folds, seed

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        from sklearn.model_selection import StratifiedKFold

        self._mean, std = x.mean(0), x.std(0)
        self._std = std + 1e-3 * std.mean() + 1e-12
        z = (x - self._mean) / self._std
        folds = min(self.folds, int(np.bincount(y).min()))
        if folds < 2 or len(self.strengths) == 1:
            self.strength_ = sorted(self.strengths)[len(self.strengths) // 2]
        else:
            right = np.zeros(len(self.strengths))
            for train, test in StratifiedKFold(folds, shuffle=True, random_state=self.seed).split(z, y):
                for i, strength in enumerate(self.strengths):
                    weight, bias = _logistic(z[train], y[train], len(self.classes_), strength)
                    right[i] -= _log_loss(z[test] @ weight.T + bias, y[test])
            self.strength_ = self.strengths[int(right.argmax())]
        self.coef_, self.intercept_ = _logistic(z, y, len(self.classes_), self.strength_)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return ((x - self._mean) / self._std) @ self.coef_.T + self.intercept_

    def _dense(self) -> tuple[np.ndarray, np.ndarray]:
        weight = self.coef_ / self._std
        return weight, self.intercept_ - weight @ self._mean


def _logistic(z: np.ndarray, y: np.ndarray, classes: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    import torch

    from hubel.training.transfer import logistic

    weight, bias = logistic(torch.from_numpy(np.ascontiguousarray(z)), torch.from_numpy(y), classes, strength)
    return weight.numpy(), bias.numpy()


def _log_loss(scores: np.ndarray, y: np.ndarray) -> float:
    from scipy.special import log_softmax

    return float(-log_softmax(scores, axis=1)[np.arange(len(y)), y].sum())
