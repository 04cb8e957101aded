"""Depthwise convolution of channels-last bf16 images by the compiled core (native/depthwise.h), for constant weights.

Only on processors with AVX512-BF16: whoever calls asks `Depthwise.fits` first, and has another way.
Depends on torch (tensors, its team of threads), ctypes and `_native`.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.convolve import _native

_BLOCK = 32  # channels to a block of depthwise.h
_POINTERS = ("x", "y", "taps", "bias", "team")
_NUMBERS = ("images", "channels", "lines", "width", "rows", "cols", "top", "left", "kernel", "stride", "threads")


class _Job(ctypes.Structure):
    """See native/depthwise.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in _POINTERS] + [(name, ctypes.c_int64) for name in _NUMBERS] + [
        ("least", ctypes.c_float), ("most", ctypes.c_float)]


@lru_cache(maxsize=1)
def _function() -> ctypes._NamedFuncPointer | None:
    library = _native.library()
    if library is None or not hasattr(library, "hubel_has_depthwise") or not library.hubel_has_depthwise():
        return None
    library.hubel_depthwise.restype = None
    return library.hubel_depthwise


@lru_cache(maxsize=1)
def _team() -> int | None:
    """The address of the function by which torch's OpenMP runs a loop on its threads; None where it has no such function."""
    try:
        torch_library = ctypes.CDLL(str(Path(torch.__file__).with_name("lib") / "libtorch_cpu.so"))
        return ctypes.cast(torch_library.GOMP_parallel, ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None


class Depthwise:
    """Kernels (C, 1, K, K) and a bias (C), K 3 or 5, that are applied at stride 1 or 2 to images (N, C, H, W)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: int) -> None:
        self.channels, self.kernel, self.stride = len(weight), weight.shape[2], stride
        spare = -self.channels % _BLOCK
        w = F.pad(weight.detach().float().flatten(1).T, (0, spare))  # (K * K, C)
        b = torch.zeros(self.channels) if bias is None else bias.detach().float()
        self.taps, self.bias = _blocks(w), _blocks(F.pad(b, (0, spare))[None])

    @staticmethod
    def possible(weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> bool:
        """Return whether the compiled core is there and has a loop for kernels like these."""
        c, each, kh, kw = weight.shape
        known = kh == kw and kh in (3, 5) and stride in ((1, 1), (2, 2)) and dilation == (1, 1)
        return known and each == 1 and c == groups and weight.device.type == "cpu" and _function() is not None

    def fits(self, x: Tensor) -> bool:
        """Return whether x is what the loops are for: bf16, channels-last, on the CPU."""
        return (x.dtype is torch.bfloat16 and x.ndim == 4 and x.shape[1] == self.channels and x.device.type == "cpu"
                and x.is_contiguous(memory_format=torch.channels_last))

    def __call__(self, x: Tensor, pads: tuple[int, int, int, int], ceiling: float | None = None) -> Tensor:
        """x (N, C, H, W) that `fits`, with `pads` zeros (left, right, top, bottom) around it -> (N, C, H', W').

        With a ceiling the answer is clamped to 0..ceiling. Sums are in float32, rounded once to bf16.
        """
        n, c, h, w = x.shape
        left, right, top, bottom = pads
        rows = (h + top + bottom - self.kernel) // self.stride + 1
        cols = (w + left + right - self.kernel) // self.stride + 1
        y = torch.empty((n, c, rows, cols), dtype=x.dtype, memory_format=torch.channels_last)
        small = y.numel() * self.kernel**2 < 3e5  # less than sharing the work takes
        job = _Job(x.data_ptr(), y.data_ptr(), self.taps.data_ptr(), self.bias.data_ptr(), _team(),
                   n, c, h, w, rows, cols, top, left, self.kernel, self.stride, 1 if small else torch.get_num_threads(),
                   float("-inf") if ceiling is None else 0.0, float("inf") if ceiling is None else ceiling)
        function = _function()
        assert function is not None
        function(ctypes.byref(job))
        return y


def _blocks(values: Tensor) -> Tensor:
    """values (K * K, C) -> (C / 32, K * K, 2, 16): of each 32 channels the even ones, then the odd ones."""
    return values.view(len(values), -1, _BLOCK // 2, 2).permute(1, 0, 3, 2).contiguous()
