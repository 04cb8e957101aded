"""Kodak's photographs and what pictures are compared by: for tests alone, nothing here was trained or tuned on them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from hubel.data import read_image


def photographs() -> dict[str, np.ndarray]:
    """Return uint8 (512, 768, 3) or (768, 512, 3) by name."""
    folder = Path(os.environ.get("HUBEL_DATA", "../shared/data")) / "kodak"
    found = {p.stem: read_image(p, channels=3) for p in sorted(folder.glob("*.png"))}
    if not found:
        raise SystemExit(f"no photographs in {folder}: set HUBEL_DATA")
    return found


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in decibels, of values 0..255, over all pixels and channels."""
    return float(10 * np.log10(255**2 / np.square(a.astype(np.float64) - b).mean()))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004), Gaussian windows, mean over channels."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(a.astype(np.float64), b.astype(np.float64), channel_axis=2, data_range=255,
                                       gaussian_weights=True, sigma=1.5, use_sample_covariance=False))
