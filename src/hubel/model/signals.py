"""What stands between signals and a network: recordings, time series and volumes. Depends on nets.log_mel and torch.

The counterparts of `Preprocess`, with the same members. An image model has a `size` and `channels`; these have neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hubel.errors import InputError
from hubel.nets.log_mel import log_mel


@dataclass(frozen=True)
class Signals:
    """Series (dims=1) and volumes (dims=3): NumPy (N, T, C) and (N, D, H, W, C), torch (N, C, T) and (N, C, D, H, W).

    Where signals is 1, the axis C may be missing. `length` is what series are cropped or padded to with zeros, the middle
    staying in the middle; None takes any. The network sees (x - mean) / std, one number or one a signal.
    """

    signals: int = 1
    dims: int = 1
    length: int | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    size: ClassVar[None] = None
    channels: ClassVar[None] = None
    rate: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if self.dims not in (1, 3) or self.signals < 1 or (self.length is not None and self.length < 1):
            raise InputError(f"{self}: signals and length are 1 or more, dims is 1 or 3")
        _check_scale(self.mean, self.std, self.signals)

    @property
    def kind(self) -> str:
        return "series" if self.dims == 1 else "volume"

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        return None if self.length is None else (self.signals, self.length)

    def is_batch(self, x: Any) -> bool:
        return x.ndim == self.dims + 2 or (x.ndim == self.dims + 1 and self.signals == 1)

    def prepare(self, x: Any) -> Tensor:
        """float32 (N, C, T) or (N, C, D, H, W). Raises InputError for NaN and for what has another rank."""
        if isinstance(x, list | tuple) and len(x):
            parts = [self.prepare(single) for single in x]
            if len({p.shape[1:] for p in parts}) > 1:
                raise InputError("the series differ in length: give the model a length")
            return torch.cat(parts)
        t = _finite(x)
        if t.ndim == self.dims + (self.signals > 1):
            t = t[None]
        if t.ndim == self.dims + 1 and self.signals == 1:
            t = t[:, None]
        elif not isinstance(x, Tensor) and t.ndim == self.dims + 2:
            t = t.movedim(-1, 1)
        if t.ndim != self.dims + 2 or t.shape[1] != self.signals:
            wanted = "(N, T, C)" if self.dims == 1 else "(N, D, H, W, C)"
            raise InputError(f"inputs of shape {tuple(np.shape(x))} do not fit a model of {self.signals}-channel {self.kind}: "
                             f"NumPy is {wanted}, torch has C second")
        return self.resize(t)

    def resize(self, x: Tensor) -> Tensor:
        return x if self.length is None or self.dims != 1 else fit_length(x, self.length)

    def normalise(self, x: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * self.dims
        mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device).view(shape) for v in (self.mean, self.std))
        return (x - mean) / std

    def __call__(self, x: Tensor) -> Tensor:
        return self.normalise(self.resize(x))

    def batches(self, dataset: Any, batch_size: int) -> Iterator[Tensor]:
        """The inputs of a Dataset, prepared."""
        _check_dataset(dataset, self)
        return (x for x, _ in dataset.batches(batch_size, self.length))

    def to_dict(self) -> dict[str, Any]:
        return {"signals": self.signals, "dims": self.dims, "length": self.length, "mean": list(self.mean),
                "std": list(self.std)}


@dataclass(frozen=True)
class Sound:
    """Recordings: float -1..1 (or int16), (T,) one and (N, T) a batch, or a list of any lengths, at `rate` samples a second.

    length : samples they are cropped or padded to with silence, the middle staying in the middle.
    bands : of the log-mel spectrogram (N, 1, bands, frames) that the network sees, with a mean taken off and divided by `std`; 0 gives the network the waveform, (N, 1, T), at unit power.
    level : whose mean is taken off. 'recording': of the whole picture, so that loudness does not count. 'band': of each band
    over time, so that the microphone and the room do not count either (Atal 1974): right for speech, wrong for hums and
    tones, of which nothing is left.
    window, hop : of the spectrogram, in seconds.
    """

    rate: int
    length: int
    bands: int = 40
    window: float = 0.025
    hop: float = 0.01
    std: tuple[float, ...] = (1.0,)
    level: str = "recording"

    size: ClassVar[None] = None
    channels: ClassVar[None] = None
    mean: ClassVar[tuple[float, ...]] = (0.0,)
    kind: ClassVar[str] = "sound"

    def __post_init__(self) -> None:
        if self.rate < 1 or self.length < max(1, round(self.window * self.rate)) or self.bands < 0:
            raise InputError(f"{self}: rate and bands are positive, length at least a window's {self.window * self.rate:.0f} "
                             "samples")
        if self.level not in ("recording", "band"):
            raise InputError(f"level={self.level!r}: give 'recording' or 'band'")
        _check_scale(self.mean, self.std, 1)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (self.length,)

    def is_batch(self, x: Any) -> bool:
        return x.ndim == 2

    def prepare(self, x: Any) -> Tensor:
        """float32 (N, T) in -1..1. Raises InputError for NaN, other ranks, and values beyond."""
        if isinstance(x, list | tuple) and len(x):
            return torch.cat([self.prepare(single) for single in x])
        sixteen = getattr(x, "dtype", None) in (np.dtype(np.int16), torch.int16)
        t = _finite(x) / (32768 if sixteen else 1)
        t = t[None] if t.ndim == 1 else t
        if t.ndim != 2 or 0 in t.shape[1:]:
            raise InputError(f"sound of shape {tuple(np.shape(x))}: give (T,) for a recording, (N, T) for several")
        if t.numel() and float(t.detach().abs().max()) > 1 + 1e-6:
            raise InputError(f"sound is float in -1..1 or int16, this spans {t.min():.4g}..{t.max():.4g}: scale it")
        return self.resize(t)

    def resize(self, x: Tensor) -> Tensor:
        return fit_length(x, self.length)

    def normalise(self, x: Tensor) -> Tensor:
        if not self.bands:
            return (x / x.square().mean(1, keepdim=True).sqrt().clamp_min(1e-4) / self.std[0])[:, None]
        picture = log_mel(x, self.rate, self.bands, self.window, self.hop)
        mean = picture.mean(2 if self.level == "band" else (1, 2), keepdim=True)
        return ((picture - mean) / self.std[0])[:, None]

    def __call__(self, x: Tensor) -> Tensor:
        return self.normalise(self.resize(x))

    def batches(self, dataset: Any, batch_size: int) -> Iterator[Tensor]:
        _check_dataset(dataset, self)
        return (x for x, _ in dataset.at_rate(self.rate).batches(batch_size, self.length))

    def to_dict(self) -> dict[str, Any]:
        return {"rate": self.rate, "length": self.length, "bands": self.bands, "window": self.window, "hop": self.hop,
                "std": list(self.std), "level": self.level}


def signals_from_dict(d: dict[str, Any]) -> Signals | Sound:
    """What `to_dict` wrote."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in d.items()}
    return Sound(**values) if "rate" in d else Signals(**values)


