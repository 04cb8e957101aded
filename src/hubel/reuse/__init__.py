"""Reuse what a network has learned: features, learners that need few labels, how few are enough.

    curve = kshot_curve(hubel.data.load("photos/"))     # accuracy at 1, 2, 5, 10, all labels a class
    features = embed(model, images)                     # float32 (N, D)
"""

from hubel.reuse.cache import FeatureCache, cache_folder
from hubel.reuse.embed import embed
from hubel.reuse.kshot import KShotCurve, kshot_curve
from hubel.reuse.learners import Discriminant, LogisticClassifier, NearestNeighbour, NormalisedCentroid

__all__ = [
    "Discriminant", "FeatureCache", "KShotCurve", "LogisticClassifier", "NearestNeighbour", "NormalisedCentroid",
    "cache_folder", "embed", "kshot_curve",
]
