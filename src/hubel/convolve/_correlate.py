"""`correlate` and `convolve`: the definition, its options, and the hand-over to the way the planner picks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.convolve import _borders, _engine, _fourier, _opencv, _planner, _problem, _rank, _separable
from hubel.errors import InputError

METHODS = ("auto", "opencv", "separable", "fft", "engine")
Pads = list[tuple[int, int]]


def correlate(
    x: Any,
    w: Any,
    padding: Any = "valid",
    *,
    stride: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
    layout: str | None = None,
    method: str = "auto",
    dtype: Any = None,
) -> Any:
    """Slide w over x and return the sums of products, u_i = sum_j x_(i+j-1) w_j: the networks' convolution.

    The strip and the image of the lecture (CS-GY 6923, Lecture 10):

    >>> correlate([1, 4, 3, -1, 2, -4, 1, 0, 2, -1], [-1, 1])
    array([ 3, -1, -4,  3, -6,  5, -1,  2, -3])
    >>> x = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
    >>> w = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
    >>> correlate(x, w)
    array([[12, 12, 17],
           [10, 17, 19],
           [ 9,  6, 14]])
    >>> correlate(x, w, padding="same").shape, correlate(x, w, stride=2).tolist()
    ((5, 5), [[12, 17], [9, 14]])

    Parameters
    ----------
    x : NumPy array (or anything it reads) or torch tensor. The answer is of the same kind. A tensor that needs a
        gradient gets one.
    w : the kernel (k,), (k1, k2) or (k1, k2, k3); the same kernel goes over every channel and every image of x.
        With layout's channel axis as well (where x has it) channels are summed over; one more axis in front makes a
        bank of F filters, whose answers take the place of the channels (NumPy: last; torch: before space).
    padding : 'valid': only where w fits, d - k + 1 places. 'same': zeros, (k-1)/2 on each side; for an even k,
        k/2 - 1 before and k/2 after. 'full': zeros, wherever they touch. A border mode: the size of 'same' with
        that border ('zeros', 'nearest', 'symmetric', 'mirror', 'wrap' and the names other libraries use, see
        `hubel.convolve.BORDERS`; a bare 'reflect' repeats the edge, as in SciPy and OpenCV). Or numbers of zeros.
    stride, dilation : one number or one an axis. Stride keeps places 0, s, 2s, ...; dilation spreads w.
    layout : the axes of x as letters: n batch, c channels, t | hw | dhw space. Without it ranks decide: x and w of
        one rank are plain; each further axis of a NumPy x is the channels (last), then the batch (first), and of a
        torch x the channels (before space), then the batch. A stack of grey images is layout='nhw'.
    method : 'auto', 'opencv', 'separable' (kernels of rank 1 or 2), 'fft' or 'engine' (the networks' convolution).
        Ways agree to 1e-6 of max|x| sum|w| in float32 and to 1e-10 in float64.
    dtype : type of the answer. Default: x's own if floating; int64, exact, for integers with integers; float32 for
        integers up to 16 bits with a floating w (float64 for wider ones). An integer dtype rounds and saturates.

    NaN and infinite values reach every place whose window touches them; where a fast way would smear them further,
    those places are NaN and the others are right.

    Raises InputError: nothing to correlate, a kernel larger than the padded x, ranks that do not go together, complex
    numbers, an unknown name, an integer answer that might pass 2**53.
    """
    if layout is None and method in ("auto", "opencv") and (y := _small(x, w, padding, stride, dilation, dtype)) is not None:
        return y
    problem, mode, pads, steps, spread = _parse(x, w, padding, stride, dilation, layout, dtype)
    way, factors = _way(problem, mode, pads, steps, spread, method)
    y = _run(problem, way, factors, mode, pads, steps, spread)
    return problem.restore(_problem.answer(y, problem.dtype))


def convolve(x: Any, w: Any, padding: Any = "valid", **options: Any) -> Any:
    """Slide the flipped w over x: signal processing's convolution, SciPy's `convolve`. Options as in `correlate`.

    Flips space only, never channels or filters. 'same' places an even kernel as `correlate` places the flipped one.

    >>> convolve([1, 2, 3], [0, 1, 0.5], padding="full").tolist()
    [0.0, 1.0, 2.5, 4.0, 1.5]
    """
    weights, was_numpy = _problem.as_tensor(w, "w")
    tensor, numpy = _problem.as_tensor(x, "x")
    layout = options.get("layout") or _problem.default_layout(tensor.ndim, weights.ndim, numpy)
    axes = [a for a in layout.replace(" ", "").lower() if a != "n"]
    if weights.ndim == len(axes) + 1:
        axes = ["f", *axes]
    elif weights.ndim < len(axes):
        axes = [a for a in axes if a != "c"]
    flipped = weights.flip([i for i, a in enumerate(axes[: weights.ndim]) if a in "thwd"])
    return correlate(x, flipped.numpy() if was_numpy else flipped, padding, **options)


def plan(x: Any, w: Any, padding: Any = "valid", *, stride: Any = 1, dilation: Any = 1, layout: str | None = None,
         dtype: Any = None) -> _planner.Plan:
    """See `hubel.convolve.explain`."""
    problem, mode, pads, steps, spread = _parse(x, w, padding, stride, dilation, layout, dtype)
    return _planner.choose(*_case(problem, mode, pads, steps, spread)[:2])


def _small(x: Any, w: Any, padding: Any, stride: Any, dilation: Any, dtype: Any) -> np.ndarray | None:
    """One image with a kernel up to 5x5 goes straight to OpenCV: the general way would take half as long again.

    None if it is another case. uint8 answered in uint8 takes one pass, with no float image between.
    """
    if type(x) is not np.ndarray or x.ndim != 2 or x.dtype not in _SMALL_TYPES or stride != 1 or dilation != 1:
        return None
    kernel = np.asarray(w)
    if kernel.ndim != 2 or not (kernel.shape[0] in (1, 3, 5) and kernel.shape[1] in (1, 3, 5)) or not x.size:
        return None
    if kernel.dtype.kind != "f" or not isinstance(padding, str) or padding in ("valid", "full"):
        return None
    mode = "zeros" if padding == "same" else _borders.BORDERS.get(padding, "wrap")
    answer = np.dtype(np.float32 if x.dtype == np.uint8 else x.dtype)
    if dtype is not None:
        answer = np.dtype(str(dtype)[6:] if isinstance(dtype, torch.dtype) else dtype)
    narrow = x.dtype == answer == np.uint8
    if mode == "wrap" or not (narrow or answer == np.float32 or answer == x.dtype) or not np.isfinite(kernel).all():
        return None
    if not narrow and x.dtype != answer:
        if x.dtype != np.uint8:
            return None
        x = torch.from_numpy(x).float().numpy() if x.flags.writeable and x.flags.c_contiguous else x.astype(np.float32)
    if kernel.dtype != np.float64 or answer != np.float64:
        kernel = kernel.astype(np.float32 if answer != np.float64 else np.float64)
        if not np.isfinite(kernel).all():
            return None
    return _opencv.image(x, np.ascontiguousarray(kernel), mode)


_SMALL_TYPES = (np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64))


def _parse(x: Any, w: Any, padding: Any, stride: Any, dilation: Any, layout: str | None,
           dtype: Any) -> tuple[_problem.Problem, str, Pads, tuple[int, ...], tuple[int, ...]]:
    problem = _problem.make(x, w, layout, dtype)
    steps = _numbers(stride, problem.dims, "stride")
    spread = _numbers(dilation, problem.dims, "dilation")
    reach = tuple((k - 1) * d + 1 for k, d in zip(problem.w.shape[2:], spread, strict=True))
    mode, pads = _borders.parse_padding(padding, reach)
    shape = tuple(problem.x.shape[2:])
    if any(n + b + a < k for n, (b, a), k in zip(shape, pads, reach, strict=True)):
        raise InputError(f"the kernel covers {_by(reach)} and x only {_by(shape)}: use padding='same' or 'full', "
                         "or a smaller kernel")
    return problem, mode, pads, steps, spread


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)


def _numbers(value: Any, dims: int, name: str) -> tuple[int, ...]:
    values = (value,) * dims if isinstance(value, int) else tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(values) != dims or not all(isinstance(v, int) and v >= 1 for v in values):
        raise InputError(f"{name}={value!r} must be a whole number of at least 1, or {dims} of them")
    return values


def _case(p: _problem.Problem, mode: str, pads: Pads, steps: tuple[int, ...],
          spread: tuple[int, ...]) -> tuple[_planner.Case, tuple[str, ...], list[_rank.Factors] | None]:
    """Return what the planner needs, the methods that can do it, and the kernels' factors if they have few."""
    n, c = p.x.shape[:2]
    taps = tuple(p.w.shape[2:])
    reach = tuple((k - 1) * d + 1 for k, d in zip(taps, spread, strict=True))
    shape = tuple(s + b + a for s, (b, a) in zip(p.x.shape[2:], pads, strict=True))
    planes, channels = (n, p.w.shape[1]) if p.summed or c == 1 else (n * c, 1)
    allowed = ["fft", "engine"]
    factors = None
    if _opencv.usable(p.x, p.w, p.summed):
        if p.x.dtype in (torch.float32, torch.float64):
            allowed.append("opencv")
        if max(taps) > 3 - (len(taps) != 2) and math.prod(shape) * math.prod(taps) > 1e5:
            factors = _factors(_dilated(p.w, spread))
            if factors is not None:
                allowed.append("separable")
    rank = 0 if factors is None else math.ceil(sum(len(f) for f in factors) / len(factors))
    case = _planner.Case(planes, channels, len(p.w), shape, reach, rank, p.x.dtype == torch.float64,
                         math.prod(steps), taps)
    return case, tuple(allowed), factors


def _factors(w: Tensor) -> list[_rank.Factors] | None:
    found = []
    for kernel in w[:, 0].numpy():
        factors = _rank.separate(kernel)
        if factors is None:
            return None
        found.append(factors)
    return found


def _way(p: _problem.Problem, mode: str, pads: Pads, steps: tuple[int, ...], spread: tuple[int, ...],
         method: str) -> tuple[str, list[_rank.Factors] | None]:
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}: use {', '.join(METHODS)}")
    if method == "auto":
        case, allowed, factors = _case(p, mode, pads, steps, spread)
        return _planner.choose(case, allowed).method, factors
    if method in ("opencv", "separable") and not _opencv.usable(p.x, p.w, p.summed):
        raise InputError(f"method={method!r} has no gradients, no GPU and no sums over channels: "
                         "use 'fft', 'engine' or 'auto'")
    factors = None
    if method == "separable" and (factors := _factors(_dilated(p.w, spread))) is None:
        raise InputError("method='separable' needs kernels that are a sum of at most two outer products (one in 3-D): "
                         "use 'auto'")
    return method, factors


