"""The learned codec's network: a transform of 16 x 16 pixels to 128 numbers and back, and what predicts those numbers.

    pixels -> analysis -> y -> gain of the quality -> rounding -> the file
    the file -> inverse gain -> synthesis -> pixels

y is coded under Gaussians whose means and scales come from a second, coarser latent z (Balle et al. 2018,
arXiv:1802.01436; Minnen et al. 2018, arXiv:1809.02736) and, for the white squares of a checkerboard, from the black ones
around them (He et al. 2021, arXiv:2103.15306). One network serves all qualities through gains (Cui et al. 2021,
arXiv:2003.02012). z is coded under one table a channel and quality. Depends on layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.autoencode.codec.layers import Bounded, Growing, NarrowBlock, Narrowed, ScaledConv2d, rounded
from hubel.autoencode.restore.network import ResidualBlock

LATENTS, COARSE = 128, 48  # channels of y (one number for 16 x 16 pixels) and z (64 x 64)
WIDTHS = (64, 128, 160)  # channels at 1/4, 1/8, 1/16 of the resolution
STRIDE = 64  # sides are padded to multiples of this
LAMBDAS = (0.0007, 0.0015, 0.0034, 0.0075, 0.0164, 0.036)  # the worth, in bits a pixel, of a squared error of 1 (of 255)
SCALES = 48  # Gaussians' standard deviations: steps of a geometric row
SMALLEST, LARGEST = 0.11, 64.0
RATIO = (LARGEST / SMALLEST) ** (1 / (SCALES - 1))
FINE = 16  # means are multiples of 1/FINE
WIDE = 4095  # levels of activations where speed does not matter


@dataclass(frozen=True, eq=False)
class Coded:
    """What a training step needs: pixels (N, 3, H, W) and bits of each image (N,)."""

    pixels: Tensor
    bits_y: Tensor
    bits_z: Tensor


class Analysis(nn.Module):
    """Pixels (N, 3, H, W), less 1/2, to y (N, LATENTS, H/16, W/16). Runs at the encoder alone, in floats."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.stem = nn.Conv2d(48, a, 3, padding=1)
        self.fine = ResidualBlock(a)
        self.down1 = nn.Conv2d(a, b, 2, stride=2)
        self.middle = nn.Sequential(ResidualBlock(b), ResidualBlock(b))
        self.down2 = nn.Conv2d(b, c, 2, stride=2)
        self.deep = nn.Sequential(ResidualBlock(c), ResidualBlock(c))
        self.head = nn.Conv2d(c, LATENTS, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fine(self.stem(F.pixel_unshuffle(x, 4)))
        return self.head(self.deep(self.down2(self.middle(self.down1(x)))))


class Synthesis(nn.Module):
    """y, gain taken off, to pixels less 1/2."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.stem = ScaledConv2d(LATENTS, c, 3, highest=2**20)
        self.narrowed = Narrowed()
        self.deep = nn.Sequential(NarrowBlock(c), NarrowBlock(c))
        self.up2 = Growing(c, b, Narrowed())
        self.middle = nn.Sequential(NarrowBlock(b), NarrowBlock(b))
        self.up1 = Growing(b, a, Narrowed())
        self.fine = NarrowBlock(a)
        self.head = ScaledConv2d(a, 48, 3)

    def forward(self, y: Tensor) -> Tensor:
        x = self.middle(self.up2(self.deep(self.narrowed(self.stem(y)))))
        return F.pixel_shuffle(self.head(self.fine(self.up1(x))), 4)


class HyperAnalysis(nn.Module):
    """y under its gain to z (N, COARSE, H/64, W/64)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(LATENTS, 64, 3, padding=1)
        self.down1 = nn.Conv2d(64, 96, 2, stride=2)
        self.middle = nn.Conv2d(96, 96, 3, padding=1)
        self.head = nn.Conv2d(96, COARSE, 2, stride=2)

    def forward(self, y: Tensor) -> Tensor:
        return self.head(F.relu(self.middle(F.relu(self.down1(F.relu(self.stem(y)))))))


class HyperSynthesis(nn.Module):
    """Rounded z to features (N, 96, H/16, W/16)."""

    def __init__(self) -> None:
        super().__init__()
        self.up1 = Growing(COARSE, 64, Bounded(WIDE), highest=2**20)
        self.coarse, self.bounded1 = ScaledConv2d(64, 64, 3, highest=WIDE), Bounded(WIDE)
        self.up2 = Growing(64, 96, Bounded(WIDE), highest=WIDE)
        self.fine, self.bounded2 = ScaledConv2d(96, 96, 3, highest=WIDE), Bounded(WIDE)

    def forward(self, z: Tensor) -> Tensor:
        x = self.bounded1(self.coarse(self.up1(z)))
        return self.bounded2(self.fine(self.up2(x)))


class Prediction(nn.Module):
    """Features and, around white squares, the black ones, to the mean and the scale's index of each number of y."""

    def __init__(self) -> None:
        super().__init__()
        i = torch.arange(5)
        self.around = ScaledConv2d(LATENTS, 96, 5, highest=2**20, taps=((i[:, None] + i) % 2).float())
        self.bounded1 = Bounded(WIDE)
        self.mix, self.bounded2 = ScaledConv2d(192, 160, 1, highest=WIDE), Bounded(WIDE)
        self.head = ScaledConv2d(160, 2 * LATENTS, 1, bits=12, highest=WIDE)

    def context(self, y: Tensor, white: Tensor) -> Tensor:
        return self.bounded1(self.around(y * (1 - white))) * white

    def forward(self, features: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        out = self.head(self.bounded2(self.mix(torch.cat([features, context], dim=1))))
        mean, index = out.float().chunk(2, dim=1)
        return mean, (4 * index + 16).clamp(0, SCALES - 1)


class CodecNet(nn.Module):
    """All of it. `forward` is for training; the file's bytes are made by `encode` and `decode` beside this."""

    def __init__(self) -> None:
        super().__init__()
        self.analysis, self.synthesis = Analysis(), Synthesis()
        self.hyper_analysis, self.hyper_synthesis = HyperAnalysis(), HyperSynthesis()
        self.prediction = Prediction()
        base = 0.5 * torch.log(torch.tensor(LAMBDAS) / LAMBDAS[2])[:, None] + torch.log(torch.tensor(6.0))
        self.gain = nn.Parameter(base.repeat(1, LATENTS))
        self.inverse_gain = nn.Parameter(-base.repeat(1, LATENTS))
        self.z_place = nn.Parameter(torch.zeros(len(LAMBDAS), COARSE))
        self.z_scale = nn.Parameter(torch.zeros(len(LAMBDAS), COARSE))

    def forward(self, pixels: Tensor, level: Tensor) -> Coded:
        """`level` (N,) is the quality of each image, an index into LAMBDAS."""
        y = self.analysis(pixels - 0.5).float() * self.gain[level].exp()[:, :, None, None]
        z = self.hyper_analysis(y).float()
        features = self.hyper_synthesis(rounded(z))
        white = checkerboard(y)
        mean0, index0 = self.prediction(features, torch.zeros_like(features))
        black = rounded(y - mean0) + mean0
        mean1, index1 = self.prediction(features, self.prediction.context(black, white))
        mean = torch.where(white > 0, mean1, mean0)
        index = torch.where(white > 0, index1, index0)
        off = y - mean
        y_hat = rounded(off) + mean
        noise = torch.rand_like(off) - 0.5
        bits_y = gaussian_bits(off + noise, index).sum(dim=(1, 2, 3))
        z_noisy = z + torch.rand_like(z) - 0.5
        bits_z = logistic_bits(z_noisy - self.z_place[level][:, :, None, None],
                               self.z_scale[level].exp()[:, :, None, None]).sum(dim=(1, 2, 3))
        out = self.synthesis(y_hat * self.inverse_gain[level].exp()[:, :, None, None])
        return Coded(out.float() + 0.5, bits_y, bits_z)


def checkerboard(y: Tensor) -> Tensor:
    """1 on the white squares (row + column odd), 0 on the black: (1, 1, H, W) for y (N, C, H, W)."""
    rows = torch.arange(y.shape[2])[:, None] + torch.arange(y.shape[3])
    return (rows % 2).to(y.dtype)[None, None]


def gaussian_bits(off: Tensor, index: Tensor) -> Tensor:
    """-log2 of the probability that a Gaussian of the scale falls within 1/2 of `off`."""
    sigma = SMALLEST * torch.exp(index * torch.log(torch.tensor(RATIO)))
    off = off.abs()
    p = torch.special.ndtr((0.5 - off) / sigma) - torch.special.ndtr((-0.5 - off) / sigma)
    # far out p underflows: go on with the tail's slope, so that there is a gradient
    return torch.where(p > 1e-9, -torch.log2(p.clamp_min(1e-9)), 29.9 + (off - 6 * sigma).clamp_min(0) / sigma)


def logistic_bits(off: Tensor, scale: Tensor) -> Tensor:
    """-log2 of the probability that a logistic variable falls within 1/2 of `off`."""
    off = off.abs()
    p = torch.sigmoid((0.5 - off) / scale) - torch.sigmoid((-0.5 - off) / scale)
    return -torch.log2(p.clamp_min(1e-9))
