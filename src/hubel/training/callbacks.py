"""Callbacks by their Keras names and arguments. `self.model` is the object being fitted, `self.run` the loop's state.

A callback whose behaviour depends on the past keeps it through an interruption by `state`, `tensors` and `load`.
Epochs count from 0 in the hooks and from 1 in file names and messages, as in Keras.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from hubel.errors import InputError

if TYPE_CHECKING:
    from hubel.training.loop import Run

Logs = dict[str, float]


class Callback:
    """Override any hook. `self.run.stop = "why"` (or Keras' `self.model.stop_training = True`) ends the run."""

    model: Any
    run: Run
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None: ...
    def on_train_end(self, logs: Logs | None = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None: ...
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None: ...
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None: ...

    def state(self) -> dict[str, Any]:
        """What a resumed run needs of this callback, JSON-able."""
        return {}

    def tensors(self) -> Mapping[str, Tensor]:
        """Tensors that a resumed run needs."""
        return {}

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Take `state()` and `tensors()` of the interrupted run back."""


class _Monitor(Callback):
    """A callback that follows one quantity and knows what better means."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise InputError(f"mode {mode!r}: give 'auto', 'min' or 'max'")
        rises = any(part in monitor for part in ("acc", "auc", "precision", "recall", "f1"))
        self.monitor, self.min_delta = monitor, abs(min_delta)
        self.sign = 1.0 if mode == "max" or (mode == "auto" and rises) else -1.0
        self.best: float | None = None

    def value(self, logs: Logs | None) -> float:
        if not logs or self.monitor not in logs:
            raise InputError(f"{type(self).__name__} monitors {self.monitor!r}, which is not measured: there are "
                             f"{', '.join(logs or {})}")
        return logs[self.monitor]

    def improved(self, value: float) -> bool:
        return self.best is None or self.sign * (value - self.best) > self.min_delta

    def state(self) -> dict[str, Any]:
        return {"best": self.best}

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.best = state["best"]


class EarlyStopping(_Monitor):
    """Ends the run after `patience` epochs without improvement by more than `min_delta`."""

    def __init__(self, monitor: str = "val_loss", min_delta: float = 0.0, patience: int = 0, verbose: int = 0,
                 mode: str = "auto", baseline: float | None = None, restore_best_weights: bool = False,
                 start_from_epoch: int = 0) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.baseline, self.restore_best_weights = patience, baseline, restore_best_weights
        self.start_from_epoch, self.verbose = start_from_epoch, verbose
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: dict[str, Tensor] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self.best_weights = None, {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.value(logs)
        if epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improved(value):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.run.weights()
            if self.baseline is None or self.sign * (value - self.baseline) > self.min_delta:
                self.wait = 0
        if self.wait >= max(1, self.patience):
            self.stopped_epoch = epoch
            self.run.stop = f"{self.monitor} has not improved for {self.wait} epochs"

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.best_weights:
            self.run.set_weights(self.best_weights)

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "best_epoch": self.best_epoch}

    def tensors(self) -> Mapping[str, Tensor]:
        return self.best_weights

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.best, self.wait, self.best_epoch = state["best"], state["wait"], state["best_epoch"]
        self.best_weights = tensors


class ModelCheckpoint(_Monitor):
    """Saves the model at the end of every epoch, or of the best ones; `{epoch:02d}` and `{val_loss:.3f}` in the path
    are filled in. A Model is saved whole, a plain network (or with `save_weights_only`) as safetensors."""

    def __init__(self, filepath: str | Path, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
                 save_weights_only: bool = False, mode: str = "auto", save_freq: str = "epoch") -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch":
            raise InputError(f"save_freq {save_freq!r}: only 'epoch' is offered; for saving within an epoch give fit a "
                             "checkpoint path")
        self.filepath, self.verbose = str(filepath), verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_best_only:
            value = self.value(logs)
            if not self.improved(value):
                return
            self.best = value
        path = Path(self.filepath.format(epoch=epoch + 1, **(logs or {})))
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only or not hasattr(self.model, "save"):
            from hubel.training.checkpoint import write

            write(path, self.run.weights(), {"epoch": epoch, "logs": dict(logs or {})})
        else:
            self.model.save(path)


class ReduceLROnPlateau(_Monitor):
    """Multiplies the rate by `factor` after `patience` epochs without improvement, on top of the schedule."""

    def __init__(self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0,
                 mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0) -> None:
        if not 0.0 < factor < 1.0:
            raise InputError(f"factor {factor}: give a number between 0 and 1 that the rate is multiplied by")
        super().__init__(monitor, mode, min_delta)
        self.factor, self.patience, self.cooldown, self.min_lr, self.verbose = factor, patience, cooldown, min_lr, verbose
        self.wait = self.cooling = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best, self.wait, self.cooling = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.value(logs)
        if self.cooling > 0:
            self.cooling, self.wait = self.cooling - 1, 0
        if self.improved(value):
            self.best, self.wait = value, 0
        elif self.cooling <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                least = self.min_lr / max(self.run.peak_rate, 1e-30)
                self.run.rate_scale = max(self.run.rate_scale * self.factor, least)
                self.cooling, self.wait = self.cooldown, 0

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooling": self.cooling}

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.best, self.wait, self.cooling = state["best"], state["wait"], state["cooling"]


class CSVLogger(Callback):
    """One row per epoch. After an interruption, rows of epochs that are run again are replaced."""

    def __init__(self, filename: str | Path, separator: str = ",", append: bool = False) -> None:
        self.path, self.separator, self.append = Path(filename), separator, append

    def on_train_begin(self, logs: Logs | None = None) -> None:
        keep: list[str] = []
        if self.path.exists() and (self.append or self.run.resumed):
            lines = self.path.read_text().splitlines()
            first = self.run.epoch
            keep = [line for line in lines if not line.split(self.separator)[0].isdigit()
                    or int(line.split(self.separator)[0]) < first or not self.run.resumed]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        new.write_text("".join(line + "\n" for line in keep))
        os.replace(new, self.path)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row), delimiter=self.separator, lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)


class LambdaCallback(Callback):
    """Hooks given as functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: ...)`."""

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        for name, hook in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                known = ", ".join(n for n in vars(Callback) if n.startswith("on_"))
                raise InputError(f"unknown hook {name!r}: there are {known}")
            setattr(self, name, lambda *arguments, hook=hook: hook(*arguments))


class LearningRateScheduler(Callback):
    """`schedule(epoch, rate) -> rate`, asked before each epoch; give fit schedule='constant' with it."""

    def __init__(self, schedule: Callable[[int, float], float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        rate = float(self.schedule(epoch, self.run.peak_rate * self.run.rate_scale))
        self.run.rate_scale = rate / max(self.run.peak_rate, 1e-30)


class TerminateOnNaN(Callback):
    """Here for Keras' sake: every run stops with DivergedError at the first loss that is not a number."""
