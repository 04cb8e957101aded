"""Averages of the weights along the way: better than the last weights at a high learning rate.

Both keep one copy of the network's floating-point state (batch norm's statistics too). `Ema` leaves training alone and
is what is validated and kept; `Lookahead` pulls the weights themselves back to the average.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hubel.errors import InputError


@dataclass
class Ema:
    """w' <- d w' + (1 - d) w after every step (Polyak & Juditsky 1992), d growing from 0 to `decay` over the first
    steps as (1 + t) / (10 + t), so that the beginning is forgotten."""

    decay: float = 0.999
    weights: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1:
            raise InputError(f"ema {self.decay} is not between 0 and 1: 0.999 is usual")

    def step(self, network: nn.Module, step: int, share: float) -> None:
        """Called after the optimiser's step number `step` (from 0), at `share` (0..1) of the run."""
        _begin(self.weights, network)
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in floating(network).items():
            self.weights[name].lerp_(value, 1 - decay)

    def swap(self, network: nn.Module) -> None:
        """Exchange the network's weights and the average; a second call changes them back."""
        with torch.no_grad():
            for name, value in floating(network).items():
                if name in self.weights:
                    kept = value.clone()
                    value.copy_(self.weights[name])
                    self.weights[name].copy_(kept)

    def finish(self, network: nn.Module) -> None:
        """Called when the run is over: the network gets the average."""
        self.swap(network)


@dataclass
class Lookahead:
    """Every `every` steps w' <- d w' + (1 - d) w and w <- w' (Zhang et al. 2019), with d = `decay` (share)^3: little at
    first, most at the end (Jordan 2024). Without `decay_grows`, d is `decay` throughout, as in the first paper."""

    every: int = 5
    decay: float = 0.77
    decay_grows: bool = True
    weights: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 < self.decay < 1:
            raise InputError(f"Lookahead({self.every}, {self.decay}): give steps from 1 up and a decay between 0 and 1")

    def step(self, network: nn.Module, step: int, share: float) -> None:
        """Called after the optimiser's step number `step` (from 0), at `share` (0..1) of the run."""
        _begin(self.weights, network)
        if (step + 1) % self.every == 0:
            decay = self.decay * share**3 if self.decay_grows else self.decay
            for name, value in floating(network).items():
                value.copy_(self.weights[name].lerp_(value, 1 - decay))

    def finish(self, network: nn.Module) -> None:
        """Called when the run is over: the network gets the average, whatever steps were made since."""
        with torch.no_grad():
            for name, value in floating(network).items():
                if name in self.weights:
                    value.copy_(self.weights[name])


def floating(network: nn.Module) -> dict[str, Tensor]:
    """The floating-point entries of the network's state, the tensors themselves."""
    return {name: t.detach() for name, t in network.state_dict().items() if t.is_floating_point()}


def _begin(weights: dict[str, Tensor], network: nn.Module) -> None:
    if not weights:
        weights.update({name: t.clone() for name, t in floating(network).items()})
