"""The k-shot curve: how accurate a simple learner becomes with 1, 2, 5, 10, all labels a class. Depends on embed, learners.

The question behind it: how few labels would have been enough, and how much of the work had a network done before that
learned from other pictures?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from hubel.errors import DataError, InputError
from hubel.look.draw import INK, MUTED, Shown, canvas
from hubel.look.progress import track
from hubel.reuse.embed import embed
from hubel.reuse.learners import Discriminant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOTS = (1, 2, 5, 10, None)
_MOST_TRAIN, _MOST_TEST = 5000, 2000
_BOOTSTRAP = 1000
_COLOURS = ("#0b62a4", "#b43205", "#667085", "#7a5195", "#2f7d4f")


@dataclass(frozen=True)
class KShotCurve(Shown):
    """Mean per-class accuracy of a learner against the number of labelled examples a class.

    names : of the features, M of them. shots : S numbers of examples; the last may be a mean, for 'all'.
    draws : float (M, S, R), the accuracy of each draw of examples; one draw where all were taken (the rest is NaN).
    low, high : (M, S), 95% intervals of the mean: Student's t over draws; at 'all', of the test images (bootstrap).
    """

    names: tuple[str, ...]
    shots: tuple[float, ...]
    draws: np.ndarray
    low: np.ndarray
    high: np.ndarray
    classes: int
    train: int
    test: int
    learner: str
    seed: int
    has_all: bool
    seen: str = ""

    @property
    def mean(self) -> np.ndarray:
        """(M, S): means over the draws."""
        return np.nanmean(self.draws, axis=2)

    @property
    def detail(self) -> str:
        number = self.draws.shape[2]
        text = (f"{self.learner}; mean per-class accuracy on {self.test:,} test images, mean of {number} draws of examples "
                f"out of {self.train:,}; band: 95% interval over draws (Student's t)")
        return text + (", at 'all' over test images (bootstrap)." if self.has_all else ".")

    def to_dict(self) -> dict[str, Any]:
        mean = self.mean
        return {
            "test": self.test, "train": self.train, "classes": self.classes, "chance": 1 / self.classes,
            "all": self.shots[-1] if self.has_all else None, "learner": self.learner, "seed": self.seed,
            "detail": self.detail, "detail_short": f"each point is the mean of {self.draws.shape[2]} draws.",
            "seen": self.seen,
            "curves": [{"name": name, "shots": list(self.shots), "mean": mean[i].tolist(), "low": self.low[i].tolist(),
                        "high": self.high[i].tolist()} for i, name in enumerate(self.names)],
        }

    def plot(self) -> Figure:
        figure = canvas(3.3)
        axes = figure.add_axes((0.12, 0.16, 0.85, 0.74))
        for i, name in enumerate(self.names):
            colour = _COLOURS[i % len(_COLOURS)]
            axes.fill_between(self.shots, self.low[i], self.high[i], color=colour, alpha=0.18, linewidth=0)
            axes.plot(self.shots, self.mean[i], marker="o", color=colour, markersize=3.5, linewidth=1.6, label=name,
                      linestyle={"pixels": "--", "HOG": "-."}.get(name, "-"))
        axes.axhline(1 / self.classes, color=MUTED, linewidth=0.8, linestyle=":")
        axes.text(self.shots[0], 1 / self.classes + 0.01, "chance", color=MUTED, fontsize=7.5, va="bottom")
        axes.set_xscale("log")
        axes.set_xticks(self.shots, [f"all ({s:g})" if self.has_all and s == self.shots[-1] else f"{s:g}"
                                     for s in self.shots], fontsize=8)
        axes.set_xticks([], minor=True)
        axes.set_ylim(0, 1)
        axes.set_yticks(np.linspace(0, 1, 6), [f"{v:.0%}" for v in np.linspace(0, 1, 6)], fontsize=8)
        axes.set_xlabel("labelled images per class (log scale)", fontsize=8, color=INK)
        axes.set_title("Accuracy against labels per class", fontsize=9.5, color=INK, loc="left")
        axes.grid(axis="y", color="#e4e7ec", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="lower right" if self.mean[:, -1].min() > 0.35 else "best")
        return figure


def kshot_curve(train: Any, test: Any = None, embeddings: Mapping[str, tuple[Any, Any]] | None = None, *,
                shots: Sequence[int | None] = SHOTS, draws: int = 10, seed: int = 0, learner: Any = None,
                model: Any = None, limit: int = _MOST_TRAIN) -> KShotCurve:
    """Train a learner on k examples of each class, for each k in `shots` and `draws` random choices, and test it.

    Parameters
    ----------
    train, test : Datasets; or a Source alone; or labels (N,), (M,) of any type, where `embeddings` are given.
    embeddings : {name: (features of train (N, D), features of test (M, D))}; None: 'pretrained features'
        (EfficientNet-Lite0, layer before last), 'HOG' and 'pixels' (at 32 x 32 at most), and with `model` the features of
        this model too. It has seen the labels of `train`: its curve tells how well it separates classes it knows.
    shots : examples a class; None is all of them. A k that the smallest class does not have is left out.
    learner : a scikit-learn classifier, cloned for each fit; by default `Discriminant(power=0.5)`.
    limit : of larger sets, so many training and at most 2,000 test images take part, each class in proportion.

    Every embedding gets the same draws, so differences between curves are not luck. Raises InputError for labels and
    features that do not go together, DataError if no k is possible.
    """
    from sklearn.base import clone

    if hasattr(train, "train") and hasattr(train, "test"):
        train, test = train.train, train.test
    if draws < 1 or seed < 0:
        raise InputError(f"draws={draws}, seed={seed}: give at least one draw and a seed from 0 up")
    if embeddings is None:
        train, test = _sampled(train, limit, seed), _sampled(test, _MOST_TEST, seed)
        embeddings = default_embeddings(train, test, model)
        seen = SEEN
    else:
        seen = ""
    classes, y = np.unique(np.asarray(getattr(train, "labels", train)), return_inverse=True)
    truth, known = _truth(classes, np.asarray(getattr(test, "labels", test)))
    names, pairs = tuple(embeddings), [_pair(name, f, len(y), len(truth)) for name, f in embeddings.items()]
    counts = np.bincount(y)
    usable = sorted(k for k in shots if k is not None and 1 <= k <= counts.min())
    has_all = None in shots
    if len(classes) < 2 or not known.any() or not (usable or has_all):
        raise DataError(f"no k-shot curve from {len(classes)} classes with {counts.min() if len(counts) else 0} examples "
                        f"at least and {int(known.sum())} test images of them")
    learner = Discriminant(power=0.5) if learner is None else learner
    columns = [*usable, *([None] if has_all else [])]
    accuracy = np.full((len(names), len(columns), draws), np.nan)
    low, high = np.zeros((2, len(names), len(columns)))
    tasks = [(j, k, r) for j, k in enumerate(columns) for r in range(draws if k is not None else 1)]
    for j, k, r in track(tasks, len(tasks), "k-shot curve", "fits"):
        chosen = np.arange(len(y)) if k is None else draw(y, k, seed, r)
        for i, (f_train, f_test) in enumerate(pairs):
            fitted = clone(learner).fit(f_train[chosen], y[chosen])
            right = fitted.predict(f_test[known]) == truth[known]
            accuracy[i, j, r] = per_class_accuracy(right, truth[known])
            if k is None:
                low[i, j], high[i, j] = _bootstrap(right, truth[known], seed)
    for j, k in enumerate(columns):
        if k is not None:
            low[:, j], high[:, j] = interval(accuracy[:, j])
    places = tuple(float(len(y) / len(classes)) if k is None else float(k) for k in columns)
    return KShotCurve(names, places, accuracy, low, high, len(classes), len(y), int(known.sum()), _name_of(learner), seed,
                      has_all, seen)


SEEN = ("The pretrained network has learned ImageNet's 1,000 classes (animals, plants, things of daily use): on classes "
        "that are among them it starts with an advantage, which no label given here has paid for.")


def default_embeddings(train: Any, test: Any, model: Any = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{'pretrained features': ..., 'HOG': ..., 'pixels': ...} of two Datasets; with a model "the model's features", too."""
    from hubel.model import pretrained

    backbone = pretrained()
    found = {"pretrained features": (embed(backbone, train), embed(backbone, test))}
    if model is not None and model.hash != backbone.hash:
        found["the model's features"] = (embed(model, train), embed(model, test))
    (height, width), _ = train.size_hint()
    size, channels = (min(height, 32), min(width, 32)), train.channels_hint()
    found["HOG"] = (hog_features(train), hog_features(test))
    found["pixels"] = (_pixels(train, size, channels), _pixels(test, size, channels))
    return found


