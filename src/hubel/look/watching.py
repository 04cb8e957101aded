"""How filters change while a network is trained: one strip of pictures for each epoch. Depends on training's callbacks, filters.

    watch = look.WatchFilters()
    model.fit(x, y, epochs=8, callbacks=[watch])
    watch.history().plot()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel.errors import InputError, ModelError
from hubel.look.capture import find
from hubel.look.draw import Group, Shown, sheet
from hubel.look.filters import Filters
from hubel.training.callbacks import Callback

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class WatchFilters(Callback):
    """Keeps the filters of the first convolution, or of `layer`, before training and after every epoch.

    every : so many epochs lie between two strips; the last epoch is always kept. An interrupted run that is resumed goes on
    with the strips it had.
    """

    def __init__(self, layer: str | None = None, every: int = 1) -> None:
        if every < 1:
            raise InputError(f"every={every}: give at least 1")
        self.layer, self.every = layer, every
        self._strips: dict[int, Tensor] = {}
        self._last: tuple[int, Tensor] | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        network = getattr(self.model, "network", self.model)
        if self.layer is None:
            first = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)]
            if not first:
                raise ModelError("the network has no 2-D convolution: there are no filters to watch")
            self.layer = first[0]
        weight = getattr(find(network, self.layer), "weight", None)
        if weight is None or weight.ndim != 4:
            raise ModelError(f"layer {self.layer!r} has no 2-D filters: choose a convolution")
        self._strips = {0: self._weights()}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = self._weights()
        self._last = (epoch + 1, now)
        if (epoch + 1) % self.every == 0:
            self._strips[epoch + 1] = now

    def state(self) -> dict[str, Any]:
        return {"layer": self.layer, "last": None if self._last is None else self._last[0]}

    def tensors(self) -> Mapping[str, Tensor]:
        kept = {f"epoch-{number}": strip for number, strip in self._strips.items()}
        return kept if self._last is None else {**kept, "last": self._last[1].clone()}

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.layer = state["layer"]
        self._strips = {int(name.removeprefix("epoch-")): t.clone() for name, t in tensors.items() if name != "last"}
        self._last = None if state["last"] is None else (int(state["last"]), tensors["last"].clone())

    def history(self) -> FilterHistory:
        """Return the strips so far; raises InputError before the callback has been through any training."""
        if not self._strips or self.layer is None:
            raise InputError("nothing was watched yet: hand this callback to fit first")
        strips = dict(self._strips)
        if self._last is not None:
            strips[self._last[0]] = self._last[1]
        epochs = sorted(strips)
        return FilterHistory(self.layer, tuple(epochs), np.stack([strips[e].numpy() for e in epochs]))

    def _weights(self) -> Tensor:
        network = getattr(self.model, "network", self.model)
        weight: Any = find(network, self.layer or "").weight
        return weight.detach().to("cpu", torch.float32, copy=True).contiguous()


@dataclass(frozen=True)
class FilterHistory(Shown):
    """epochs : finished epochs at each strip, 0 being before training. weights : float32 (strips, units, C, h, w)."""

    layer: str
    epochs: tuple[int, ...]
    weights: np.ndarray

    def likeness(self) -> np.ndarray:
        """Return (strips, units): the cosine of each filter with what it is at the end."""
        flat = self.weights.reshape(*self.weights.shape[:2], -1).astype(np.float64)
        flat = flat / np.linalg.norm(flat, axis=2, keepdims=True).clip(1e-30)
        return (flat * flat[-1]).sum(2)

    def plot(self, most: int = 16, rows: int = 10) -> Figure:
        """Draw the first `most` filters, one strip an epoch, for up to `rows` epochs spread over the training."""
        shown = np.unique(np.linspace(0, len(self.epochs) - 1, min(rows, len(self.epochs))).round().astype(int))
        alike, groups = np.median(self.likeness(), axis=1), []
        columns = min(most, self.weights.shape[1])
        for i in shown:
            when = "before training" if self.epochs[i] == 0 else f"after epoch {self.epochs[i]}"
            groups.append(Group(Filters(self.layer, self.weights[i, :columns]).pictures(), when,
                                f"median cosine with the last: {alike[i]:.2f}"))
        of = "" if columns == self.weights.shape[1] else f", the first {columns} of {self.weights.shape[1]}"
        return sheet(groups, columns, 1, title=f"Filters of {self.layer} while training{of}",
                     foot="Mid-grey is weight 0; each filter is scaled to its own largest weight.")

    def to_dict(self) -> dict[str, Any]:
        alike = self.likeness()
        return {"layer": self.layer, "epochs": list(self.epochs), "units": int(self.weights.shape[1]),
                "median_likeness": np.median(alike, axis=1).tolist(), "weights": self.weights.tolist()}
