"""Autoencoder: a Model that gives its input back through a bottleneck, learned without labels. Depends on model, training.

    coder = build("convolutional", size=28, channels=1, latents=16)
    coder.fit(images)
    codes = coder.encode(images)              # float32 (N, 16)
    coder.decode(codes)                       # uint8 (N, 28, 28, 1)
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine, training
from hubel.autoencode import architectures, learning
from hubel.autoencode.bottleneck import Bottleneck, BottleneckWarning, bottleneck
from hubel.errors import InputError, ModelError
from hubel.model import Model
from hubel.model.fingerprint import weights_key
from hubel.nets import EncoderDecoder, UShaped
from hubel.pixels import as_arrays
from hubel.training.source import DatasetSource

SEEN = 600_000  # images that are shown in all where neither epochs nor minutes are given
MEAN, STD = 0.5, 0.25  # pixels of most images, in 0..1
_NAMES = {1: ("grey",), 3: ("red", "green", "blue")}


class Autoencoder(Model):
    """A Model whose network gives its input back; its classes are the channels.

    network : an `EncoderDecoder`, a `UShaped`, or a module with `encode`, `decode` and `shape` (C, H, W) that gives pixels.
    mean, std : what the network's input is normalised by.

    A network whose narrowest place holds as many numbers as the input, or more, is warned of (`BottleneckWarning`).
    Inputs are images as for any Model; they are brought to the network's size.
    """

    def __init__(self, network: nn.Module, *, mean: Any = MEAN, std: Any = STD) -> None:
        shape = getattr(network, "shape", None)
        if not (isinstance(network, nn.Module) and hasattr(network, "encode") and hasattr(network, "decode") and shape):
            raise ModelError(f"{type(network).__name__} is no autoencoder: give an EncoderDecoder(encoder, decoder, shape)")
        super().__init__(network, _NAMES.get(shape[0]), size=shape[1:], channels=shape[0], mean=mean, std=std, output="values")
        self._halves: dict[str, Callable[[Tensor], Tensor]] = {}
        self._halves_key: tuple | None = None
        self._bottleneck: Bottleneck | None = None
        problem = None if self.bottleneck is None else self.bottleneck.warning()
        if problem:
            warnings.warn(problem, BottleneckWarning, stacklevel=2)

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        return self.network.shape  # type: ignore[return-value]

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Of one image's code as `encode` gives it: (k,), or (h, w, c) for a map."""
        shape = tuple(self.network.code_shape)  # type: ignore[arg-type]
        return shape if len(shape) == 1 else (*shape[1:], shape[0])

    @property
    def variational(self) -> bool:
        return bool(getattr(self.network, "variational", False))

    @property
    def bottleneck(self) -> Bottleneck | None:
        """The network's narrowest place; None where it cannot be traced."""
        if self._bottleneck is None:
            try:
                self._bottleneck = bottleneck(self.network, self.shape)
            except ModelError:
                return None
        return self._bottleneck

    # --- learning ---------------------------------------------------------------------------------------------------

    def fit(self, x: Any = None, y: Any = None, *, epochs: int | None = None, minutes: float | None = None,  # type: ignore[override]
            validation: Any = None, loss: str | Callable[[Tensor, Tensor], Tensor] = "mse", noise: float = 0.0, beta: float = 1.0,
            augment: Any = None, batch_size: int = 128, optimizer: Any = "adam", learning_rate: float | None = 1e-2,
            **options: Any) -> training.History:
        """Learn to give images back, and return the History; `y` is not looked at.

        x : images as for any Model, or a `hubel.data.Dataset` (streamed, if it is large).
        epochs : None: as many as show 600,000 images, 3 to 200, or as `minutes` allow.
        validation : images that are held out, or a share of x (0..1), drawn by the seed.
        loss : 'mse', 'mae', or `loss(outputs, images)` of pixels in 0..1. A variational autoencoder learns by its evidence
            bound instead, with `beta` before the divergence.
        noise : a standard deviation in pixels: noise is added to what the encoder sees, and is to be taken away.
        augment, seed, checkpoint, schedule, verbose, ... : as in `training.fit`. With a checkpoint the same call goes on
            after Ctrl-C or a kill.
        """
        source, held_out = self._sources(x, validation, options.get("seed", 0))
        if epochs is None and minutes is None:
            epochs = int(np.clip(SEEN // len(source), 3, 200))
        trained: nn.Module = self.network
        objective: learning.Loss = learning.reconstruction(loss)
        metric: learning.Loss = learning.psnr
        if self.variational:
            if loss != "mse":
                raise InputError("a variational autoencoder learns by its evidence bound: leave loss out, or give beta")
            shape, codes = self.shape, int(np.prod(self.code_shape))
            trained = learning.Variational(self.network)  # type: ignore[arg-type]
            objective, metric = learning.evidence(shape, codes, beta), learning.first(learning.psnr, shape, codes)
        self.history = training.fit(
            trained, source, normalise=self.normalise, loss=objective, metrics=[metric], validation=held_out, epochs=epochs,
            minutes=minutes, batch_size=batch_size, optimizer=optimizer, learning_rate=learning_rate,
            augment=learning.altered(augment, noise, self.size), model=self, **options)
        self.notes["training"] = {"images": len(source), "epochs": len(self.history.epoch),
                                  **{name: values[-1] for name, values in self.history.history.items()}}
        return self.history

    def _sources(self, x: Any, validation: Any, seed: int) -> tuple[learning.Itself, learning.Itself | None]:
        if isinstance(validation, int | float) and not isinstance(validation, bool):
            if not 0 < validation < 1:
                raise InputError(f"validation={validation}: give a share between 0 and 1, or images")
            count = len(x)
            order = np.random.default_rng(seed).permutation(count)
            kept = max(1, round(validation * count))
            if kept >= count:
                raise InputError(f"validation={validation} of {count} images leaves none to learn from")
            parts = [np.sort(order[kept:]), np.sort(order[:kept])]
            x, validation = (x.subset(p) if hasattr(x, "subset") else x[p] for p in parts)
        return self._source(x), None if validation is None else self._source(validation)

    def _source(self, x: Any) -> learning.Itself:
        if hasattr(x, "batches") and hasattr(x, "labels"):
            self.preprocess.check_dataset(x)  # type: ignore[union-attr]
            return learning.Itself(DatasetSource(x, self.size, self.channels))
        if x is None or not len(x):
            raise InputError("there are no images to learn from: x is empty")
        return learning.of_tensor(self.as_levels(x))

    def as_levels(self, x: Any) -> Tensor:
        """Images at the network's size as uint8 (N, C, H, W): a quarter of the memory of floats, and all there is to see."""
        t = torch.from_numpy(x).permute(0, 3, 1, 2) if isinstance(x, np.ndarray) and x.ndim == 4 else x
        if isinstance(t, Tensor) and t.dtype == torch.uint8 and tuple(t.shape[1:]) == tuple(self.shape):
            return t
        return torch.cat([(part * 255).round().to(torch.uint8) for part in self._parts(x, 1024)])

    # --- using ------------------------------------------------------------------------------------------------------

    def encode(self, x: Any, batch_size: int = 256, precision: str = "fp32") -> np.ndarray:
        """Return the codes, float32 (N, *code_shape), of images or a Dataset; of a variational encoder, their means.
        `precision`: 'fp32', or 'auto' for bf16 where it holds."""
        parts = [self._half("encode", part, precision) for part in self._normalised(x, batch_size)]
        codes = torch.cat(parts) if parts else torch.zeros(0, *self.network.code_shape)  # type: ignore[misc]
        return (codes.permute(0, 2, 3, 1) if codes.ndim == 4 else codes).contiguous().numpy()

    def decode(self, codes: Any, batch_size: int = 256, precision: str = "fp32") -> np.ndarray:
        """Return the images, uint8 (N, H, W, C), of codes (N, *code_shape) or of a single one.

        Raises InputError for codes of another shape, ModelError for a U-net.
        """
        if isinstance(self.network, UShaped):
            self.network.decode(torch.zeros(0))
        codes = np.asarray(codes, dtype=np.float32)
        codes = codes[None] if codes.shape == self.code_shape else codes
        if codes.shape[1:] != self.code_shape or not np.isfinite(codes).all():
            raise InputError(f"codes of shape {codes.shape}: give finite numbers (N, {', '.join(map(str, self.code_shape))})")
        t = torch.from_numpy(codes)
        t = t.permute(0, 3, 1, 2) if t.ndim == 4 else t
        parts = [as_arrays(self._half("decode", part, precision)) for part in t.split(batch_size)]
        return np.concatenate(parts)

    def reconstruct(self, x: Any, batch_size: int = 256, precision: str = "fp32") -> np.ndarray:
        """Return images as they come back through the bottleneck, uint8 (N, H, W, C)."""
        parts = [as_arrays(self._half("forward", part, precision)) for part in self._normalised(x, batch_size)]
        return np.concatenate(parts) if parts else np.zeros((0, *self.shape[1:], self.shape[0]), np.uint8)

    def error(self, x: Any, batch_size: int = 256, precision: str = "fp32") -> np.ndarray:
        """Return the mean squared error, float32 (N,), of each image's reconstruction, in pixels of 0..1."""
        found = []
        for part in self._parts(x, batch_size):
            back = self._half("forward", self.normalise(part), precision).clamp(0, 1)
            found.append((back - part).square().flatten(1).mean(1))
        return torch.cat(found).numpy() if found else np.zeros(0, np.float32)

    def _normalised(self, x: Any, batch_size: int) -> Any:
        return (self.normalise(part) for part in self._parts(x, batch_size))

    @torch.no_grad()
    def _half(self, which: str, x: Tensor, precision: str) -> Tensor:
        """Run encode, decode or both, as the machine does it fastest; made anew once the weights have changed."""
        key = weights_key(self.network)
        if key != self._halves_key:
            self._halves, self._halves_key = {}, key
        name = f"{which} {precision} {tuple(vars(engine.settings).values())}"
        if name not in self._halves:
            self._halves[name] = engine.frozen(Half(self.network, which), x, precision)
        return self._halves[name](x)

    # --- keeping ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], **notes: Any) -> Path:
        """Write one file (safetensors with a JSON header), which Model.load, `hubel look` and `hubel info` open too."""
        found = self.bottleneck
        about = {"autoencoder": "variational" if self.variational else "u" if isinstance(self.network, UShaped) else "plain",
                 "bottleneck": None if found is None else str(found)}
        return super().save(path, **about, **notes)

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: nn.Module | None = None) -> Autoencoder:
        """Return the autoencoder in a file written by `save`. Raises ModelError for other files, other models too."""
        model = Model.load(path, network)
        if not isinstance(model.network, EncoderDecoder | UShaped) and not hasattr(model.network, "encode"):
            raise ModelError(f"{path} holds a {type(model.network).__name__}, no autoencoder: make one with "
                             "`hubel autoencode train`")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BottleneckWarning)  # it was said when the network was made
            coder = cls(model.network)
        coder.preprocess, coder.notes = model.preprocess, model.notes
        return coder

    def __repr__(self) -> str:
        channels, height, width = self.shape
        return f"Autoencoder({height}x{width}, {channels} channels, code {'x'.join(map(str, self.code_shape))})"


class Half(nn.Module):
    """A network's `encode`, `decode` or `forward` as a network of its own."""

    def __init__(self, network: nn.Module, which: str) -> None:
        super().__init__()
        self.network, self.which = network, which

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self.network, self.which)(x)


def build(kind: str = "convolutional", size: int | Sequence[int] = 32, channels: int = 3, latents: architectures.Latents | None = None,
          seed: int | None = 0, **options: Any) -> Autoencoder:
    """Return an untrained Autoencoder: see `architectures.network` for kinds and options; `size` is (height, width) or the
    side of a square, in pixels."""
    pair = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    return Autoencoder(architectures.network(kind, pair, channels, latents, seed, **options))


load = Autoencoder.load
