"""Each claim at its smallest size: it runs, is judged by its needs alone, draws its figure, and points the right way."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hubel import phenomena
from hubel.look.draw import png
from hubel.phenomena.claim import SIZES

CLAIMS = {claim.name: claim for claim in phenomena.claims()}

# What must be seen at the smallest size, in numbers that a wrong measurement would turn round: (number, least, most).
DIRECTIONS: dict[str, list[tuple[str, float, float]]] = {
    "backpropagation": [("operations", 0.9, 1.1), ("times_forward", 2, 4), ("error", 0, 1e-5)],
    "hidden-units": [("ring_1", 0.5, 0.85), ("ring_4", 0.85, 1), ("spiral_wider", 0.03, 1), ("limit", 0.4, 0.8)],
    "weight-sharing": [("shared", 25, 25), ("dense", 451584, 451584), ("same_output", 0, 1e-5), ("same_training", 0, 1e-2)],
    "smoothing": [("too_much", 0.1, 1), ("monotone", 0, 0)],
    "two-sigma": [("weight", math.erf(1) - 0.02, math.erf(1) + 0.02),
                  ("usual", math.erf(0.5**0.5) - 0.02, math.erf(0.5**0.5) + 0.02)],
    "batch-norm": [("ratio", 2, math.inf), ("folded", 0, 1e-4)],
    "polynomials": [("train", 0, 1e-10), ("recovers", 10, math.inf), ("algorithm", 1.1, math.inf)],
    "double-descent": [("peak", 1.5, 100), ("rise", 1.2, 100), ("network", 0.5, 2)],
    "random-labels": [("train", 0.9, 1), ("test", 0, 0.25), ("test_true", 0.7, 1)],
    "little-overfitting": [("train", 0.99, 1), ("gap", 0, 0.1)],
    "dropout": [("gap", 0.2, 1), ("gap_without", 0.02, 0.5)],
    "residual": [("difference", 0.1, 1)],
    "augmentation": [("robust", 0.02, 1)],
    "depth-or-width": [("gain", 0.0, 1)],
    "vertical-edges": [("edges_auc", 0, 1), ("lines_auc", 0, 1)],
    "gabor-filters": [("over_random", 0, 1)],
    "abstraction": [("gain", 0.1, 1), ("selective", 1, 10)],
    "adversarial": [("worst", 0, 0.5), ("noise", 0.5, 1)],
    "universal": [("worst", 0, 0.3), ("noise", 0.6, 1), ("transfer", 0.05, 1)],
    "gradient-ascent": [("ascent", 0.7, 1), ("more", 0.1, 1), ("loss", 0.9, 1)],
    "one-shot": [("features", 0.4, 1), ("worth", 0.1, 1)],
    "nearest-neighbour": [("apart", 0, 0.2), ("overlap", 0.2, 0.5)],
    "bottleneck": [("stranger", 0.9, 1)],
    "convolutional-autoencoder": [("photographs", 0.5, 2), ("digits", 0.3, 2)],
    "unsupervised-features": [("same", -0.05, 0.3), ("other", -0.4, 0.2)],
    "exciting-inputs": [("stronger", 0.8, 1), ("noise", 0, 0.7), ("recognised", 0.6, 1), ("rougher", 1.2, 10)],
    "label-smoothing": [("accuracy", -0.05, 0.1), ("with", 0.02, 0.4)],
    "ensembles": [("accuracy", -0.005, 0.1), ("noise", 0, 0.1)],
    "adam-or-sgd": [("generalises", -0.1, 0.1)],
    "hardening": [("robust", 0.1, 1)],
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_at_its_smallest_size_points_the_right_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBEL_DATA", raising=False)  # on built-in data, as everybody has them
    verdict = phenomena.run(name, "smallest")
    assert verdict.outcome in ("held", "did not hold", "inconclusive") and verdict.remark
    json.dumps(verdict.to_dict())
    for number in verdict.numbers.values():
        assert number.low <= number.value <= number.high or math.isnan(number.value), verdict
    for number, least, most in DIRECTIONS[name]:
        assert least <= verdict.numbers[number].value <= most, (number, str(verdict))
    assert len(png(verdict.plot(), 40)) > 2000


def test_every_claim_is_a_short_lesson_with_everything_written_down() -> None:
    numbers = [claim.number for claim in CLAIMS.values()]
    assert sorted(set(numbers)) == sorted(numbers) and set(range(1, 26)) <= set(numbers)
    for claim in CLAIMS.values():
        source = Path(phenomena.__path__[0], "claims", f"{claim.name.replace('-', '_')}.py").read_text("utf-8")
        assert len(source.splitlines()) <= 140, claim.name
        assert claim.statement.endswith(".") and claim.source and claim.tolerance
        assert claim.seconds[0] <= 90 and claim.seconds[1] <= 20, "a default claim takes about a minute, a quick one some seconds"
        assert all((need.at_least is None) != (need.at_most is None) for need in claim.needs)
        assert [claim.cost(size) for size in SIZES] == sorted(claim.seconds, reverse=True)


def test_pairs_are_ordered_as_the_roc_curve_says_and_better_is_a_difference() -> None:
    from sklearn.metrics import roc_auc_score

    from hubel.phenomena.claims.vertical_edges import better, ordered

    rng = np.random.default_rng(0)
    city = np.repeat([1, 0], 40)
    edges, lines = rng.integers(0, 9, 80).astype(float), rng.normal(size=80) + 2 * city
    assert np.isclose(ordered(edges, city), roc_auc_score(city, edges))
    found = better(edges, lines, city, 0, draws=200)
    assert np.isclose(found.value, roc_auc_score(city, lines)
                      - roc_auc_score(city, edges)) and 0.1 < found.low < found.value < found.high


@pytest.mark.parametrize("name", ["polynomials", "label-smoothing"])
def test_a_seed_gives_the_same_numbers_and_another_seed_others(name: str) -> None:
    first, again, other = (phenomena.run(name, "smallest", seed) for seed in (3, 3, 4))
    assert {k: n.to_dict() for k, n in first.numbers.items()} == {k: n.to_dict() for k, n in again.numbers.items()}
    assert any(not np.isclose(first.numbers[k].value, other.numbers[k].value, rtol=1e-9) for k in first.numbers)
