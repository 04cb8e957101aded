"""Images with OpenCV, for machines without a compiler: direct up to 11x11, its own DFT above. Depends on OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.convolve._borders import Pads, dilated, pad
from hubel.convolve._memory import empty
from hubel.convolve._rank import Factors


def usable(x: Tensor, w: Tensor) -> bool:
    """Return whether OpenCV can compute this problem: images on the CPU, no gradients, one channel a filter."""
    plain = x.device.type == "cpu" and not (x.requires_grad or w.requires_grad)
    return plain and w.ndim == 4 and w.shape[1] == 1


def run(x: Tensor, w: Tensor, mode: str, pads: Pads, dilation: tuple[int, ...]) -> Tensor:
    """x (N, C, H, W), w (F, 1, *K) -> (N, C or F, *O), stride 1."""
    import cv2

    kernels = dilated(w, dilation)[:, 0].contiguous().numpy()
    return _images(x, len(kernels), mode, pads, kernels.shape[1:], lambda image, f, **options: cv2.filter2D(
        image, -1, kernels[f], **options))


def separable(x: Tensor, factors: Factors, mode: str, pads: Pads, dilation: tuple[int, ...]) -> Tensor:
    """Sum of row and column passes over images: x (N, C, H, W) -> (N, C, *O)."""
    import cv2

    terms = [[dilated(torch.from_numpy(f).view(1, 1, -1), (d,)).numpy().ravel() for f, d in zip(term, dilation, strict=True)]
             for term in factors]

    def passes(image: np.ndarray, _: int, **options: Any) -> np.ndarray:
        parts = [np.asarray(cv2.sepFilter2D(image, -1, row, column, **options)) for column, row in terms]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    return _images(x, 1, mode, pads, (len(terms[0][0]), len(terms[0][1])), passes)


def _images(x: Tensor, filters: int, mode: str, pads: Pads, k: tuple[int, ...], one: Callable[..., Any]) -> Tensor:
    """Run `one` on every image and filter. OpenCV gives images of the input's size; the wanted part is cut out."""
    inner = [((n - 1) // 2, n // 2) for n in k]  # what the kernel reaches before and after its anchor
    if mode == "wrap" or any(b > i[0] or a > i[1] for (b, a), i in zip(pads, inner, strict=True)):
        x, mode, pads = pad(x, mode, pads), "zeros", [(0, 0)] * 2
    n, c, *size = x.shape
    cut = tuple(slice(i[0] - b, s - i[1] + a) for i, (b, a), s in zip(inner, pads, size, strict=True))
    out = empty((n, max(c, filters), *(s.stop - s.start for s in cut)), x.dtype)
    target, images = out.numpy(), x.contiguous().numpy()
    options = {"anchor": (inner[1][0], inner[0][0]),  # left of the middle if k is even, not OpenCV's right
               "borderType": {"zeros": 0, "nearest": 1, "symmetric": 2, "mirror": 4}[mode]}  # cv2.BORDER_...
    for i in range(n):
        for channel in range(c):
            for f in range(filters):
                target[i, channel + f] = one(images[i, channel], f, **options)[cut]
    return out
