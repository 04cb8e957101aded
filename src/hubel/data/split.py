"""Stratified choices: every class keeps its share, a seed repeats the choice. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hubel.errors import DataError, InputError


def apportion(counts: np.ndarray, total: int, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Whole numbers that add up to `total`, as near to proportional to `counts` as `least` and `most` permit.

    Largest remainders (Hare's method); ties go to the earlier class. `least.sum() <= total <= most.sum()`.
    """
    ideal = counts * (total / max(1, counts.sum()))
    shares = np.clip(np.floor(ideal).astype(np.int64), least, most)
    while (missing := total - int(shares.sum())) != 0:
        step = 1 if missing > 0 else -1
        open_ = shares < most if step > 0 else shares > least
        need = np.where(open_, step * (ideal - shares), -np.inf)
        chosen = np.argsort(-need, kind="stable")[:min(abs(missing), int(open_.sum()))]
        shares[chosen] += step
    return shares


def split_indices(labels: np.ndarray, classes: Sequence[str], fraction: float, seed: int
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Indices (rest, part), each ascending: `part` holds round(fraction * N) items, every class in proportion, at
    least one of each class on either side.

    Raises InputError for a fraction outside 0..1, DataError for a class with a single item (classes without any are
    let be).
    """
    if not 0 < fraction < 1:
        raise InputError(f"fraction={fraction!r}: a split needs a number between 0 and 1")
    counts = np.bincount(labels, minlength=len(classes))
    lone = [classes[k] for k in np.flatnonzero(counts == 1).tolist()]
    if lone:
        raise DataError(f"a stratified split needs 2 images a class, {_named(lone)} only 1: add images or leave it out")
    if len(labels) == 0:
        raise DataError("a set of 0 images cannot be split")
    present = counts > 0
    total = int(np.clip(round(fraction * len(labels)), present.sum(), len(labels) - present.sum()))
    part = _draw(labels, apportion(counts, total, present.astype(np.int64), counts - present), seed)
    return np.setdiff1d(np.arange(len(labels)), part, assume_unique=True), part


def sample_indices(labels: np.ndarray, classes: Sequence[str], count: int, seed: int, least: int = 1) -> np.ndarray:
    """`count` indices (all, if there are fewer), ascending, every class in proportion and with `least` at least."""
    if count >= len(labels):
        return np.arange(len(labels))
    counts = np.bincount(labels, minlength=len(classes))
    floor = np.minimum(counts, least)
    if count < floor.sum():
        raise InputError(f"limit={count} is too small: {np.count_nonzero(counts)} classes need at least {floor.sum()}")
    return _draw(labels, apportion(counts, count, floor, counts), seed)


def _draw(labels: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, 0xDA7A])
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # by class, shuffled inside each
    starts = np.cumsum(np.bincount(labels, minlength=len(shares))) - np.bincount(labels, minlength=len(shares))
    rank = np.arange(len(order)) - starts[labels[order]]
    return np.sort(order[rank < shares[labels[order]]])


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown} {'have' if len(names) > 1 else 'has'}"
