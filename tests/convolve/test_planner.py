"""The planner: a cache that survives, is not trusted blindly, and choices that make sense."""

import json

import numpy as np
import pytest

from hubel.convolve import _planner, explain, separate
from hubel.convolve._planner import SHIPPED, Case, choose


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HUBEL_CACHE", str(tmp_path))
    _planner._constants.cache_clear()
    yield tmp_path
    _planner._constants.cache_clear()


def test_constants_are_measured_once_and_kept(cache, monkeypatch):
    calls = []
    monkeypatch.setattr(_planner, "measure", lambda: calls.append(1) or SHIPPED)
    assert _planner.constants() == SHIPPED and _planner.constants() == SHIPPED
    _planner._constants.cache_clear()
    assert _planner.constants() == SHIPPED and len(calls) == 1
    path = next(cache.iterdir())
    for broken in ("{", "[]", json.dumps({"machine": "another", "constants": SHIPPED}),
                   json.dumps({"machine": _planner._machine(), "constants": {**SHIPPED, "direct": {"3": -1.0}}})):
        path.write_text(broken)
        _planner._constants.cache_clear()
        assert _planner.constants() == SHIPPED
    assert len(calls) == 5


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HUBEL_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(_planner, "measure", lambda: SHIPPED)
    _planner._constants.cache_clear()
    assert _planner.constants() == SHIPPED
    _planner._constants.cache_clear()


def test_measuring_gives_every_constant(cache):
    assert _planner._wellformed(_planner.measure())


def test_choices_follow_the_costs(cache, monkeypatch):
    monkeypatch.setattr(_planner, "measure", lambda: SHIPPED)
    image = np.zeros((1024, 1024), np.float32)
    assert explain(image, np.ones((3, 3), np.float32), "same").method == "direct"
    noise = np.random.default_rng(0).random((63, 63)).astype(np.float32)
    found = explain(image, noise, "same")
    assert found.method == "fft" and "separable" not in found.predicted_ms
    assert explain(image, np.ones((31, 31), np.float32), "same").method == "separable"
    assert explain(np.zeros(1_000_000, np.float32), noise[0].repeat(8)).method == "fft"
    batch = np.zeros((64, 64, 64, 16), np.float32)
    assert explain(batch, np.ones((32, 3, 3, 16), np.float32), stride=2).method == "engine"


def test_small_problems_never_measure(cache, monkeypatch):
    monkeypatch.setattr(_planner, "measure", lambda: pytest.fail("measured for a small problem"))
    choose(Case(1, 1, 1, (28, 28), (5, 5)), ("fft", "engine"))


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (31, 31), (1, 9), (3, 4, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_separate_finds_the_rank_the_svd_finds(shape, dtype):
    rng = np.random.default_rng(0)
    for rank in (1, 2, 3):
        w = sum(_outer([rng.standard_normal(n) for n in shape]) for _ in range(rank)).astype(dtype)
        unfolded = [np.moveaxis(w, axis, 0).reshape(n, -1) for axis, n in enumerate(shape)]
        true = max(np.linalg.matrix_rank(u, tol=1e-5 * np.abs(u).max()) for u in unfolded)
        factors = separate(w)
        assert (factors is not None) == (true <= (2 if w.ndim == 2 else 1))
        if factors is not None:
            back = sum(_outer(term) for term in factors)
            assert np.abs(back - w).max() <= (1e-6 if dtype == np.float32 else 1e-13) * np.abs(w).max() * 2


def _outer(vectors):
    out = vectors[0]
    for v in vectors[1:]:
        out = np.multiply.outer(out, v)
    return out


def test_separate_of_nothing_is_zero_passes():
    assert all(not f.any() for f in separate(np.zeros((3, 4)))[0])
