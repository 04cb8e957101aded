"""Random numbers that depend on counters only: (seed, epoch, sample) for the data, (seed, step) for the network.

Nothing here has a state that could be lost: an interrupted run draws the same numbers when it goes on, and a sample is
augmented alike whatever the batch it arrives in. SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
generators, OOPSLA 2014) is used as the hash and as the stream of each sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection of 64-bit words in which every input bit changes every output bit."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _hash(*words: np.ndarray | int) -> np.ndarray:
    """One 64-bit word from several, broadcasting; each word is mixed in before the next is added."""
    state = np.zeros(1, dtype=np.uint64)
    for word in words:
        state = _mix(state + _GOLDEN + np.asarray(word, dtype=np.int64).astype(np.uint64))
    return state


def step_seed(seed: int, step: int) -> int:
    """The seed of torch's generator for one training step (dropout, stochastic depth): `_hash` in plain integers,
    since it is needed at every step and torch's CPU generator keeps 32 bits of it."""
    state, mask = 0, 2**64 - 1
    for word in (seed, 1, step):
        state = (state + 0x9E3779B97F4A7C15 + word) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1


def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of `count` samples in one epoch, int64 (count,)."""
    return np.random.default_rng([int(_hash(seed, 2, epoch)[0])]).permutation(count)


class Draws:
    """The random numbers of a batch of samples in one epoch: every call gives each sample its stream's next number.

    `index` (N,) are the samples' places in the data set; `fetch(index) -> (x, y)` reads further samples (for mixup).
    """

    def __init__(self, seed: int, epoch: int, index: np.ndarray,
                 fetch: Callable[[np.ndarray], tuple[Tensor, Tensor]] | None = None, size: int | None = None) -> None:
        self.seed, self.epoch, self.index, self.fetch = seed, epoch, np.asarray(index, dtype=np.int64), fetch
        self.size = size if size is not None else (int(self.index.max()) + 1 if len(self.index) else 0)
        self._state = _hash(seed, 3, epoch, self.index)

    def __len__(self) -> int:
        return len(self.index)

    def unit(self) -> np.ndarray:
        """float64 (N,), uniform in [0, 1)."""
        with np.errstate(over="ignore"):
            self._state = self._state + _GOLDEN
        return (_mix(self._state) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def uniform(self, low: float, high: float) -> Tensor:
        """float32 (N,), uniform in [low, high)."""
        return torch.from_numpy(low + (high - low) * self.unit()).float()

    def integers(self, low: int, high: int) -> Tensor:
        """int64 (N,), uniform in low..high, both ends included."""
        return torch.from_numpy(low + np.floor((high - low + 1) * self.unit()).astype(np.int64))

    def chance(self, probability: float) -> Tensor:
        """bool (N,), true with the given probability."""
        return torch.from_numpy(self.unit() < probability)

    def fixed(self, stream: int) -> np.ndarray:
        """float64 (N,) in [0, 1) that stays the same for a sample in every epoch."""
        return (_hash(self.seed, 4, stream, self.index) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def of(self, index: np.ndarray) -> Draws:
        """The draws of other samples in the same epoch, from the start of their streams."""
        return Draws(self.seed, self.epoch, index, self.fetch, self.size)
