"""Embedding: order, cache and content keys. The k-shot curve: against brute force, and on real digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from hubel import data
from hubel.errors import DataError, InputError
from hubel.model import Model
from hubel.reuse import FeatureCache, embed, kshot_curve
from hubel.reuse.kshot import draw, interval, per_class_accuracy


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("HUBEL_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 10))
    return Model(network, size=8, channels=1)


def test_embed_is_the_models_features_in_order(small: Model) -> None:
    digits = data.load("digits").test
    expected = small.features(digits.arrays(8, 1))
    np.testing.assert_allclose(embed(small, digits, batch_size=50, precision="fp32", cache=False), expected, atol=1e-5)
    np.testing.assert_allclose(embed(small, digits, batch_size=37, precision="fp32"), expected, atol=1e-5)
    np.testing.assert_allclose(embed(small, digits.arrays(8, 1), precision="fp32"), expected, atol=1e-5)


def test_cache_computes_each_content_once(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), np.uint8)
    first = embed(small, x, batch_size=32)
    computed: list[int] = []
    original = Model.features
    monkeypatch.setattr(Model, "features", lambda self, x, **o: computed.append(len(x)) or original(self, x, **o))
    order = np.random.default_rng(1).permutation(90)
    np.testing.assert_array_equal(embed(small, x[order]), first[order])
    assert computed == []
    changed = x.copy()
    changed[5, 2:6, 2:6] ^= 128  # more than bf16 rounds away
    second = embed(small, changed)
    assert computed == [1]
    assert (second[5] != first[5]).any()
    with torch.no_grad():
        small.network[0].weight += 0.1  # another model, other features
    embed(small, x)
    assert sum(computed) == 91


def test_cache_survives_a_broken_shard(tmp_path: Path) -> None:
    cache = FeatureCache("m", tmp_path)
    cache.add([b"a" * 16, b"b" * 16], np.eye(2, dtype=np.float32))
    cache.add([b"c" * 16], np.ones((1, 2), np.float32))
    victim = next(iter(sorted((tmp_path / "m").glob("*.safetensors"))))
    victim.write_bytes(victim.read_bytes()[:20])
    again = FeatureCache("m", tmp_path)
    rows = again.get([b"a" * 16, b"b" * 16, b"c" * 16])
    assert sum(row is not None for row in rows) in (1, 2)
    for row, expected in zip(rows, ([1, 0], [0, 1], [1, 1]), strict=True):
        assert row is None or row.tolist() == expected


def test_draws_are_nested_balanced_and_seeded() -> None:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [9, 10, 11, 30]))
    small, large = draw(y, 2, 3, 0), draw(y, 5, 3, 0)
    assert np.bincount(y[small]).tolist() == [2] * 4 and np.bincount(y[large]).tolist() == [5] * 4
    assert set(small) < set(large)
    assert set(draw(y, 5, 3, 1)) != set(large) and (draw(y, 5, 3, 0) == large).all()


def test_curve_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    y, t = np.repeat(np.arange(3), 8), np.repeat([0, 1, 2], [5, 10, 20])
    f, g = rng.normal(size=(24, 4)) + 2 * np.eye(3, 4)[y], rng.normal(size=(35, 4)) + 2 * np.eye(3, 4)[t]
    names = np.array(["x", "y", "z"])
    knn = KNeighborsClassifier(1)
    curve = kshot_curve(names[y], names[t], {"f": (f, g)}, shots=(1, 4, 100, None), draws=5, seed=7, learner=knn)
    assert curve.shots == (1, 4, 8)
    for j, k in enumerate((1, 4)):
        found = []
        for r in range(5):
            chosen = draw(y, k, 7, r)
            predicted = clone(knn).fit(f[chosen].astype(np.float32), y[chosen]).predict(g.astype(np.float32))
            found.append(np.mean([(predicted[t == c] == c).mean() for c in range(3)]))
        assert curve.draws[0, j].tolist() == pytest.approx(found)
        low, high = stats.t.interval(0.95, 4, np.mean(found), stats.sem(found))
        assert curve.low[0, j] == pytest.approx(max(low, 0)) and curve.high[0, j] == pytest.approx(min(high, 1))
    predicted = knn.fit(f.astype(np.float32), y).predict(g.astype(np.float32))
    everything = np.mean([(predicted[t == c] == c).mean() for c in range(3)])
    assert curve.mean[0, 2] == pytest.approx(everything)
    assert curve.low[0, 2] < everything < curve.high[0, 2]


def test_a_blind_learner_is_at_chance_whatever_the_class_sizes() -> None:
    y, t = np.arange(40) % 4, np.repeat(np.arange(4), [100, 5, 5, 5])
    curve = kshot_curve(y, t, {"f": (np.ones((40, 2)), np.ones((115, 2)))}, shots=(1, 5), draws=3,
                        learner=DummyClassifier(strategy="most_frequent"))
    assert np.allclose(curve.mean, 0.25)


def test_interval_and_accuracy_closed_forms() -> None:
    low, high = interval(np.array([0.4, 0.6]))
    assert high - low == pytest.approx(2 * 12.7062 * np.std([0.4, 0.6], ddof=1) / np.sqrt(2), rel=1e-4) or low == 0
    assert per_class_accuracy(np.array([1, 1, 1, 0]), np.array([0, 0, 0, 2])) == 0.5


def test_curve_of_a_source(small: Model) -> None:
    source = data.load("digits")
    train, test = source.train.arrays(8, 1), source.test.arrays(8, 1)
    pairs = {"pixels": (train.reshape(len(train), -1), test.reshape(len(test), -1)),
             "random network": (embed(small, source.train), embed(small, source.test))}
    curve = kshot_curve(source, embeddings=pairs, draws=4)
    pixels = curve.mean[0]
    assert (np.diff(pixels) > 0).all() and pixels[-1] > 0.92 and pixels[0] > 0.35
    facts = json.loads(json.dumps(curve.to_dict()))
    assert facts["all"] == pytest.approx(len(source.train) / 10) and len(facts["curves"]) == 2
    assert "<img" in curve._repr_html_()
    again = kshot_curve(source, embeddings=pairs, draws=4)
    assert np.array_equal(again.draws, curve.draws, equal_nan=True)


def test_errors_name_the_remedy() -> None:
    y = np.arange(6) % 2
    with pytest.raises(InputError, match=r"give \(N, D\)"):
        kshot_curve(y, y, {"f": (np.ones((5, 2)), np.ones((6, 2)))})
    with pytest.raises(DataError, match="no k-shot curve"):
        kshot_curve(y, y, {"f": (np.ones((6, 2)), np.ones((6, 2)))}, shots=(9,))
    with pytest.raises(InputError, match="give Datasets"):
        kshot_curve(y, y)
