"""The log-mel spectrogram: sound as a picture of pitch against time, differentiable. Depends on torch.

Power of windowed frames (Hann), summed by triangular filters that are evenly spaced in mel, m = 2595 log10(1 + f / 700)
(O'Shaughnessy 1987), in natural logarithms.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError

RANGE = 1e-8  # of the loudest: 80 dB


def log_mel(x: Tensor, rate: int, bands: int = 40, window: float = 0.025, hop: float = 0.01, low: float = 20.0,
            high: float | None = None) -> Tensor:
    """Sound (N, T) in -1..1 -> (N, bands, frames), frames = 1 + T // hop, each centred on a multiple of hop.

    rate : samples a second. window, hop : seconds. low, high : the filters' range in Hz (None: half the rate). What is more
    than 80 dB below the loudest of a recording is raised to that. Raises InputError for sound shorter than a window, and
    for more bands than the window's frequencies tell apart.
    """
    size, step = round(window * rate), round(hop * rate)
    if x.ndim != 2 or x.shape[1] < size:
        raise InputError(f"sound of shape {tuple(x.shape)}: give (N, T) with at least a window, {size} samples")
    fft = 1 << (size - 1).bit_length()
    hann = torch.hann_window(size, periodic=True, dtype=x.dtype, device=x.device)
    spectrum = torch.stft(x, fft, step, size, hann, center=True, pad_mode="constant", return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    mel = filters(rate, fft, bands, low, high or rate / 2).to(x) @ power
    loudest = mel.detach().amax((1, 2), keepdim=True).clamp_min(1e-10)
    return torch.maximum(mel, loudest * RANGE).log()


@lru_cache(maxsize=32)
def filters(rate: int, fft: int, bands: int, low: float, high: float) -> Tensor:
    """The triangles, float32 (bands, fft // 2 + 1): each is 1 at its centre and 0 at its neighbours' centres."""
    if not 0 <= low < high <= rate / 2 or bands < 1:
        raise InputError(f"{bands} bands from {low:g} to {high:g} Hz at {rate} samples a second: give 0 <= low < high <= "
                         f"{rate / 2:g} and at least one band")
    edges = 700 * (10 ** (np.linspace(_mel(low), _mel(high), bands + 2) / 2595) - 1)
    at = np.arange(fft // 2 + 1) * (rate / fft)
    rising = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    if (triangles.sum(1) == 0).any():
        raise InputError(f"{bands} bands are more than a window of {fft} samples tells apart: take fewer or a longer window")
    return torch.from_numpy(triangles.astype(np.float32))


def _mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)
