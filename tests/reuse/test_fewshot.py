"""Few-shot classifiers as estimators and as Models; learners that use what has no label, against brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.semi_supervised import LabelSpreading
from test_embed_files import pooled
from test_learners import blobs

from hubel.errors import InputError
from hubel.model import Model
from hubel.reuse import (
    Discriminant,
    FewShotClassifier,
    LabelSpreader,
    LogisticClassifier,
    NearestNeighbour,
    NormalisedCentroid,
    TransductivePrototypes,
)
from hubel.reuse.learners import unit


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBEL_CACHE", str(tmp_path / "cache"))


def stripes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vertical, horizontal and no stripes, with noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    wave = (np.arange(24) // 3 % 2) * 150
    x = np.zeros((n, 24, 24, 3))
    x[y == 0] += wave[None, None, :, None]
    x[y == 1] += wave[None, :, None, None]
    x[y == 2] += 75
    return np.clip(x + rng.uniform(0, 60, x.shape), 0, 255).astype(np.uint8), np.array(["across", "down", "none"])[y]


@pytest.mark.parametrize("learner", [None, NormalisedCentroid(), NormalisedCentroid(centre=True), LogisticClassifier()],
                         ids=["default", "centroid", "centred", "logistic"])
def test_the_saved_model_is_the_classifier(tmp_path: Path, learner: object) -> None:
    (x, y), (z, truth) = stripes(9), stripes(60, 1)
    classifier = FewShotClassifier(pooled(), learner, precision="fp32").fit(x, y)
    assert classifier.score(z, truth) > 0.9
    model = Model.load(classifier.save(tmp_path / "m.hubel"))
    np.testing.assert_allclose(model.predict(z), classifier.predict_proba(z), atol=2e-4)
    assert model.classes == ("across", "down", "none") and model.notes["few_shot"]["examples"] == dict.fromkeys(model.classes, 3)
    pixels = model.prepare(z[:2]).requires_grad_()
    model.forward(pixels)[:, 0].sum().backward()
    assert pixels.grad is not None and float(pixels.grad.abs().max()) > 0


def test_unlabelled_images_move_the_prototypes() -> None:
    x, y = stripes(3)
    z, truth = stripes(90, 1)
    classifier = FewShotClassifier(pooled()).fit(x, y, z)
    assert isinstance(classifier.learner_, TransductivePrototypes)
    assert classifier.score(z, truth) >= FewShotClassifier(pooled(), NormalisedCentroid(centre=True)).fit(x, y).score(z, truth)
    with pytest.raises(InputError, match="labelled images only"):
        FewShotClassifier(pooled(), NormalisedCentroid()).fit(x, y, z)
    with pytest.raises(InputError, match="3 images with 2 labels"):
        FewShotClassifier(pooled()).fit(x, y[:2])
    with pytest.raises(InputError, match="no dense layer"):
        FewShotClassifier(pooled(), NearestNeighbour()).fit(x, y).to_model()


def test_transductive_prototypes_by_brute_force() -> None:
    (x, y), (z, _) = blobs(6, 8, 3), blobs(40, 8, 3, 1, 1.5)
    ours = TransductivePrototypes(temperature=0.2, weight=0.5, steps=3).fit(x, y, z)
    u, v = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, z))
    centre = np.concatenate([u, v]).mean(0)
    u, v = (unit(a - centre) for a in (u, v))
    p = np.stack([u[y == c].sum(0) for c in range(3)])
    p = p / np.linalg.norm(p, axis=1, keepdims=True)
    for _ in range(3):
        new = []
        weights = []
        for row in v:
            e = np.exp([row @ q / 0.2 for q in p])
            weights.append(e / e.sum())
        for c in range(3):
            total = u[y == c].sum(0) + 0.5 * sum(w[c] * row for w, row in zip(weights, v, strict=True))
            new.append(total / np.linalg.norm(total))
        p = np.stack(new)
    np.testing.assert_allclose(ours.prototypes_, p, atol=1e-5)
    inductive = TransductivePrototypes().fit(x, y)
    assert (inductive.predict(z) == NormalisedCentroid(centre=True).fit(x, y).predict(z)).all()


def test_label_spreading_is_sklearns() -> None:
    (x, y), (z, _) = blobs(9, 6, 3), blobs(50, 6, 3, 1)
    ours = LabelSpreader(gamma=5).fit(x, y, z)
    every = unit(np.concatenate([x, z]))
    every = unit(every - every.mean(0))
    theirs = LabelSpreading(kernel="rbf", gamma=5, alpha=0.5, max_iter=100).fit(every, np.r_[y, np.full(50, -1)])
    assert (ours.predict(z) == theirs.predict(every[9:])).mean() > 0.98


@pytest.mark.parametrize("learner", [TransductivePrototypes(), LabelSpreader()], ids=lambda e: type(e).__name__)
def test_estimator_habits(learner: object) -> None:
    x, y = blobs(40, 6, 2, noise=0.4)
    made = clone(learner).fit(x, np.array(["cat", "dog"])[y], blobs(20, 6, 2, 3, 0.4)[0])
    p = made.predict_proba(x)
    assert np.allclose(p.sum(1), 1) and made.score(x, np.array(["cat", "dog"])[y]) > 0.9
    assert clone(made).get_params() == made.get_params()


def test_linear_scores_are_the_learners() -> None:
    x, y = blobs(50, 9, 3)
    z = np.random.default_rng(4).normal(size=(20, 9)).astype(np.float32)
    for learner in (Discriminant(centre=True), NormalisedCentroid(), LogisticClassifier(), TransductivePrototypes()):
        made = learner.fit(x, y)
        centre, weight, bias = made.linear()
        np.testing.assert_allclose(unit(unit(z) - centre) @ weight.T + bias, made.scores(z), rtol=1e-3, atol=1e-3)