def _dilated(w: Tensor, spread: tuple[int, ...]) -> Tensor:
    if all(d == 1 for d in spread):
        return w
    out = w.new_zeros([*w.shape[:2], *((k - 1) * d + 1 for k, d in zip(w.shape[2:], spread, strict=True))])
    out[(..., *(slice(None, None, d) for d in spread))] = w
    return out


def _run(p: _problem.Problem, way: str, factors: list[_rank.Factors] | None, mode: str, pads: Pads,
         steps: tuple[int, ...], spread: tuple[int, ...]) -> Tensor:
    x, w = p.x, p.w
    n, c = x.shape[:2]
    if not p.summed and c > 1 and way != "opencv":
        x = x.reshape(n * c, 1, *x.shape[2:])
    if way == "engine":
        y = _engine.run(_borders.pad(x, mode, pads), w, steps, spread)
    else:
        w = _dilated(w, spread)
        smears = way != "opencv" or math.prod(w.shape[2:]) >= 50  # above that OpenCV may take its own FFT

        def compute(values: Tensor, kernels: Tensor, terms: list[_rank.Factors] | None) -> Tensor:
            if way == "opencv":
                return _opencv.run(values, kernels, mode, pads)
            if way == "separable":
                assert terms is not None
                parts = [_separable.run(values, f, mode, pads) for f in terms]
                return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
            return _fourier.run(values, kernels, mode, pads)

        if smears and not math.isfinite(float(x.detach().sum())) and not bool(torch.isfinite(x).all()):
            y = _around_nonfinite(x, w, lambda v, k: compute(v, k, factors if k is w else _factors(k)))
        else:
            y = compute(x, w, factors)
        if any(s > 1 for s in steps):
            y = y[(..., *(slice(None, None, s) for s in steps))]
    if not p.summed and c > 1 and way != "opencv":
        y = y.reshape(n, c, *y.shape[2:])
    return y


def _around_nonfinite(x: Tensor, w: Tensor, compute: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Compute with the bad values as zeros, then put NaN wherever a window touches one."""
    bad = ~torch.isfinite(x)
    y = compute(torch.where(bad, 0.0, x), w)
    if w.shape[1] > 1:
        bad = bad.any(1, keepdim=True)
    touched = compute(bad.to(x.dtype), torch.ones_like(w[:1, :1]))
    return torch.where(touched > 0.5, torch.nan, y)
