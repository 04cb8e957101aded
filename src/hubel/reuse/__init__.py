"""Reuse what a network has learned: features, learners that need few labels, how few are enough, finding things again.

    curve = kshot_curve(hubel.data.load("photos/"))          # accuracy at 1, 2, 5, 10, all labels a class
    features = embed(model, images)                          # float32 (N, D)
    classifier = FewShotClassifier().fit(images, labels)     # one image a class is enough; .save("mine.hubel")
    embed_files(["photos/"], "features.npz")                 # folders, streaming
"""

from hubel.reuse.body import feature_model
from hubel.reuse.cache import FeatureCache, cache_folder
from hubel.reuse.embed import embed
from hubel.reuse.fewshot import FewShotClassifier
from hubel.reuse.files import Embedded, embed_files, embed_paths
from hubel.reuse.kshot import KShotCurve, kshot_curve
from hubel.reuse.learners import Discriminant, LogisticClassifier, NearestNeighbour, NormalisedCentroid
from hubel.reuse.table import Features, read_features
from hubel.reuse.unlabelled import LabelSpreader, TransductivePrototypes

__all__ = [
    "Discriminant", "Embedded", "FeatureCache", "Features", "FewShotClassifier", "KShotCurve", "LabelSpreader",
    "LogisticClassifier", "NearestNeighbour", "NormalisedCentroid", "TransductivePrototypes", "cache_folder", "embed",
    "embed_files", "embed_paths", "feature_model", "kshot_curve", "read_features",
]
