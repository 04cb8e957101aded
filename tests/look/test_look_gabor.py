"""Planted Gabors and edges are found again, with their angle; random filters are not mistaken for them."""

from __future__ import annotations

import numpy as np
import pytest

from hubel.errors import InputError
from hubel.look.filters import Filters
from hubel.look.gabor import edge_bank, fit, gabor


def planted(n, size, rng):
    angle, frequency = rng.uniform(0, 180, n), rng.uniform(0.1, 0.3, n)
    sigma, aspect = rng.uniform(1.5, 3, n), rng.uniform(0.6, 1.2, n)
    place = rng.uniform(-1, 1, (2, n))
    pairs = gabor(size, size, angle, frequency, sigma, aspect, *place)
    phase = rng.uniform(0, 2 * np.pi, n)[:, None]
    pattern = pairs[:, 0] * np.cos(phase) + pairs[:, 1] * np.sin(phase)
    colour = rng.standard_normal((n, 3))
    return (colour[:, :, None] * pattern[:, None]).reshape(n, 3, size, size), angle, frequency


def test_planted_gabors_are_found():
    weights, angle, frequency = planted(12, 9, np.random.default_rng(1))
    found = fit(weights)
    assert found.gabor_r2.min() > 0.97
    difference = np.abs((found.angle - angle + 90) % 180 - 90)
    assert np.median(difference) < 3 and np.median(np.abs(found.frequency - frequency)) < 0.03
    np.testing.assert_allclose(((found.nearest - weights) ** 2).sum((1, 2, 3)) / (weights**2).sum((1, 2, 3)),
                               1 - found.gabor_r2, atol=1e-6)
    assert found.beyond_chance()[0] == 1


def test_edges_of_any_polarity_and_colour_are_edges():
    bank = edge_bank(7, 7)
    assert np.allclose((bank**2).sum(-1), 1) and np.allclose(bank.sum(-1), 0, atol=1e-9)
    edges = -np.array([1, 2, -1.0])[None, :, None] * bank[[3, 40, 100]]
    found = fit(edges.reshape(3, 3, 7, 7))
    assert found.edge_r2.min() > 0.999
    assert found.random_edge_r2.max() < 0.6  # one of 240 steps explains little of noise with 147 values


def test_phases_that_differ_between_colours_are_no_gabor():
    even, odd = gabor(9, 9, *np.array([[30], [0.2], [2], [1], [0], [0.0]]))[0].reshape(2, 9, 9)
    even, odd = even / np.linalg.norm(even), odd / np.linalg.norm(odd)
    assert fit(np.stack([even, odd, 0 * odd])[None]).gabor_r2[0] < 0.9


def test_filters_show_their_fits():
    weights, _, _ = planted(5, 7, np.random.default_rng(0))
    filters = Filters("conv", weights.astype(np.float32))
    assert filters.plot_fit() and filters.fit().to_dict()["median_gabor_r2"] > 0.97
    with pytest.raises(InputError, match="up to 31"):
        Filters("dense", np.zeros((1, 1, 40, 40), np.float32)).fit()
