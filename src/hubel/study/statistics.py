"""Counts into numbers: Wilson's interval, precision and recall, the confusion matrix. Depends on NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def wilson(correct: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The interval in which the rate lies with 95% confidence after `correct` of `n` (Wilson 1927, eq. of the score test).

    It stays within 0..1 and is sound at 0 and n of n, where the usual p ± 2s is empty. n = 0 gives (0, 1).
    """
    if n == 0:
        return 0.0, 1.0
    p = correct / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def confusion(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 (K, K): row i, column j counts images of class i that were taken for j."""
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def per_class(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(precision, recall, F1, n), each (K,), of a confusion matrix. What was never predicted has precision 0."""
    hits, asked, given = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    precision = hits / np.maximum(given, 1)
    recall = hits / np.maximum(asked, 1)
    f1 = 2 * hits / np.maximum(asked + given, 1)
    return precision, recall, f1, asked


def most_confused(matrix: np.ndarray, names: list[str], most: int = 10) -> list[dict[str, Any]]:
    """The largest entries off the diagonal, largest first; ties by the order of the classes."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    return [{"true": names[i], "predicted": names[j], "count": int(wrong[i, j])}
            for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[i, j]]
