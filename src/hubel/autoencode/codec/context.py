"""What tells the decoder, before it reads a number of y, how large that number is likely to be. Depends on layers.

The numbers of y are read in four groups of channels, coarse to fine. The first, in five passes over the plane, each finer:

    1 5 3 5 1
    5 4 5 4 5      a place of pass k is told by all places of earlier passes within two of it
    3 5 2 5 3
    5 4 5 4 5
    1 5 3 5 1

The other groups are read in two passes, black and white squares of a checkerboard (He et al. 2021, arXiv:2103.15306): each is
told by the groups before it, at its place and the eight around it, and white squares by the black ones beside them, too.

Groups that grow are as in He et al. 2022 (ELIC, arXiv:2203.10886). What is told: the mean, and the scale of a Laplacian.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hubel.autoencode.codec.layers import Bounded, ScaledConv2d, rounded

GROUPS = (16, 48, 112, 208)  # channels of y, coarse to fine
LATENTS = sum(GROUPS)
SIGNED = 64  # of so many channels others are told the sign; of the finer ones the magnitude alone
HIDDEN = 96
LEVELS = 255  # of hidden activations and of magnitudes
PER_UNIT = 36  # levels of a unit of log(1 + magnitude): 255 are 1190 steps
FINE = 16  # means are multiples of 1/FINE
SCALES = 48  # Laplacians there are: their scales are a geometric row
SMALLEST, LARGEST = -2.6, 6.5  # log of the first and the last scale, in steps
WORTH = 9.0  # bits that a squared error of one step is worth: 1 / (2 ln 2 / 12) is 8.7
MIDDLE = 3.4  # log of a middling step, in pixels: the quality is told as log step - MIDDLE


class Conditioned(nn.Module):
    """A convolution whose bias goes with the quality t (N,)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bits: int = 8, highest: int = 255) -> None:
        super().__init__()
        self.conv = ScaledConv2d(inputs, outputs, kernel, bits=bits, highest=highest)
        self.slope = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        out: Tensor = self.conv(x) + (self.slope * t.view(-1, 1))[:, :, None, None]
        return out


