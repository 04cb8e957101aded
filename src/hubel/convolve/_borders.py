"""What lies beyond the edge: names of border modes, and padding by any of them; dilation. Depends on NumPy and torch.

The name 'reflect' means two things. In SciPy (`ndimage`) and OpenCV (`BORDER_REFLECT`) the edge sample is repeated,
(d c b a | a b c d | d c b a); in NumPy (`pad`), torch and Keras it is not, (d c b | a b c d | c b a). Here the bare
name has SciPy's and OpenCV's meaning, and a prefix ("numpy:reflect", "torch:reflect") says whose is meant.

| canonical | row a b c d becomes | SciPy | OpenCV | NumPy | torch |
| --- | --- | --- | --- | --- | --- |
| zeros | 0 0 0 a b c d 0 0 0 | constant | BORDER_CONSTANT | constant | zeros |
| nearest | a a a a b c d d d d | nearest | BORDER_REPLICATE | edge | replicate |
| symmetric | c b a a b c d d c b | reflect, grid-mirror | BORDER_REFLECT | symmetric | (none) |
| mirror | d c b a b c d c b a | mirror | BORDER_REFLECT_101 | reflect | reflect |
| wrap | b c d a b c d a b c | grid-wrap, wrap | BORDER_WRAP | wrap | circular |
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.convolve._memory import empty
from hubel.errors import InputError

Pads = list[tuple[int, int]]

BORDERS: dict[str, str] = {
    "zeros": "zeros", "constant": "zeros", "zero": "zeros", "border_constant": "zeros",
    "nearest": "nearest", "edge": "nearest", "replicate": "nearest", "border_replicate": "nearest",
    "symmetric": "symmetric", "reflect": "symmetric", "grid-mirror": "symmetric", "border_reflect": "symmetric",
    "scipy:reflect": "symmetric", "opencv:reflect": "symmetric",
    "mirror": "mirror", "reflect101": "mirror", "reflect_101": "mirror", "border_reflect_101": "mirror",
    "border_default": "mirror", "numpy:reflect": "mirror", "torch:reflect": "mirror",
    "wrap": "wrap", "circular": "wrap", "grid-wrap": "wrap", "periodic": "wrap", "border_wrap": "wrap",
}  # fmt: skip


def border(name: str) -> str:
    """Return the canonical name of a border mode: 'zeros', 'nearest', 'symmetric', 'mirror' or 'wrap'.

    >>> border("reflect"), border("numpy:reflect"), border("BORDER_REFLECT_101")
    ('symmetric', 'mirror', 'mirror')
    """
    try:
        return BORDERS[name.strip().lower()]
    except KeyError:
        close = get_close_matches(name.lower(), BORDERS, 1)
        hint = f"did you mean {close[0]!r}?" if close else "use zeros, nearest, symmetric, mirror or wrap"
        raise InputError(f"there is no border mode {name!r}: {hint}") from None


def parse_padding(padding: object, reach: tuple[int, ...]) -> tuple[str, Pads]:
    """Return (border mode, [(before, after)] for each axis) for a kernel that reaches over `reach` samples an axis.

    'same' puts (k-1)//2 before and the rest after: for an even k the odd sample goes after, as in torch and Keras.
    """
    same = [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in reach]
    if isinstance(padding, str):
        if padding == "valid":
            return "zeros", [(0, 0)] * len(reach)
        if padding == "same":
            return "zeros", same
        if padding == "full":
            return "zeros", [(k - 1, k - 1) for k in reach]
        try:
            return border(padding), same
        except InputError as error:
            raise InputError(str(error).replace("border mode", "padding or border mode")) from None
    parts = [padding] * len(reach) if isinstance(padding, (int, np.integer)) else padding
    try:
        pads = [(int(p), int(p)) if isinstance(p, (int, np.integer)) else (int(p[0]), int(p[1])) for p in parts]  # type: ignore[attr-defined]
    except (TypeError, ValueError, IndexError):
        pads = []
    if len(pads) != len(reach) or any(p < 0 for pair in pads for p in pair):
        raise InputError(f"padding={padding!r} must be 'valid', 'same', 'full', a border mode, or "
                         f"{len(reach)} non-negative numbers or (before, after) pairs")
    return "zeros", pads


@lru_cache(maxsize=128)
def indices(n: int, before: int, after: int, mode: str, inside: bool = True) -> np.ndarray:
    """Return which of n samples stands at each padded place (int64; -1: a zero); `inside=False` leaves the n out.

    >>> indices(4, 3, 2, "mirror").tolist(), indices(2, 2, 1, "zeros").tolist()
    ([3, 2, 1, 0, 1, 2, 3, 2, 1], [-1, -1, 0, 1, -1])
    """
    place = np.arange(-before, n + after)
    if not inside:
        place = np.concatenate([place[:before], place[before + n :]])
    if mode == "zeros":
        return np.where((place < 0) | (place >= n), -1, place)
    if mode == "nearest":
        return place.clip(0, n - 1)
    if mode == "wrap":
        return place % n
    if mode == "mirror":
        place = place % max(2 * n - 2, 1)
        return np.minimum(place, 2 * n - 2 - place)
    place = place % (2 * n)
    return np.minimum(place, 2 * n - 1 - place)


def pad(x: Tensor, mode: str, pads: Pads) -> Tensor:
    """Return x with its last len(pads) axes extended; differentiable. Borders wider than x repeat their pattern."""
    if not any(b or a for b, a in pads):
        return x
    first = x.ndim - len(pads)
    if mode == "zeros":
        shape = [*x.shape[:first], *(n + b + a for n, (b, a) in zip(x.shape[first:], pads, strict=True))]
        if x.requires_grad or x.device.type != "cpu":
            return torch.nn.functional.pad(x, [p for pair in reversed(pads) for p in pair])
        out = empty(shape, x.dtype).zero_()
        inside: tuple[Any, ...] = (..., *(slice(b, b + n) for n, (b, _) in zip(x.shape[first:], pads, strict=True)))
        out[inside] = x
        return out
    for axis, (before, after) in enumerate(pads, first):
        if before or after:
            x = x.index_select(axis, torch.from_numpy(indices(x.shape[axis], before, after, mode)).to(x.device))
    return x


def dilated(w: Tensor, spread: tuple[int, ...]) -> Tensor:
    """Return the kernels w (F, C, *K) with spread - 1 zeros between their weights."""
    if all(d == 1 for d in spread):
        return w
    out = w.new_zeros([*w.shape[:2], *((k - 1) * d + 1 for k, d in zip(w.shape[2:], spread, strict=True))])
    places: tuple[Any, ...] = (..., *(slice(None, None, d) for d in spread))
    out[places] = w
    return out
