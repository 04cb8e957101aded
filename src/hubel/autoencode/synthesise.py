"""New images from a variational autoencoder, and how near their features lie to real ones'. Depends on autoencoder, reuse.

    made = synthesise(coder, 64)
    quality(coder, real_images)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg

from hubel.autoencode.autoencoder import Autoencoder
from hubel.errors import InputError, ModelError
from hubel.look.draw import Group, Shown, as_tile, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAVEAT = ("Distances of features of this network, on so many images: they compare generators measured in the same way, and "
          "not with published FIDs, which take Inception's features of 50,000 images. Fewer images give larger distances.")


@dataclass(frozen=True)
class Synthesised(Shown):
    """Images made from drawn codes: uint8 (N, H, W, C); codes (N, ...); drawn: from what; temperature: how far."""

    images: np.ndarray
    codes: np.ndarray
    temperature: float
    seed: int
    drawn: str

    def to_dict(self) -> dict[str, Any]:
        return {"images": len(self.images), "drawn": self.drawn, "temperature": self.temperature, "seed": self.seed}

    def plot(self, columns: int = 10) -> Figure:
        return sheet([Group([as_tile(i) for i in self.images])], columns, 1, title="Synthesised",
                     foot=f"Codes drawn from {self.drawn};\ntemperature {self.temperature:g}, seed {self.seed}.")


def synthesise(coder: Autoencoder, count: int = 100, *, like: Any = None, temperature: float = 1.0, seed: int = 0) -> Synthesised:
    """Draw codes and decode them: from N(0, temperature²), which a variational autoencoder's codes are taught to follow.

    like : images: codes are drawn instead from a mixture of normal distributions that is fitted to theirs (Ghosh et al.
        2020, arXiv:1903.12436). Works for any autoencoder, and follows the images more closely.

    Raises ModelError without `like` for an autoencoder that is not variational: it is not known how its codes lie.
    """
    if not coder.variational and like is None:
        raise ModelError("this autoencoder is not variational, so how its codes lie is not known: give images for the new ones "
                         "to be like, or train one of kind 'variational'")
    if count < 1 or not temperature > 0:
        raise InputError(f"count={count}, temperature={temperature}: give numbers above 0")
    draw = np.random.default_rng(seed)
    if like is None:
        codes = draw.normal(0, temperature, (count, *coder.code_shape))
    else:
        known = coder.encode(like)
        codes = _mixture(known.reshape(len(known), -1), count, temperature, draw).reshape(count, *coder.code_shape)
    codes = codes.astype(np.float32)
    return Synthesised(coder.decode(codes), codes, temperature, seed, "a normal distribution" if like is None else
                       "a mixture of normal distributions fitted to real images' codes")


def _mixture(known: np.ndarray, count: int, temperature: float, draw: np.random.Generator) -> np.ndarray:
    """Draw from a mixture of 10 normal distributions, or one for every 20 codes; their covariances are diagonal where there
    are fewer than 10 codes a number and distribution."""
    from sklearn.mixture import GaussianMixture

    parts = max(1, min(10, len(known) // 20))
    kind = "full" if len(known) >= 10 * parts * known.shape[1] else "diag"
    found = GaussianMixture(parts, covariance_type=kind, reg_covar=1e-4 * float(known.var(0).mean()) + 1e-9,
                            random_state=int(draw.integers(2**31))).fit(known[:20_000])
    which = draw.choice(parts, count, p=found.weights_)
    roots = np.linalg.cholesky(found.covariances_) if kind == "full" else np.stack([np.diag(v**0.5) for v in found.covariances_])
    steps = np.einsum("nij,nj->ni", roots[which], draw.normal(0, temperature, (count, known.shape[1])))
    return found.means_[which] + steps


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """The Fréchet distance |m - m'|² + tr(C + C' - 2 (C C')^½) of two sets of features (N, D), as if both were normal.

    Dowson and Landau 1982; as a measure of generators: Heusel et al. 2017 (arXiv:1706.08500).
    """
    a, b = (np.asarray(f, dtype=np.float64) for f in (a, b))
    if a.ndim != 2 or a.shape[1:] != b.shape[1:] or min(len(a), len(b)) < 2:
        raise InputError(f"features of shapes {a.shape} and {b.shape}: give (N, D) and (M, D) with 2 rows at least")
    # tr (C C')^1/2 is the sum of the singular values of X'Y, where C = X X' and C' = Y Y'
    x, y = ((f - f.mean(0)) / np.sqrt(len(f) - 1) for f in (a, b))
    cross = scipy.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * cross)


@dataclass(frozen=True)
class Quality(Shown):
    """Fréchet distances to real images, in units of the features' mean variance: of synthesised images, of reconstructions,
    of other real images (the floor that the number of images sets), and of noise of the real pixels' mean and spread."""

    synthesised: float
    reconstructed: float
    real: float
    noise: float
    count: int
    features: str
    samples: Synthesised
    caveat: str = CAVEAT

    def to_dict(self) -> dict[str, Any]:
        return {"synthesised": self.synthesised, "reconstructed": self.reconstructed, "real": self.real, "noise": self.noise,
                "images": self.count, "features": self.features, "caveat": self.caveat}

    def __str__(self) -> str:
        return (f"Fréchet distance to {self.count:,} real images by {self.features}: other real images {self.real:.3g}, "
                f"reconstructions {self.reconstructed:.3g}, synthesised {self.synthesised:.3g}, noise {self.noise:.3g}. "
                f"{self.caveat}")

    def plot(self) -> Figure:
        return self.samples.plot()


def quality(coder: Autoencoder, real: Any, *, model: Any = None, count: int = 500, like: Any = None,
            temperature: float = 1.0, seed: int = 0) -> Quality:
    """Measure synthesised images by the features of `model` (None: EfficientNet-Lite0's before the last layer).

    real : uint8 images (N, H, W, C), best such as the autoencoder has not seen; two disjoint sets of `count` are drawn.
    like, temperature : as for `synthesise`.
    """
    from hubel.model import pretrained
    from hubel.reuse import embed

    real = np.asarray(real)
    if real.dtype != np.uint8 or real.ndim != 4 or len(real) < 4:
        raise InputError(f"real images of type {real.dtype} and shape {real.shape}: give uint8 (N, H, W, C), 4 at least")
    count = min(count, len(real) // 2)
    draw = np.random.default_rng(seed)
    chosen = real[draw.permutation(len(real))[: 2 * count]]
    here, others = chosen[:count], chosen[count:]
    samples = synthesise(coder, count, like=like, temperature=temperature, seed=seed)
    noise = np.clip(draw.normal(real.mean((0, 1, 2)), real.std((0, 1, 2)), here.shape), 0, 255).astype(np.uint8)
    measured = pretrained() if model is None else model
    features = {name: np.asarray(embed(measured, images, cache=False), dtype=np.float64) for name, images in
                (("here", here), ("real", others), ("back", coder.reconstruct(here)), ("made", samples.images), ("noise", noise))}
    scale = features["here"].var(0).mean()
    far = {name: frechet(features["here"], f) / scale for name, f in features.items() if name != "here"}
    return Quality(far["made"], far["back"], far["real"], far["noise"], count, "EfficientNet-Lite0" if model is None
                   else type(measured.network).__name__, samples)