class Prediction(nn.Module):
    """Hidden sums (N, HIDDEN, h, w) to means and log scales of `outputs` channels: two layers, and for the means a linear
    path from the first `linear` channels of y besides."""

    def __init__(self, outputs: int, linear: int, kernel: int, spread: Tensor) -> None:
        super().__init__()
        self.bounded1, self.bounded2 = Bounded(LEVELS), Bounded(LEVELS)
        self.mix = Conditioned(HIDDEN, HIDDEN, 1)
        self.head = Conditioned(HIDDEN, 2 * outputs, 1, bits=12, highest=2**20)
        self.linear = ScaledConv2d(linear, outputs, kernel, bits=14, highest=2**20) if linear else None
        with torch.no_grad():  # begin with the spread that the channels have
            self.head.conv.weight[:outputs] *= 0.1
            if self.linear is not None:
                self.linear.weight *= 0.1
            assert self.head.conv.bias is not None
            self.head.conv.bias[outputs:] = 0.9 * (spread - MIDDLE) - 0.4
            self.head.slope[outputs:] = -0.9

    def forward(self, sums: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        x = self.bounded2(self.mix(self.bounded1(sums), t))
        with torch.autocast("cpu", enabled=False):
            mean, scale = self.head(x.float(), t).chunk(2, dim=1)
            if self.linear is not None:
                mean = mean + self.linear(y[:, : self.linear.in_channels])
        return mean, scale.clamp(SMALLEST, LARGEST)


class Low(nn.Module):
    """The coarsest group."""

    def __init__(self, spread: Tensor) -> None:
        super().__init__()
        n = GROUPS[0]
        self.near = nn.ModuleList(Conditioned(2 * n + 1, HIDDEN, 5) for _ in range(5))
        self.said = nn.ModuleList(Prediction(n, n, 5, spread) for _ in range(5))


class High(nn.Module):
    """A finer group."""

    def __init__(self, group: int, spread: Tensor) -> None:
        super().__init__()
        self.channels, self.before = GROUPS[group], sum(GROUPS[:group])
        self.signed = min(self.before, SIGNED)
        self.own_signed = max(0, min(self.before + self.channels, SIGNED) - self.before)
        self.known = Conditioned(self.signed + self.before + 1, HIDDEN, 3)
        beside = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
        self.own = ScaledConv2d(self.own_signed + self.channels, HIDDEN, 3, taps=beside)
        with torch.no_grad():
            self.own.weight *= 0.3
        linear = min(self.before + self.channels, SIGNED) if group < 3 else 0
        self.said = nn.ModuleList(Prediction(self.channels, linear, 3, spread) for _ in range(2))


class Context(nn.Module):
    """y, in steps, to the bits it takes and the y that the decoder gets."""

    def __init__(self, spread: Tensor) -> None:
        super().__init__()
        cut = spread.split(GROUPS)
        self.low = Low(cut[0])
        self.high = nn.ModuleList(High(group, cut[group]) for group in range(1, len(GROUPS)))

    def forward(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return bits (N,), the decoded y, and its magnitudes (both as y: (N, LATENTS, h, w)), with gradients to y."""
        n, _, h, w = y.shape
        hat, size = torch.zeros_like(y), torch.zeros_like(y)
        total = torch.zeros(n)
        known = torch.zeros(n, 1, h, w)
        low: Low = self.low
        quantised = any(m.quantised for m in self.modules() if isinstance(m, Bounded))

        def code(a: int, b: int, prediction: tuple[Tensor, Tensor], where: Tensor) -> None:
            nonlocal hat, size, total
            bits, v = coded(y[:, a:b], *prediction)
            total = total + (bits * where).sum(dim=(1, 2, 3))
            v = v * where
            hat = torch.cat([hat[:, :a], hat[:, a:b] + v, hat[:, b:]], dim=1)
            size = torch.cat([size[:, :a], size[:, a:b] + magnitude(v.detach(), quantised), size[:, b:]], dim=1)

        k = GROUPS[0]
        for p, where in enumerate(_planes(passes(h, w, coarse=True))):
            y0, s0 = hat[:, :k].detach(), size[:, :k]
            sums = low.near[p](torch.cat([y0.sign() * s0, s0, known], dim=1), t)
            code(0, k, low.said[p](sums, y0, t), where)
            known = known + where
        for part in self.high:
            assert isinstance(part, High)
            a, b = part.before, part.before + part.channels
            told = torch.cat([hat[:, : part.signed].detach().sign() * size[:, : part.signed], size[:, :a], known], dim=1)
            sums = part.known(told, t)
            for p, where in enumerate(_planes(passes(h, w, coarse=False))):
                if p:
                    own = hat[:, a : a + part.own_signed].detach().sign() * size[:, a : a + part.own_signed]
                    sums = sums + part.own(torch.cat([own, size[:, a:b]], dim=1))
                code(a, b, part.said[p](sums, hat.detach(), t), where)
        return total, hat, size


def coded(y: Tensor, mean: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bits of each number and its decoded value: what is left of it, after the mean, is rounded up or down,
    whichever costs less (bits + WORTH x squared error). Backwards, bits are a straight line from one integer to the next,
    and the value is y."""
    mean = rounded(mean * FINE) / FINE
    left = y - mean
    size = left.abs()
    low = size.detach().floor()
    part = size - low
    scale = log_scale.exp()
    bits0, bits1 = laplace_bits(low, scale), laplace_bits(low + 1, scale)
    with torch.no_grad():
        up = (WORTH * (1 - part) ** 2 + bits1 < WORTH * part**2 + bits0).float()
        q = left.sign() * (low + up)
        slope = bits1 - bits0
    line = part * slope
    bits = bits0 + up * (bits1 - bits0) + (line - line.detach())
    return bits, (q + mean).detach() + (y - y.detach())


def laplace_bits(size: Tensor, scale: Tensor) -> Tensor:
    """-log2 of a Laplacian's mass in the bin of +-size (one of the two): the bin of zero is -0.66..0.66, as rounding by cost
    makes it, the others are 1 wide."""
    zero = -torch.log(-torch.expm1(-0.66 / scale))
    other = (size - 0.34) / scale + math.log(2) - torch.log(-torch.expm1(-1 / scale))
    return torch.where(size > 0, other, zero) / math.log(2)


def magnitude(y: Tensor, quantised: bool = True) -> Tensor:
    """log(1 + |y|), no more than 255 / PER_UNIT, in steps of 1 / PER_UNIT when `quantised`."""
    size = torch.log1p(y.abs()).clamp_max(LEVELS / PER_UNIT)
    return (size * PER_UNIT).round() / PER_UNIT if quantised else size


def passes(h: int, w: int, coarse: bool) -> list[Tensor]:
    """The places (h, w), bool, of each pass."""
    i, j = torch.arange(h)[:, None].expand(h, w), torch.arange(w).expand(h, w)
    black = (i + j) % 2 == 0
    if not coarse:
        return [black, ~black]
    first, second = (i % 4 == 0) & (j % 4 == 0), (i % 4 == 2) & (j % 4 == 2)
    third = (i % 2 == 0) & (j % 2 == 0) & ~first & ~second
    return [first, second, third, (i % 2 == 1) & (j % 2 == 1), ~black]


def _planes(places: list[Tensor]) -> list[Tensor]:
    return [p.float()[None, None] for p in places]
