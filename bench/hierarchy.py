"""The lecture's hierarchy on 15 Scenes: `HUBEL_DATA=... python -m bench.hierarchy`. Cityscapes against landscapes.

Tall buildings, inner cities and streets (300 photos) against coasts, mountains, open country and forests (400), by linear
classifiers on a few numbers an image; 5-fold cross-validation, ten times. The mean vertical edge response alone is what the
lecture starts from; long vertical lines in the edge response, then the mean, is its second layer.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from bench._table import append_results, markdown
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hubel.data import read_images
from hubel.features import EdgeHierarchy

CITY, LAND = ("tallbuilding", "insidecity", "street"), ("coast", "mountain", "opencountry", "forest")
LECTURE: dict[str, Any] = {"angles": (90,), "lengths": (25,)}


def photographs(root: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the images, 128 pixels a side in grey, and 1 for cityscapes, 0 for landscapes."""
    paths, y = [], []
    for folder in sorted((root / "scenes15").iterdir()):
        name = folder.name.lower()
        side = 1 if name.endswith(CITY) else 0 if name.endswith(LAND) else None
        if side is not None:
            found = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
            paths += found
            y += [side] * len(found)
    return list(read_images(paths, size=128, channels=1)), np.array(y)


def score(x: np.ndarray, y: np.ndarray, repeats: int = 10) -> tuple[float, float]:
    """Return the mean balanced accuracy, and its standard deviation over repeats of the 5-fold cross-validation."""
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=repeats, random_state=0)
    scores = cross_val_score(model, x, y, cv=folds, scoring="balanced_accuracy").reshape(repeats, 5).mean(1)
    return float(scores.mean()), float(scores.std())


def experiment(root: Path, repeats: int = 10) -> list[tuple[str, int, float, float]]:
    """Return (what, numbers an image, balanced accuracy, its deviation) for each feature set."""
    images, y = photographs(root)
    plain = EdgeHierarchy(**LECTURE, log=False).fit(images).transform(images)  # mean edges, mean lines of 25
    logs = EdgeHierarchy(**LECTURE).fit(images).transform(images)
    every = EdgeHierarchy().fit(images).transform(images)
    upright = [i for i, name in enumerate(EdgeHierarchy().fit(images).get_feature_names_out()) if "edges at 90" in name]
    sets = [("mean vertical edge response alone", plain[:, :1]), ("the logarithm of that response", every[:, upright]),
            ("edges, then long vertical lines, then the mean", plain[:, 1:]), ("the logarithm of that mean", logs[:, 1:]),
            ("both means, as logarithms: their ratio too", logs), ("all angles, lines of 9 and 25 (EdgeHierarchy)", every)]
    return [(name, x.shape[1], *score(x, y, repeats)) for name, x in sets]


def main() -> None:
    rows = [[name, count, f"{mean:.1%}", f"{deviation:.1%}"]
            for name, count, mean, deviation in experiment(Path(os.environ["HUBEL_DATA"]))]
    table = markdown(["features", "numbers an image", "balanced accuracy", "deviation over repeats"], rows,
                     "Logistic regression, 5-fold cross-validation, 10 times, 300 cityscapes and 400 landscapes at 128 pixels. "
                     "Lengths, width and sigma of the lines were chosen on these photos.")
    print(table)
    append_results("Hierarchy: cityscapes against landscapes", table)


if __name__ == "__main__":
    main()
