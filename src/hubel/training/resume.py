"""What of a run is kept in its checkpoint, and how it is taken back. Depends on `checkpoint` for the file itself.

Random numbers need no keeping: they follow from the seed, the epoch, the step and the samples' places.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from torch import Tensor

from hubel.training import checkpoint
from hubel.training.history import History

if TYPE_CHECKING:
    from hubel.training.loop import Run

_PLAIN = ("epoch", "batch", "step", "rate_scale", "stop", "finished", "sums", "seen", "first_loss", "reserve",
          "low")


def save(run: Run) -> None:
    """Write the run's checkpoint, if it is to have one."""
    if run.checkpoint is None:
        return
    tensors, optimizer = checkpoint.optimizer_state(run.optimizer)
    tensors |= {f"network.{k}": v for k, v in run.network.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in run.best_weights.items()}
    tensors |= {f"average.{i}.{k}": v for i, average in enumerate(run.averages) for k, v in average.weights.items()}
    for i, callback in enumerate(run.callbacks):
        tensors |= {f"callback.{i}.{k}": v for k, v in callback.tensors().items()}
    meta: dict[str, Any] = {name: getattr(run, name) for name in _PLAIN}
    meta |= {"config": run.config, "elapsed": run.elapsed, "best_score": run.best_score, "optimizer": optimizer,
             "history": run.history.to_dict(), "callbacks": [callback.state() for callback in run.callbacks]}
    checkpoint.write(run.checkpoint, tensors, meta)
    run.saved = time.monotonic()


def load(run: Run) -> dict[str, Any] | None:
    """Take the state from the checkpoint, if there is one, and return what `load_callbacks` needs.

    Raises InputError if the file is another run's, or no checkpoint.
    """
    if run.checkpoint is None or not run.checkpoint.exists():
        return None
    tensors, meta = checkpoint.read(run.checkpoint)
    checkpoint.compare(run.checkpoint, meta["config"], run.config)
    run.network.load_state_dict(_under("network.", tensors))
    run.best_weights = _under("best.", tensors)
    checkpoint.load_optimizer(run.optimizer, tensors, meta["optimizer"])
    for i, average in enumerate(run.averages):
        average.weights = _under(f"average.{i}.", tensors)
    for name in _PLAIN:
        setattr(run, name, meta.get(name))
    run.began = time.monotonic() - meta["elapsed"]
    run.best_score = None if meta["best_score"] is None else tuple(meta["best_score"])
    run.history = History(**{**meta["history"], "interrupted": False})
    run.resumed = True
    return {"tensors": tensors, "states": meta["callbacks"]}


def load_callbacks(run: Run, kept: dict[str, Any]) -> None:
    """Give the callbacks their state back, after their on_train_begin."""
    for i, (callback, state) in enumerate(zip(run.callbacks, kept["states"], strict=True)):
        callback.load(state, _under(f"callback.{i}.", kept["tensors"]))


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