def draw(y: np.ndarray, k: int, seed: int, r: int) -> np.ndarray:
    """Indices of k examples of each class 0..K-1: the r-th draw of a seed. That of a smaller k is part of it."""
    rng = np.random.default_rng([seed, r])
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    starts = np.searchsorted(y[order], np.arange(y.max() + 1))
    return np.concatenate([order[start:start + k] for start in starts])


def per_class_accuracy(right: np.ndarray, truth: np.ndarray) -> float:
    """The mean over classes of the share that is right; classes without test images do not count."""
    counts = np.bincount(truth)
    hits = np.bincount(truth, weights=right)
    return float((hits[counts > 0] / counts[counts > 0]).mean())


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% intervals (low, high) of the means of values (..., R), by Student's t, kept in 0..1."""
    number = values.shape[-1]
    mean = values.mean(-1)
    if number < 2:
        return mean, mean
    half = stats.t.ppf(0.975, number - 1) * values.std(-1, ddof=1) / np.sqrt(number)
    return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)


def _bootstrap(right: np.ndarray, truth: np.ndarray, seed: int) -> tuple[float, float]:
    """95% interval of the per-class accuracy if other test images had been drawn, as many of each class."""
    rng = np.random.default_rng([seed, 9])
    counts = np.bincount(truth)
    present = counts > 0
    shares = np.bincount(truth, weights=right)[present] / counts[present]
    sampled = rng.binomial(counts[present], shares, size=(_BOOTSTRAP, present.sum())) / counts[present]
    low, high = np.quantile(sampled.mean(1), (0.025, 0.975))
    return float(low), float(high)


