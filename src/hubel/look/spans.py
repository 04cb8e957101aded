"""What one operation does to the span of the input that an index depends on: the rules behind look.fields. Depends on torch.

A rule takes the view of the operation's first argument, its shape, the operation's arguments and result, and returns the
result's view, or None where only 'everything it was given' can be said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """What index i along `dim` (negative: -2 is rows of NCHW) sees of one side of the input; dim None: one interval."""

    dim: int | None
    stride: float
    low: float
    high: float

    def step(self, stride: float, low: float, high: float, dim: int | None = None) -> Axis:
        """Compose with an operation whose output i reads its inputs stride * i + low .. stride * i + high."""
        return Axis(dim or self.dim, self.stride * stride, self.low + self.stride * low, self.high + self.stride * high)

    def collapse(self, size: int) -> Axis:
        """All indices together, of `size` along the dimension."""
        return self if self.dim is None else Axis(None, 0, self.low, self.high + self.stride * (size - 1))

    def everywhere(self) -> Axis:
        return replace(self, low=-math.inf, high=math.inf)

    def at(self, index: int, size: int) -> tuple[int, int]:
        """First and one past the last input pixel that index sees, clipped to an input side of `size` pixels."""
        low, high = self.low + self.stride * index, self.high + self.stride * index
        low = 0 if low == -math.inf else max(0, math.ceil(low - 1e-6))
        return low, size if high == math.inf else min(size, math.floor(high + 1e-6) + 1)


View = tuple[Axis, Axis]  # rows, columns
PIXEL: View = (Axis(-2, 1, 0, 0), Axis(-1, 1, 0, 0))


def _each(view: View, change: Any) -> View:
    return change(view[0]), change(view[1])


def fixed(view: View, t: Tensor) -> View:
    """Along a dimension of size 1 there is one index only."""
    return _each(view, lambda a: a.collapse(1) if a.dim is not None and t.ndim >= -a.dim and t.shape[a.dim] == 1 else a)


def collapsed_last(view: View, size: int) -> View:
    return _each(view, lambda a: a.collapse(size) if a.dim == -1 else a)


def _union(a: Axis, b: Axis) -> Axis:
    if a.dim is None and b.dim is None:
        return Axis(None, 0, min(a.low, b.low), max(a.high, b.high))
    if a.dim == b.dim and a.stride == b.stride:
        return Axis(a.dim, a.stride, min(a.low, b.low), max(a.high, b.high))
    return (a if a.dim is not None else b).everywhere()  # such as a gate from the whole image on each place


def _joined(views: list[View]) -> View:
    rows, columns = views[0]
    for other in views[1:]:
        rows, columns = _union(rows, other[0]), _union(columns, other[1])
    return rows, columns


def mixed(before: list[tuple[tuple[int, ...], View]]) -> View:
    return _joined([_each(v, lambda a, s=shape: a.collapse(s[a.dim] if a.dim else 1)) for shape, v in before])


KEEPING = {"clone", "contiguous", "_to_copy", "alias", "detach", "expand", "dropout", "copy_", "lift_fresh", "fill_",
           "native_dropout", "_reshape_alias", "empty_like", "zeros_like", "ones_like"}
REDUCTIONS = {"mean", "sum", "amax", "amin", "max", "min", "var", "std", "prod", "logsumexp", "linalg_vector_norm",
              "var_mean"}


def through(func: Any, args: Any, before: list[tuple[tuple[int, ...], View]], out: Tensor) -> View:
    name = func.name().split("::")[-1].split(".")[0]
    shape, view = before[0]
    first = isinstance(args[0], Tensor)
    if torch.Tag.pointwise in func.tags or name in KEEPING:
        return _joined([v for _, v in before])
    if name == "cat":
        dim = (args[1] if len(args) > 1 else 0) % out.ndim - out.ndim
        joined = _joined([v for _, v in before])
        return mixed(before) if any(a.dim == dim for a in joined) else joined
    handler = HANDLERS.get(name) or next((h for part, h in FAMILIES if part in name), None)
    if handler is None or not first or len(before) > 1:
        return mixed(before)
    changed = handler(view, shape, args, out, name)
    return mixed(before) if changed is None else changed


def _pair(value: Any, dims: int, default: Any = None) -> list[Any]:
    value = default if value is None or value == [] else value
    return list(value) * dims if isinstance(value, list | tuple) and len(value) == 1 else (
        list(value) if isinstance(value, list | tuple) else [value] * dims)


def _windows(view: View, shape: Any, dims: int, kernel: Any, stride: Any, padding: Any, dilation: Any) -> View:
    def change(axis: Axis) -> Axis:
        if axis.dim is None:
            return axis
        if axis.dim < -dims:
            return axis.collapse(shape[axis.dim])
        k, s, p, d = (values[axis.dim] for values in (kernel, stride, padding, dilation))
        return axis.step(s, -p, d * (k - 1) - p)

    return _each(view, change)


def _convolution(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    dims = args[1].ndim - 2
    kernel = list(args[1].shape[2:])
    stride, padding, dilation = (_pair(a, dims) for a in args[3:6])
    if not args[6]:
        return _windows(view, shape, dims, kernel, stride, padding, dilation)

    def change(axis: Axis) -> Axis:  # output i is reached from input m where i = s m - p + d t, t = 0 .. k-1
        if axis.dim is None:
            return axis
        if axis.dim < -dims:
            return axis.collapse(shape[axis.dim])
        k, s, p, d = (values[axis.dim] for values in (kernel, stride, padding, dilation))
        return axis.step(1 / s, (p - d * (k - 1)) / s, p / s)

    return _each(view, change)


def _pool(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    dims = 1 if "1d" in name else 3 if "3d" in name else 2
    kernel = _pair(args[1], dims)
    stride = _pair(args[2] if len(args) > 2 else None, dims, kernel)
    padding = _pair(args[3] if len(args) > 3 else 0, dims)
    dilation = _pair(args[4] if len(args) > 4 and name.startswith("max") else 1, dims)
    return _windows(view, shape, dims, kernel, stride, padding, dilation)


def _adaptive_pool(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    def change(axis: Axis) -> Axis:  # output i reads floor(i n / o) .. ceil((i + 1) n / o) - 1
        if axis.dim is None:
            return axis
        n, o = shape[axis.dim], out.shape[axis.dim]
        loose = 0 if n % o == 0 else (o - 1) / o
        return axis.step(n / o, -loose, n / o - 1 + loose)

    return _each(view, change)


def _upsample(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    def change(axis: Axis) -> Axis:
        if axis.dim is None:
            return axis
        f = shape[axis.dim] / out.shape[axis.dim]
        if "nearest" in name:
            return axis.step(f, -max(0.0, 1 - f if 1 / f == int(1 / f) else 1), 0)
        if len(args) > 2 and args[2]:
            return axis.everywhere()  # align_corners: the step is no constant multiple of the place
        reach = 2 if "bicubic" in name else 1
        return axis.step(f, 0.5 * f - 0.5 - reach, 0.5 * f - 0.5 + reach)

    return _each(view, change)


def _pad(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    def change(axis: Axis) -> Axis:
        at = None if axis.dim is None else 2 * (-axis.dim - 1)
        return axis if at is None or at >= len(args[1]) else axis.step(1, -args[1][at], -args[1][at])

    return _each(view, change)


def _slice(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    dim = (args[1] if len(args) > 1 else 0) % len(shape) - len(shape)
    size = shape[dim]
    start = (args[2] if len(args) > 2 else None) or 0
    start = max(0, min(size, start + size if start < 0 else start))
    step = args[4] if len(args) > 4 else 1
    return _each(view, lambda a: a.step(step, start, start) if a.dim == dim else a)


def _select(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    dim, index = args[1] % len(shape) - len(shape), args[2] % shape[args[1]]
    picked = _each(view, lambda a: Axis(None, 0, *_shift(a, index)) if a.dim == dim else a)
    return _each(picked, lambda a: replace(a, dim=a.dim + 1) if a.dim is not None and a.dim < dim else a)


def _shift(axis: Axis, index: int) -> tuple[float, float]:
    return axis.low + axis.stride * index, axis.high + axis.stride * index


def _reduce(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View | None:
    if len(args) < 2 or args[1] is None or isinstance(args[1], Tensor | float):
        return None
    given = args[1] if isinstance(args[1], list | tuple) else [args[1]]
    dims = {d % len(shape) - len(shape) for d in given} or {-d - 1 for d in range(len(shape))}
    view = _each(view, lambda a: a.collapse(shape[a.dim]) if a.dim in dims else a)
    if out.ndim == len(shape):
        return view
    return _each(view, lambda a: a if a.dim is None else replace(a, dim=a.dim + sum(d > a.dim for d in dims)))


def _reshape(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    def change(axis: Axis) -> Axis:  # a dimension survives if as many elements lie behind it and it is as long
        if axis.dim is None:
            return axis
        behind = math.prod(shape[axis.dim :][1:])
        for d in range(-out.ndim, 0):
            if out.shape[d] == shape[axis.dim] and math.prod(out.shape[d:][1:]) == behind:
                return replace(axis, dim=d)
        return axis.collapse(shape[axis.dim])

    return _each(view, change)


def _permute(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    n = len(shape)
    order = list(range(n))
    if name == "permute":
        order = [d % n for d in args[1]]
    else:
        a, b = (0, 1) if name.strip("_") == "t" else (args[1] % n, args[2] % n)
        if n > 1:
            order[a], order[b] = order[b], order[a]
    return _each(view, lambda a: a if a.dim is None else replace(a, dim=order.index(a.dim + n) - n))


def _along(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    """Softmax, cumulative sums: each place sees all of its line."""
    dim = args[1] % len(shape) - len(shape)
    return _each(view, lambda a: a.everywhere() if a.dim == dim else a)


def _norm(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View:
    if "group_norm" in name:
        mixing = set(range(-len(shape) + 1, 0))
    elif "layer_norm" in name:
        mixing = set(range(-len(args[1]), 0))
    else:  # batch norm: a constant map in evaluation mode, mixed over the image where it takes statistics from it
        training = name == "native_batch_norm" and bool(args[5])
        mixing = set(range(-len(shape) + 2, 0)) if training else set()
    if out.ndim != len(shape):
        return mixed([(shape, view)])
    return _each(view, lambda a: a.everywhere() if a.dim in mixing else a)


def _split(view: View, shape: Any, args: Any, out: Tensor, name: str) -> View | None:
    dim = (args[2] if len(args) > 2 else 0) % len(shape) - len(shape)
    return None if any(a.dim == dim for a in view) else view


HANDLERS = {
    "convolution": _convolution, "max_pool2d_with_indices": _pool, "max_pool2d": _pool, "avg_pool2d": _pool,
    "max_pool1d": _pool, "avg_pool1d": _pool, "constant_pad_nd": _pad, "slice": _slice, "select": _select,
    "view": _reshape, "_unsafe_view": _reshape, "reshape": _reshape, "squeeze": _reshape, "unsqueeze": _reshape,
    "permute": _permute, "transpose": _permute, "t": _permute, "_softmax": _along, "_log_softmax": _along,
    "cumsum": _along, "split": _split, "split_with_sizes": _split, **dict.fromkeys(REDUCTIONS, _reduce),
}
FAMILIES = [("adaptive_avg_pool", _adaptive_pool), ("adaptive_max_pool", _adaptive_pool), ("upsample", _upsample),
            ("ion_pad", _pad), ("batch_norm", _norm), ("group_norm", _norm), ("layer_norm", _norm)]
