"""The lecture's experiment: long vertical lines tell cities from landscapes where the mean edge does not."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("HUBEL_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


@pytest.mark.skipif(not (ROOT / "scenes15").is_dir(), reason="needs 15 Scenes (HUBEL_DATA)")
def test_the_hierarchy_separates_cities_from_landscapes_much_better_than_the_mean_edge():
    from bench.hierarchy import experiment

    results = {name.strip(): mean for name, _, mean, _ in experiment(ROOT, repeats=1)}
    alone, both = results["mean vertical edge response alone"], results["both means, as logarithms: their ratio too"]
    assert both > alone + 0.1, results
    assert results["all angles, lines of 9 and 25 (EdgeHierarchy)"] > alone + 0.2, results
