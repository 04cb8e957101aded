"""Few labels on Caltech-101 (20 images a class): our learners and scikit-learn's on the same features, pixels and HOG.

    HUBEL_DATA=... python bench/reuse.py [--draws 10] [--own-classes]

Mean per-class accuracy over all images that are not among the k examples. Inductive figures see test images one by one;
transductive ones adapt to all of them at once, without their labels. What was chosen (pooling, views, shrinkage,
temperature) was chosen on half of the classes ('seen') with other draws; 'held-out' classes had no say.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from _table import append_results, markdown
from hubel import data, features, reuse
from hubel.reuse.kshot import draw, interval, per_class_accuracy

SHOTS = (1, 2, 5, 10)
GOAL = (72, 82, 89, 91)
CHOSEN = np.random.default_rng(5).permutation(101)[:50]  # the classes on which things were chosen

Answer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def inductive(learner: Any) -> Answer:
    return lambda x, y, z: learner.fit(x, y).predict(z)


def transductive(learner: Any) -> Answer:
    return lambda x, y, z: learner.fit(x, y, z).predict(z)


def accuracies(x: np.ndarray, y: np.ndarray, answer: Answer, draws: int, seed: int = 0) -> np.ndarray:
    """(S, R): the accuracy at each number of shots for each draw."""
    found = np.zeros((len(SHOTS), draws))
    for i, shots in enumerate(SHOTS):
        for r in range(draws):
            train = draw(y, shots, seed, r)
            test = np.setdiff1d(np.arange(len(y)), train)
            found[i, r] = per_class_accuracy(answer(x[train], y[train], x[test]) == y[test], y[test])
    return found


def row(name: str, found: np.ndarray) -> list[str]:
    low, high = interval(found)
    return [name, *(f"{100 * m:.1f} ± {50 * (b - a):.1f}" for m, a, b in zip(found.mean(1), low, high, strict=True))]


def part(x: np.ndarray, y: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    keep = np.isin(y, classes)
    return x[keep], np.unique(y[keep], return_inverse=True)[1]


def main(draws: int, brief: bool) -> None:
    warnings.filterwarnings("ignore")
    source = data.load(Path(os.environ["HUBEL_DATA"]) / "caltech101")
    whole = source.train.concat(source.test)
    y = np.array(whole.labels)
    plain = reuse.embed(reuse.feature_model(), whole)
    worded = reuse.embed(reuse.feature_model(pooling="gem", views="rich", own_classes=0.5), whole)
    rich = worded[:, : plain.shape[1]]  # what it is without own_classes, but for its length
    small = whole.arrays(64, 3)
    pixels = whole.arrays(32, 3).reshape(len(y), -1).astype(np.float32) / 255
    hog = features.hog(small).reshape(len(y), -1)

    ours = reuse.Discriminant(centre=True)
    asked: list[tuple[str, np.ndarray, Answer]] = [
        ("pixels, nearest normalised centroid", pixels, inductive(reuse.NormalisedCentroid())),
        ("HOG, nearest normalised centroid", hog, inductive(reuse.NormalisedCentroid(centre=True))),
        ("plain features, nearest normalised centroid", plain, inductive(reuse.NormalisedCentroid())),
        ("plain features, `Discriminant(centre=True)`", plain, inductive(ours)),
        ("rich features, scikit-learn kNN (1 neighbour)", rich, inductive(KNeighborsClassifier(1))),
        ("rich features, scikit-learn LogisticRegression (3 draws)", rich, inductive(LogisticRegression())),
        ("rich features, nearest normalised centroid", rich, inductive(reuse.NormalisedCentroid())),
        ("rich features, `NormalisedCentroid(centre=True)`", rich, inductive(reuse.NormalisedCentroid(centre=True))),
        ("rich features, `Discriminant(centre=True)`", rich, inductive(ours)),
        ("rich features and own classes, scikit-learn kNN (1 neighbour)", worded, inductive(KNeighborsClassifier(1))),
        ("rich features and own classes, scikit-learn LogisticRegression (3 draws)", worded, inductive(LogisticRegression())),
        ("rich features and own classes, `Discriminant(centre=True)`", worded, inductive(ours)),
        ("transductive: rich features, `LabelSpreader` (3 draws)", rich, transductive(reuse.LabelSpreader())),
        ("transductive: rich features, `TransductivePrototypes`", rich, transductive(reuse.TransductivePrototypes())),
        ("transductive: rich features and own classes, `TransductivePrototypes`", worded, transductive(reuse.TransductivePrototypes())),
    ]
    rows = []
    for name, x, answer in asked:
        if brief and not (name.startswith("rich") and "Discriminant" in name):
            continue
        rows.append(row(name, accuracies(x, y, answer, 3 if "3 draws" in name else draws)))
        print(rows[-1], flush=True)
    rows.append(["asked for", *(f"{g}" for g in GOAL)])
    for name, classes in (("chosen-on", CHOSEN), ("held-out", np.setdiff1d(np.arange(101), CHOSEN))):
        x, t = part(worded, y, classes)
        for label, answer in (("`Discriminant(centre=True)`", inductive(ours)),
                              ("transductive: `TransductivePrototypes`", transductive(reuse.TransductivePrototypes()))):
            rows.append(row(f"{label}, only the {len(classes)} {name} classes", accuracies(x, t, answer, draws, seed=3)))
            print(rows[-1], flush=True)
    note = (f"Caltech-101, 20 images a class: mean per-class accuracy in percent over {draws} draws of k examples, ± half the "
            "95% interval over draws (Student's t). 'Rich' features: generalised-mean pooling, the mean of six views. Own classes: beside "
            "them the square roots of the network's probabilities of ImageNet's classes, weight 0.5 (`own_classes`; 0.3 and 0.6 were "
            "tried on the chosen-on classes, with other draws). The last rows are of rich features and own classes. Leakage: "
            "EfficientNet-Lite0 was trained on ImageNet's 1,000 classes, among which are many of these (dalmatian, accordion, "
            "soccer ball, ...), from other photos; accuracies are those of such an advantage.")
    append_results("Few labels on Caltech-101" + (": own classes" if brief else ""), markdown(["learner", *(f"{k} shot" for k in SHOTS)], rows, note))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--own-classes", action="store_true", help="what they bring, in a section of its own, without the other learners")
    chosen = parser.parse_args()
    main(chosen.draws, chosen.own_classes)
