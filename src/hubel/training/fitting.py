"""`fit`: what may be asked of a training run, checked, and the run carried through. `loop.Run` does the work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hubel import engine
from hubel.errors import InputError
from hubel.training import augment as augmentation
from hubel.training import checkpoint as checkpoints
from hubel.training import evaluation, losses, optimizers, schedules
from hubel.training import metrics as measures
from hubel.training.averaging import Ema, Lookahead
from hubel.training.callbacks import Callback
from hubel.training.hardening import Adversary, Harden
from hubel.training.history import History
from hubel.training.interrupt import Interrupt
from hubel.training.loop import Run
from hubel.training.progress import Display, duration
from hubel.training.resume import load, load_callbacks, save
from hubel.training.source import BatchSource, as_source, steps


def fit(
    network: nn.Module,
    train: Any,
    *,
    normalise: evaluation.Normalise | None = None,
    loss: str | losses.Loss = "cross_entropy",
    optimizer: Any = "sgd",
    metrics: str | Iterable[str | measures.Metric] | None = ("accuracy",),
    schedule: str | schedules.Schedule | None = "one_cycle",
    learning_rate: float | None = None,
    epochs: int | None = None,
    batch_size: int = 128,
    validation: Any = None,
    augment: Any = None,
    harden: Harden | None = None,
    label_smoothing: float = 0.0,
    weight_decay: float | None = None,
    class_weight: Mapping[int, float] | Sequence[float] | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    ema: float | None = None,
    lookahead: Lookahead | bool | None = None,
    rates: Callable[[str], float] | None = None,
    seed: int = 0,
    shuffle: bool = True,
    minutes: float | None = None,
    spent: float = 0.0,
    initial_epoch: int = 0,
    validation_freq: int = 1,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    callbacks: Iterable[Callback] | None = None,
    verbose: int | str = 1,
    kind: str | None = None,
    model: Any = None,
) -> History:
    """Train `network` in place and return the History; the network is left in evaluation mode.

    Parameters
    ----------
    network : takes normalised float32 tensors and gives logits (values, for mse). Parameters that do not require
        gradients are left alone, and batch norms made of such keep their statistics.
    train, validation : a pair (x, y) of arrays or tensors, or a BatchSource. x is uint8 0..255 or float, (N, C, H, W),
        (N, C, L) or (N, d); y holds classes (N,), or distributions or values (N, ...).
    normalise : applied to each float batch (0..1, if x was uint8), before the network.
    loss : a name (see `losses.get`) or `loss(outputs, y)` giving (N,) or a mean. metrics: names, or functions alike.
    optimizer : see `optimizers.get`. `learning_rate` is the schedule's peak.
    schedule : 'one_cycle', 'cosine', 'linear', 'constant', or a function of the share of training done (0..1).
    epochs : default 1, or with `minutes` as many as fit. `initial_epoch` of them are taken as done.
    batch_size : the largest batch; the batches of an epoch differ by one sample at most.
    augment : an `augment.Compose`, transform or list of them; a kind ('digit', 'photo', 'image'), for its default; or a
        function of a batch x. What a sample becomes depends on (seed, epoch, its place) alone. `kind` says what the
        images are; a transform that changes their meaning is warned of.
    harden : train against adversarial perturbations (see `hardening.Harden`), after augmentation; the accuracy that is
        shown is then that on what the network learns from.
    weight_decay, label_smoothing, class_weight, clip_norm (largest norm of the whole gradient), accumulate (batches
        per step) : as in the literature; decay spares biases and norms. `rates(name)` multiplies a parameter's rate.
    ema : the decay of an average of the weights, which is validated and kept (see `averaging.Ema`). lookahead: True, or
        an `averaging.Lookahead`.
    minutes : a budget that is kept to, validation included: the schedule follows the share of epochs or of time that
        is spent, whichever is further, so that it always ends at its end. The last epoch may be cut short. Results
        then depend on the machine's speed. `spent` seconds of it went into preparing the run before this call.
    checkpoint : a file from which the same call goes on after Ctrl-C, a crash or a kill -9, to the same bits as without
        the interruption (without `minutes`, and with the same number of threads). Written after each epoch and every
        `checkpoint_seconds`. If the file tells of a finished run, its weights are loaded and nothing is trained.
    verbose : 0 silent, 1 a bar on a terminal and a line per epoch elsewhere, 2 a line per epoch.
    model : what callbacks get as `.model`, by default the network.

    The first Ctrl-C ends the run after the step, saves the checkpoint, gives the network the best weights so far (by
    validation accuracy or loss, else by loss) and sets `History.interrupted`; the second raises KeyboardInterrupt.

    Raises InputError for arguments that cannot be used and checkpoints of other runs; DivergedError when the loss is
    NaN or infinite, or an epoch's 20 times the first batch's, with the network's best weights so far restored.
    """
    settings = {name: value for name, value in locals().items()
                if name not in ("network", "train", "validation", "normalise", "spent", "checkpoint",
                                "checkpoint_seconds", "callbacks", "verbose", "model", "kind")}
    _check(epochs, batch_size, minutes, initial_epoch, validation_freq, accumulate, clip_norm, checkpoint_seconds, seed)
    if epochs is None and minutes is None:
        epochs = 1
    source = as_source(train)
    held_out = None if validation is None else as_source(validation)
    callbacks = list(callbacks or ())
    if isinstance(augment, str):
        kind = kind or augment
    names = getattr(model, "_classes", None) or ()
    transform = augmentation.get(augment, _image_size(source) if isinstance(augment, str) else None, names)
    augmentation.check_meaning(transform, kind or getattr(source, "kind", None), names)
    engine.lay_out(network)
    objective = losses.get(loss, label_smoothing)
    if harden is not None:
        transform = adversary = Adversary(harden, network, normalise, transform, objective)
        objective, callbacks = adversary.loss, [adversary, *callbacks]
    run = Run(
        network=network, source=source, validation=held_out, normalise=normalise, augment=transform,
        optimizer=optimizers.get(optimizer, network, learning_rate, weight_decay, rates),
        loss=objective, metrics=measures.get(metrics), schedule=schedules.get(schedule),
        epochs=epochs, batch_size=batch_size, seed=seed, shuffle=shuffle, budget=None if minutes is None else 60 * minutes,
        class_weight=losses.class_weights(class_weight, source.classes), accumulate=accumulate, clip_norm=clip_norm,
        averages=_averages(ema, lookahead),
        validation_freq=validation_freq, callbacks=callbacks, model=network if model is None else model,
        display=Display(verbose, epochs), interrupt=Interrupt(),
        history=History(params={"epochs": epochs, "samples": len(source), "steps": steps(len(source), batch_size),
                                "verbose": verbose}),
        checkpoint=None if checkpoint is None else Path(checkpoint), checkpoint_seconds=checkpoint_seconds,
        config={} if checkpoint is None else _config(settings, network, source, held_out, normalise, callbacks),
        epoch=initial_epoch, step=initial_epoch * steps(len(source), batch_size),
    )
    run.began -= spent
    devices: list[int] | None = [] if evaluation.device_of(network).type == "cpu" else None
    with run.interrupt, torch.random.fork_rng(devices):
        _carry_out(run)
    network.eval()
    return run.history


def _carry_out(run: Run) -> None:
    """From where the run stands to its end, or to Ctrl-C."""
    kept = load(run)
    if kept is not None:
        if run.finished:
            run.display.line(f"{run.checkpoint} tells of a finished run: its weights are loaded; delete it to train anew")
            return
        run.display.line(f"going on from {run.checkpoint}: epoch {run.epoch + 1}, batch {run.batch + 1}, after "
                         f"{duration(run.elapsed)}")
    else:
        run.best_weights = run.weights()
    for callback in run.callbacks:
        callback.run = run
        callback.set_model(run.model)
        callback.set_params(run.history.params)
        callback.on_train_begin()
    if kept is not None:
        load_callbacks(run, kept)
    if getattr(run.model, "stop_training", False) is True:
        run.model.stop_training = False
    try:
        run.train()
    finally:
        run.display.close()
    if run.history.interrupted:
        save(run)
        best = run.history.best_epoch
        if best is not None:
            run.set_weights(run.best_weights)
        which = "the last step's weights" if best is None else f"epoch {best + 1}'s weights, the best,"
        again = "" if run.checkpoint is None else f"; the same call goes on from {run.checkpoint}"
        run.display.line(f"stopped in epoch {run.epoch + 1}: {which} are kept{again}")
    for callback in run.callbacks:
        callback.on_train_end()
    if not run.history.interrupted:
        run.finished = True
        save(run)
    run.history.interrupted |= run.interrupt.requested


def _config(settings: dict[str, Any], network: nn.Module, source: BatchSource, validation: BatchSource | None,
            normalise: evaluation.Normalise | None, callbacks: list[Callback]) -> dict[str, Any]:
    """What makes a run this run and no other. Functions count by name, the normalisation by what it does."""
    x, _ = source.fetch(np.arange(1))
    sample = evaluation.to_input(x, torch.device("cpu"), None)
    device = evaluation.device_of(network)
    normalised = evaluation.to_input(x, device, normalise).float().cpu().contiguous()
    return {
        **{name: _plain(value) for name, value in settings.items()},
        "network": checkpoints.describe_network(network),
        "data": f"{len(source)} {source.fingerprint()}",
        "validation": None if validation is None else f"{len(validation)} {validation.fingerprint()}",
        "normalisation": "none" if torch.equal(sample, normalised)
        else hashlib.blake2b(normalised.numpy().tobytes(), digest_size=8).hexdigest(),
        "callbacks": [type(callback).__name__ for callback in callbacks],
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    text = repr(value)
    return getattr(value, "__qualname__", type(value).__qualname__) if " at 0x" in text or "\n" in text else text


def _averages(ema: float | None, lookahead: Lookahead | bool | None) -> list[Ema | Lookahead]:
    chosen: list[Ema | Lookahead] = []
    if lookahead:
        like = Lookahead() if lookahead is True else lookahead  # a new one: the average is this run's
        chosen.append(Lookahead(like.every, like.decay, like.decay_grows))
    if ema is not None:
        chosen.append(Ema(ema))
    return chosen


def _image_size(source: BatchSource) -> tuple[int, int] | None:
    x, _ = source.fetch(np.arange(1))
    return (int(x.shape[2]), int(x.shape[3])) if x.ndim == 4 else None


def _check(epochs: int | None, batch_size: int, minutes: float | None, initial_epoch: int, validation_freq: int,
           accumulate: int, clip_norm: float | None, checkpoint_seconds: float, seed: int) -> None:
    for name, value, least in (("epochs", epochs, 0), ("batch_size", batch_size, 1), ("initial_epoch", initial_epoch, 0),
                               ("validation_freq", validation_freq, 1), ("accumulate", accumulate, 1), ("seed", seed, 0)):
        if value is not None and (isinstance(value, bool) or int(value) != value or value < least):
            raise InputError(f"{name} {value!r} is not a whole number from {least} up")
    for name, number in (("minutes", minutes), ("clip_norm", clip_norm)):
        if number is not None and not 0 < number < float("inf"):
            raise InputError(f"{name} {number} is not a number above 0")
    if not checkpoint_seconds >= 0:
        raise InputError(f"checkpoint_seconds {checkpoint_seconds} is not a number from 0 up")
