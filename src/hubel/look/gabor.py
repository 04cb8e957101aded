"""How much of a filter is a Gabor function, and how much is a plain edge? Depends on NumPy alone.

A filter F (C, h, w) is compared with c_k g(x, y): one pattern g, times one weight per colour channel. R² is the share of
F's energy that the nearest such product explains. Gabor: g = exp(-(u² + (q v)²) / 2 s²) cos(2 pi f u + phase) with u across
the stripes (Daugman 1985; Jones and Palmer 1987 for the cortex); edge: a step between two half-planes, the kind of filter
people make by hand. Small filters are easily explained: random ones of the same shape say how easily.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

ANGLES = 24


@dataclass(frozen=True)
class Fit:
    """The nearest Gabor and edge of each filter, and what random filters of the same shape reach.

    gabor_r2, edge_r2 : (units,) in 0..1. angle : degrees in 0..180, along which the Gabor's stripes vary (0: from left to
    right). frequency : cycles per pixel; 0 is a blob. random_gabor_r2, random_edge_r2 : (200,) Gaussian filters.
    nearest : (units, C, h, w), the Gabors themselves, scaled to the filters.
    """

    gabor_r2: np.ndarray
    edge_r2: np.ndarray
    angle: np.ndarray
    frequency: np.ndarray
    random_gabor_r2: np.ndarray
    random_edge_r2: np.ndarray
    nearest: np.ndarray

    def beyond_chance(self) -> tuple[float, float]:
        """Shares of the filters nearer to a Gabor, and to an edge, than 95% of random filters are."""
        return (float((self.gabor_r2 > np.quantile(self.random_gabor_r2, 0.95)).mean()),
                float((self.edge_r2 > np.quantile(self.random_edge_r2, 0.95)).mean()))

    def to_dict(self) -> dict[str, Any]:
        gabor, edge = self.beyond_chance()
        return {"gabor_r2": self.gabor_r2.tolist(), "edge_r2": self.edge_r2.tolist(), "angle": self.angle.tolist(),
                "frequency": self.frequency.tolist(), "median_gabor_r2": float(np.median(self.gabor_r2)),
                "median_edge_r2": float(np.median(self.edge_r2)),
                "random_median_gabor_r2": float(np.median(self.random_gabor_r2)),
                "random_median_edge_r2": float(np.median(self.random_edge_r2)),
                "beyond_chance_gabor": gabor, "beyond_chance_edge": edge}


def fit(weights: np.ndarray) -> Fit:
    """Fit filters (units, C, h, w); see Fit."""
    units, channels, h, w = weights.shape
    flat = weights.reshape(units, channels, h * w).astype(np.float64)
    r2, best, nearest = _nearest_gabors(flat, h, w)
    random = np.random.default_rng(0).standard_normal((200, channels, h * w))
    edges = edge_bank(h, w)
    return Fit(r2, explained(flat, edges).max(1), best[:, 0], best[:, 1], _nearest_gabors(random, h, w)[0],
               explained(random, edges).max(1), nearest.reshape(weights.shape))


def gabor(h: int, w: int, angle: np.ndarray, frequency: np.ndarray, sigma: np.ndarray, aspect: np.ndarray, y0: np.ndarray,
          x0: np.ndarray) -> np.ndarray:
    """Return pairs of even and odd Gabors (n, 2, h * w) for parameters (n,): degrees, cycles per pixel, pixels."""
    y, x = np.mgrid[:h, :w].reshape(2, 1, -1) - np.array([(h - 1) / 2, (w - 1) / 2])[:, None, None]
    turn = np.deg2rad(angle)[:, None]
    u = (x - x0[:, None]) * np.cos(turn) + (y - y0[:, None]) * np.sin(turn)
    v = (y - y0[:, None]) * np.cos(turn) - (x - x0[:, None]) * np.sin(turn)
    envelope = np.exp(-(u**2 + (aspect[:, None] * v) ** 2) / (2 * sigma[:, None] ** 2))
    wave = 2 * np.pi * frequency[:, None] * u
    return np.stack([envelope * np.cos(wave), envelope * np.sin(wave)], axis=1)


def _orthonormal(pairs: np.ndarray) -> np.ndarray:
    """Orthonormal bases (n, 2, d) of the planes that pairs (n, 2, d) span; a missing second direction is 0."""
    a = pairs[:, 0] / np.linalg.norm(pairs[:, 0], axis=1, keepdims=True).clip(1e-12)
    b = pairs[:, 1] - (pairs[:, 1] * a).sum(1, keepdims=True) * a
    length = np.linalg.norm(b, axis=1, keepdims=True)
    return np.stack([a, np.where(length > 1e-6, b / length.clip(1e-12), 0)], axis=1)


def explained(flat: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """R² (units, n) of filters (units, C, d) by one colour times one pattern in the span of each basis (n, 1 or 2, d)."""
    energy = (flat**2).sum((1, 2)).clip(1e-30)[:, None]
    if basis.shape[1] == 1:
        return ((flat @ basis[:, 0].T) ** 2).sum(1) / energy
    a, b = flat @ basis[:, 0].T, flat @ basis[:, 1].T  # (units, C, n)
    aa, bb, ab = (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)
    # the largest squared singular value of the C x 2 matrix [a b]: the best single colour and phase
    return (0.5 * (aa + bb + np.sqrt((aa - bb) ** 2 + 4 * ab**2))) / energy


@cache
def _bank(h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    """A coarse grid of parameters (n, 6) and the orthonormal pairs (n, 2, h * w) that belong to them."""
    side = max(h, w)
    angles = np.arange(ANGLES) * 180 / ANGLES
    shifts = np.array([-1.0, 0.0, 1.0]) * side / 5
    grid = np.meshgrid(angles, np.array([0, 0.5, 1, 1.5, 2, 3]) / side, np.array([0.2, 0.35, 0.7]) * side,
                       np.array([0.5, 1.0]), shifts, shifts, indexing="ij")
    parameters = np.stack([g.ravel() for g in grid], axis=1)
    parameters = parameters[parameters[:, 1] <= 0.5]
    return parameters, _orthonormal(gabor(h, w, *parameters.T))


def _nearest_gabors(flat: np.ndarray, h: int, w: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R² (units,), parameters (units, 6) and the nearest Gabor filters (units, C, d)."""
    parameters, bank = _bank(h, w)
    best = np.empty((len(flat), 6))
    r2 = np.empty(len(flat))
    nearest = np.empty_like(flat)
    for start in range(0, len(flat), 32):
        scores = explained(flat[start : start + 32], bank)
        best[start : start + 32] = parameters[scores.argmax(1)]
    side = max(h, w)
    width = np.array([90 / ANGLES, 0.25 / side, 0.1 * side, 0.25, side / 10, side / 10])
    low = np.array([-np.inf, 0, 0.1 * side, 0.25, -side / 2, -side / 2])
    high = np.array([np.inf, 0.5, 2.0 * side, 2.0, side / 2, side / 2])
    rng = np.random.default_rng(0)
    for i, filters in enumerate(flat):
        spread = width
        for _ in range(8):  # a shrinking random search around the best: the surface is smooth on the grid's scale
            tried = np.clip(best[i] + np.vstack([np.zeros(6), rng.uniform(-1, 1, (63, 6))]) * spread, low, high)
            scores = explained(filters[None], _orthonormal(gabor(h, w, *tried.T)))[0]
            best[i], r2[i] = tried[scores.argmax()], scores.max()
            spread = spread * 0.7
        plane = _orthonormal(gabor(h, w, *best[i : i + 1].T))[0]
        colour, size, phase = np.linalg.svd(filters @ plane.T, full_matrices=False)
        nearest[i] = size[0] * np.outer(colour[:, 0], phase[0] @ plane)
    best[:, 0] %= 180
    return r2, best, nearest


@cache
def edge_bank(h: int, w: int) -> np.ndarray:
    """Normalised steps of mean 0 (n, 1, h * w) at 24 angles and 5 places, hard and soft."""
    y, x = np.mgrid[:h, :w].reshape(2, -1) - np.array([(h - 1) / 2, (w - 1) / 2])[:, None]
    side = max(h, w)
    steps = []
    for angle in np.deg2rad(np.arange(ANGLES) * 180 / ANGLES):
        u = x * np.cos(angle) + y * np.sin(angle)
        for offset in np.linspace(-0.3, 0.3, 5) * side:
            for soft in (0.1, 0.25 * side):
                step = np.tanh((u - offset) / soft)
                step = step - step.mean()
                steps.append(step / np.linalg.norm(step).clip(1e-12))
    return np.array(steps)[:, None]
