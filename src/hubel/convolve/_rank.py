"""Kernels that are a sum of few outer products, and the passes they split into. Depends on NumPy.

A kernel of rank r costs r (k1 + k2) multiplications a pixel instead of k1 k2. Rank is found by Gaussian elimination
with complete pivoting: for ranks 1 and 2 it is as exact as an SVD (which it is tested against), 50 times cheaper, and
gives up at once on kernels that do not separate.
"""

from __future__ import annotations

import numpy as np

Factors = list[list[np.ndarray]]  # one list of 1-D passes (one an axis) for each term


def separate(w: np.ndarray, max_rank: int = 2) -> Factors | None:
    """Return the 1-D factors of w, or None if its numerical rank is above `max_rank` (3-D: above 1).

    w is a float array of 1, 2 or 3 dimensions; w equals the sum over terms of the outer product of the term's factors
    to 1e-6 of its largest weight in float32, to 1e-13 in float64.

    Examples
    --------
    >>> [f.tolist() for f in separate(np.outer([1., 2., 1.], [1., 0., -1.]))[0]]
    [[0.5, 1.0, 0.5], [2.0, 0.0, -2.0]]
    """
    w = np.asarray(w)
    tolerance = (1e-6 if w.dtype == np.float32 else 1e-13) * float(np.abs(w).max())
    if w.ndim == 1:
        return [[w]]
    residual = w.astype(np.float64).reshape(w.shape[0], -1)
    terms: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(1 if w.ndim == 3 else max_rank):
        i, j = divmod(int(np.abs(residual).argmax()), residual.shape[1])
        pivot = residual[i, j]
        if pivot == 0:
            break
        column, row = residual[:, j] / pivot, residual[i].copy()
        residual = residual - np.multiply.outer(column, row)
        terms.append((column, row))
        if np.abs(residual).max() <= tolerance:
            break
    if not terms or np.abs(residual).max() > tolerance:
        return None if terms else [[np.zeros(n, w.dtype) for n in w.shape]]
    if w.ndim == 2:
        return [[c.astype(w.dtype), r.astype(w.dtype)] for c, r in terms]
    rest = separate(terms[0][1].reshape(w.shape[1:]).astype(w.dtype), 1)
    return None if rest is None else [[terms[0][0].astype(w.dtype), *rest[0]]]
