"""Stratified splits: sizes, proportions, repeatability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubel.data.split import apportion, sample_indices, split_indices
from hubel.errors import DataError, InputError

counts_of_classes = st.lists(st.integers(2, 60), min_size=1, max_size=12)


def labels_of(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(labels)


@settings(max_examples=150, deadline=None)
@given(counts_of_classes, st.floats(0.01, 0.99), st.integers(0, 9))
def test_every_class_keeps_its_share(counts, fraction, seed):
    labels, names = labels_of(counts, seed), [str(k) for k in range(len(counts))]
    rest, part = split_indices(labels, names, fraction, seed)
    assert sorted([*rest, *part]) == list(range(len(labels)))
    k = len(counts)
    assert len(part) == min(max(round(fraction * len(labels)), k), len(labels) - k)
    taken = np.bincount(labels[part], minlength=k)
    assert (taken >= 1).all() and (taken < np.array(counts)).all()
    # within one of the exact share, but for what the classes at their bounds give or take
    bound = np.clip(fraction * np.array(counts), 1, np.array(counts) - 1)
    slack = abs(bound.sum() - fraction * len(labels)) + 1.5
    assert (np.abs(taken - fraction * np.array(counts)) <= 1 + slack).all()
    again = split_indices(labels, names, fraction, seed)
    np.testing.assert_array_equal(part, again[1])


@settings(max_examples=150, deadline=None)
@given(counts_of_classes, st.data())
def test_apportion_is_hares_method_when_no_bound_binds(counts, data):
    c = np.array(counts)
    total = data.draw(st.integers(0, int(c.sum())))
    shares = apportion(c, total, np.zeros_like(c), c)
    assert shares.sum() == total and (shares >= 0).all() and (shares <= c).all()
    assert (np.abs(shares - c * total / c.sum()) < 1).all()  # the quota rule


def test_seeds_differ_and_large_samples_are_fair():
    labels = np.repeat(np.arange(3), 2000)
    a, b = (split_indices(labels, "abc", 0.5, seed)[1] for seed in (0, 1))
    assert 0.4 < np.isin(a, b).mean() < 0.6
    assert abs(a.mean() - b.mean()) < 200  # spread over all places
    with pytest.raises(InputError, match="fraction=1"):
        split_indices(labels, "abc", 1.0, 0)


def test_a_lone_image_is_named():
    with pytest.raises(DataError, match="'cat' has only 1"):
        split_indices(np.array([0, 0, 1]), ["dog", "cat"], 0.3, 0)
    rest, part = split_indices(np.array([0, 0, 2, 2]), ["a", "nothing", "c"], 0.5, 0)
    assert len(rest) == len(part) == 2


def test_samples():
    labels = np.repeat(np.arange(4), [100, 50, 30, 20])
    chosen = sample_indices(labels, "abcd", 20, seed=3)
    assert np.bincount(labels[chosen]).tolist() == [10, 5, 3, 2]
    assert len(sample_indices(labels, "abcd", 999, 0)) == 200
    with pytest.raises(InputError, match="limit=3"):
        sample_indices(labels, "abcd", 3, 0)
