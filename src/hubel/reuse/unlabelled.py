"""Learners that also use images without labels: prototypes that move to the middle of their crowd, and label spreading.

    TransductivePrototypes().fit(features, labels, unlabelled).predict(unlabelled)

Accuracies of such learners on the very images they adapted to ('transductive') are never to be mixed with those of
learners that see the test images one by one ('inductive'). Depends on learners, scikit-learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.utils.validation import check_array

from hubel.reuse.learners import Learner, unit


class UnlabelledLearner(Learner):
    """`fit(X, y, unlabelled)`; without `unlabelled`, from the labelled examples alone."""

    def fit(self, X: Any, y: Any, unlabelled: Any = None) -> Any:
        """Learn from features X (n, D) with labels y (n,), and from features `unlabelled` (m, D) without."""
        self._rest = None if unlabelled is None else unit(check_array(unlabelled, dtype=(np.float32, np.float64)), self.power)
        super().fit(X, y)
        del self._rest
        return self


class TransductivePrototypes(UnlabelledLearner):
    """The nearest prototype, prototypes being adapted by soft k-means on what has no label (Ren et al. 2018, section
    3.1.1: arXiv:1803.00676), after centring on the mean of all (Wang et al. 2019, SimpleShot).

    Nothing is assumed about how many of the unlabelled images each class has. `temperature` divides the cosines,
    `weight` is that of an unlabelled image beside a labelled one.
    """

    def __init__(self, power: float = 1.0, temperature: float = 0.05, weight: float = 1.0, steps: int = 10) -> None:
        self.power, self.temperature, self.weight, self.steps = power, temperature, weight, steps

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        every = x if self._rest is None else np.concatenate([x, self._rest])
        self.centre_ = every.mean(0)
        z, rest = self._directions(x), None if self._rest is None else self._directions(self._rest)
        sums = np.eye(len(self.classes_), dtype=z.dtype)[y].T @ z
        self.prototypes_ = unit(sums)
        for _ in range(self.steps if rest is not None else 0):
            share = softmax(rest @ self.prototypes_.T / self.temperature, axis=1)
            self.prototypes_ = unit(sums + self.weight * share.T @ rest)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return x @ self.prototypes_.T / self.temperature

    def _dense(self) -> tuple[np.ndarray, np.ndarray]:
        return self.prototypes_ / self.temperature, np.zeros(len(self.prototypes_))


class LabelSpreader(UnlabelledLearner):
    """Labels spread between all images, the more the more alike: scikit-learn's LabelSpreading (Zhou et al. 2004) on
    unit-length, centred features, with likeness exp(-gamma |x - y|^2). `alpha` is how much an image takes from the others.

    gamma and alpha were chosen on half of Caltech-101's classes; a graph of 7 nearest neighbours was 15 points worse there.
    """

    def __init__(self, power: float = 1.0, gamma: float = 10.0, alpha: float = 0.5) -> None:
        self.power, self.gamma, self.alpha = power, gamma, alpha

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        from sklearn.semi_supervised import LabelSpreading

        every = x if self._rest is None else np.concatenate([x, self._rest])
        self.centre_ = every.mean(0)
        known = np.concatenate([y, np.full(len(every) - len(y), -1)])
        self._spread = LabelSpreading(kernel="rbf", gamma=self.gamma, alpha=self.alpha, max_iter=100)
        self._spread.fit(self._directions(every), known)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        p = self._spread.predict_proba(x)
        return np.log(np.maximum(np.nan_to_num(p), 1e-12))
