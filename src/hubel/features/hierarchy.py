"""The lecture's hierarchy: edges, then long lines in the edge response, then the mean. Depends on `edges`.

First layer: edges at several angles, of which only the strongest at each pixel goes on (cells of one place compete).
Second layer: a line detector along the same angle slides over each edge map: only edges that go on straight excite it.
Third: the mean over the image, a single number an angle and length, ready for a linear classifier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hubel import kernels
from hubel.convolve import correlate
from hubel.features.edges import gradients

COMPETING = 8  # orientations among which the strongest goes on


def winning_edges(images: Tensor, angles: Sequence[float], sigma: float) -> tuple[Tensor, Tensor]:
    """Return (|response|, the same where this angle wins over all others and 0 elsewhere), both (N, A, H, W).

    An angle competes with the 7 others of eight over 180 degrees, so what it gives does not depend on `angles`: it wins
    where the gradient lies within 11.25 degrees of its own.
    """
    vertical, horizontal = gradients(images, sigma)
    turns = [math.radians(angle) for angle in angles]
    plain = torch.stack([(math.sin(t) * vertical + math.cos(t) * horizontal).abs() for t in turns], 1)
    # |cos| of the gradient's distance to an angle is largest within half a step of it: that angle wins.
    wins = torch.hypot(vertical, horizontal)[:, None] * math.cos(math.pi / COMPETING / 2)
    return plain, torch.where(plain >= wins, plain, 0.0)


def line_response(edges: Tensor, angle: float, length: int, width: float) -> Tensor:
    """Return how much each place of an edge map (N, H, W) lies on a line of `length` at `angle`, at least 0."""
    w = torch.from_numpy(kernels.line(length, angle, width).weights).to(edges.dtype)
    return correlate(edges, w, "nearest", layout="nhw").clamp_min_(0)


def summary(images: Tensor, angles: Sequence[float], lengths: Sequence[int], sigma: float, width: float) -> Tensor:
    """Return (N, A, 1 + L): for each angle the mean edge response and the mean line responses of each length."""
    plain, winners = winning_edges(images, angles, sigma)
    columns = [plain.mean((2, 3))]
    for length in lengths:
        means = [line_response(winners[:, i], angle, length, width).mean((1, 2)) for i, angle in enumerate(angles)]
        columns.append(torch.stack(means, 1))
    return torch.stack(columns, 2)
