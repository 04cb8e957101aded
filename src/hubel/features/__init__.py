"""Features made by hand: smoothing, edges and their hierarchy, patterns, HOG, dense SIFT, text.

    hubel.features.match(pattern, image)           # normalised cross-correlation, with boxes and scores
    hubel.features.EdgeHierarchy()                 # a scikit-learn transformer, as FilterBank, HOG, DenseSIFT are
"""

from typing import Any

from hubel.features.edges import edge_maps, edges
from hubel.features.hog import hog
from hubel.features.match import Match, Matches, match
from hubel.features.quality import psnr, ssim
from hubel.features.score import score_map
from hubel.features.sift import dense_sift
from hubel.features.smooth import best_sigma, noise, pyramid, scale_space, smooth
from hubel.features.text import TextFound, find_text

_TRANSFORMERS = ("DenseSIFT", "EdgeHierarchy", "FilterBank", "HOG", "similarity")

__all__ = ["HOG", "DenseSIFT", "EdgeHierarchy", "FilterBank", "Match", "Matches", "TextFound", "best_sigma", "dense_sift",
           "edge_maps", "edges", "find_text", "hog", "match", "noise", "psnr", "pyramid", "scale_space", "score_map",
           "similarity", "smooth", "ssim"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _TRANSFORMERS:  # scikit-learn is only imported when one of these is asked for
        from hubel.features import transformers

        return getattr(transformers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
