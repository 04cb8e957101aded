"""The decoder's networks as integers: synthesis, hyper-synthesis, prediction, and the gains. Depends on exact and network.

`quantise(network)` turns a trained CodecNet into named tensors; `Decoder(tensors)` runs them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.autoencode.codec.exact import STEP, Arithmetic, IntegerConv, Narrow
from hubel.autoencode.codec.layers import TOP, ScaledConv2d
from hubel.autoencode.codec.network import FINE, LATENTS, SCALES, WIDE, CodecNet

PARTS = ("synthesis", "hyper_synthesis", "prediction")
GRID = 256  # the synthesis reads y in units of 1/GRID
WIDE_STEP = TOP / WIDE
PLACES = 4096  # predicted at a time: bounds memory
REACH = 8  # latents: how far a pixel looks. 1 (stem) + 4 (deep) + 4/2 (middle) + 3/4 (fine, head), rounded up


def quantise(network: CodecNet) -> dict[str, Tensor]:
    """Return the integers that `Decoder` runs, from a network trained with rounding."""
    out: dict[str, Tensor] = {}
    for part in PARTS:
        for name, m in getattr(network, part).named_modules():
            if not isinstance(m, ScaledConv2d):
                continue
            scale = m.scales().detach()
            assert m.bias is not None
            unit = scale.flatten() * _step(f"{part}.{name}")
            bias = (m.bias.detach() / unit).round()
            if m.highest == 255:
                bias = bias.bfloat16()  # what a bfloat16 convolution can add; still an integer
            whole = (m.kernel().detach() / scale).round()
            out[f"{part}.{name}.weight"] = whole.to(torch.int8 if m.bits <= 8 else torch.int16)
            out[f"{part}.{name}.bias"] = bias.double().to(torch.int64)
            out[f"{part}.{name}.scale"] = scale.flatten().clone()
    out["inverse_gain"] = network.inverse_gain.detach().exp() * (GRID / FINE)
    out["gain"] = network.gain.detach().exp()
    return out


def _step(name: str) -> float:
    """The unit of a layer's input."""
    return {"synthesis.stem": 1 / GRID, "hyper_synthesis.up1.conv": 1.0, "prediction.around": 1 / FINE}.get(
        name, STEP if name.startswith("synthesis.") else WIDE_STEP)


def interpolated(table: Tensor, position: float) -> Tensor:
    """Return the row (LATENTS,) of `table` (levels, LATENTS) at a `position` 0..levels - 1, in float64."""
    low = min(int(position), len(table) - 2)
    part = position - low
    return table[low].double() * (1 - part) + table[low + 1].double() * part


