"""Layers whose arithmetic can be repeated in whole numbers: what the decoder is made of while it learns. Depends on torch.

A decoder that rounds differently on another machine reads other symbols from there on (Balle, Johnston and Minnen 2019,
'Integer networks for data compression with latent-variable models'). So weights are small integers times a scale for each
output channel, and activations are clipped and in equal steps. While training all that is imitated in floats: rounded
on the way forward, as if it had not been on the way back. `exact.py` then runs the same network in integers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOP = 6.0  # wide activations are 0..TOP
EDGE = 2.0  # narrow ones -EDGE..EDGE, in steps of EDGE / 255: bfloat16 holds every integer up to 256
LEAK = 1 / 8  # a power of two: exact
SUM_LIMIT = 2.0**24  # up to here float32 holds every integer: sums of products stay below, whatever their order


def rounded(x: Tensor) -> Tensor:
    """x to the nearest integer (halves to even); its gradient is as if it were x."""
    return x + (x.round() - x).detach()


class Bounded(nn.Module):
    """Clip to 0..TOP, in `levels` steps when `quantised`: a rectifier whose outputs are integers."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels, self.quantised = levels, False

    def forward(self, x: Tensor) -> Tensor:
        x = x.clamp(0, TOP)
        return rounded(x * (self.levels / TOP)) * (TOP / self.levels) if self.quantised else x


class Narrowed(nn.Module):
    """Clip to -EDGE..EDGE, in 2 x 255 steps when `quantised`. With `leaky`, negatives count LEAK of their size: zero would
    let whole layers fall silent under the large steps with which training begins."""

    def __init__(self, leaky: bool = False) -> None:
        super().__init__()
        self.leaky, self.quantised = leaky, False

    def forward(self, x: Tensor) -> Tensor:
        x = (F.leaky_relu(x, LEAK) if self.leaky else x).clamp(-EDGE, EDGE)
        return rounded(x * (255 / EDGE)) * (EDGE / 255) if self.quantised else x


class ScaledConv2d(nn.Conv2d):
    """A convolution whose weights are integers of `bits` bits times a scale for each output channel, when `quantised`.

    `highest` is the largest integer of its input (255 for narrow activations). `taps` (kh, kw), 0 or 1, leaves out
    places of the kernel.
    """

    taps: Tensor | None

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bits: int = 8, highest: int = 255,
                 taps: Tensor | None = None) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.bits, self.highest, self.quantised = bits, highest, False
        self.register_buffer("taps", taps, persistent=False)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def scales(self) -> Tensor:
        """The size (outputs, 1, 1, 1) of one step of each output channel's weights."""
        w = self.kernel().detach().abs()
        step = w.amax(dim=(1, 2, 3), keepdim=True) / (2 ** (self.bits - 1) - 1)
        if self.highest <= 255:  # sums that float32 can hold (a fiftieth is left for biases)
            step = torch.maximum(step, w.sum(dim=(1, 2, 3), keepdim=True) * (1.02 * self.highest / SUM_LIMIT))
        return (step.clamp_min(1e-12) * 1.004).bfloat16().float()  # the next larger that bfloat16 holds

    def kernel(self) -> Tensor:
        return self.weight if self.taps is None else self.weight * self.taps

    def forward(self, x: Tensor) -> Tensor:
        w = self.kernel()
        if self.quantised:
            s = self.scales()
            w = rounded(w / s) * s
        return F.conv2d(x, w, self.bias, 1, self.padding)


class NarrowBlock(nn.Module):
    """narrowed(x + W2 leaky(W1 x)), two 3 x 3 convolutions. Starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = ScaledConv2d(channels, channels, 3), ScaledConv2d(channels, channels, 3)
        self.inner, self.outer = Narrowed(leaky=True), Narrowed()
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(x + self.second(self.inner(self.first(x))))


class Growing(nn.Module):
    """Twice the height and width: a 1 x 1 convolution to 4 x `outputs` channels, laid out as 2 x 2 pixels, then `after`."""

    def __init__(self, inputs: int, outputs: int, after: nn.Module, highest: int = 255) -> None:
        super().__init__()
        self.conv, self.after = ScaledConv2d(inputs, 4 * outputs, 1, highest=highest), after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(F.pixel_shuffle(self.conv(x), 2))


def set_quantised(module: nn.Module, on: bool = True) -> None:
    """Switch rounding of weights and activations on or off in all layers below `module`."""
    for m in module.modules():
        if isinstance(m, Bounded | Narrowed | ScaledConv2d):
            m.quantised = on
