"""What does not belong: images that look like no other, that no class claims, that come back badly. Depends on autoencoder, features.

    found = detector(normal)                          # by gradients: without labels, without training
    found = detector(normal, coder=coder, by="codes") # or by="reconstruction"
    found = detector(normal, model=classifier)        # of the normal classes: by its largest logit
    found.score(images)                               # float (N,): the higher, the stranger
    found.strange(images)                             # bool (N,): beyond what 99 of 100 normal images reach
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from hubel.autoencode.autoencoder import Autoencoder
from hubel.errors import InputError
from hubel.features import HOG
from hubel.look.draw import Group, Shown, as_tile, coloured, sheet
from hubel.model import Model
from hubel.pixels import as_arrays, as_batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS = {"gradients": "nothing", "reconstruction": "an autoencoder as coder", "codes": "an autoencoder as coder",
         "logits": "a model", "features": "a model"}
NEIGHBOURS = 5
KNOWN = 10_000  # of normal images, at random, codes' and features' neighbours are looked for among
SEEN = 50_000_000  # numbers that describe normal images' gradients and are kept: 150,000 digits


@dataclass(frozen=True)
class Detector:
    """Tells strange images from normal ones. by: how; threshold: what `quantile` of the normal images held out stay below."""

    by: str
    threshold: float
    quantile: float
    measure: Callable[[Any], np.ndarray]
    normal: np.ndarray  # scores of the normal images held out, sorted

    def score(self, x: Any) -> np.ndarray:
        """How strange each image is: float32 (N,), of no unit; by logits it may be negative, else it is not."""
        return self.measure(x)

    def strange(self, x: Any) -> np.ndarray:
        return self.score(x) > self.threshold

    def rank(self, x: Any) -> np.ndarray:
        """The share of normal images that are less strange, (N,) in 0..1: 0.99 is as strange as one normal image of 100."""
        return np.searchsorted(self.normal, self.score(x)) / len(self.normal)


def detector(normal: Any, *, coder: Autoencoder | None = None, model: Model | None = None, by: str | None = None,
             quantile: float = 0.99, held_out: float = 0.1, seed: int = 0) -> Detector:
    """Learn what normal images score, and return a Detector.

    normal : images as for any Model, an array or a Dataset, without labels. `held_out` of them set the threshold.
    by : how.
        'gradients': distance to the nearest normal images by histograms of oriented gradients (`features.HOG`, cells of 8
        pixels, images brought to 32 to 64 pixels a side), which stay the same when strokes and edges move a little, and
        mean colours of the same cells. Nothing is learned: the more normal images, the better.
        'reconstruction': the share of the image's contrast that does not come back, |x - x'|² / |x - m|², m the mean
        normal image (Japkowicz et al. 1995; divided by contrast, since bare images, such as a 1 among digits, come back
        well whatever they are). 'codes': distance to the nearest normal codes.
        'logits': minus the largest logit of a `model`, a classifier of the normal classes (Hendrycks et al. 2022,
        arXiv:1911.11132): an image that no class claims is strange. The better the classifier, the better this works (Vaze
        et al. 2022, arXiv:2110.06207): train it with augmentation and without label smoothing, which makes logits alike.
        'features': distances, as for codes, of what the model sees before its last layer; it need not be a classifier of
        the normal classes.
        None: by gradients, but with a model by logits, or, where it has no classes, by features.

    Distances are the mean over the 5 nearest normal images. Those of codes and features are divided by the distances that
    these have to theirs (Breunig et al. 2000, in the simplified form of Schubert et al. 2014): what is far in a dense place
    may be near in a sparse one.
    """
    if by is None:
        by = "gradients" if model is None else "logits" if model.output == "softmax" else "features"
    if by not in NEEDS:
        raise InputError(f"by={by!r} is unknown: one of {', '.join(NEEDS)}")
    if not 0 < quantile < 1 or not 0 < held_out < 1:
        raise InputError(f"quantile={quantile}, held_out={held_out}: give numbers between 0 and 1")
    if (coder if NEEDS[by].startswith("an auto") else model if NEEDS[by] == "a model" else by) is None:
        raise InputError(f"by={by!r} needs {NEEDS[by]}")
    shown = coder or model
    if hasattr(normal, "labels"):
        normal = normal.arrays(None if shown is None else shown.size, None if shown is None else shown.channels)
    order = np.random.default_rng(seed).permutation(len(normal))
    kept = max(1, round(held_out * len(normal)))
    if len(normal) - kept <= NEIGHBOURS:
        raise InputError(f"{len(normal)} normal images: give more than {NEIGHBOURS + kept}")
    learn, held = (_take(normal, np.sort(i)) for i in (order[kept:], order[:kept]))
    if by == "gradients":
        measure = _by_gradients(learn)
    elif by == "reconstruction" and coder is not None:
        measure = _by_reconstruction(coder, learn)
    elif by == "logits" and model is not None:
        measure = _by_logits(model)
    else:
        learn = _take(normal, np.sort(order[kept:][:KNOWN]))
        measure = _by_distance(model.features if by == "features" else lambda x: _flat(coder.encode(x)), learn)  # type: ignore[union-attr]
    scores = np.sort(measure(held))
    return Detector(by, float(np.quantile(scores, quantile)), quantile, measure, scores)


def _take(x: Any, places: np.ndarray) -> Any:
    return [x[int(i)] for i in places] if isinstance(x, (list, tuple)) else x[places]


def _by_reconstruction(coder: Autoencoder, learn: Any) -> Callable[[Any], np.ndarray]:
    total, count = torch.zeros(coder.shape), 0
    for part in coder._parts(learn, 512):
        total, count = total + part.sum(0), count + len(part)
    mean = total / count

    def measure(x: Any) -> np.ndarray:
        contrast = [(part - mean).square().flatten(1).mean(1) for part in coder._parts(x, 512)]
        return coder.error(x) / torch.cat(contrast).clamp_min(1e-4).numpy()

    return measure


def _by_gradients(learn: Any) -> Callable[[Any], np.ndarray]:
    side = int(np.clip(max(np.shape(learn[0])[:2]), 32, 64))
    hog = HOG(size=side).fit(learn[:1])
    known = torch.from_numpy(_described(hog, learn[: max(1, SEEN // hog.n_features_out_)]))
    return lambda x: nearest(known, torch.from_numpy(_described(hog, x)), NEIGHBOURS)[0].mean(1).numpy()


def _described(hog: HOG, x: Any) -> np.ndarray:
    """(N, D): square roots of the histograms, whose distance is Hellinger's (Arandjelović and Zisserman 2012, 'RootSIFT'),
    and twice the mean colour of each cell of pixels, to which gradients are blind."""
    cells = F.adaptive_avg_pool2d(as_batch(x), hog.image_shape_[0] // hog.cell).flatten(1).numpy()
    return np.concatenate([np.sqrt(hog.transform(x)), 2 * cells], axis=1)


def _by_logits(model: Model) -> Callable[[Any], np.ndarray]:
    if model.output != "softmax" or len(model.classes) < 2:
        raise InputError(f"by='logits' needs a classifier, this model gives {model.output} of {len(model.classes)}: by='features'")
    return lambda x: -model.logits(x).max(1)


def _flat(codes: np.ndarray) -> np.ndarray:
    return codes.reshape(len(codes), -1)


def _by_distance(features: Callable[[Any], np.ndarray], learn: Any) -> Callable[[Any], np.ndarray]:
    known = features(learn)
    mean, spread = known.mean(0), known.std(0).clip(1e-6)
    near = Neighbourhood((known - mean) / spread)
    return lambda x: near.score((features(x) - mean) / spread)


class Neighbourhood:
    """Distances to the k nearest of the rows known (N, D), relative to those rows' own distances to theirs."""

    def __init__(self, known: np.ndarray, k: int = NEIGHBOURS) -> None:
        self.known, self.k = torch.from_numpy(np.ascontiguousarray(known, dtype=np.float32)), k
        self.own = self._nearest(self.known, skip=1)[0]

    def score(self, rows: np.ndarray) -> np.ndarray:
        far, places = self._nearest(torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)))
        return (far / self.own[places].mean(1).clamp_min(1e-12)).numpy()

    def _nearest(self, rows: torch.Tensor, skip: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean distance to the k nearest (M,), their places (M, k)); `skip` 1 leaves out the row itself."""
        far, places = nearest(self.known, rows, self.k + skip)
        return far[:, skip:].mean(1), places[:, skip:]


def nearest(known: torch.Tensor, rows: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances (M, k) of rows (M, D) to the k nearest of known (N, D), nearest first, and the places (M, k) of these."""
    squares, found = known.square().sum(1), []
    for part in rows.split(max(1, 2**24 // len(known))):
        off = torch.addmm(part.square().sum(1, keepdim=True) + squares, part, known.T, alpha=-2)
        found.append(off.clamp_min_(0).topk(k, largest=False))
    return torch.cat([f.values for f in found]).sqrt(), torch.cat([f.indices for f in found])


@dataclass(frozen=True)
class Anomalies(Shown):
    """Images uint8 (N, H, W, C), scores (N,), ranks (N,) among normal images, which are strange; reconstructions or None."""

    images: np.ndarray
    names: tuple[str, ...]
    scores: np.ndarray
    ranks: np.ndarray
    strange: np.ndarray
    back: np.ndarray | None
    by: str

    def to_dict(self) -> dict[str, Any]:
        order = np.argsort(-self.scores)
        return {"by": self.by, "images": len(self.images), "strange": int(self.strange.sum()), "ranked": [
            {"name": self.names[i], "score": float(self.scores[i]), "rank": float(self.ranks[i]), "strange": bool(self.strange[i])}
            for i in order]}

    def plot(self, most: int = 12) -> Figure:
        longest = 22 if self.back is not None else 16
        groups = []
        for i in np.argsort(-self.scores)[:most]:
            tiles = [as_tile(self.images[i])]
            if self.back is not None:
                off = np.abs(self.images[i].astype(float) - self.back[i]).mean(2) / 255
                tiles += [as_tile(self.back[i]), coloured(off, 0, 0.5, "inferno")]
            name = self.names[i] if len(self.names[i]) <= longest else f"...{self.names[i][3 - longest:]}"
            groups.append(Group(tiles, note=f"{name}\n{self.scores[i]:.3g}" + (" strange" if self.strange[i] else "")))
        each = " Each: image, reconstruction, difference." if self.back is not None else ""
        return sheet(groups, len(groups[0].tiles), 3 if self.back is not None else 4, title="The strangest images",
                     foot=f"By {self.by}; {int(self.strange.sum())} of {len(self.images):,} are strange.{each}")


def anomalies(found: Detector, x: Any, *, names: Any = None, coder: Autoencoder | None = None,
              model: Model | None = None) -> Anomalies:
    """Score images, and keep what is to be shown of them; `coder` also shows their reconstructions."""
    shown = coder or model
    images = np.asarray(x) if shown is None else as_arrays(torch.cat(list(shown._parts(x, 256))))
    scores = found.score(x)
    names = tuple(str(n) for n in (names if names is not None else range(len(images))))
    ranks = np.searchsorted(found.normal, scores) / len(found.normal)
    return Anomalies(images, names, scores, ranks, scores > found.threshold, None if coder is None else coder.reconstruct(x), found.by)
