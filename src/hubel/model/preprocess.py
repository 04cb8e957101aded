"""What stands between a user's pixels and a network: size, channels, normalisation. Depends on torch and `pixels`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.errors import InputError
from hubel.pixels import as_batch, with_channels


@dataclass(frozen=True)
class Preprocess:
    """Pixels in 0..1 -> what the network takes.

    size : (height, width) in pixels, or None: the network takes any size.
    channels : 1, 3, ...; None: the inputs are not images but arrays of numbers, passed on as float32.
    mean, std : per channel, in pixels of 0..1; the network sees (x - mean) / std.
    """

    size: tuple[int, int] | None = None
    channels: int | None = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    sample_shape: ClassVar[None] = None
    rate: ClassVar[None] = None

    @property
    def kind(self) -> str:
        return "numbers" if self.channels is None else "image"

    def is_batch(self, x: Any) -> bool:
        """Whether an array or tensor is a batch, not a single input."""
        grey = isinstance(x, np.ndarray) and self.channels == 1 and x.ndim == 3 and x.shape[-1] not in (1, 3, 4)
        return x.ndim == 4 or grey or (self.channels is None and x.ndim > 1)

    def batches(self, dataset: Any, batch_size: int) -> Iterator[Tensor]:
        """The images of a Dataset, prepared, a bounded number decoded at a time."""
        self.check_dataset(dataset)
        return (self.prepare(images) for images, _ in dataset.batches(batch_size, self.size, self.channels))

    def check_dataset(self, dataset: Any) -> None:
        if self.channels is None:
            raise InputError(f"this network takes arrays of numbers, not {dataset.noun} ({dataset.name})")
        if dataset.kind in ("sound", "series"):
            raise InputError(f"the model takes images, {dataset.name} holds {dataset.noun} ({dataset.kind})")

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) not in (1, self.channels or 1) or not np.isfinite(values).all():
                raise InputError(f"{name}={values} does not fit {self.channels} channels: give one number a channel")
        if min(self.std) <= 0:
            raise InputError(f"std={self.std} must be above 0")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise InputError(f"size={self.size} must be (height, width) in pixels")

    def prepare(self, x: Any) -> Tensor:
        """Return a float32 batch in 0..1 (N, C, H, W) at the network's size: the pixels an attack may change."""
        if self.channels is None:
            return _numbers(x)
        if isinstance(x, (list, tuple)) and len(x):
            return torch.cat([self.prepare(single) for single in x])
        if not isinstance(x, Tensor):
            x = np.asarray(x)
            if self.channels == 1 and x.ndim == 3 and x.shape[-1] not in (1, 3, 4):
                x = x[..., None]  # (N, H, W): a batch of grey images, as Keras' data sets have them
        return self.resize(as_batch(x, self.channels))

    def resize(self, x: Tensor) -> Tensor:
        """Bring a batch (N, C, H, W) to `size`, bilinear with antialiasing; differentiable."""
        if self.size is None or tuple(x.shape[-2:]) == tuple(self.size):
            return x
        return F.interpolate(x, size=tuple(self.size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)

    def normalise(self, x: Tensor) -> Tensor:
        """Return (x - mean) / std for a batch in 0..1 (N, C, H, W); anything else is passed on as it is."""
        if self.channels is None or (self.mean == (0.0,) and self.std == (1.0,)):
            return x
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean = torch.tensor(self.mean, dtype=x.dtype, device=x.device).view(shape)
        std = torch.tensor(self.std, dtype=x.dtype, device=x.device).view(shape)
        return (x - mean).div_(std)

    def __call__(self, x: Tensor) -> Tensor:
        """Resize and normalise a float batch in 0..1; differentiable."""
        if self.channels is None:
            return x
        return self.normalise(self.resize(with_channels(x, self.channels)))

    def to_dict(self) -> dict[str, Any]:
        size = None if self.size is None else list(self.size)
        return {"size": size, "channels": self.channels, "mean": list(self.mean), "std": list(self.std)}

    @staticmethod
    def from_dict(d: dict[str, Any]) -> Preprocess:
        size = None if d["size"] is None else (int(d["size"][0]), int(d["size"][1]))
        return Preprocess(size, d["channels"], tuple(map(float, d["mean"])), tuple(map(float, d["std"])))


def preprocess(size: int | Sequence[int] | None, channels: int | None, mean: Any, std: Any) -> Preprocess:
    """Build a Preprocess from what users write: a number for a square size, one number for every channel."""
    pair = None if size is None else (size, size) if isinstance(size, int) else tuple(int(s) for s in size)
    return Preprocess(pair, channels, _per_channel(mean, 0.0), _per_channel(std, 1.0))  # type: ignore[arg-type]


def _per_channel(values: Any, default: float) -> tuple[float, ...]:
    return (default,) if values is None else tuple(float(v) for v in np.ravel(np.asarray(values, dtype=float)))


def _numbers(x: Any) -> Tensor:
    t = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x, dtype=np.float32))
    t = t.float()
    if t.ndim < 2:
        raise InputError(f"expected a batch of arrays (N, ...), not shape {tuple(t.shape)}: give x[None] for one sample")
    if not torch.isfinite(t.detach()).all():
        raise InputError("the inputs hold NaN or infinite numbers: replace them first")
    return t
