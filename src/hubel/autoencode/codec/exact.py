"""The decoder in whole numbers: the same symbols and the same pixels on every machine. Depends on torch and layers.

Every sum of products here is of integers that the number type holds exactly, so neither the order of summation nor fused
multiply-adds can change it; what follows a sum (one product, one sum, one rounding, one clip) is done element by element, as
IEEE 754 defines it. Two kinds:

    Integers in float32   for what the entropy coder depends on, by plain matrix products: sums stay below 2^24, or are in
                          float64, below 2^53
    Integers in bfloat16  for pixels: 8-bit weights and activations up to 255 are exact in bfloat16, sums below 2^24 in the float32
                          that convolutions add up in. The sum is then rounded to bfloat16, and goes on there.

A CPU without bfloat16 convolves the same integers in float32 and rounds the sum as well; `Arithmetic.best` tries out whether
what is fast here is right here, and takes float64 otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.autoencode.codec.layers import EDGE, LEAK, SUM_LIMIT
from hubel.engine import cpu_has_bf16
from hubel.engine import settings as engine_settings

STEP = EDGE / 255  # of a narrow activation
STRIP = 4_000_000  # float64 numbers gathered at a time: 32 MB


@dataclass(frozen=True, eq=False)
class IntegerConv:
    """weight (O, I, k, k) integers, bias (O,) integers in units of the sums, scale (O,): a weight's step."""

    weight: Tensor
    bias: Tensor
    scale: Tensor

    @property
    def padding(self) -> int:
        return self.weight.shape[2] // 2

    @cached_property
    def taps(self) -> list[tuple[int, int]]:
        """The places (row, column) of the kernel that are not zero everywhere."""
        return [(int(i), int(j)) for i, j in (self.weight != 0).any(dim=0).any(dim=0).nonzero()]

    @cached_property
    def matrix(self) -> Tensor:
        """The kernel (O, taps x I), float64, tap by tap."""
        return torch.cat([self.weight[:, :, i, j] for i, j in self.taps], dim=1).double()

    def sums64(self, x: Tensor) -> Tensor:
        """Return the exact sums (1, O, H, W), float64, of float64 integers (1, I, H, W): strips of rows, to save memory."""
        height, width = x.shape[2:]
        padded = F.pad(x[0], (self.padding,) * 4)
        out = x.new_empty((1, len(self.weight), height, width))
        rows = max(1, STRIP // (width * self.matrix.shape[1]))
        for top in range(0, height, rows):
            n = min(rows, height - top)
            columns = torch.cat([padded[:, top + i : top + i + n, j : j + width].reshape(len(padded), -1) for i, j in self.taps])
            out[0, :, top : top + n] = self.sums(columns).view(-1, n, width)
        return out

    def sums(self, columns: Tensor) -> Tensor:
        """Return the exact sums (O, P) of columns (taps x I, P), float64."""
        return torch.addmm(self.bias.double()[:, None], self.matrix, columns)


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """How narrow layers are convolved here: `dtype` is what the integers are held in."""

    dtype: torch.dtype

    def layer(self, conv: IntegerConv) -> Callable[[Tensor], Tensor]:
        """Return a function from bfloat16 integers (N, I, H, W) to the sums, rounded to bfloat16."""
        w = conv.weight.to(self.dtype).contiguous(memory_format=torch.channels_last)
        b, padding = conv.bias.to(self.dtype), conv.padding

        def run(x: Tensor) -> Tensor:
            return F.conv2d(x.to(self.dtype), w, b, 1, padding).to(torch.bfloat16)

        return run

    @staticmethod
    @lru_cache(maxsize=4)
    def best(bf16: bool = True) -> Arithmetic:
        """Return the fastest arithmetic that gives the exact answers on a test with the largest sums there may be."""
        wish = [torch.bfloat16, torch.float32] if bf16 and cpu_has_bf16() else [torch.float32]
        for dtype in wish:
            if _is_exact(Arithmetic(dtype)):
                return Arithmetic(dtype)
        return Arithmetic(torch.float64)


def best() -> Arithmetic:
    return Arithmetic.best(engine_settings.bf16)


def products() -> torch.dtype:
    """Return float32 if products of matrices are exact in it here, on a test with the largest sums there may be; else float64."""
    return torch.float32 if _multiplies_exactly(torch.get_float32_matmul_precision()) else torch.float64


@lru_cache(maxsize=4)
def _multiplies_exactly(precision: str) -> bool:
    if precision != "highest":  # torch may then round what it multiplies to bfloat16
        return False
    draws = torch.Generator().manual_seed(1)
    for inputs, outputs, places in ((825, 96, 100), (449, 96, 4096), (96, 96, 333)):
        w = torch.randint(-127, 128, (outputs, inputs), generator=draws).double()
        w[: outputs // 2] = w[: outputs // 2].abs()  # sums that only grow
        assert float(w.abs().sum(dim=1).max()) * 255 < SUM_LIMIT
        x = torch.randint(0, 256, (inputs, places), generator=draws).double()
        x[:, :50] = 255
        if not torch.equal((w.float() @ x.float()).double(), w @ x):
            return False
    return True


def _is_exact(arithmetic: Arithmetic) -> bool:
    draws = torch.Generator().manual_seed(0)
    for inputs, outputs, kernel, high in ((48, 64, 3, 127), (64, 64, 3, 110), (384, 1024, 1, 127)):
        w = torch.randint(-high, high + 1, (outputs, inputs, kernel, kernel), generator=draws).double()
        w[: outputs // 2] = w[: outputs // 2].abs()  # sums that only grow
        assert float(w.abs().sum(dim=(1, 2, 3)).max()) * 255 < SUM_LIMIT
        conv = IntegerConv(w, torch.zeros(outputs), torch.ones(outputs))
        x = torch.randint(0, 256, (1, inputs, 24, 40), generator=draws).double()
        x[:, :, :8] = 255
        given = x.bfloat16().contiguous(memory_format=torch.channels_last)
        if not torch.equal(arithmetic.layer(conv)(given), conv.sums64(x).float().bfloat16()):
            return False
    return True


class Narrow:
    """A layer of narrow activations, integers -255..255: narrowed(scale x sums), everything after the sums in bfloat16."""

    def __init__(self, conv: IntegerConv, arithmetic: Arithmetic) -> None:
        self.run = arithmetic.layer(conv)
        self.scale = conv.scale.bfloat16()[:, None, None]

    def __call__(self, x: Tensor, plus: Tensor | None = None, leaky: bool = False, grow: bool = False) -> Tensor:
        out = self.run(x).mul_(self.scale)
        if plus is not None:
            out.add_(plus)
        if leaky:
            out = torch.maximum(out, out * LEAK)
        out = out.round_().clamp_(-255, 255)
        return F.pixel_shuffle(out, 2).contiguous(memory_format=torch.channels_last) if grow else out
