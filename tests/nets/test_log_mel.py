"""The log-mel spectrogram against SciPy's short-time transform and hand-made triangles."""

import numpy as np
import pytest
import torch
from scipy.signal import ShortTimeFFT, get_window

from hubel.errors import InputError
from hubel.nets.log_mel import filters, log_mel

RATE = 8000


def triangles(bands, fft, low, high):
    """Brute force: each filter by linear interpolation between three points."""
    mels = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    at = np.arange(fft // 2 + 1) * RATE / fft
    return np.stack([np.interp(at, edges[b : b + 3], [0, 1, 0], left=0, right=0) for b in range(bands)])


def test_filters_are_triangles():
    np.testing.assert_allclose(filters(RATE, 256, 20, 20.0, 4000.0), triangles(20, 256, 20, 4000), atol=1e-6)


def test_it_is_scipys_spectrogram_summed():
    x = np.random.default_rng(0).normal(0, 0.1, (3, 3001))
    got = log_mel(torch.from_numpy(x), RATE, bands=24, window=0.025, hop=0.01)
    size, hop, fft = 200, 80, 256
    window = np.zeros(fft)
    window[(fft - size) // 2 : (fft - size) // 2 + size] = get_window("hann", size, fftbins=True)
    transform = ShortTimeFFT(window, hop, RATE, mfft=fft, phase_shift=None)
    frames = 1 + 3001 // hop
    power = np.abs(transform.stft(x, p0=0, p1=frames)) ** 2
    want = np.log(np.einsum("bf,nft->nbt", triangles(24, fft, 20, 4000), power))
    assert got.shape == (3, 24, frames)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-4)


def test_a_tone_is_loudest_in_its_band_and_twice_as_loud_is_log_four_more():
    x = torch.sin(2 * torch.pi * 1000 * torch.arange(4000) / RATE)[None] * 0.2
    picture = log_mel(x, RATE, bands=30)[0]
    bank = filters(RATE, 256, 30, 20.0, 4000.0)
    nearest = int(bank[:, 1000 * 256 // RATE].argmax())
    assert (picture[:, 5:-5].argmax(0) == nearest).all()
    torch.testing.assert_close(log_mel(2 * x, RATE, bands=30)[0], picture + np.log(4), rtol=0, atol=1e-3)


def test_quiet_is_80_decibels_down_and_silence_is_finite():
    x = torch.cat([torch.sin(torch.arange(2000) * 0.5), torch.zeros(2000)])[None]
    picture = log_mel(x, RATE)
    assert picture.max() - picture.min() == pytest.approx(8 * np.log(10), abs=1e-3)
    assert torch.isfinite(log_mel(torch.zeros(1, 4000), RATE)).all()


def test_its_gradient_is_right():
    x = torch.randn(1, 400, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: log_mel(x, RATE, bands=8, window=0.02), x, eps=1e-6, atol=1e-4)


def test_errors():
    for x, options, word in ((torch.zeros(2, 100), {}, "200 samples"), (torch.zeros(400), {}, r"\(N, T\)"),
                             (torch.zeros(1, 4000), {"high": 5000.0}, "4000"), (torch.zeros(1, 4000), {"bands": 200}, "fewer")):
        with pytest.raises(InputError, match=word):
            log_mel(x, RATE, **options)
