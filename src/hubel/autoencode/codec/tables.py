"""Integer tables of how often each symbol occurs, and entropy coding by them. Depends on NumPy and constriction.

A symbol is an integer; a table covers -half..half, and an escape for all that lies beyond: its place is coded, its value
stands in a list of its own. Tables sum to 2^16, so that their probabilities are exact in any float, and ship with the
weights: nothing is computed from a formula that another machine might round otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hubel.errors import DataError

TOTAL = 1 << 16


@dataclass(frozen=True, eq=False)
class Tables:
    """counts[starts[i] : starts[i + 1]] is table i: 2 half + 1 symbols and the escape."""

    counts: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, tables: list[np.ndarray]) -> Tables:
        return cls(np.concatenate(tables).astype(np.int32), np.cumsum([0, *map(len, tables)]).astype(np.int32))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def halves(self) -> np.ndarray:
        return (np.diff(self.starts) - 2) // 2

    @cached_property
    def models(self) -> list[Any]:
        import constriction

        return [constriction.stream.model.Categorical((self.counts[a:b] / TOTAL).astype(np.float32), perfect=False)
                for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]

    def bits(self, symbols: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Return the bits of each symbol under table `which` (escapes: with the 16 bits of their value)."""
        half = self.halves[which]
        beyond = np.abs(symbols) > half
        place = self.starts[which] + np.where(beyond, 2 * half + 1, symbols + half)
        return -np.log2(self.counts[place] / TOTAL) + 16 * beyond


class Writer:
    """Symbols in, bytes out: `escapes` and the coder's 32-bit words."""

    def __init__(self) -> None:
        import constriction

        self.coder = constriction.stream.queue.RangeEncoder()
        self.escapes: list[int] = []

    def put(self, symbols: np.ndarray, which: np.ndarray, tables: Tables) -> None:
        """Code integers under the tables `which` (uint8 each): table by table, in order within each."""
        order = np.argsort(which, kind="stable")
        half = tables.halves[which]
        place = (symbols + half).astype(np.int32)
        beyond = np.abs(symbols) > half
        place[beyond] = 2 * half[beyond] + 1
        self.escapes += symbols[order][beyond[order]].tolist()
        place, ends = place[order], np.bincount(which, minlength=len(tables)).cumsum()
        for i in np.unique(which):
            self.coder.encode(place[ends[i - 1] if i else 0 : ends[i]], tables.models[i])

    def words(self) -> bytes:
        return self.coder.get_compressed().astype("<u4").tobytes()


class Reader:
    """What `Writer` wrote, in the same order and by the same tables."""

    def __init__(self, words: bytes, escapes: list[int]) -> None:
        import constriction

        self.coder = constriction.stream.queue.RangeDecoder(np.frombuffer(words, dtype="<u4").astype(np.uint32))
        self.escapes, self.used = np.array(escapes, dtype=np.int32), 0

    def take(self, which: np.ndarray, tables: Tables) -> np.ndarray:
        """Return the integers (int32) of the tables `which` (uint8 each)."""
        counts = np.bincount(which, minlength=len(tables))
        values = np.empty(len(which), np.int32)
        end = 0
        for i in np.flatnonzero(counts):
            begin, end = end, end + int(counts[i])
            place = self.coder.decode(tables.models[i], int(counts[i]))
            half = int(tables.halves[i])
            beyond = place == 2 * half + 1
            values[begin:end] = place - half
            if beyond.any():
                new = self.escapes[self.used : self.used + int(beyond.sum())]
                if len(new) < beyond.sum():
                    raise DataError("the file lacks values that its symbols announce: it is damaged")
                values[begin:end][beyond] = new
                self.used += len(new)
        out = np.empty(len(which), np.int32)
        out[np.argsort(which, kind="stable")] = values
        return out


def table(weights: np.ndarray) -> np.ndarray:
    """Return integers of at least 1 that sum to TOTAL, in proportion to `weights` as nearly as that allows."""
    w = np.asarray(weights, dtype=np.float64)
    share = w / w.sum() * (TOTAL - len(w))
    whole = np.floor(share).astype(np.int64)
    rest = TOTAL - len(w) - int(whole.sum())
    whole[np.argsort(whole - share, kind="stable")[:rest]] += 1
    return whole + 1
