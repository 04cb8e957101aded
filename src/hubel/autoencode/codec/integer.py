"""The context in integers, and a trained network as the integers that ship. Depends on planes, network and context.

`quantise(network)` turns a trained CodecNet into named tensors; `Predictor(tensors)` runs the context on them,
`pixels.Painter(tensors)` the synthesis.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hubel.autoencode.codec.context import (
    FINE,
    GROUPS,
    LARGEST,
    LEVELS,
    MIDDLE,
    PER_UNIT,
    SCALES,
    SIGNED,
    SMALLEST,
    passes,
)
from hubel.autoencode.codec.layers import TOP, ScaledConv2d
from hubel.autoencode.codec.network import COARSEST, FINEST, CodecNet
from hubel.autoencode.codec.planes import KNOWN, Plane, gathered, offsets, summed

ROW = (LARGEST - SMALLEST) / (SCALES - 1)  # log of the ratio of two Laplacians' scales
HIDDEN_STEP = TOP / LEVELS
GRID = 1 << 16  # the linear transform is in units of 1/GRID
STEP_GRID = 16  # steps are in sixteenths of a pixel's levels
PLACES = 8192  # predicted at a time: bounds memory
QUALITIES = 100

Visit = Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def quantise(network: CodecNet) -> dict[str, Tensor]:
    """Return the integers that the decoder runs, from a network trained with rounding, and the analysis' linear part."""
    out: dict[str, Tensor] = {}
    for name, m in network.named_modules():
        if isinstance(m, ScaledConv2d):
            scale = m.scales().detach()
            assert m.bias is not None
            out[f"{name}.weight"] = (m.kernel().detach() / scale).round().to(torch.int8 if m.bits <= 8 else torch.int16)
            out[f"{name}.scale"] = scale.flatten().clone()
            out[f"{name}.bias"] = m.bias.detach().float().clone()
            slope = dict(network.named_parameters()).get(name.removesuffix("conv") + "slope")
            if slope is not None:
                out[f"{name}.slope"] = slope.detach().float().clone()
    for name, matrix in (("inverse", network.synthesis.inverse), ("transform", network.analysis.linear)):
        out[name] = (matrix.detach() * GRID).round().clamp(-32768, 32767).to(torch.int16)
    quality = torch.linspace(0, 1, QUALITIES, dtype=torch.float64)
    out["steps"] = (COARSEST * (FINEST / COARSEST) ** quality * STEP_GRID).round().int()
    out["conditions"] = (out["steps"].double() / STEP_GRID).log().sub(MIDDLE).float()
    y = torch.arange(FINE * 1200, dtype=torch.float64) / FINE
    out["levels"] = (torch.log1p(y) * PER_UNIT).round().clamp_max(LEVELS).to(torch.uint8)
    return out


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution's integers. `step` is the unit of its input, so that step x scale is that of its sums."""

    weight: Tensor  # (O, I, k, k)
    scale: Tensor
    bias: Tensor
    slope: Tensor
    step: float
    taps: Tensor  # (T, 2)

    @classmethod
    def named(cls, tensors: Mapping[str, Tensor], name: str, step: float) -> Layer:
        weight = tensors[f"{name}.weight"]
        bias = tensors[f"{name}.bias"].double()
        slope = tensors.get(f"{name}.slope")
        return cls(weight, tensors[f"{name}.scale"].double(), bias, torch.zeros_like(bias) if slope is None else slope.double(),
                   step, (weight != 0).any(dim=0).any(dim=0).nonzero())

    def biases(self, t: float) -> Tensor:
        """(O,), float64: integers in units of the sums."""
        return ((self.bias + self.slope * t) / (self.scale * self.step)).round()

    def kernels(self, dtype: torch.dtype) -> list[Tensor]:
        return [self.weight[:, :, i, j].to(dtype).contiguous() for i, j in self.taps.tolist()]

    def matrix(self, dtype: torch.dtype) -> Tensor:
        """(O, I x T), an input channel's taps together: as `planes.gathered` lays them out."""
        return torch.stack(self.kernels(dtype), dim=2).flatten(1)

    def factor(self, step: float) -> Tensor:
        """(O, 1), float32: from sums to a unit of `step`."""
        return (self.scale * self.step / step).float()[:, None]


