"""Single images with OpenCV: direct up to 11x11, its own DFT above. Depends on OpenCV, imported when first used.

Series go through as images of one row, volumes as sums over their slabs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.convolve._borders import empty, pad
from hubel.convolve._rank import Factors

Pads = list[tuple[int, int]]


def usable(x: Tensor, w: Tensor, summed: bool) -> bool:
    """Return whether OpenCV can compute this problem: real arrays on the CPU, no gradients, one channel a filter."""
    plain = x.device.type == "cpu" and not (x.requires_grad or w.requires_grad)
    return plain and (not summed or w.shape[1] == 1)


def run(x: Tensor, w: Tensor, mode: str, pads: Pads) -> Tensor:
    """x (N, C, *S), w (F, 1, *K) -> (N, C or F, *O), stride 1."""
    if w.ndim == 3:
        return run(x[:, :, None], w[:, :, None], mode, [(0, 0), *pads]).squeeze(2)
    if w.ndim == 5:
        return _volume(x, w, mode, pads)
    kernels, filter2d = w[:, 0].numpy(), _cv().filter2D
    anchor = _anchor(kernels.shape[1:])
    return _images(x, len(kernels), mode, pads, kernels.shape[1:], lambda image, f, border, dst: filter2d(
        image, -1, kernels[f], dst=dst, anchor=anchor, borderType=border))


def separable(x: Tensor, factors: Factors, mode: str, pads: Pads) -> Tensor:
    """Sum of row and column passes over images: x (N, C, H, W) -> (N, C, *O)."""
    cv, k = _cv(), (len(factors[0][0]), len(factors[0][1]))
    anchor = _anchor(k)

    def passes(image: np.ndarray, _: int, border: int, dst: np.ndarray | None) -> np.ndarray:
        column, row = factors[0]
        out = cv.sepFilter2D(image, -1, row, column, dst=dst, anchor=anchor, borderType=border)
        for column, row in factors[1:]:
            out = cv.add(out, cv.sepFilter2D(image, -1, row, column, anchor=anchor, borderType=border), dst=out)
        return out

    return _images(x, 1, mode, pads, k, passes)


def image(x: np.ndarray, kernel: np.ndarray, border: str) -> np.ndarray:
    """One image (H, W) of a type OpenCV knows, odd kernel, 'same' size and type."""
    return np.asarray(_cv().filter2D(np.ascontiguousarray(x), -1, kernel, borderType=_border(border)))


def _cv() -> Any:
    import cv2

    return cv2


def _anchor(k: tuple[int, ...]) -> tuple[int, int]:
    """Return (column, row) of the output within the kernel: left of the middle if k is even, not OpenCV's right."""
    return (k[1] - 1) // 2, (k[0] - 1) // 2


def _border(mode: str) -> int:
    return {"zeros": 0, "nearest": 1, "symmetric": 2, "mirror": 4}[mode]  # cv2.BORDER_CONSTANT, REPLICATE, ...


def _images(x: Tensor, filters: int, mode: str, pads: Pads, k: tuple[int, ...], one: Any) -> Tensor:
    """Run `one` on every image and filter. OpenCV gives images of the input's size; the wanted part is cut out."""
    inner = [((n - 1) // 2, n // 2) for n in k]  # what the kernel reaches before and after its anchor
    native = mode != "wrap" and all(b <= i[0] and a <= i[1] for (b, a), i in zip(pads, inner, strict=True))
    if not native:
        x, mode, pads = pad(x, mode, pads), "zeros", [(0, 0)] * 2
    n, c, h, width = x.shape
    border = _border(mode)
    cut = [slice(i[0] - b, size - i[1] + a) for i, (b, a), size in zip(inner, pads, (h, width), strict=True)]
    whole = cut == [slice(0, h), slice(0, width)]
    images = x.numpy()
    if n * filters == 1 and (c == 1 or images.strides[1] == images.itemsize):  # one call, one answer: no copy
        image = images[0, 0] if c == 1 else images[0].transpose(1, 2, 0)
        if c > 4:
            image = np.ascontiguousarray(image)
        y = one(image, 0, border, None)
        y = y.reshape(h, width, c)[cut[0], cut[1]]
        return torch.from_numpy(y).permute(2, 0, 1)[None]
    shape = [s.stop - s.start for s in cut]
    out = empty((n, max(c, filters), *shape), x.dtype)
    target = out.numpy()
    for i in range(n):
        for channel in range(c):
            image = np.ascontiguousarray(images[i, channel])
            for f in range(filters):
                place = target[i, channel + f]
                if whole:
                    one(image, f, border, place)
                else:
                    place[...] = one(image, f, border, None)[cut[0], cut[1]]
    return out


def _volume(x: Tensor, w: Tensor, mode: str, pads: Pads) -> Tensor:
    """Each output slab is the sum over the kernel's slabs of 2-D correlations."""
    cv = _cv()
    x = pad(x, mode, [pads[0], (0, 0), (0, 0)])
    if mode == "wrap" or any(b > (n - 1) // 2 or a > n // 2 for (b, a), n in zip(pads[1:], w.shape[3:], strict=True)):
        x = pad(x, mode, [(0, 0), *pads[1:]])
        mode, pads = "zeros", [(0, 0)] * 3
    n, c, d, h, width = x.shape
    kd, kh, kw = w.shape[2:]
    border = _border(mode)
    inner = [((k - 1) // 2, k // 2) for k in (kh, kw)]
    anchor = _anchor((kh, kw))
    cut = tuple(slice(i[0] - b, size - i[1] + a) for i, (b, a), size in zip(inner, pads[1:], (h, width), strict=True))
    filters, depth = w.shape[0], d - kd + 1
    out = empty((n, max(c, filters), depth, *(s.stop - s.start for s in cut)), x.dtype)
    volumes, kernels, target = x.contiguous().numpy(), w[:, 0].contiguous().numpy(), out.numpy()
    total, term = np.empty((h, width), volumes.dtype), np.empty((h, width), volumes.dtype)
    for i in range(n):
        for channel in range(c):
            for f in range(filters):
                for z in range(depth):
                    cv.filter2D(volumes[i, channel, z], -1, kernels[f, 0], dst=total, anchor=anchor, borderType=border)
                    for step in range(1, kd):
                        slab = volumes[i, channel, z + step]
                        cv.filter2D(slab, -1, kernels[f, step], dst=term, anchor=anchor, borderType=border)
                        cv.add(total, term, dst=total)
                    target[i, channel + f, z] = total[cut]
    return out
