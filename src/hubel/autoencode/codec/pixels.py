"""From the numbers of y to pixels, in integers: the same picture on every machine. Depends on exact, integer and network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.autoencode.codec.context import FINE, LATENTS, PER_UNIT
from hubel.autoencode.codec.exact import STEP, Arithmetic, IntegerConv, Narrow
from hubel.autoencode.codec.integer import GRID, STEP_GRID, Layer
from hubel.autoencode.codec.network import BLOCK, CELL, DEPTH

TILE = 64  # blocks: a square of so many a side is held at a time
REACH = 3  # blocks: how far a pixel looks. Ten convolutions of cells, of four pixels each
INNER = BLOCK // CELL


class Painter:
    """The synthesis in integers."""

    def __init__(self, tensors: Mapping[str, Tensor], arithmetic: Arithmetic) -> None:
        self.arithmetic, self.levels = arithmetic, tensors["levels"]
        self.steps, self.conditions = tensors["steps"], tensors["conditions"].double()
        self.inverse = tensors["inverse"].double().T.contiguous()  # (768, LATENTS)
        self.stem, self.side, self.head = (Layer.named(tensors, f"synthesis.{name}", step) for name, step in (
            ("stem.conv", STEP), ("side", 1 / PER_UNIT), ("head", STEP)))
        self.blocks = [tuple(Narrow(_narrow(Layer.named(tensors, f"synthesis.blocks.{i}.{name}", STEP), 0.0), arithmetic)
                             for name in ("first", "second")) for i in range(DEPTH)]
        self.run_side, self.run_head = (arithmetic.layer(_narrow(layer, 0.0)) for layer in (self.side, self.head))

    def paint(self, y: Tensor, quality: int) -> np.ndarray:
        """y (LATENTS, h, w), int32 in units of 1/FINE, to uint8 (16 h, 16 w, 3), a square of TILE blocks after another."""
        h, w = y.shape[1:]
        stem = Narrow(_narrow(self.stem, float(self.conditions[quality - 1])), self.arithmetic)
        out = np.empty((BLOCK * h, BLOCK * w, 3), np.uint8)
        for top in range(0, h, TILE):
            for left in range(0, w, TILE):
                t, l = max(0, top - REACH), max(0, left - REACH)
                bottom, right = min(top + TILE, h), min(left + TILE, w)
                part = self._square(y[:, t : bottom + REACH, l : right + REACH], int(self.steps[quality - 1]), stem)
                out[BLOCK * top : BLOCK * bottom, BLOCK * left : BLOCK * right] = part[
                    BLOCK * (top - t) : BLOCK * (bottom - t), BLOCK * (left - l) : BLOCK * (right - l)]
        return out

    def _square(self, y: Tensor, step: int, stem: Narrow) -> np.ndarray:
        h, w = y.shape[1:]
        base = self.inverse @ y.reshape(LATENTS, -1).double()  # exact: integers below 2^53
        base = (base * (step / (STEP_GRID * FINE * GRID))).float()
        base = base.view(3, INNER, CELL, INNER, CELL, h, w).permute(5, 1, 6, 3, 0, 2, 4).reshape(INNER * h, INNER * w, -1)
        size = self.levels[y.abs().clamp_max(len(self.levels) - 1).long()].bfloat16()[None]
        told = self.run_side(size.contiguous(memory_format=torch.channels_last)).float()
        told = F.pixel_shuffle((told * self.side.factor(STEP)[:, None]).bfloat16(), INNER)
        x = (base * 2).round_().clamp_(-255, 255).bfloat16().permute(2, 0, 1)[None]
        x = stem(x, plus=told.contiguous(memory_format=torch.channels_last))
        for first, second in self.blocks:
            x = second(first(x, leaky=True), plus=x)
        change = self.run_head(x)[0].permute(1, 2, 0).float()
        change = change * (self.head.scale * STEP * (step / STEP_GRID)).float()
        whole = change.add_(base).add_(128).round_().clamp_(0, 255).to(torch.uint8)
        cells: np.ndarray = whole.view(INNER * h, INNER * w, 3, CELL, CELL).permute(0, 3, 1, 4, 2).reshape(
            BLOCK * h, BLOCK * w, 3).numpy()
        return cells


def _narrow(layer: Layer, t: float) -> IntegerConv:
    """The layer at quality t; its biases are integers that bfloat16 holds, as its convolution adds them."""
    return IntegerConv(layer.weight, layer.biases(t).bfloat16(), layer.scale.float())
