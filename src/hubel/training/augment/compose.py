"""Transforms one after the other, with labels and masks, and mixing with other samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import betaincinv
from torch import Tensor

from hubel.errors import InputError
from hubel.training.augment.colours import Brightness
from hubel.training.augment.moves import Flip, Shift
from hubel.training.augment.transform import Transform, as_float, each
from hubel.training.augment.warps import Crop, Joined, Rotate, Warp, Zoom
from hubel.training.randomness import Draws


@dataclass(frozen=True)
class Mixup:
    """Mixes each sample, and its label, with another one of the whole data set: l x + (1 - l) x', l from
    Beta(alpha, alpha) (Zhang et al. 2018). Labels become distributions over `classes`. Stands last in a list; the
    partner goes through the same list by its own numbers, so that results do not depend on the batch."""

    classes: int
    alpha: float = 0.2

    def mix(self, x: Tensor, y: Tensor, other: Tensor, other_y: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        mixed = as_float(x) * each(share, x) + as_float(other) * each(1 - share, x)
        a, b = (t.float() if t.is_floating_point() else F.one_hot(t, self.classes).float() for t in (y, other_y))
        return mixed, a * each(share, a) + b * each(1 - share, b)

    def share(self, draws: Draws) -> Tensor:
        return torch.from_numpy(betaincinv(self.alpha, self.alpha, draws.unit())).float()


class Compose:
    """`Compose(Shift(2), Flip(), Rotate(10))(x, y, draws) -> (x, y)`, or with masks `-> (x, y, masks)`.

    x is uint8 or float 0..1, (N, C, H, W), and comes back as one of the two. `str()` tells what it does.
    """

    def __init__(self, *transforms: Transform | Mixup) -> None:
        if any(isinstance(t, Mixup) for t in transforms[:-1]):
            raise InputError("Mixup must be the last of the transforms")
        wrong = [t for t in transforms if not isinstance(t, Transform | Mixup)]
        if wrong:
            raise InputError(f"{wrong[0]!r} is no transform: give objects such as Shift(2) or Flip()")
        self.transforms = transforms
        self._steps = _joined([t for t in transforms if isinstance(t, Transform)])
        self._mixup = transforms[-1] if transforms and isinstance(transforms[-1], Mixup) else None

    def __call__(self, x: Tensor, y: Tensor, draws: Draws, masks: Tensor | None = None) -> Any:
        if x.ndim != 4 and self._steps:
            raise InputError(f"augmentation of images needs (N, C, H, W), these inputs are {tuple(x.shape)}")
        x, masks = self._transform(x, draws, masks)
        if self._mixup is not None:
            if draws.fetch is None:
                raise InputError("Mixup needs the whole data set: use it in fit, or give Draws a fetch")
            partners = np.floor(draws.unit() * draws.size).astype(np.int64)
            share = self._mixup.share(draws)
            other, other_y = draws.fetch(partners)
            other, _ = self._transform(other, draws.of(partners), None)
            x, y = self._mixup.mix(x, y, other, other_y, share)
        return (x, y) if masks is None else (x, y, masks)

    def _transform(self, x: Tensor, draws: Draws, masks: Tensor | None) -> tuple[Tensor, Tensor | None]:
        for transform in self._steps:
            plan = transform.plan(draws, tuple(x.shape))
            x = transform.apply(x if transform.exact else as_float(x), plan)
            if masks is not None:
                masks = transform.apply_mask(masks, plan)
        return x, masks

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"


def _joined(transforms: list[Transform]) -> list[Transform]:
    """Neighbouring warps of one fill as one."""
    joined: list[Transform] = []
    for transform in transforms:
        last = joined[-1] if joined else None
        if isinstance(transform, Warp) and isinstance(last, Warp) and last.fill == transform.fill:
            parts = (*(last.parts if isinstance(last, Joined) else (last,)), transform)
            joined[-1] = Joined(parts, transform.fill)
        else:
            joined.append(transform)
    return joined


def get(augment: Any, size: tuple[int, int] | None = None) -> Callable[..., Any] | None:
    """A function of (x, y, draws) from None, a Compose, a transform, a list of them, a kind, or a function of x."""
    if augment is None or isinstance(augment, Compose):
        return augment
    if isinstance(augment, str):
        if size is None:
            raise InputError(f"augment={augment!r} is for images (N, C, H, W): leave it out for other inputs")
        return default_augmentation(augment, size)
    if isinstance(augment, Transform | Mixup):
        return Compose(augment)
    if isinstance(augment, Iterable):
        return Compose(*augment)
    if callable(augment):
        return lambda x, y, draws: (augment(x), y)
    raise InputError(f"augment {augment!r}: give transforms, a kind ('digit', 'photo', 'image') or a function of a batch")


def default_augmentation(kind: str, size: int | tuple[int, int]) -> Compose:
    """What helps images of this kind without changing what they show.

    'digit' (also letters): small shifts, turns and zooms, the edge repeated, never mirrored. 'image' (small pictures
    of things, as CIFAR's): mirrored, shifted by an eighth. 'photo': mirrored, cropped, lighter or darker.
    """
    least = size if isinstance(size, int) else min(size)
    if kind == "digit":
        return Compose(Shift(max(1, least // 14), "edge"), Rotate(10, "edge"), Zoom(0.9, 1.1, "edge"))
    if kind == "image":
        return Compose(Flip(), Shift(max(1, least // 8), "reflect"))
    if kind == "photo":
        return Compose(Flip(), Crop(0.5), Brightness(0.2))
    raise InputError(f"kind {kind!r}: give 'digit', 'photo' or 'image'")


def check_meaning(augment: Any, kind: str | None) -> None:
    """Warn of transforms that may change what images of this kind mean."""
    if kind is None or not isinstance(augment, Compose):
        return
    for transform in augment.transforms:
        reason = transform.changes_meaning(kind) if isinstance(transform, Transform) else None
        if reason:
            warnings.warn(f"{transform!r} on {kind} images: {reason}; leave it out", stacklevel=3)
