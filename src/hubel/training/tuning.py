"""`fine_tune`: a trained network on new data, its head first, then all of it at rates that fall towards the input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from hubel.errors import InputError
from hubel.training.fitting import fit
from hubel.training.history import History

HEAD_SHARE = 0.25  # of a budget of minutes


def fine_tune(network: nn.Module, train: Any, *, head: str | None = None, head_epochs: int = 1, epochs: int = 3,
              learning_rate: float = 1e-3, body_rate: float = 0.1, lowest_rate: float = 0.01, optimizer: Any = "adamw",
              minutes: float | None = None, checkpoint: str | Path | None = None, **options: Any) -> History:
    """Train the head with all else frozen, then everything, in place; return both histories as one.

    Parameters
    ----------
    head : the head's name as in `named_modules()`; by default the last layer that has parameters.
    head_epochs, epochs : of the two phases; with `minutes` the most that are made.
    body_rate, lowest_rate : in the second phase the layer below the head learns at `body_rate` times `learning_rate`,
        the first one at `lowest_rate` times, those between evenly in the logarithm (Howard & Ruder 2018).
    checkpoint : the second phase's file; the first one's has '.head' added.
    options : go to `fit`.

    While frozen, batch norms keep their statistics. Raises InputError if the head is not found.
    """
    prefix = _head(network, head)
    frozen = [p for name, p in network.named_parameters() if not name.startswith(prefix) and p.requires_grad]
    common = {**options, "optimizer": optimizer, "learning_rate": learning_rate}
    first = History()
    if head_epochs:
        for p in frozen:
            p.requires_grad_(False)
        try:
            first = fit(network, train, epochs=head_epochs, **{
                **common, "minutes": None if minutes is None else minutes * HEAD_SHARE,
                "checkpoint": None if checkpoint is None else Path(f"{checkpoint}.head")})
        finally:
            for p in frozen:
                p.requires_grad_(True)
        if first.interrupted:
            return first
    left = None if minutes is None else minutes - (first.seconds[-1] / 60 if first.seconds else 0.0)
    second = fit(network, train, epochs=epochs, rates=layer_rates(network, prefix, body_rate, lowest_rate),
                 **{**common, "minutes": left, "checkpoint": checkpoint})
    return _joined(first, second)


def layer_rates(network: nn.Module, head: str, body_rate: float, lowest_rate: float) -> Callable[[str], float]:
    """Parameter name -> factor of the rate: 1 in the head, `body_rate` just below it, `lowest_rate` in the first layer."""
    layers: list[str] = []
    for name, _ in network.named_parameters():
        layer = name.rpartition(".")[0]
        if not name.startswith(head) and layer not in layers:
            layers.append(layer)
    last = max(len(layers) - 1, 1)

    def rate(name: str) -> float:
        if name.startswith(head):
            return 1.0
        height = layers.index(name.rpartition(".")[0]) / last
        return lowest_rate * (body_rate / lowest_rate) ** height

    return rate


def _head(network: nn.Module, head: str | None) -> str:
    owners = [name.rpartition(".")[0] for name, _ in network.named_parameters()]
    if not owners:
        raise InputError("the network has no parameters to tune")
    if head is None:
        head = owners[-1]
    if head not in dict(network.named_modules()) or not any(o == head or o.startswith(f"{head}.") for o in owners):
        raise InputError(f"the network has no part {head!r} with parameters: its last layer is {owners[-1]!r}")
    return f"{head}."


def _joined(first: History, second: History) -> History:
    """One History of both phases, the second's epochs counted on."""
    joined = History(params=second.params, interrupted=second.interrupted, stopped=second.stopped,
                     best_epoch=None if second.best_epoch is None else second.best_epoch + len(first.epoch))
    before = first.seconds[-1] if first.seconds else 0.0
    joined.epoch = [*first.epoch, *(e + len(first.epoch) for e in second.epoch)]
    joined.seconds = [*first.seconds, *(before + s for s in second.seconds)]
    names = [*first.history, *(n for n in second.history if n not in first.history)]
    joined.history = {n: [*first.history.get(n, []), *second.history.get(n, [])] for n in names}
    return joined
