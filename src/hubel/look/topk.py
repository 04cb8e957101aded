"""A running top-k for many units at once, in bounded memory: what is not among the k best is gone. Depends on torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PENDING = 256  # inputs whose peaks are gathered before they are sorted in: 1 kB a unit, and one sorting for all
EMPTY = torch.iinfo(torch.int64).min


class TopK:
    """For each of `units` units the k largest values seen, of which inputs, and the mean and spread of all.

    values : float32 (units, k), falling; -inf where fewer than k inputs were seen. inputs : int64 (units, k), which input
    (numbers below 2^32). Of equal values those of the lower number are kept, so that the answer does not depend on how the
    data were cut into batches. Where in its map a unit was excited is found when it is shown, for few.
    """

    def __init__(self, units: int, k: int) -> None:
        self.k = k
        self.seen = 0
        self._keys = torch.full((units, k), EMPTY)  # value and input in one number, so that sorting needs no second array
        self._sum = torch.zeros(units, dtype=torch.float64)
        self._squares = torch.zeros(units, dtype=torch.float64)
        self._pending: list[tuple[Tensor, Tensor]] = []

    def update(self, activation: Tensor, inputs: Tensor) -> None:
        """Take in a batch: maps (N, C, H, W) or vectors (N, C), of the inputs with these numbers (N,)."""
        self._pending.append((peak(activation), inputs))
        self.seen += len(inputs)
        if sum(len(some) for _, some in self._pending) >= PENDING:
            self._sort_in()

    @property
    def values(self) -> Tensor:
        return _value(self._sorted())

    @property
    def inputs(self) -> Tensor:
        return _input(self._sorted())

    @property
    def mean(self) -> Tensor:
        """(units,) float64: the mean of each unit's largest activation in an input, over all inputs."""
        self._sort_in()
        return self._sum / max(self.seen, 1)

    def _sorted(self) -> Tensor:
        self._sort_in()
        return self._keys

    def _sort_in(self) -> None:
        if not self._pending:
            return
        peaks, inputs = (torch.cat(parts) for parts in zip(*self._pending, strict=True))
        self._pending = []
        self._sum += peaks.sum(0, dtype=torch.float64)
        self._squares += peaks.double().square_().sum(0)
        units = (peaks.amax(0) >= _value(self._keys[:, -1])).nonzero()[:, 0]
        if len(units):
            new = _key(peaks.T[units], inputs)
            self._keys[units] = torch.cat([self._keys[units], new], 1).topk(self.k, dim=1).values

    def selectivity(self) -> Tensor:
        """(units,) how far the k best stand above the mean of all inputs, in standard deviations; 0 for dead units."""
        mean = self.mean
        std = (self._squares / max(self.seen, 1) - mean.square()).clamp_min(0).sqrt()
        best = torch.where(self.values.isfinite(), self.values, torch.nan).double().nanmean(1)
        return torch.where(std > 1e-6 * mean.abs().clamp_min(1e-12), (best - mean) / std.clamp_min(1e-30), 0.0).float()

    def state(self) -> dict[str, Tensor]:
        """All of it as tensors, for a file; `TopK.restore` is the way back."""
        return {"values": self.values, "inputs": self.inputs, "sum": self._sum, "squares": self._squares,
                "seen": torch.tensor(self.seen)}

    @staticmethod
    def restore(state: dict[str, Any]) -> TopK:
        top = TopK(*state["values"].shape)
        top._keys = torch.where(state["inputs"] < 0, EMPTY, _key(state["values"], state["inputs"].clamp_min(0)))
        top._sum, top._squares, top.seen = state["sum"], state["squares"], int(state["seen"])
        return top


def _key(values: Tensor, inputs: Tensor) -> Tensor:
    """Whole numbers that order as the values do and, where those are equal, by the lower input."""
    bits = (values + 0.0).view(torch.int32)  # -0 becomes 0
    return (torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long() << 32) + (0xFFFFFFFF - inputs)


def _value(keys: Tensor) -> Tensor:
    bits = (keys >> 32).int()
    return torch.where(keys == EMPTY, -torch.inf, torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).view(torch.float32))


def _input(keys: Tensor) -> Tensor:
    return torch.where(keys == EMPTY, -1, 0xFFFFFFFF - (keys & 0xFFFFFFFF))


def peak(activation: Tensor) -> Tensor:
    """Return the largest value of each channel (N, C) in float32; maps in channels-last memory are read as they lie."""
    if activation.ndim == 2:
        return activation.float()
    if activation.is_contiguous(memory_format=torch.channels_last):
        most, across = activation.permute(0, 2, 3, 1), 1
    else:
        most, across = activation.flatten(2), 2
    return (_bf16_amax if most.dtype == torch.bfloat16 else _amax)(most, across).float()


def _amax(x: Tensor, across: int, least: bool = False) -> Tensor:
    """Largest (or least) value over the places of (N, H, W, C) or, across 2, of (N, C, places). Channels that lie
    together are taken over rows first, in long runs, and then over columns: up to ten times as fast for few channels."""
    over = torch.amin if least else torch.amax
    if across == 2:
        return over(x, 2)
    n, h, w, c = x.shape
    return over(x.reshape(n, h * w, c), 1) if h * w <= 64 else over(over(x.reshape(n, h, w * c), 1).view(n, w, c), 1)


def _bf16_amax(x: Tensor, across: int) -> Tensor:
    """amax by the values' bits, which torch compares three times as fast: floats above 0 order as their bits do, and
    those below the other way round, behind all that are above."""
    bits = x.view(torch.int16)
    best = _amax(bits, across)
    if bool((best < 0).any()):
        best = torch.where(best < 0, _amax(bits, across, least=True), best)
    return best.view(torch.bfloat16)
