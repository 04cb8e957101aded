"""Model: preprocessing + network + classes. Depends on nets, engine, training and data."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine
from hubel.errors import InputError, ModelError
from hubel.model import features as _features
from hubel.model import file as _file
from hubel.model.fingerprint import weights_hash, weights_key
from hubel.model.fitting import Compiled, evaluate, fit
from hubel.model.outputs import Logits, logits_of
from hubel.model.preprocess import Preprocess
from hubel.model.preprocess import preprocess as preprocess_
from hubel.model.signals import Signals, Sound, signals_from_dict
from hubel.model.summary import Summary, summarise
from hubel.nets import describe, from_description

Inputs = Preprocess | Signals | Sound

OUTPUTS = ("softmax", "sigmoid", "values")


class Model:
    """A network with what it needs around it: how pixels become its input, and what its outputs are called.

    Parameters
    ----------
    network : any `nn.Module` from a batch of *normalised* inputs to logits (N, K); tuple and dict outputs are understood
        (`model.outputs.logits_of`).
    classes : K names; None: '0', '1', ... as many as the network has outputs.
    size : (height, width) or one number: images are brought to this size. None: any size is passed on.
    channels : what the network's first layer takes: read off the network where None. `channels=None` on a network whose
        first layer is dense means: inputs are arrays of numbers, not images.
    mean, std : normalisation (x - mean) / std, in pixels of 0..1, one number or one a channel.
    preprocess : what stands before the network where inputs are no images: `Sound(rate, length)`, `Signals(signals)`
        (series and volumes, also chosen where the first layer is a 1-D or 3-D convolution); then without the four above.
    output : 'softmax' (one class of K), 'sigmoid' (K independent ones), 'values' (regression: outputs are returned as
        they are).

    Inputs x everywhere: uint8 0..255 or float 0..1 images of any size, NumPy channels-last, torch channels-first, a single
    image or a batch or a list (see `pixels.as_batch`). For a one-channel model a NumPy array (N, H, W) is a batch.

    Raises ModelError for something that is not a network, InputError for options that do not fit it.
    """

    def __init__(self, network: nn.Module, classes: Sequence[str] | None = None, *,
                 size: int | Sequence[int] | None = None, channels: int | None = None, mean: Any = None, std: Any = None,
                 output: str = "softmax", preprocess: Inputs | None = None) -> None:
        if not isinstance(network, nn.Module):
            raise ModelError(f"a Model wraps an nn.Module, not {type(network).__name__}")
        if output not in OUTPUTS:
            raise InputError(f"output={output!r} is unknown: one of {', '.join(OUTPUTS)}")
        self.network = network
        self.preprocess: Inputs = preprocess or _preprocess(network, size, channels, mean, std)
        self.output = output
        self._classes = None if classes is None else tuple(str(c) for c in classes)
        self._compiled = Compiled()
        self._fast: dict[tuple, Callable[[Tensor], Tensor]] = {}
        self._key: tuple | None = None
        self.sample_shape: tuple[int, ...] | None = self.preprocess.sample_shape  # of a prepared input, where `size` does not tell
        self.history: Any = None
        self.notes: dict[str, Any] = {}  # what is saved along with the model: JSON-able facts on how it came about

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        if self._classes is None:
            self._classes = tuple(str(i) for i in range(self.forward(self.example()).shape[1]))
        return self._classes

    @classes.setter
    def classes(self, names: Sequence[str]) -> None:
        self._classes = tuple(str(n) for n in names)

    @property
    def size(self) -> tuple[int, int] | None:
        return self.preprocess.size

    @property
    def channels(self) -> int | None:
        return self.preprocess.channels

    @property
    def kind(self) -> str:
        """'image', 'sound', 'series', 'volume', or 'numbers' (arrays that go to the network as they are)."""
        return self.preprocess.kind

    @property
    def hash(self) -> str:
        """12 hexadecimal digits that name these weights with this preprocessing and these classes."""
        about = {"preprocess": self.preprocess.to_dict(), "classes": self._classes, "output": self.output}
        return weights_hash(self.network, about)

    def example(self, count: int = 1) -> Tensor:
        """Return made-up prepared inputs (count, ...) of the right shape: uniform noise from a fixed seed."""
        shape = self.sample_shape
        if self.channels is not None:
            shape = (self.channels, *(self.size or (shape[1:] if shape else (224, 224))))
        elif shape is None:
            first = next((m for m in self.network.modules() if isinstance(m, nn.Linear)), None)
            if first is None:
                raise ModelError("the network's input shape is unknown: run predict or fit once, or give size=")
            shape = (first.in_features,)
        # whole pixel levels: what is recorded with them is the same after a uint8 round trip
        levels = torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(0))
        return levels.float() / 255

    def layers(self) -> tuple[str, ...]:
        """Return the dotted names of all layers without children, in the order they were defined."""
        return tuple(name for name, m in self.network.named_modules() if name and not list(m.children()))

    def layer(self, name: str) -> nn.Module:
        """Return a layer by its dotted name; raises InputError with the nearest names for one that does not exist."""
        try:
            return self.network.get_submodule(name)
        except AttributeError:
            from difflib import get_close_matches

            names = [n for n, _ in self.network.named_modules() if n]
            near = get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
            raise InputError(f"no layer {name!r}: nearest are {', '.join(near)}") from None

    def summary(self, print_fn: Callable[[str], Any] | None = print) -> Summary:
        """Print (unless `print_fn` is None) and return the layers with shapes, parameters and dense equivalents."""
        result = summarise(self.network, self.preprocess(self.example()))
        if print_fn is not None:
            print_fn(str(result))
        return result

    # --- running it -------------------------------------------------------------------------------------------------

    def prepare(self, x: Any) -> Tensor:
        """Return inputs as a float32 batch in 0..1 at the model's size: the pixels that an attack may change."""
        t = self.preprocess.prepare(x)
        self.sample_shape = tuple(t.shape[1:])
        return t

    def normalise(self, x: Tensor) -> Tensor:
        return self.preprocess.normalise(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K) for a float batch in 0..1, in full precision, in evaluation mode, differentiable."""
        with engine.evaluation(self.network):
            return logits_of(self.network(self.preprocess(x)))

    __call__ = forward

    def fast(self, sample: Tensor | None = None, precision: str = "auto") -> Callable[[Tensor], Tensor]:
        """Return a function of `forward`'s meaning that runs as fast as the machine allows (`engine.frozen`).

        `sample` : a batch in 0..1 of the shape to come (made up where None). `precision` : 'auto' or 'fp32'. With 'auto',
        logits may be off by a few percent of their spread: verify with `forward` what is found. The weights are copied:
        call again after they have changed; until then the same function comes back.
        """
        sample = self.example() if sample is None else sample
        run = self.frozen(self.preprocess(sample[: engine.frozen_test_batch]), precision)

        def logits(x: Tensor) -> Tensor:
            return run(self.preprocess(x))

        logits.precision = run.precision  # type: ignore[attr-defined]
        return logits

    def frozen(self, normalised: Tensor, precision: str = "auto") -> engine.Frozen:
        """Return the frozen network (`engine.frozen`) for normalised inputs; made once for given weights and shape."""
        key = weights_key(self.network)
        if key != self._key:
            self._fast, self._key = {}, key
        which = (tuple(normalised.shape[1:]), precision, tuple(vars(engine.settings).values()))
        if which not in self._fast:
            self._fast[which] = engine.frozen(Logits(self.network), normalised, precision)
        return self._fast[which]  # type: ignore[return-value]

    def twin(self, network: nn.Module | None = None) -> Model:
        """Return the same model with fast copies of its own, on another network where one is given; weights are shared."""
        other = copy.copy(self)
        other.network = self.network if network is None else network
        other._fast, other._key = {}, None
        return other

    def logits(self, x: Any, batch_size: int = 256, precision: str = "fp32") -> np.ndarray:
        """Return logits (N, K) as float32 for inputs x (see the class) or a Dataset."""
        parts = []
        for part in self._parts(x, batch_size):
            with torch.no_grad():
                normalised = self.preprocess(part)
                parts.append(self.frozen(normalised, precision)(normalised))
        return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, len(self.classes)), np.float32)

    def predict(self, x: Any, batch_size: int = 256, verbose: int | str = 0) -> np.ndarray:
        """Return probabilities (N, K) as float32 (for output='values' the outputs themselves)."""
        return self.probabilities(torch.from_numpy(self.logits(x, batch_size))).numpy()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return what `predict` returns, from logits (N, K)."""
        if self.output == "softmax":
            return logits.softmax(dim=1)
        return logits.sigmoid() if self.output == "sigmoid" else logits

    def features(self, x: Any, batch_size: int = 256, precision: str = "fp32") -> np.ndarray:
        """Return the features (N, D) that the last layer with weights sees: the layer before last."""
        parts = []
        for part in self._parts(x, batch_size):
            with torch.no_grad():
                normalised = self.preprocess(part)
                parts.append(_features.before_last(self.network, self.frozen(normalised, precision), normalised))
        return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, 0), np.float32)

    def _parts(self, x: Any, batch_size: int) -> Iterator[Tensor]:
        if hasattr(x, "batches") and hasattr(x, "labels"):  # a hubel.data.Dataset
            yield from self.preprocess.batches(x, batch_size)
        elif isinstance(x, (np.ndarray, Tensor)) and self.preprocess.is_batch(x):
            for start in range(0, len(x), batch_size):
                yield self.prepare(x[start : start + batch_size])
        else:
            yield from self.prepare(x).split(batch_size)

    # --- training ---------------------------------------------------------------------------------------------------

    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Iterable[Any] | None = ("accuracy",),
                **options: Any) -> None:
        """Choose how to train: an optimizer, loss and metrics by Keras' names (see `training.fit` for more options)."""
        self._compiled = Compiled(optimizer, loss, tuple(metrics or ()), options)

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: int | str = "auto",
            callbacks: Sequence[Any] | None = None, validation_split: float = 0.0, validation_data: Any = None,
            shuffle: bool = True, class_weight: Any = None, **options: Any) -> Any:
        """Train, and return a History. Keras' names and order; `x` may be a `hubel.data.Dataset` (then without y).

        Further options go to `training.fit`: seed, minutes, checkpoint, augment, learning_rate, schedule,
        label_smoothing, weight_decay, ... Images already at the model's size are kept as they are, uint8 as uint8.
        """
        self.history = fit(self, x, y, batch_size=batch_size or 32, epochs=epochs, verbose=verbose, callbacks=callbacks,
                           validation_split=validation_split, validation_data=validation_data, shuffle=shuffle,
                           class_weight=class_weight, **options)
        return self.history

    def evaluate(self, x: Any = None, y: Any = None, batch_size: int = 256, verbose: int | str = 0,
                 return_dict: bool = False) -> list[float] | dict[str, float]:
        """Return [loss, metric, ...] on data with labels, or the same by name; in full precision."""
        result = evaluate(self, x, y, batch_size)
        return result if return_dict else list(result.values())

    # --- keeping it -------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], **notes: Any) -> Path:
        """Write the model to one file (safetensors with a JSON header); `notes` (JSON-able) are kept with it."""
        check = self.example(2)
        with torch.no_grad():
            outputs = self.forward(check)
        about = {
            "architecture": describe(self.network), "preprocess": self.preprocess.to_dict(),
            "classes": list(self.classes), "output": self.output, "check_shape": list(check.shape),
            "notes": {**self.notes, **notes},
        }
        return _file.write(path, self.network.state_dict(), about, outputs)

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: nn.Module | None = None) -> Model:
        """Return the model in a file written by `save`, after checking that it still computes what it did then.

        `network` is needed where the architecture was not one of Hubel's (the error says so): an instance of it, into
        which the weights are loaded. Raises ModelError for files that are missing, damaged or of another kind.
        """
        state, about, outputs = _file.read(path)
        if network is None:
            if about.get("architecture") is None:
                raise ModelError(f"{path} holds a network of somebody's own class: Model.load(path, network=Class(...))")
            network = from_description(about["architecture"])
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise ModelError(f"the weights in {path} do not fit the network: {str(error)[:200]}") from error
        model = Model(network, about["classes"], output=about["output"], preprocess=_inputs(about["preprocess"]))
        model.sample_shape = tuple(about["check_shape"][1:])
        model.notes = dict(about.get("notes", {}))
        with torch.no_grad():
            now = model.forward(model.example(about["check_shape"][0]))
        tolerance = 1e-3 * float(outputs.abs().max())
        if now.shape != outputs.shape or not torch.allclose(now, outputs, rtol=1e-3, atol=tolerance):
            raise ModelError(f"{path} does not compute what it did when it was saved: its weights or this torch differ")
        network.eval()
        return model

    def __repr__(self) -> str:
        if self.kind != "image":
            return f"Model({type(self.network).__name__}, {len(self.classes)} classes, {self.kind})"
        size = "any size" if self.size is None else f"{self.size[0]}x{self.size[1]}"
        return f"Model({type(self.network).__name__}, {len(self.classes)} classes, {size}, {self.channels} channels)"


def _preprocess(network: nn.Module, size: Any, channels: int | None, mean: Any, std: Any) -> Inputs:
    """What the network's first layer asks for where `channels` does not say it."""
    first = next((m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
    if channels is None and isinstance(first, nn.Conv1d | nn.Conv3d) and first.in_channels:
        scale: dict[str, Any] = {name: tuple(np.ravel(v).astype(float)) for name, v in (("mean", mean), ("std", std)) if v is not None}
        return Signals(first.in_channels, first.weight.ndim - 2, **scale)
    if channels is None and first is not None:
        channels = first.in_channels if isinstance(first, nn.Conv2d) else None
    elif channels is None:
        channels = 3
    return preprocess_(size, channels, mean, std)


def _inputs(d: dict[str, Any]) -> Inputs:
    return Preprocess.from_dict(d) if "size" in d else signals_from_dict(d)