class Decoder:
    """Integers in, integers out; see `exact` for why they are the same everywhere."""

    def __init__(self, tensors: Mapping[str, Tensor], arithmetic: Arithmetic) -> None:
        def conv(name: str) -> IntegerConv:
            return IntegerConv(*(tensors[f"{name}.{kind}"] for kind in ("weight", "bias", "scale")))

        self.arithmetic = arithmetic
        self.inverse_gain = tensors["inverse_gain"]
        self.stem, self.head = conv("synthesis.stem"), conv("synthesis.head")
        self.narrow = {name: Narrow(conv(f"synthesis.{name}"), arithmetic) for name in (
            "deep.0.first", "deep.0.second", "deep.1.first", "deep.1.second", "up2.conv", "middle.0.first", "middle.0.second",
            "middle.1.first", "middle.1.second", "up1.conv", "fine.first", "fine.second")}
        self.head_weight = self.head.weight.float().contiguous(memory_format=torch.channels_last)
        self.hyper = [conv(f"hyper_synthesis.{name}") for name in ("up1.conv", "coarse", "up2.conv", "fine")]
        self.around, self.mix, self.out = (conv(f"prediction.{name}") for name in ("around", "mix", "head"))

    def features(self, z: Tensor) -> Tensor:
        """z (1, COARSE, h, w), float64 integers, to features (1, 96, 4h, 4w), float64 integers."""
        up1, coarse, up2, fine = self.hyper
        x = F.pixel_shuffle(up1.wide(z, 1.0, WIDE), 2)
        x = coarse.wide(x, WIDE_STEP, WIDE)
        x = F.pixel_shuffle(up2.wide(x, WIDE_STEP, WIDE), 2)
        return fine.wide(x, WIDE_STEP, WIDE)

    def predict(self, features: Tensor, squares: np.ndarray, black: Tensor | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Means (in units of 1/FINE, int32) and scale indices (uint8), each (LATENTS, P), at the places where `squares` (H, W)
        is true. `black` (LATENTS, H, W), int32: y in units of 1/FINE on the black squares, 0 elsewhere; without it the answers
        hold for the black squares."""
        rows, columns = (torch.from_numpy(i) for i in np.nonzero(squares))
        mean = np.empty((LATENTS, len(rows)), np.int32)
        index = np.empty((LATENTS, len(rows)), np.uint8)
        padded = None if black is None else F.pad(black.double(), (self.around.padding,) * 4)
        for begin in range(0, len(rows), PLACES):
            r, c = rows[begin : begin + PLACES], columns[begin : begin + PLACES]
            x = features[0][:, r, c]
            if padded is None:
                context = torch.zeros_like(x)
            else:
                context = self.around.bounded(self.around.sums_at(padded, r, c), 1 / FINE, WIDE)
            x = self.mix.bounded(self.mix.sums(torch.cat([x, context])), WIDE_STEP, WIDE)
            sums = self.out.sums(x) * (self.out.scale.double() * WIDE_STEP)[:, None]
            mean[:, begin : begin + PLACES] = (sums[:LATENTS] * FINE).round().to(torch.int32).numpy()
            index[:, begin : begin + PLACES] = (sums[LATENTS:] * 4 + 16).round().clamp(0, SCALES - 1).to(torch.uint8).numpy()
        return mean, index

    def pixels(self, y: Tensor, position: float) -> Tensor:
        """y (1, LATENTS, h, w), integers in units of 1/FINE, at quality `position`, to uint8 (16 h, 16 w, 3)."""
        gain = interpolated(self.inverse_gain, position)[:, None, None]
        x = (y.double() * gain).round().clamp(-(2.0**20), 2.0**20)
        x = self.stem.sums64(x) * (self.stem.scale.double() * (1 / GRID / STEP))[:, None, None]
        x = x.round().clamp(-255, 255).bfloat16().contiguous(memory_format=torch.channels_last)
        n = self.narrow
        for block in ("deep.0", "deep.1"):
            x = n[f"{block}.second"](n[f"{block}.first"](x, leaky=True), plus=x)
        x = n["up2.conv"](x, grow=True)
        for block in ("middle.0", "middle.1"):
            x = n[f"{block}.second"](n[f"{block}.first"](x, leaky=True), plus=x)
        x = n["up1.conv"](x, grow=True)
        x = n["fine.second"](n["fine.first"](x, leaky=True), plus=x)
        dtype = torch.float64 if self.arithmetic.dtype is torch.float64 else torch.float32
        sums = F.conv2d(x.to(dtype), self.head_weight.to(dtype), self.head.bias.to(dtype), 1, 1).float()
        out = sums.mul_((self.head.scale * (STEP * 255))[:, None, None]).add_(127.5)
        return F.pixel_shuffle(out.round_().clamp_(0, 255).to(torch.uint8), 4)[0].permute(1, 2, 0)


def fingerprint(tensors: Mapping[str, Tensor]) -> int:
    """16 bits that tell codecs apart: of all that the decoder reads."""
    crc = 0
    for name in sorted(n for n in tensors if not n.startswith(("analysis.", "hyper_analysis.", "gain"))):
        crc = zlib.crc32(tensors[name].contiguous().numpy().tobytes(), zlib.crc32(name.encode(), crc))
    return crc & 0xFFFF
