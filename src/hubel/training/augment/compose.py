"""Transforms one after the other, with labels and masks, and mixing with other samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import Tensor

from hubel.errors import InputError
from hubel.training.augment.colours import Brightness
from hubel.training.augment.meaning import mirrored_pair
from hubel.training.augment.mixing import Mix
from hubel.training.augment.moves import Flip, Shift
from hubel.training.augment.sound import Equalise, Noise, ShiftTime, Speed
from hubel.training.augment.transform import Transform, as_float
from hubel.training.augment.warps import Crop, Joined, Rotate, Warp, Zoom
from hubel.training.randomness import Draws


class Compose:
    """`Compose(Shift(2), Flip(), Rotate(10))(x, y, draws) -> (x, y)`, or with masks `-> (x, y, masks)`.

    x is uint8 or float 0..1, (N, C, H, W), and comes back as one of the two. `str()` tells what it does.
    """

    def __init__(self, *transforms: Transform | Mix) -> None:
        first = next((t for t in transforms[:-1] if isinstance(t, Mix)), None)
        if first is not None:
            raise InputError(f"{type(first).__name__} must be the last of the transforms")
        wrong = [t for t in transforms if not isinstance(t, Transform | Mix)]
        if wrong:
            raise InputError(f"{wrong[0]!r} is no transform: give objects such as Shift(2) or Flip()")
        self.transforms = transforms
        self._steps = _joined([t for t in transforms if isinstance(t, Transform)])
        self._mix = transforms[-1] if transforms and isinstance(transforms[-1], Mix) else None

    def __call__(self, x: Tensor, y: Tensor, draws: Draws, masks: Tensor | None = None) -> Any:
        wrong = next((t for t in self._steps if x.ndim not in t.ranks), None)
        if wrong is not None:
            wanted = "images (N, C, H, W)" if 4 in wrong.ranks else "recordings (N, T) or series (N, C, T)"
            raise InputError(f"{wrong!r} is for {wanted}, these inputs are {tuple(x.shape)}")
        x, masks = self._transform(x, draws, masks)
        if self._mix is not None:
            if draws.fetch is None:
                raise InputError(f"{type(self._mix).__name__} needs the whole data set: use it in fit, or give Draws a fetch")
            if masks is not None:
                raise InputError(f"{type(self._mix).__name__} mixes labels of whole images: leave it out where there are masks")
            partners = np.floor(draws.unit() * draws.size).astype(np.int64)
            plan = self._mix.plan(draws, tuple(x.shape))
            other, other_y = draws.fetch(partners)
            other, _ = self._transform(other, draws.of(partners), None)
            x, y = self._mix.mix(x, y, other, other_y, plan)
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


def get(augment: Any, size: tuple[int, int] | None = None, classes: Iterable[str] = ()) -> Callable[..., Any] | None:
    """A function of (x, y, draws) from None, a Compose, a transform, a list of them, a kind, or a function of x. `size` and
    `classes` are for the default of a kind."""
    if augment is None or isinstance(augment, Compose):
        return augment
    if isinstance(augment, str):
        if size is None and augment not in ("sound", "series"):
            raise InputError(f"augment={augment!r} is for images (N, C, H, W): leave it out for other inputs")
        return default_augmentation(augment, size or 1, classes)
    if isinstance(augment, Transform | Mix):
        return Compose(augment)
    if isinstance(augment, Iterable):
        return Compose(*augment)
    if callable(augment):
        return lambda x, y, draws: (augment(x), y)
    raise InputError(f"augment {augment!r}: give transforms, a kind ('digit', 'photo', 'image', 'sound', 'series') or a function of a batch")


def default_augmentation(kind: str, size: int | tuple[int, int] = 1, classes: Iterable[str] = ()) -> Compose:
    """What helps images of this kind without changing what they show.

    'digit' (also letters): small shifts, turns and zooms, the edge repeated, never mirrored. 'image' (small pictures
    of things, as CIFAR's): mirrored, shifted by an eighth. 'photo': mirrored, cropped, lighter or darker. 'sound': moved in
    time, played faster or slower, coloured, with some noise. 'series': moved in time. `size` in pixels is for images. Where
    two of the `classes` are each other's mirror image by their names (left and right, b and d), nothing is mirrored.
    """
    least = size if isinstance(size, int) else min(size)
    if kind == "digit":
        return Compose(Shift(max(1, least // 14), "edge"), Rotate(10, "edge"), Zoom(0.9, 1.1, "edge"))
    mirror = () if mirrored_pair(classes) else (Flip(),)
    if kind == "image":
        return Compose(*mirror, Shift(max(1, least // 8), "reflect"))
    if kind == "photo":
        return Compose(*mirror, Crop(0.5), Brightness(0.2))
    if kind == "sound":
        return Compose(Speed(1.25), ShiftTime(0.1), Equalise(6), Noise(0.1))
    if kind == "series":
        return Compose(ShiftTime(0.05))
    raise InputError(f"kind {kind!r}: give 'digit', 'photo', 'image', 'sound' or 'series'")


def check_meaning(augment: Any, kind: str | None, classes: Iterable[str] = ()) -> None:
    """Warn of transforms that may change what images of this kind, or of these classes, mean."""
    if not isinstance(augment, Compose):
        return
    pair = mirrored_pair(classes)
    for transform in augment.transforms:
        reason = transform.changes_meaning(kind) if kind is not None and isinstance(transform, Transform) else None
        if pair and isinstance(transform, Flip):
            reason = f"{pair[0]!r} mirrored looks like {pair[1]!r}"
        if reason:
            warnings.warn(f"{transform!r} on {kind or 'these'} images: {reason}; leave it out", stacklevel=3)
