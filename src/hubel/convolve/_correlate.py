"""`correlate` and `convolve`: the definition, its options, and the hand-over to the way the planner picks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from hubel.convolve import _borders, _direct, _engine, _fourier, _planner, _problem, _rank, _separable
from hubel.convolve._borders import Pads
from hubel.errors import InputError

METHODS = ("auto", "direct", "separable", "fft", "engine")


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
    method : 'auto', 'direct' (the definition), 'separable' (kernels of rank 1 or 2), 'fft' or 'engine' (the networks'
        convolution). Ways agree to 1e-6 of max|x| sum|w| in float32 and to 1e-10 in float64.
    dtype : type of the answer. Default: x's own if floating; int64, exact, for integers with integers; float32 for
        integers up to 16 bits with a floating w (float64 for wider ones). An integer dtype rounds and saturates.

    NaN and infinite values reach every place whose window touches them; where a fast way would smear them further,
    those places are NaN and the others are right.

    Raises InputError: nothing to correlate, a kernel larger than the padded x, ranks that do not go together, complex
    numbers, an unknown name, an integer answer that might pass 2**53.
    """
    problem, mode, pads, steps, spread = _parse(x, w, padding, stride, dilation, layout, dtype)
    way, factors = _way(problem, pads, steps, spread, method)
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
    problem, _, pads, steps, spread = _parse(x, w, padding, stride, dilation, layout, dtype)
    return _planner.choose(*_case(problem, pads, steps, spread)[:2])


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


def _case(p: _problem.Problem, pads: Pads, steps: tuple[int, ...],
          spread: tuple[int, ...]) -> tuple[_planner.Case, tuple[str, ...], list[_rank.Factors] | None]:
    """Return what the planner needs, the methods that can do it, and the kernels' factors if they have few."""
    n, c = p.x.shape[:2]
    taps = tuple(p.w.shape[2:])
    reach = tuple((k - 1) * d + 1 for k, d in zip(taps, spread, strict=True))
    shape = tuple(s + b + a for s, (b, a) in zip(p.x.shape[2:], pads, strict=True))
    planes, channels = (n, c) if p.summed else (n * c, 1)
    factors = None
    if _can_separate(p) and len(taps) > 1 and max(taps) > 3 and math.prod(shape) * math.prod(taps) > 1e5:
        factors = _factors(p.w)
    allowed = ("direct", "fft", "engine") if factors is None else ("direct", "separable", "fft", "engine")
    rank = 0 if factors is None else math.ceil(sum(len(f) for f in factors) / len(factors))
    case = _planner.Case(planes, channels, len(p.w), shape, reach, rank, p.w.dtype == torch.float64,
                         math.prod(steps), taps)
    return case, allowed, factors


def _can_separate(p: _problem.Problem) -> bool:
    return p.w.shape[1] == 1 and p.x.device.type == "cpu" and not (p.x.requires_grad or p.w.requires_grad)


def _factors(w: Tensor) -> list[_rank.Factors] | None:
    found = []
    for kernel in w[:, 0].numpy():
        factors = _rank.separate(kernel)
        if factors is None:
            return None
        found.append(factors)
    return found


def _way(p: _problem.Problem, pads: Pads, steps: tuple[int, ...], spread: tuple[int, ...],
         method: str) -> tuple[str, list[_rank.Factors] | None]:
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}: use {', '.join(METHODS)}")
    if method == "auto":
        case, allowed, factors = _case(p, pads, steps, spread)
        return _planner.choose(case, allowed).method, factors
    factors = None
    if method == "separable":
        if not _can_separate(p):
            raise InputError("method='separable' has no gradients, no GPU and no sums over channels: "
                             "use 'direct', 'fft', 'engine' or 'auto'")
        if (factors := _factors(p.w)) is None:
            raise InputError("method='separable' needs kernels that are a sum of at most two outer products "
                             "(one in 3-D): use 'auto'")
    return method, factors


def _run(p: _problem.Problem, way: str, factors: list[_rank.Factors] | None, mode: str, pads: Pads,
         steps: tuple[int, ...], spread: tuple[int, ...]) -> Tensor:
    x, w = p.x, p.w
    if way == "engine":
        return _engine.run(_borders.pad(x.to(w.dtype), mode, pads), w, steps, spread)
    if way == "direct":
        y = _direct.run(x, w, mode, pads, spread, p.dtype)
    elif way == "separable":
        assert factors is not None
        parts = [_separable.run(x, f, mode, pads, spread, p.dtype) for f in factors]
        y = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    else:
        y = _fourier.run(x, w, mode, pads, spread, p.dtype)
    places: tuple[Any, ...] = (..., *(slice(None, None, s) for s in steps))
    return y[places] if any(s > 1 for s in steps) else y