def fit_length(x: Tensor, length: int) -> Tensor:
    """(..., T) cropped or padded with zeros to (..., length), the middle staying in the middle."""
    spare = length - x.shape[-1]
    if spare < 0:
        return x[..., -spare // 2 : -spare // 2 + length]
    return F.pad(x, (spare // 2, spare - spare // 2)) if spare else x


def _finite(x: Any) -> Tensor:
    try:
        t = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise InputError(f"expected arrays of numbers, not {type(x).__name__}") from error
    t = t.float()
    if not torch.isfinite(t.detach()).all():
        raise InputError("the inputs hold NaN or infinite numbers: replace them first")
    return t


def _check_scale(mean: tuple[float, ...], std: tuple[float, ...], count: int) -> None:
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, count) or not np.isfinite(values).all() or (name == "std" and min(values) <= 0):
            raise InputError(f"{name}={values} does not fit {count} signals: give one finite number each, std above 0")


def _check_dataset(dataset: Any, model: Signals | Sound) -> None:
    if dataset.kind != model.kind:
        raise InputError(f"the model takes {model.kind}, {dataset.name} holds {dataset.noun} ({dataset.kind})")
    if isinstance(model, Signals) and len(dataset) and dataset.channels_hint() != model.signals:
        raise InputError(f"the model takes {model.signals} signals, those of {dataset.name} have {dataset.channels_hint()}")
