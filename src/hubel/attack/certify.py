"""Randomised smoothing: radii within which no perturbation changes the answer, with a stated probability of error.

Cohen, Rosenfeld and Kolter 2019 (arXiv:1902.02918). What is certified is the smoothed classifier, g(x) = the class that the
network gives most often for x + N(0, sigma^2): train with the same noise (`Harden(sigma, method="gaussian")`). Depends on
subject, streams and SciPy.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hubel.attack.intervals import exact_interval
from hubel.attack.progress import Bar
from hubel.attack.running import as_classes
from hubel.attack.streams import sample_keys, stream
from hubel.attack.subject import Subject
from hubel.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABSTAINED = -1
BLOCK = 100  # votes between two thoughts of stopping


@dataclass(frozen=True)
class Certificates:
    """Of N images: `predicted` (N,) by the smoothed classifier, -1 where it abstains; `radius` (N,) in L2, pixels of 0..1:
    with probability 1 - alpha for each image the prediction is the same anywhere within; 0 where it abstains.

    votes, agreed : (N,) noisy copies that voted, and how many of them for `predicted`. at : the radius that was asked for, or
    None: then radii are as large as the votes allow; else they are `at` or 0.
    """

    predicted: np.ndarray
    radius: np.ndarray
    votes: np.ndarray
    agreed: np.ndarray
    labels: np.ndarray
    sigma: float
    n: int
    alpha: float
    at: float | None
    forwards: int
    seconds: float

    def __len__(self) -> int:
        return len(self.radius)

    @property
    def right(self) -> np.ndarray:
        return self.predicted == self.labels

    def certified(self, radius: float = 0.0) -> np.ndarray:
        """Return (N,) whether an image is right and certified so within `radius`."""
        return self.right & (self.radius > 0) & (self.radius >= radius)

    def accuracy(self, radius: float = 0.0) -> float:
        return float(self.certified(radius).mean())

    def __str__(self) -> str:
        radii = [0.0, self.at] if self.at is not None else [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]
        cells = "  ".join(f"{r:g}: {self.accuracy(r):.1%}" for r in radii if r == 0 or self.accuracy(r) > 0 or r == self.at)
        return (f"randomised smoothing, sigma {self.sigma:g}: certified accuracy within L2 radius {cells}; "
                f"{(self.predicted == ABSTAINED).mean():.1%} abstained; {len(self)} images, {self.votes.mean():.0f} of {self.n} votes "
                f"on average, each wrong with probability at most {self.alpha:g}; {self.seconds:.1f} s")

    def to_dict(self) -> dict[str, Any]:
        return {"sigma": self.sigma, "n": self.n, "alpha": self.alpha, "at": self.at, "predicted": self.predicted.tolist(),
                "radius": self.radius.tolist(), "votes": self.votes.tolist(), "agreed": self.agreed.tolist(),
                "labels": self.labels.tolist(), "accuracy": self.accuracy(), "forwards": self.forwards, "seconds": self.seconds}

    def plot(self) -> Figure:
        """Draw certified accuracy against the radius."""
        from hubel.attack.draw import certificates

        return certificates([self])

    def _repr_html_(self) -> str:
        from hubel.attack.draw import as_html

        return as_html(self.plot(), str(self))


def least_share(agreed: int, votes: int, alpha: float) -> float:
    """Return the one-sided lower Clopper-Pearson bound of a share: alpha^(1/n) where all n agree."""
    from scipy.special import betaincinv

    if agreed == 0:
        return 0.0
    return float(alpha ** (1 / votes)) if agreed == votes else float(betaincinv(agreed, votes - agreed + 1, alpha))


def radius_of(agreed: int, votes: int, alpha: float, sigma: float) -> float:
    """Return sigma Phi^-1(least share), or 0 where that share is not above a half (Cohen et al., theorem 1 with p_B = 1 - p_A)."""
    from scipy.special import ndtri

    share = least_share(agreed, votes, alpha)
    return float(sigma * ndtri(share)) if share > 0.5 else 0.0


def looks(n: int, alpha: float) -> list[tuple[int, float]]:
    """Return when to look and the error each look may make: n/32, n/16, ... n. Half of alpha is for the last; all looks
    together make no more than alpha (a union bound), so stopping at any of them is valid."""
    early = [n >> k for k in range(5, 0, -1) if n >> k >= BLOCK]
    if not early:
        return [(n, alpha)]
    return [(k, alpha / 2 / len(early)) for k in early] + [(n, alpha / 2)]


def smoothed(model: Any, x: Any, y: Any, sigma: float = 0.25, *, n: int = 10_000, first: int = 100, alpha: float = 0.001,
             at: float | None = None, seed: int = 0, progress: bool | str = "auto") -> Certificates:
    """Predict with the smoothed classifier and certify L2 radii. Returns Certificates.

    Parameters
    ----------
    model, x, y : as in `pgd`; y may be None (then nothing is right).
    sigma : the noise's deviation in pixels of 0..1. n : votes that decide. first : votes that pick the class, not counted.
    alpha : the probability, for each image, that its certificate is wrong.
    at : only whether this radius is certified. It stops as soon as that is known: at one of a few looks that share alpha
        (`looks`), or when the votes that are left could not change it. Without `at`, an image stops early only where the
        votes left could not bring the bound above a half: the answer is that of all n votes.
    """
    began = time.perf_counter()
    if not sigma > 0 or n < 1 or first < 1 or not 0 < alpha < 1 or (at is not None and not at > 0):
        raise InputError(f"sigma={sigma}, n={n}, first={first} and at={at} must be above 0, alpha={alpha} in 0..1")
    subject = Subject(model, "fp32")
    pixels = subject.prepare(x).detach()
    subject.ready(pixels)
    k = subject.outputs(pixels)
    labels = np.full(len(pixels), ABSTAINED - 1) if y is None else as_classes(y, len(pixels), subject.names(k), "labels").numpy()
    keys = sample_keys(pixels, torch.zeros(len(pixels), dtype=torch.long), seed)
    plan = [(n, alpha)] if at is None else looks(n, alpha)
    out = []
    with Bar("smoothing", len(pixels), progress) as bar:
        for image, key in zip(pixels, keys, strict=True):
            votes = _Votes(subject, image, key, sigma, k)
            out.append(_certified(votes, first, plan, sigma, at))
            bar.advance()
    predicted, radius, cast, agreed = (np.array(v) for v in zip(*out, strict=True))
    return Certificates(predicted, radius.astype(float), cast, agreed, labels, sigma, n, alpha, at, subject.forwards,
                        time.perf_counter() - began)


class _Votes:
    """Noisy copies of one image, always the same for the same image and seed, and what the network says to them."""

    def __init__(self, subject: Subject, image: Tensor, key: int, sigma: float, classes: int) -> None:
        self.subject, self.image, self.sigma, self.classes = subject, image, sigma, classes
        self.noise = stream(key, "smoothing")

    def cast(self, count: int) -> np.ndarray:
        """Return the votes (K,) of `count` further copies."""
        total = np.zeros(self.classes, dtype=np.int64)
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            d = torch.randn(size, *self.image.shape, generator=self.noise) * self.sigma
            predicted = self.subject.predictions(self.image + d)[0]
            total += np.bincount(predicted.numpy(), minlength=self.classes)
        return total


def _certified(votes: _Votes, first: int, plan: list[tuple[int, float]], sigma: float,
               at: float | None) -> tuple[int, float, int, int]:
    """Return (class or -1, radius, votes, of them for the class)."""
    chosen = int(votes.cast(first).argmax())
    cast = agreed = 0
    n, last = plan[-1]
    wanted = 0.0 if at is None else at
    for until, share in plan:
        while cast < until:
            size = min(BLOCK, until - cast)
            agreed, cast = agreed + int(votes.cast(size)[chosen]), cast + size
            best = radius_of(agreed + n - cast, n, last, sigma)
            if best <= 0 or best < wanted:  # whatever the votes left will say
                return (ABSTAINED if best <= 0 or at is not None else chosen), 0.0, cast, agreed
        found = radius_of(agreed, cast, share, sigma)
        if at is not None and found >= at:
            return chosen, at, cast, agreed
    if at is not None:
        return ABSTAINED, 0.0, cast, agreed
    return (chosen if found > 0 else ABSTAINED), found, cast, agreed


def smoothed_interval(result: Certificates, radius: float = 0.0) -> tuple[float, float]:
    """The 95% interval of the certified accuracy."""
    return exact_interval(int(result.certified(radius).sum()), len(result))
