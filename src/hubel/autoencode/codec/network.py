"""The codec's network: a transform of 16 x 16 pixels to 384 numbers and back, with what predicts those numbers.

    pixels -> analysis -> y -> divided by the quality's step -> rounding -> the file
    the file -> y -> synthesis -> pixels

Both ways begin as a linear transform that is good already, the cosine transform of blocks (Ahmed, Natarajan and Rao 1974) over
principal colours; what is learned is added to it. The analysis may shift y (a network that begins at zero), the synthesis
takes from the picture what quantising put there, and joins the blocks (another one). One network serves all qualities: it is told the step. Depends on
context and layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel.autoencode.codec.context import LATENTS, MIDDLE, WORTH, Conditioned, Context
from hubel.autoencode.codec.layers import NarrowBlock, Narrowed, ScaledConv2d, rounded

BLOCK = 16
CELL = 4  # the synthesis sees cells of 4 x 4 pixels
WIDTH, DEPTH = 64, 4  # its channels and blocks
FINEST, COARSEST = 8.0, 180.0  # steps, in pixels 0..255, of the best quality and the least
AMPLITUDE = 127.5  # half pixels -255..255 are -EDGE..EDGE there: integers of a narrow activation


@dataclass(frozen=True, eq=False)
class Coded:
    """What a training step needs: pixels (N, 3, H, W), 0..255, and bits of each image (N,)."""

    pixels: Tensor
    bits: Tensor


class Analysis(nn.Module):
    """Pixels 0..255 (N, 3, H, W) to y (N, LATENTS, H/16, W/16), in steps. Runs at the encoder alone, in floats."""

    def __init__(self, transform: Tensor) -> None:
        super().__init__()
        self.linear = nn.Parameter(transform.clone())  # (LATENTS, 768)
        self.stem = nn.Conv2d(192, 96, 3, padding=1)
        self.fine = nn.Conv2d(96, 96, 3, padding=1)
        self.down = nn.Conv2d(96, 192, 2, stride=2)
        self.deep = nn.Conv2d(192, 192, 3, padding=1)
        self.head = nn.Conv2d(192, LATENTS, 1)
        self.slope = nn.Parameter(torch.zeros(96))
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor, t: Tensor, step: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            y = torch.einsum("nhwk,ck->nchw", to_blocks(x - 128), self.linear) / step
        h = F.relu(self.stem(F.pixel_unshuffle((x - 128) / 64, 8)) + (self.slope * t.view(-1, 1))[:, :, None, None])
        h = F.relu(self.deep(F.relu(self.down(F.relu(self.fine(h))))))
        return y + self.head(h).float()


class Synthesis(nn.Module):
    """y, in steps, to pixels about 0..255."""

    def __init__(self, transform: Tensor) -> None:
        super().__init__()
        self.inverse = nn.Parameter(transform.clone())  # (LATENTS, 768)
        self.stem = Conditioned(3 * CELL**2, WIDTH, 3)
        self.side = ScaledConv2d(LATENTS, WIDTH * (BLOCK // CELL) ** 2, 1)
        self.narrowed = Narrowed()
        self.blocks = nn.Sequential(*(NarrowBlock(WIDTH) for _ in range(DEPTH)))
        self.head = ScaledConv2d(WIDTH, 3 * CELL**2, 3)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.side.weight *= 0.3

    def forward(self, y: Tensor, size: Tensor, t: Tensor, step: Tensor) -> Tensor:
        """`size` are the magnitudes of y: how much happens in each block."""
        with torch.autocast("cpu", enabled=False):
            base = from_blocks(torch.einsum("nchw,ck->nhwk", y * step, self.inverse))
        x = rounded(base.detach() * 2).clamp(-255, 255) / AMPLITUDE
        x = self.stem(F.pixel_unshuffle(x, CELL), t) + F.pixel_shuffle(self.side(size), BLOCK // CELL)
        x = self.head(self.blocks(self.narrowed(x))).float()
        return base + 128 + F.pixel_shuffle(x, CELL) * step


class CodecNet(nn.Module):
    """All of it, as it learns. `transform` (LATENTS, 768): rows of unit length, coarse to fine. `spread` (LATENTS,): the log of
    the root mean square of what they give of photographs, for the scales to begin with."""

    def __init__(self, transform: Tensor | None = None, spread: Tensor | None = None) -> None:
        super().__init__()
        transform = torch.zeros(LATENTS, 3 * BLOCK**2) if transform is None else transform
        self.analysis, self.synthesis = Analysis(transform), Synthesis(transform)
        self.context = Context(torch.zeros(LATENTS) if spread is None else spread)

    def forward(self, pixels: Tensor, step: Tensor) -> Coded:
        """`pixels` 0..255, sides multiples of 16; `step` (N, 1, 1, 1): the quantiser's, in pixels, of each image."""
        t = step.log() - MIDDLE
        bits, y, size = self.context(self.analysis(pixels, t, step), t)
        return Coded(self.synthesis(y, size, t, step), bits)


def cost(coded: Coded, pixels: Tensor, step: Tensor) -> Tensor:
    """Bits a pixel + WORTH x squared error in steps, of each image (N,)."""
    errors = (coded.pixels - pixels).square().mean(dim=(1, 2, 3))
    return coded.bits / pixels[0, 0].numel() + 3 * WORTH * errors / step.flatten() ** 2


def to_blocks(x: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, H/16, W/16, 768)."""
    n, _, h, w = x.shape
    x = x.view(n, 3, h // BLOCK, BLOCK, w // BLOCK, BLOCK).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(n, h // BLOCK, w // BLOCK, 3 * BLOCK**2)


def from_blocks(blocks: Tensor) -> Tensor:
    """(N, h, w, 768) to (N, 3, 16 h, 16 w)."""
    n, h, w, _ = blocks.shape
    return blocks.view(n, h, w, 3, BLOCK, BLOCK).permute(0, 3, 1, 4, 2, 5).reshape(n, 3, h * BLOCK, w * BLOCK)
