"""A classifier from a few labelled images, as one estimator and as one Model. Depends on embed, learners, nets.embedding.

    classifier = FewShotClassifier().fit(images, ["cat", "dog", "cat", ...])
    classifier.predict(others)
    classifier.to_model().save("pets.hubel")         # predicts, explains and is attacked as any other
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted
from torch import nn

from hubel.errors import InputError
from hubel.model import Model
from hubel.nets.embedding import Lean
from hubel.reuse.body import feature_model
from hubel.reuse.embed import embed
from hubel.reuse.learners import Discriminant, Learner
from hubel.reuse.unlabelled import TransductivePrototypes, UnlabelledLearner


class FewShotClassifier(ClassifierMixin, BaseEstimator):
    """A simple learner on the features of a network that has learned from other pictures.

    Parameters
    ----------
    model : a Model, one of `feature_model`, or None: the pretrained EfficientNet-Lite0, generalised-mean pooling.
    learner : one of this room's estimators; None is `Discriminant(centre=True)`, and with unlabelled images
        `TransductivePrototypes()`.
    views : 'plain', 'mirror' or 'rich': what each image is looked at as (see `nets.embedding.Embedding`).
    precision : as in `embed`.
    own_classes : the weight of the network's own classes among the features (see `feature_model`); None is 0.5 for the
        pretrained default, whose 1,000 classes say something of most pictures, while there are fewer than 4 examples a
        class and no unlabelled images; else, and for other models, it is 0 (bench/reuse.py, also on the classes on which things
        were chosen: they help at 1 and 2 examples, not at 5 and 10, nor transductively).

    After `fit`: classes_, learner_ (fitted), features_ (n, D) and labels_ (n,) of the examples, body_ (the feature Model).
    """

    def __init__(self, model: Model | None = None, learner: Learner | None = None, views: str = "mirror",
                 precision: str = "auto", own_classes: float | None = None) -> None:
        self.model, self.learner, self.views, self.precision, self.own_classes = model, learner, views, precision, own_classes

    def fit(self, images: Any, labels: Any = None, unlabelled: Any = None) -> FewShotClassifier:
        """Learn from images (a Dataset, or what `model.predict` takes) with labels (n,), one a class being enough.

        `unlabelled` images, where there are any, move the prototypes; they may be the ones to be predicted, but accuracy
        on them is then 'transductive' and must be called so. Raises InputError for labels that do not fit.
        """
        if labels is None:
            if not hasattr(images, "labels"):
                raise InputError("labels are missing: give one an image, or a Dataset, which brings its own")
            labels = np.asarray(images.classes)[images.labels]
        self.labels_ = np.asarray(labels)
        self.body_ = self._body(unlabelled is None and len(self.labels_) < 4 * len(np.unique(self.labels_)))
        self.features_ = self.embed(images)
        if len(self.features_) != len(self.labels_):
            raise InputError(f"{len(self.features_)} images with {len(self.labels_)} labels: give one label an image")
        learner = self.learner or (Discriminant(centre=True) if unlabelled is None else TransductivePrototypes())
        self.learner_ = clone(learner)
        if unlabelled is None:
            self.learner_.fit(self.features_, self.labels_)
        elif not isinstance(self.learner_, UnlabelledLearner):
            raise InputError(f"{type(learner).__name__} learns from labelled images only: leave `unlabelled` out")
        else:
            self.learner_.fit(self.features_, self.labels_, self.embed(unlabelled))
        self.classes_ = self.learner_.classes_
        return self

    def _body(self, few: bool) -> Model:
        weight = self.own_classes if self.own_classes is not None else 0.5 if self.model is None and few else 0.0
        try:
            return feature_model(self.model, pooling="gem", views=self.views, own_classes=weight)
        except InputError:  # a layer before last that is not pooled
            return feature_model(self.model, views=self.views, own_classes=weight)

    def embed(self, images: Any) -> np.ndarray:
        """Features (N, D) of images."""
        return embed(self.body_, images, precision=self.precision)

    def predict_proba(self, images: Any) -> np.ndarray:
        check_is_fitted(self, "learner_")
        return self.learner_.predict_proba(self.embed(images))

    def predict(self, images: Any) -> np.ndarray:
        check_is_fitted(self, "learner_")
        return self.learner_.predict(self.embed(images))

    def to_model(self) -> Model:
        """The classifier as a Model: the features' network, `Lean`, and a dense layer, all differentiable.

        Raises InputError where the learner is no dense layer (nearest neighbour, label spreading).
        """
        check_is_fitted(self, "learner_")
        centre, weight, bias = self.learner_.linear()
        lean, dense = Lean(len(centre)), nn.Linear(*weight.shape[::-1])
        with torch.no_grad():
            lean.centre.copy_(torch.from_numpy(centre))
            dense.weight.copy_(torch.from_numpy(weight))
            dense.bias.copy_(torch.from_numpy(bias))
        network = nn.Sequential()
        for name, module in (("features", self.body_.network), ("lean", lean), ("classifier", dense)):
            network.add_module(name, module)
        pre = self.body_.preprocess
        model = Model(network.eval(), [str(c) for c in self.classes_], size=self.body_.size, channels=self.body_.channels,
                      mean=pre.mean, std=pre.std)
        model.notes = {"few_shot": {"learner": repr(self.learner_), "views": self.views, "examples": self._counts()}}
        return model

    def save(self, path: str | os.PathLike[str], **notes: Any) -> Path:
        """Write `to_model()` to one file."""
        return self.to_model().save(path, **notes)

    def _counts(self) -> dict[str, int]:
        names, counts = np.unique(self.labels_, return_counts=True)
        return {str(n): int(c) for n, c in zip(names, counts, strict=True)}


def draw_examples(labels: Sequence[int] | np.ndarray, shots: int, seed: int = 0) -> np.ndarray:
    """Indices of `shots` random examples of each class (all of a class that has fewer)."""
    labels = np.asarray(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.sort(np.concatenate([order[labels[order] == c][:shots] for c in np.unique(labels)]))