def _truth(classes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places = np.clip(np.searchsorted(classes, labels), 0, max(len(classes) - 1, 0))
    return places, classes[places] == labels if len(classes) else np.zeros(len(labels), bool)


def _pair(name: str, features: tuple[Any, Any], train: int, test: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = (np.asarray(f, dtype=np.float32) for f in features)
    if a.ndim != 2 or b.ndim != 2 or len(a) != train or len(b) != test or a.shape[1] != b.shape[1]:
        raise InputError(f"embedding {name!r} has shapes {a.shape} and {b.shape} for {train} training and {test} test "
                         "labels: give (N, D) and (M, D)")
    return a, b


def _sampled(dataset: Any, most: int, seed: int) -> Any:
    if not hasattr(dataset, "sample"):
        raise InputError(f"{type(dataset).__name__} holds no images: give Datasets, or labels with embeddings")
    return dataset if len(dataset) <= most else dataset.sample(most, seed)


def hog_features(dataset: Any, most: int = 64) -> np.ndarray:
    """Histograms of oriented gradients (N, D) of a Dataset's images, brought to `most` pixels a side at most."""
    from hubel.features import hog

    side = max(8, min(most, *dataset.size_hint()[0]) // 8 * 8)
    images = dataset.arrays((side, side), dataset.channels_hint())
    return hog(images, cell=max(2, side // 8)).reshape(len(images), -1)


def _pixels(dataset: Any, size: tuple[int, int], channels: int) -> np.ndarray:
    return dataset.arrays(size, channels).reshape(len(dataset), -1).astype(np.float32) / 255


def _name_of(learner: Any) -> str:
    return {"Discriminant": "Linear discriminant with shrunken covariance",
            "NormalisedCentroid": "Nearest normalised centroid"}.get(type(learner).__name__, type(learner).__name__)
