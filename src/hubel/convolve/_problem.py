"""From the user's arrays to one canonical problem: x (N, C, *S) with w (F, C or 1, *K) -> (N, F or C, *O).

Depends on NumPy and torch. The rule for axes: the type of x decides, never a guess from its sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError

_SPACES = ("t", "hw", "dhw")
_LAYOUTS = {  # (rank of x, rank of w): the axes of a NumPy x
    (1, 1): "t", (2, 1): "tc", (3, 1): "ntc", (1, 2): "t",
    (2, 2): "hw", (3, 2): "hwc", (4, 2): "nhwc", (2, 3): "hw", (3, 4): "hwc", (4, 4): "nhwc",
    (3, 3): "dhw", (4, 3): "dhwc", (5, 3): "ndhwc", (4, 5): "dhwc", (5, 5): "ndhwc",
}  # fmt: skip
_FLOAT_OF = {torch.float32: torch.float32, torch.float64: torch.float64, torch.float16: torch.float32,
             torch.bfloat16: torch.float32, torch.int32: torch.float64, torch.int64: torch.float64}  # fmt: skip
_SMALL = {torch.bool: 1, torch.uint8: 255, torch.int8: 128, torch.int16: 32768}


@dataclass(frozen=True)
class Problem:
    """x (N, C, *S) and w (F, C or 1, *K); `summed` tells whether channels are summed over.

    w has the floating dtype to compute in; x has it too, or is uint8, which the compiled ways read as it is.
    """

    x: Tensor
    w: Tensor
    summed: bool
    layout: str  # of x as given, e.g. 'nhwc'
    bank: bool
    had_channels: bool
    numpy: bool
    dtype: torch.dtype  # of the answer

    @property
    def dims(self) -> int:
        return self.w.ndim - 2

    def restore(self, y: Tensor) -> Any:
        """Return (N, F or C, *O) in the layout and type of the input."""
        keep = "n" in self.layout
        channels = self.bank or (self.had_channels and not self.summed)
        space = [a for a in self.layout if a not in "nc"]
        order = ["n", "c", *space]
        target = [a for a in self.layout if a != "c"]
        if channels:
            if self.had_channels:
                place = self.layout.index("c")
            else:
                place = len(target) if self.numpy else target.index(space[0])
            target.insert(place, "c")
        if not keep:
            y, order = y[0], order[1:]
        if not channels:
            axis = order.index("c")
            y, order = y.select(axis, 0), [a for a in order if a != "c"]
        if order != target:
            y = y.permute([order.index(a) for a in target])
        return y.numpy() if self.numpy else y


def as_tensor(a: Any, name: str) -> tuple[Tensor, bool]:
    """Return (tensor, was it NumPy). Read-only and reversed arrays are copied; complex and text are refused."""
    if isinstance(a, Tensor):
        if a.is_complex():
            raise InputError(f"{name} is complex: correlate its real and imaginary parts apart")
        if a.layout != torch.strided:
            raise InputError(f"{name} is a sparse tensor: call .to_dense() first")
        return a, False
    try:
        a = np.asarray(a)
    except ValueError as error:
        raise InputError(f"{name} is not an array of numbers: {error}") from None
    if a.dtype.kind == "c":
        raise InputError(f"{name} is complex: correlate its real and imaginary parts apart")
    if a.dtype.kind not in "buif":
        raise InputError(f"{name} is an array of {a.dtype}, not of numbers")
    if a.dtype.kind == "u" and a.itemsize > 1:  # torch knows few unsigned types
        if a.itemsize == 8 and a.size and a.max() > np.iinfo(np.int64).max:
            raise InputError(f"{name} holds {a.max()}, more than 64-bit signed integers can: convert it to float64")
        a = a.astype({2: np.int32, 4: np.int64, 8: np.int64}[a.itemsize])
    if a.dtype.itemsize > 8:
        a = a.astype(np.float64)
    if not a.flags.writeable or not a.dtype.isnative or any(s < 0 or s % a.itemsize for s in a.strides):
        a = a.astype(a.dtype.newbyteorder("="))
    return torch.from_numpy(a), True


def default_layout(x_rank: int, w_rank: int, numpy: bool) -> str:
    """Return the axes that ranks and type imply: see `correlate`."""
    layout = _LAYOUTS.get((x_rank, w_rank))
    if layout is None:
        raise InputError(f"a kernel of {w_rank} dimensions does not go with an input of {x_rank} by itself: "
                         "say layout= (such as 'nhwc' or 'nhw'), or give both the same number (1, 2 or 3)")
    if numpy or "c" not in layout:
        return layout
    return "nc" + layout[1:-1] if layout[0] == "n" else "c" + layout[:-1]


def make(x: Any, w: Any, layout: str | None, dtype: Any) -> Problem:
    """Check the arrays and bring them into canonical order without copying x where that can be helped."""
    x, numpy = as_tensor(x, "x")
    w, _ = as_tensor(w, "w")
    if 0 in x.shape or x.ndim == 0:
        raise InputError(f"x of shape {tuple(x.shape)} has nothing to correlate")
    if 0 in w.shape or w.ndim == 0:
        raise InputError(f"the kernel of shape {tuple(w.shape)} is empty: it needs at least one weight")
    layout = default_layout(x.ndim, w.ndim, numpy) if layout is None else _checked(layout, x)
    space = "".join(a for a in layout if a not in "nc")
    dims, had_channels = len(space), "c" in layout
    summed, bank = _kernel_kind(w, dims, had_channels, layout)
    compute, answer = _dtypes(x, w, dtype)
    if w.device != x.device:
        w = w.to(x.device)
    if x.dtype != torch.uint8 or x.device.type != "cpu":
        x = _cast(x, compute)
    w = _cast(w, compute)
    x = x.permute([layout.index(a) for a in ("n" + "c" + space) if a in layout])
    if not had_channels:
        x = x.unsqueeze(1 if "n" in layout else 0)
    if "n" not in layout:
        x = x.unsqueeze(0)
    if not bank:
        w = w.unsqueeze(0)
    if had_channels and summed:
        order = [a for a in layout if a != "n"]
        w = w.permute([0, *(1 + order.index(a) for a in "c" + space)])
        if w.shape[1] != x.shape[1]:
            raise InputError(f"the filters have {w.shape[1]} channels and x has {x.shape[1]} (layout {layout!r})")
    else:
        w = w.unsqueeze(1)
    return Problem(x, w, summed, layout, bank, had_channels, numpy, answer)


def _checked(layout: str, x: Tensor) -> str:
    axes = layout.replace(" ", "").lower()
    space = "".join(a for a in axes if a not in "nc")
    if space not in _SPACES or len(set(axes)) != len(axes):
        raise InputError(f"layout={layout!r} must name each axis once: n (batch), c (channels), then t, hw or dhw")
    if len(axes) != x.ndim:
        raise InputError(f"layout={layout!r} names {len(axes)} axes and x has {x.ndim} (shape {tuple(x.shape)})")
    return axes


def _kernel_kind(w: Tensor, dims: int, had_channels: bool, layout: str) -> tuple[bool, bool]:
    """Return (are channels summed over, is w a bank)."""
    extra = w.ndim - dims
    if extra == 0:
        return False, False
    if extra == 1:
        return True, not had_channels  # with channels: one filter that has them too; without: a bank
    if extra == 2 and had_channels:
        return True, True
    raise InputError(f"a kernel of {w.ndim} dimensions does not go with layout {layout!r}: give {dims} dimensions for "
                     f"one filter{', one more for channels, one more in front' if had_channels else ', one more'} "
                     "for a bank")


def _dtypes(x: Tensor, w: Tensor, dtype: Any) -> tuple[torch.dtype, torch.dtype]:
    """Return (computed in, answered in). Integers with integers are exact; x decides the precision otherwise."""
    wanted = None if dtype is None else torch_dtype(dtype)
    if wanted is None and not x.is_floating_point() and not w.is_floating_point():
        top = _SMALL.get(x.dtype) or float(x.double().abs().max())
        if top * float(w.double().abs().sum()) > 2**53:
            raise InputError("the exact integer answer may pass 2**53: convert x or w to float64")
        return torch.float64, torch.int64
    compute = _FLOAT_OF.get(x.dtype, torch.float32)
    answer = x.dtype if x.is_floating_point() else compute
    if wanted is not None:
        answer = wanted
        if wanted in (torch.float64, torch.int32, torch.int64):
            compute = torch.float64
    return compute, answer


def torch_dtype(dtype: Any) -> torch.dtype:
    """Return the torch type of a NumPy or torch dtype, or of its name."""
    if isinstance(dtype, torch.dtype):
        if dtype.is_complex:
            raise InputError(f"dtype={dtype} is complex: answers are real")
        return dtype
    try:
        return {"b": torch.bool}.get(np.dtype(dtype).kind) or torch.from_numpy(np.empty(0, dtype)).dtype
    except TypeError:
        raise InputError(f"dtype={dtype!r} is not a number type: use uint8, int16, int32, float32 or float64") from None


def _cast(t: Tensor, dtype: torch.dtype) -> Tensor:
    if t.dtype == dtype:
        return t
    if t.dtype == torch.float64 and t.numel() and not t.requires_grad and t.numel() < 1e5:
        top = float(t.abs().max())
        if np.isfinite(top) and top > torch.finfo(dtype).max:
            raise InputError(f"a weight of {top:.3g} does not fit {str(dtype)[6:]}: pass x as float64")
    return t.to(dtype)


def answer(y: Tensor, dtype: torch.dtype) -> Tensor:
    """Return y in `dtype`: rounded to nearest (ties to even) and saturated when that is an integer type."""
    if y.dtype == dtype:
        return y
    if dtype.is_floating_point:
        return y.to(dtype)
    info = torch.iinfo(dtype)
    if not bool(torch.isfinite(y.sum())):
        y = torch.nan_to_num(y, nan=0.0)
    return y.round_().clamp_(float(info.min), float(info.max)).to(dtype)
