"""The training loop: one `Run` is the state of one training, from which it can go on after an interruption.

`fit` in `fitting` sets a Run up; this module steps it, and knows batches, gradients, epochs and time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel.errors import DivergedError
from hubel.progress import tell
from hubel.training import evaluation, losses, metrics, schedules
from hubel.training.averaging import Ema, Lookahead
from hubel.training.callbacks import Callback
from hubel.training.history import History
from hubel.training.interrupt import Interrupt
from hubel.training.precision import Context, forward_context
from hubel.training.progress import Display, duration
from hubel.training.randomness import Draws, step_seed
from hubel.training.resume import save
from hubel.training.source import Batch, BatchSource, steps

_HOPELESS = 20.0  # an epoch's mean loss so many times the first batch's (or 1, if that was less) is no training any more

Augment = Callable[[Tensor, Tensor, Draws], tuple[Tensor, Tensor]]


@dataclass
class Run:
    """One training. `epoch` and `batch` are the next to be done; `step` counts batches from the run's beginning."""

    network: nn.Module
    source: BatchSource
    optimizer: torch.optim.Optimizer
    loss: losses.Loss
    metrics: dict[str, metrics.Metric]
    schedule: schedules.Schedule
    normalise: evaluation.Normalise | None
    augment: Augment | None
    validation: BatchSource | None
    epochs: int | None
    batch_size: int
    seed: int
    shuffle: bool
    budget: float | None  # seconds
    class_weight: Tensor | None
    accumulate: int
    clip_norm: float | None
    validation_freq: int
    callbacks: list[Callback]
    model: Any
    display: Display
    interrupt: Interrupt
    history: History
    averages: list[Ema | Lookahead]
    checkpoint: Path | None
    checkpoint_seconds: float
    config: dict[str, Any]

    epoch: int = 0
    batch: int = 0
    step: int = 0
    rate_scale: float = 1.0  # what callbacks make of the rate
    stop: str | None = None  # a reason to end after this epoch
    resumed: bool = False
    finished: bool = False
    best_score: tuple[float, ...] | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    seen: int = 0
    first_loss: float | None = None  # of the first batch
    began: float = 0.0
    saved: float = 0.0
    reserve: float | None = None  # seconds one validation takes
    context: Context | None = None
    low: bool | None = None  # precision of the forward pass, once known

    def __post_init__(self) -> None:
        self.began = self.saved = time.monotonic()
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._first_step = self.step
        self._device = evaluation.device_of(self.network)
        self._batches = steps(len(self.source), self.batch_size)
        self._on_batch = [c for c in self.callbacks if _overrides(c, "on_train_batch_begin", "on_train_batch_end")]

    # -- where the run stands ---------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds spent on this run so far, before interruptions too."""
        return time.monotonic() - self.began

    @property
    def share(self) -> float:
        """The share of the run that is done, 0..1: of the epochs or of the budget, whichever is further."""
        by_steps = self.step / (self.epochs * self._batches) if self.epochs else 0.0
        if self.budget is None:
            return by_steps
        time_left_to_train = max(self.budget - self._validation_seconds(), 0.05 * self.budget)
        return min(1.0, max(by_steps, self.elapsed / time_left_to_train))

    @property
    def peak_rate(self) -> float:
        return max(group["base_lr"] for group in self.optimizer.param_groups)

    @property
    def learning_rate(self) -> float:
        return max(group["lr"] for group in self.optimizer.param_groups)

    def logs(self) -> dict[str, float]:
        """Means over the epoch so far."""
        return {name: total / max(self.seen, 1) for name, total in self.sums.items()}

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's state."""
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    def set_weights(self, weights: dict[str, Tensor]) -> None:
        self.network.load_state_dict(weights)

    # -- the loop ---------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Epochs until all are done, the budget is spent, a callback says stop, or Ctrl-C."""
        while not self.stop and (self.epochs is None or self.epoch < self.epochs) and not self._out_of_time():
            if self.batch == 0:
                self._call("on_epoch_begin", self.epoch)
            train_mode(self.network)
            self.display.begin(self.epoch, self._batches, self.batch, self.seen)
            for batch in self.source.epoch(self.epoch, self.seed, self.batch_size, self.batch, self.shuffle):
                self._train_batch(batch)
                if self._out_of_time() or (self.interrupt.requested and self._between_steps()):
                    break
                self._save_when_due()
            if self.interrupt.requested or not self._end_epoch():
                self.history.interrupted = True
                return
        if self._out_of_time() and (self.epochs is None or self.epoch < self.epochs):
            self.history.stopped = f"the budget of {duration(self.budget or 0)} is spent"
        self.history.stopped = self.stop or self.history.stopped
        for average in self.averages:
            average.finish(self.network)

    def _train_batch(self, batch: Batch) -> None:
        if self._on_batch:
            for callback in self._on_batch:
                callback.on_train_batch_begin(self.batch)
        factor = self.schedule(self.share) * self.rate_scale
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        seed_torch(step_seed(self.seed, self.step), self._device)
        x, y = batch.x, batch.y
        if self.augment is not None:
            x, y = self.augment(x, y, Draws(self.seed, self.epoch, batch.places, self.source.fetch, len(self.source)))
        x, y = self._to_input(x), y.to(self._device)
        if self.context is None:
            self.context, self.low = forward_context(self.network, x, self.low)
        with self.context():
            outputs = self.network(x)
        outputs = evaluation.check_outputs(outputs, len(x)).float()
        if self.step == self._first_step:
            evaluation.check_classes(outputs, y, self.source.classes)
        values = evaluation.per_sample("loss", self.loss(outputs, y), len(x))
        if self.class_weight is not None:
            values = values * self._weights_of(y)
        mean = values.mean()
        value = mean.item()
        if not math.isfinite(value):
            self._diverged(value, x)
        if self.first_loss is None:
            self.first_loss = value
        self._learn(mean)
        with torch.no_grad():
            detached = outputs.detach()
            self._add("loss", value, len(x))
            for name, metric in self.metrics.items():
                self._add(name, evaluation.per_sample(name, metric(detached, y), len(x)).mean().item(), len(x))
        self.seen += len(x)
        self.batch += 1
        self.step += 1
        for callback in self._on_batch:
            callback.on_train_batch_end(self.batch - 1, self.logs())
        self.display.step(self.batch, self.seen, self.logs, self.share, self.elapsed)
        tell("training", self.share, 1)

    def _learn(self, mean: Tensor) -> None:
        """Gradients, and a step when as many batches as asked for have been added up."""
        first = self.batch - self.batch % self.accumulate
        group = min(self.accumulate, self._batches - first)
        if self.batch == first:
            self.optimizer.zero_grad(set_to_none=True)
        (mean / group if group > 1 else mean).backward()
        if self.batch == first + group - 1:
            if self.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(self._parameters, self.clip_norm)
            self.optimizer.step()
            for average in self.averages:
                average.step(self.network, self.step, self.share)

    def _end_epoch(self) -> bool:
        """Validate, record, tell the callbacks, keep the best, save. False if Ctrl-C came during validation."""
        self._swap_average()
        try:
            logs = self._close_epoch()
        finally:
            self._swap_average()
        if not logs:
            return False
        self.display.end(self.epoch, self.seen, logs, self.elapsed)
        self.epoch, self.batch = self.epoch + 1, 0
        self.sums, self.seen = {}, 0
        save(self)
        return True

    def _close_epoch(self) -> dict[str, float]:
        logs = self.logs()
        last = self._out_of_time() or self.epoch + 1 == self.epochs
        if self.validation is not None and (last or (self.epoch + 1) % self.validation_freq == 0):
            measured = self._validate(self.validation)
            if not measured:
                return {}
            logs.update(measured)
        logs["learning_rate"] = self.learning_rate
        finite = all(math.isfinite(v) for v in logs.values()) and all(torch.isfinite(p).all() for p in self._parameters)
        if not finite or logs["loss"] > _HOPELESS * max(self.first_loss or 0.0, 1.0):
            self._diverged(logs["loss"] if finite else logs.get("val_loss", logs["loss"]))
        self.history.append(self.epoch, logs, self.elapsed)
        self._keep_best(logs)
        self._call("on_epoch_end", self.epoch, logs)
        if getattr(self.model, "stop_training", False) is True:
            self.stop = self.stop or "a callback set stop_training"
        return logs

    def _validate(self, source: BatchSource) -> dict[str, float]:
        began = time.monotonic()
        if self.context is None:  # resumed at the very end of an epoch
            x, _ = source.fetch(np.arange(min(self.batch_size, len(source))))
            self.context, self.low = forward_context(self.network, self._to_input(x), self.low)
        found = evaluation.run(self.network, source, self.loss, self.metrics, self.normalise, self.batch_size,
                               self.context, lambda: self.interrupt.requested)
        self.reserve = time.monotonic() - began
        return {f"val_{name}": value for name, value in found.items()}

    def _validation_seconds(self) -> float:
        """What one validation took, or before the first: a third of a training step per sample, from the steps so far."""
        if self.validation is None:
            return 0.0
        if self.reserve is not None:
            return self.reserve
        return self.elapsed / max(self.seen, 1) * len(self.validation) / 3 if self.seen else 0.0

    def _out_of_time(self) -> bool:
        return self.budget is not None and self.share >= 1.0

    # -- what can go wrong ------------------------------------------------------------------------------------------

    def _diverged(self, value: float, x: Tensor | None = None) -> None:
        self.set_weights(self.best_weights)
        if x is not None and not torch.isfinite(x).all():
            raise DivergedError(f"the inputs of batch {self.batch + 1} in epoch {self.epoch + 1} hold NaN or infinite "
                                "numbers: clean the data, or look at the normalisation (a deviation of 0?)")
        kept = "first" if self.history.best_epoch is None else f"epoch {self.history.best_epoch + 1}'s"
        raise DivergedError(
            f"training diverged: the loss is {value} in epoch {self.epoch + 1}, step {self.step + 1}, at learning rate "
            f"{self.learning_rate:.3g} (peak {self.peak_rate:.3g}): try learning_rate={self.peak_rate / 5:.1g} or "
            f"clip_norm=1; the network has its {kept} weights back")

    # -- keeping ----------------------------------------------------------------------------------------------------

    def _keep_best(self, logs: dict[str, float]) -> None:
        if self.validation is not None and "val_loss" not in logs:
            return
        score = ((logs["val_accuracy"], -logs["val_loss"]) if "val_accuracy" in logs
                 else (-logs.get("val_loss", logs["loss"]),))
        if self.best_score is None or score > self.best_score:
            self.best_score, self.history.best_epoch, self.best_weights = score, self.epoch, self.weights()

    def _save_when_due(self) -> None:
        due = self.checkpoint is not None and time.monotonic() - self.saved >= self.checkpoint_seconds
        if due and self._between_steps():
            save(self)

    def _between_steps(self) -> bool:
        """Whether no gradients wait to be completed by further batches."""
        return self.batch % self.accumulate == 0 or self.batch == self._batches

    # -- small things -----------------------------------------------------------------------------------------------

    def _to_input(self, x: Tensor) -> Tensor:
        return evaluation.to_input(x, self._device, self.normalise)

    def _swap_average(self) -> None:
        for average in self.averages:
            if isinstance(average, Ema):
                average.swap(self.network)

    def _call(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)

    def _add(self, name: str, value: float, count: int) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value * count

    def _weights_of(self, y: Tensor) -> Tensor:
        assert self.class_weight is not None
        weights = self.class_weight.to(y.device)
        return y @ weights if y.is_floating_point() and y.ndim == 2 else weights[y.reshape(-1).long()]


def train_mode(network: nn.Module) -> None:
    """Training mode, but for batch norms whose own parameters are frozen: they keep their statistics."""
    network.train()
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and own and not any(p.requires_grad for p in own):
            module.eval()


def seed_torch(seed: int, device: torch.device) -> None:
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _overrides(callback: Callback, *hooks: str) -> bool:
    return any(getattr(type(callback), h, None) is not getattr(Callback, h) or h in vars(callback) for h in hooks)