class Said:
    """A `context.Prediction` in integers."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.mix = Layer.named(tensors, f"{name}.mix.conv", HIDDEN_STEP)
        self.head = Layer.named(tensors, f"{name}.head.conv", HIDDEN_STEP)
        self.linear = Layer.named(tensors, f"{name}.linear", 1 / FINE) if f"{name}.linear.weight" in tensors else None
        self.mix_matrix, self.head_matrix = self.mix.matrix(dtype), self.head.matrix(torch.float64)
        self.linear_matrix = None if self.linear is None else self.linear.matrix(torch.float64)

    def __call__(self, hidden: Tensor, plane: Plane, places: Tensor, t: float) -> tuple[np.ndarray, np.ndarray]:
        """`hidden` (HIDDEN, P), activations 0..LEVELS, to means (int32, units of 1/FINE) and tables (uint8), each (n, P)."""
        x = torch.addmm(self.mix.biases(t).to(self.dtype)[:, None], self.mix_matrix, hidden.to(self.dtype))
        x = bounded(x.float() * self.mix.factor(HIDDEN_STEP))
        sums = torch.addmm(self.head.biases(t)[:, None], self.head_matrix, x.double())
        sums *= (self.head.scale * HIDDEN_STEP)[:, None]
        mean, scale = sums.chunk(2)
        if self.linear is not None and self.linear_matrix is not None:
            shifts = offsets(self.linear.weight.shape[2], plane.width, self.linear.taps)
            near = gathered(plane.y[: self.linear.weight.shape[1]], places, shifts)
            told = torch.addmm(self.linear.biases(t)[:, None], self.linear_matrix, near)
            mean = mean + told * (self.linear.scale / FINE)[:, None]
        index = ((scale - SMALLEST) / ROW).round().clamp(0, SCALES - 1)
        return (mean * FINE).round().to(torch.int32).numpy(), index.to(torch.uint8).numpy()


class Predictor:
    """The context in integers: walks through y in the order in which it is coded."""

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        self.dtype, self.levels, self.conditions = dtype, tensors["levels"], tensors["conditions"].double()
        unit = 1 / PER_UNIT
        self.near = [Layer.named(tensors, f"context.low.near.{p}.conv", unit) for p in range(5)]
        k = GROUPS[0]
        order = [*reversed(range(k)), 2 * k, *range(k, 2 * k)]
        self.near_matrices = [_ordered(layer, order).matrix(dtype) for layer in self.near]
        self.low = [Said(tensors, f"context.low.said.{p}", dtype) for p in range(5)]
        self.high = [_High(tensors, group, dtype) for group in range(1, len(GROUPS))]

    def walk(self, h: int, w: int, quality: int, visit: Visit) -> Tensor:
        """Return y (LATENTS, h, w), int32 in units of 1/FINE.

        `visit(first, where, mean, index)` is called in turn for channels `first`... at the true places of `where` (h, w), with
        the predicted means (n, P), int32 in units of 1/FINE, and tables (n, P), uint8, and returns the integers (n, P) that
        stand there, after the mean is taken off.
        """
        plane = Plane(h, w, self.levels, self.dtype)
        t = float(self.conditions[quality - 1])

        def code(first: int, said: Said, hidden: Callable[[Tensor], Tensor], where: np.ndarray) -> None:
            places = plane.places(where)
            parts = [said(hidden(p), plane, p, t) for p in places.split(PLACES)]
            mean, index = (np.concatenate([part[i] for part in parts], axis=1) for i in (0, 1))
            plane.put(first, places, torch.from_numpy(visit(first, where, mean, index) * FINE + mean))
            plane.know(places, PER_UNIT)

        for p, where in enumerate(passes(h, w, coarse=True)):
            if where.any():
                code(0, self.low[p], partial(self._near, plane, p, t), where.numpy())
        for part in self.high:
            told = part.told(plane, t)
            for p, where in enumerate(passes(h, w, coarse=False)):
                if where.any():
                    code(part.before, part.said[p], partial(part.hidden, plane, told, t, bool(p)), where.numpy())
        return plane.decoded()

    def _near(self, plane: Plane, p: int, t: float, places: Tensor) -> Tensor:
        layer, k = self.near[p], GROUPS[0]
        columns = gathered(plane.told(k, k), places, offsets(5, plane.width, layer.taps))
        sums = torch.addmm(layer.biases(t).to(self.dtype)[:, None], self.near_matrices[p], columns)
        return bounded(sums.float() * layer.factor(HIDDEN_STEP))


class _High:
    """A `context.High` in integers."""

    def __init__(self, tensors: Mapping[str, Tensor], group: int, dtype: torch.dtype) -> None:
        name = f"context.high.{group - 1}"
        self.dtype, self.channels, self.before = dtype, GROUPS[group], sum(GROUPS[:group])
        self.signed = min(self.before, SIGNED)
        self.own_signed = max(0, min(self.before + self.channels, SIGNED) - self.before)
        s, m = self.signed, self.before
        self.known = _ordered(Layer.named(tensors, f"{name}.known.conv", 1 / PER_UNIT), [*reversed(range(s)), s + m, *range(s, s + m)])
        self.own = Layer.named(tensors, f"{name}.own", 1 / PER_UNIT)
        self.known_kernels, self.own_matrix = self.known.kernels(dtype), self.own.matrix(dtype)
        self.said = [Said(tensors, f"{name}.said.{p}", dtype) for p in range(2)]

    def told(self, plane: Plane, t: float) -> Tensor:
        """(HIDDEN, inside): what the groups before say of every place, in units of a hidden activation, float32."""
        shifts = offsets(3, plane.width, self.known.taps)
        sums = summed(plane.told(self.signed, self.before), self.known_kernels, shifts, self.known.biases(t).to(self.dtype),
                      *plane.inside())
        return sums.float() * self.known.factor(HIDDEN_STEP)

    def hidden(self, plane: Plane, told: Tensor, t: float, beside: bool, places: Tensor) -> Tensor:
        """Activations (HIDDEN, P) of what `told` said, and with `beside` of what the group's own numbers around say."""
        x = told[:, places - plane.inside()[0]]
        if beside:
            shifts = offsets(3, plane.width, self.own.taps)
            a = KNOWN + 1 + self.before
            rows = torch.cat([plane.rows[KNOWN - self.before - self.own_signed : KNOWN - self.before].flip(0),
                              plane.rows[a : a + self.channels]]) if self.own_signed else plane.rows[a : a + self.channels]
            sums = torch.addmm(self.own.biases(t).to(self.dtype)[:, None], self.own_matrix, gathered(rows, places, shifts))
            x = x + sums.float() * self.own.factor(HIDDEN_STEP)
        return bounded(x)



def bounded(x: Tensor) -> Tensor:
    """A hidden activation: an integer 0..LEVELS."""
    return x.round().clamp(0, LEVELS)


def _ordered(layer: Layer, order: list[int]) -> Layer:
    """The layer with its inputs in another order: that of `Plane.told`."""
    return Layer(layer.weight[:, order], layer.scale, layer.bias, layer.slope, layer.step, layer.taps)


def fingerprint(tensors: Mapping[str, Tensor]) -> int:
    """16 bits that tell codecs apart: of all that the decoder reads."""
    crc = 0
    for name in sorted(n for n in tensors if not n.startswith(("analysis.", "transform"))):
        crc = zlib.crc32(tensors[name].contiguous().numpy().tobytes(), zlib.crc32(name.encode(), crc))
    return crc & 0xFFFF

