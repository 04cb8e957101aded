"""Memory for answers: aligned to cache lines, in huge pages, and large blocks used again. Depends on NumPy and torch.

The system clears every page that it hands out, which for a bank's answers costs as much as computing them. malloc keeps
what was freed, but only blocks below 32 MB; so up to KEPT bytes of larger ones are kept here once nobody holds them.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

KEPT = 1 << 27
_LARGE = 1 << 25
_NUMPY_DTYPE = {torch.float32: np.float32, torch.float64: np.float64, torch.uint8: np.uint8}
_spare: list[np.ndarray] = []
_lock = threading.RLock()  # may be taken while it is: giving back can happen at any allocation


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return uninitialised memory. Through NumPy, which asks for huge pages: a fresh 67 MB costs 4 ms that way, not 20."""
    kind = np.dtype(_NUMPY_DTYPE[dtype])
    size = math.prod(shape) * kind.itemsize
    raw = _take(size + 64)
    start = -raw.__array_interface__["data"][0] % 64  # faster than raw.ctypes.data
    view = raw[start : start + size].view(kind).reshape(shape)
    if raw.size >= _LARGE:
        weakref.finalize(view, _give, raw).atexit = False  # the tensor holds view as long as anybody holds the tensor
    return torch.from_numpy(view)


def _take(size: int) -> np.ndarray:
    if size >= _LARGE:
        with _lock:
            for i, block in enumerate(_spare):
                if size <= block.size <= 1.25 * size:
                    return _spare.pop(i)
    return np.empty(size, np.uint8)


def _give(block: np.ndarray) -> None:
    with _lock:
        _spare.append(block)
        while sum(b.size for b in _spare) > KEPT:
            _spare.pop(0)
