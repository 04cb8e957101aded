"""A running top-k for many units at once, in bounded memory: what is not among the k best is gone. Depends on torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class TopK:
    """For each of `units` units the k largest values seen, of which inputs, and the mean and spread of all.

    values : float32 (units, k), falling; -inf where fewer than k inputs were seen. inputs : int64 (units, k), which input.
    Equal values are kept in the order they came. Where in its map a unit was excited is found when it is shown, for few.
    """

    def __init__(self, units: int, k: int) -> None:
        self.k = k
        self.values = torch.full((units, k), -torch.inf)
        self.inputs = torch.full((units, k), -1, dtype=torch.int64)
        self.seen = 0
        self.sum = torch.zeros(units, dtype=torch.float64)
        self.squares = torch.zeros(units, dtype=torch.float64)

    def update(self, activation: Tensor, inputs: Tensor) -> None:
        """Take in a batch: maps (N, C, H, W) or vectors (N, C), of the inputs with these numbers (N,)."""
        peaks = peak(activation)
        exact = peaks.double()
        self.sum += exact.sum(0)
        self.squares += exact.square().sum(0)
        self.seen += len(peaks)
        enters = peaks > self.values[:, -1]
        units = enters.any(0).nonzero()[:, 0]
        if not len(units):
            return
        values = torch.cat([self.values[units], peaks.T[units]], 1)
        values, order = values.sort(dim=1, descending=True, stable=True)
        values, order = values[:, : self.k], order[:, : self.k]
        images = torch.cat([self.inputs[units], inputs.expand(len(units), -1)], 1).gather(1, order)
        self.values[units], self.inputs[units] = values, images

    def selectivity(self) -> Tensor:
        """(units,) how far the k best stand above the mean of all inputs, in standard deviations; 0 for dead units."""
        mean = self.sum / max(self.seen, 1)
        std = (self.squares / max(self.seen, 1) - mean.square()).clamp_min(0).sqrt()
        best = torch.where(self.values.isfinite(), self.values, torch.nan).double().nanmean(1)
        return torch.where(std > 1e-6 * mean.abs().clamp_min(1e-12), (best - mean) / std.clamp_min(1e-30), 0.0).float()

    def state(self) -> dict[str, Tensor]:
        """All of it as tensors, for a file; `TopK.restore` is the way back."""
        return {"values": self.values, "inputs": self.inputs, "sum": self.sum, "squares": self.squares, "seen": torch.tensor(self.seen)}

    @staticmethod
    def restore(state: dict[str, Any]) -> TopK:
        top = TopK(*state["values"].shape)
        top.values, top.inputs = state["values"], state["inputs"]
        top.sum, top.squares, top.seen = state["sum"], state["squares"], int(state["seen"])
        return top


def peak(activation: Tensor) -> Tensor:
    """Return the largest value of each channel (N, C) in float32; maps in channels-last memory are read as they lie."""
    if activation.ndim == 2:
        return activation.float()
    n, c = activation.shape[:2]
    last = activation.is_contiguous(memory_format=torch.channels_last)
    flat = activation.permute(0, 2, 3, 1).reshape(n, -1, c) if last else activation.reshape(n, c, -1)
    return (_bf16_amax if flat.dtype == torch.bfloat16 else torch.amax)(flat, 1 if last else 2).float()


def _bf16_amax(x: Tensor, dim: int) -> Tensor:
    """amax by the values' bits, which torch compares three times as fast: floats above 0 order as their bits do, and
    those below the other way round, behind all that are above."""
    bits = x.view(torch.int16)
    best = bits.amax(dim)
    if bool((best < 0).any()):
        best = torch.where(best < 0, bits.amin(dim), best)
    return best.view(torch.bfloat16)
