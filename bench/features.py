"""HOG and pattern matching against scikit-image and OpenCV: `python -m bench.features [hog] [match]`.

Answers are compared before anything is timed.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
import skimage.data
import skimage.feature
from bench._table import alternate, append_results, markdown, median

from hubel import features


def photo(size: int) -> np.ndarray:
    """Return a float32 (size, size) photograph in 0..1."""
    return cv2.resize(skimage.data.camera(), (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32).clip(0, 255) / 255


def errors(patterns: np.ndarray, x: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Return how far both are from the definition in float64, at most: at 100 places a pattern and where they differ most."""
    rng, worst = np.random.default_rng(1), [0.0, 0.0]
    for p, a, b in zip(patterns.astype(float), ours, theirs, strict=True):
        p = p - p.mean()
        places = [np.unravel_index(np.abs(a - b).argmax(), a.shape), *rng.integers(0, a.shape, (100, 2))]
        for r, c in places:
            w = x[r : r + p.shape[0], c : c + p.shape[1]].astype(float)
            w = w - w.mean()
            truth = (w * p).sum() / np.sqrt((w**2).sum() * (p**2).sum())
            worst = [max(old, abs(float(v[r, c]) - truth)) for old, v in zip(worst, (a, b), strict=True)]
    return worst[0], worst[1]


def match_rows() -> list[list[Any]]:
    x = photo(1024)
    patterns = np.stack([x[r : r + 64, c : c + 64] for r, c in np.random.default_rng(0).integers(0, 960, (16, 2))])
    rows = []
    for count in (1, 16):
        some = patterns[0] if count == 1 else patterns
        want = np.stack([cv2.matchTemplate(x, p, cv2.TM_CCOEFF_NORMED) for p in patterns[:count]])
        ours, theirs = errors(patterns[:count], x, np.reshape(features.score_map(some, x), want.shape), want)
        times = median(alternate({
            "hubel": lambda some=some: features.score_map(some, x),
            "OpenCV": lambda count=count: [cv2.matchTemplate(x, p, cv2.TM_CCOEFF_NORMED) for p in patterns[:count]],
        }, 11))
        rows.append([f"{count} template{'s' * (count > 1)} of 64x64 in 1024x1024", times["hubel"] * 1e3, times["OpenCV"] * 1e3,
                     times["OpenCV"] / times["hubel"], 1 if count == 1 else 3, f"{ours:.1e}", f"{theirs:.1e}"])
    return rows


def hog_rows() -> list[list[Any]]:
    image = photo(1024)
    x = np.stack([image[r : r + 64, c : c + 64] for r in range(0, 1024, 64) for c in range(0, 1024, 64)])  # 256
    options: dict[str, Any] = {"pixels_per_cell": (8, 8), "cells_per_block": (2, 2), "block_norm": "L2-Hys"}

    def theirs() -> np.ndarray:
        return np.stack([skimage.feature.hog(image, feature_vector=False, **options) for image in x])

    apart = np.abs(features.hog(x[..., None], variant="skimage") - theirs())
    calls = {"scikit-image": theirs, "hubel, skimage variant": lambda: features.hog(x[..., None], variant="skimage"),
             "hubel, Dalal-Triggs": lambda: features.hog(x[..., None])}
    times = median(alternate(calls, 5))
    rows = []
    for name in list(calls)[1:]:
        same = f"{np.quantile(apart, 0.999):.1e}" if "skimage" in name else "another method"
        rows.append([name, times[name] * 1e3, times["scikit-image"] * 1e3, times["scikit-image"] / times[name], 20, same])
    return rows


def main() -> None:
    wanted = sys.argv[1:] or ["hog", "match"]
    if "match" in wanted:
        table = markdown(["case", "Hubel, ms", "OpenCV, ms", "times as fast", "target", "Hubel's error", "OpenCV's"], match_rows(),
                         "Normalised cross-correlation, float32; median of 11 alternating runs. Errors are the largest "
                         "found against the definition in float64.")
        print(table)
        append_results("Pattern matching", table)
    if "hog" in wanted:
        table = markdown(["case", "Hubel, ms", "scikit-image, ms", "times as fast", "target", "apart (99.9%)"], hog_rows(),
                         "HOG of 256 images of 64x64, float32; median of 5 alternating runs.")
        print(table)
        append_results("HOG", table)


if __name__ == "__main__":
    main()
