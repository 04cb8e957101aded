"""Reuse what a network has learned: features, learners that need few labels, how few are enough, finding things again.

    curve = kshot_curve(hubel.data.load("photos/"))          # accuracy at 1, 2, 5, 10, all labels a class
    features = embed(model, images)                          # float32 (N, D)
    classifier = FewShotClassifier().fit(images, labels)     # one image a class is enough; .save("mine.hubel")
    embed_files(["photos/"], "features.npz")                 # folders, streaming
"""

from hubel.reuse.atlas import Atlas, chart
from hubel.reuse.attributes import Attributes, attributes
from hubel.reuse.body import feature_model
from hubel.reuse.cache import FeatureCache, cache_folder
from hubel.reuse.embed import embed
from hubel.reuse.fewshot import FewShotClassifier
from hubel.reuse.files import Embedded, embed_files, embed_paths
from hubel.reuse.find import Found, find
from hubel.reuse.kshot import KShotCurve, kshot_curve
from hubel.reuse.learners import Discriminant, LogisticClassifier, NearestNeighbour, NormalisedCentroid
from hubel.reuse.neighbours import Neighbour, explain_neighbour
from hubel.reuse.similar import Alike, Index, build_index, open_index
from hubel.reuse.table import Features, read_features
from hubel.reuse.unlabelled import LabelSpreader, TransductivePrototypes

__all__ = [
    "Alike", "Atlas", "Attributes", "Discriminant", "Embedded", "FeatureCache", "Features", "FewShotClassifier", "Found",
    "Index", "KShotCurve", "LabelSpreader", "LogisticClassifier", "NearestNeighbour", "Neighbour", "NormalisedCentroid",
    "TransductivePrototypes", "attributes", "build_index", "cache_folder", "chart", "embed", "embed_files", "embed_paths",
    "explain_neighbour", "feature_model", "find", "kshot_curve", "open_index", "read_features",
]
