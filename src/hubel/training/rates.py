"""`lr_find`: which learning rate is the highest that still helps? A short run at a growing rate, on a copy."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from hubel.errors import DivergedError, InputError
from hubel.training.callbacks import Callback
from hubel.training.fitting import fit
from hubel.training.source import as_source, steps


@dataclass(frozen=True)
class RateSearch:
    """`losses[i]` was met at `rates[i]`; `smooth` is its running mean. `suggestion` is for a schedule's peak."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]
    suggestion: float

    def to_dict(self) -> dict[str, Any]:
        return {"rates": list(self.rates), "losses": list(self.losses), "smooth": list(self.smooth),
                "suggestion": self.suggestion}

    def plot(self) -> Any:
        """A Matplotlib figure: loss against rate, with the suggestion."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, color="0.8", linewidth=1, label="each batch")
        axes.plot(self.rates, self.smooth, linewidth=2, label="running mean")
        axes.axvline(self.suggestion, color="C3", linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss",
                 ylim=(0.9 * min(self.smooth), 1.1 * float(np.percentile(self.smooth, 90))))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        return figure


class _Enough(Exception):
    pass


class _Watch(Callback):
    """Notes rate and loss of each batch, and ends the search when the loss has clearly left its minimum."""

    def __init__(self, count: int) -> None:
        self.count, self.rates, self.losses, self.smooth = count, [], [], []  # type: ignore[var-annotated]
        self._total, self._mean = 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._total = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        total = self.run.sums["loss"] / self.run.seen * (batch + 1)  # batches are equal but for one sample
        self.losses.append(total - self._total)
        self._total = total
        self._mean = 0.9 * self._mean + 0.1 * self.losses[-1]
        self.rates.append(self.run.learning_rate)
        self.smooth.append(self._mean / (1 - 0.9 ** len(self.losses)))
        if len(self.losses) >= self.count or (len(self.losses) > 20 and self.smooth[-1] > 3 * min(self.smooth)):
            raise _Enough


def lr_find(network: nn.Module, train: Any, *, low: float = 1e-5, high: float = 10.0, count: int = 120,
            batch_size: int = 128, **options: Any) -> RateSearch:
    """Train a copy of `network` for up to `count` batches while the rate grows from `low` to `high` evenly in its
    logarithm (Smith 2017). The suggestion is a tenth of the rate at which the smoothed loss was lowest.

    `options` go to `fit` (optimizer, loss, augment, ...). Raises InputError if the loss never fell.
    """
    if not 0 < low < high:
        raise InputError(f"low={low}, high={high}: give 0 < low < high")
    source = as_source(train)
    epochs = -(-count // steps(len(source), batch_size))
    reach = epochs * steps(len(source), batch_size) / count
    watch = _Watch(count)
    with contextlib.suppress(_Enough, DivergedError):
        fit(copy.deepcopy(network), source, schedule=lambda share: (high / low) ** min(1.0, share * reach),
            **{**options, "learning_rate": low, "epochs": epochs, "batch_size": batch_size, "verbose": 0,
               "callbacks": [watch]})
    if not _fell(watch.losses, watch.smooth):
        raise InputError(f"the loss did not fall at any rate from {low} to {high} in {len(watch.smooth)} batches: widen "
                         "the range, give a larger count, or look at the data")
    best = watch.rates[int(np.argmin(watch.smooth))]
    return RateSearch(tuple(watch.rates), tuple(watch.losses), tuple(watch.smooth), best / 10)


def _fell(losses: list[float], smooth: list[float]) -> bool:
    """Whether the running mean went below the first batches' mean by more than batches differ: their mean over ten
    strays by a third of that, the least of a hundred running means by half."""
    first = losses[:10]
    return len(losses) > 10 and float(np.mean(first)) - min(smooth[5:]) > 1.3 * float(np.std(first, ddof=1))
