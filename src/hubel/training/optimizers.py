"""Optimisers by their torch and their Keras names, as torch optimisers whose peak rate stands in each group.

`"sgd"` is Nesterov's with momentum 0.9; the classes here have Keras' arguments and Keras' defaults. Decay applies to
matrices and kernels only: biases and the scales of batch norm are left alone (He et al. 2019, Bag of tricks).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hubel.errors import InputError
from hubel.training.muon import MuonOptimizer, hidden_matrices

Rates = Callable[[str], float]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, with Keras' arguments."""

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | None = None


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015), with Keras' arguments."""

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    weight_decay: float | None = None


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), with Keras' arguments."""

    weight_decay: float | None = 0.004


@dataclass(frozen=True)
class RMSprop:
    """RMSprop (Tieleman & Hinton 2012), with Keras' arguments."""

    learning_rate: float = 1e-3
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    weight_decay: float | None = None


@dataclass(frozen=True)
class Muon:
    """Muon for the kernels of hidden layers (see `muon`); the rest learns by Nesterov momentum at `others_rate`."""

    learning_rate: float = 0.02
    momentum: float = 0.95
    iterations: int = 5
    weight_decay: float | None = None
    others_rate: float = 0.05
    others_momentum: float = 0.9
    fixed_norm: bool = False


_BY_NAME: dict[str, Any] = {
    "sgd": SGD(0.05, momentum=0.9, nesterov=True),
    "adam": Adam(),
    "adamw": AdamW(),
    "rmsprop": RMSprop(),
    "muon": Muon(),
}


def get(optimizer: Any, network: nn.Module, learning_rate: float | None = None, weight_decay: float | None = None,
        rates: Rates | None = None) -> torch.optim.Optimizer:
    """A torch optimiser of the network's trainable parameters; each group's peak rate is its `base_lr`.

    `optimizer`: a name ('sgd', 'adam', 'adamw', 'rmsprop', 'muon', any case), an object with `learning_rate` and Keras'
    other attributes, a torch optimiser over the network's parameters, or a factory `f(parameter groups) -> torch optimiser`.
    `learning_rate` and `weight_decay` go before the optimiser's own. `rates(parameter name)` multiplies the rate of
    that parameter; 0 leaves it out. Raises InputError for anything else, and if nothing is left to train.
    """
    for name, value in (("learning_rate", learning_rate), ("weight_decay", weight_decay)):
        if value is not None and not 0.0 <= value < float("inf"):
            raise InputError(f"{name} {value} is not a finite number from 0 up")
    if isinstance(optimizer, torch.optim.Optimizer):
        _check_owner(optimizer, network)
        if rates is not None or weight_decay is not None:
            raise InputError("a ready torch optimiser carries its own rates and weight decay: set them there, or give "
                             "its class instead")
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"] if learning_rate is None else learning_rate
        return optimizer
    spec = _BY_NAME.get(optimizer.lower()) if isinstance(optimizer, str) else optimizer
    if spec is None:
        raise InputError(f"unknown optimizer {optimizer!r}: give one of {', '.join(_BY_NAME)}, or a torch optimiser")
    if hasattr(spec, "learning_rate"):
        lr = _number(spec, "learning_rate", 1e-3) if learning_rate is None else learning_rate
        decay = _number(spec, "weight_decay", 0.0) if weight_decay is None else weight_decay
        if isinstance(spec, Muon):
            return _finish(_muon(spec, network, lr, decay, rates))
        return _finish(_build(spec, _some(groups(network, lr, decay, rates)), lr))
    if callable(spec):
        lr = 1e-3 if learning_rate is None else learning_rate
        made = spec(_some(groups(network, lr, weight_decay or 0.0, rates)))
        if isinstance(made, torch.optim.Optimizer):
            return _finish(made)
    raise InputError(f"optimizer {optimizer!r} is no name, no object with a learning_rate, and makes no torch optimiser")


def groups(network: nn.Module, lr: float, weight_decay: float, rates: Rates | None = None,
           only: Callable[[str], bool] = lambda name: True) -> list[dict[str, Any]]:
    """Parameter groups by rate and decay, in the order of the network's parameters; `only` chooses by name."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not only(name):
            continue
        factor = 1.0 if rates is None else float(rates(name))
        if parameter.requires_grad and factor > 0.0:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            found.setdefault((lr * factor, decay), []).append(parameter)
    return [{"params": parameters, "lr": rate, "weight_decay": decay} for (rate, decay), parameters in found.items()]


def _build(spec: Any, parameter_groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    name = type(spec).__name__.lower()
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for g in parameter_groups
                for p in g["params"])
    if name == "sgd":
        momentum = _number(spec, "momentum", 0.0)
        return torch.optim.SGD(parameter_groups, lr=lr, momentum=momentum, fused=fused,
                               nesterov=bool(getattr(spec, "nesterov", False)) and momentum > 0)
    if name in ("adam", "adamw"):
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        return kind(parameter_groups, lr=lr, fused=fused, eps=_number(spec, "epsilon", 1e-7),
                    betas=(_number(spec, "beta_1", 0.9), _number(spec, "beta_2", 0.999)))
    if name == "rmsprop":
        return torch.optim.RMSprop(parameter_groups, lr=lr, alpha=_number(spec, "rho", 0.9),
                                   eps=_number(spec, "epsilon", 1e-7), momentum=_number(spec, "momentum", 0.0))
    raise InputError(f"optimizer {type(spec).__name__} is not known here: give one of {', '.join(_BY_NAME)}, or a "
                     "torch optimiser")


def _number(spec: Any, name: str, default: float) -> float:
    value = getattr(spec, name, None)
    return default if value is None else float(value)


def _muon(spec: Muon, network: nn.Module, lr: float, decay: float, rates: Rates | None) -> torch.optim.Optimizer:
    hidden = hidden_matrices(network)
    inner = groups(network, lr, decay, rates, lambda name: name in hidden)
    outer = groups(network, spec.others_rate, decay, rates, lambda name: name not in hidden)
    parts = [{**g, "orthogonal": True} for g in inner] + [{**g, "momentum": spec.others_momentum} for g in outer]
    return MuonOptimizer(_some(parts), lr, spec.momentum, spec.iterations, spec.fixed_norm)


def _some(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not parts:
        raise InputError("the network has no parameter to train: all are frozen or there are none")
    return parts


def _finish(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        group["base_lr"] = group["lr"]
    return optimizer


def _check_owner(optimizer: torch.optim.Optimizer, network: nn.Module) -> None:
    own = {id(p) for p in network.parameters()}
    if any(id(p) not in own for group in optimizer.param_groups for p in group["params"]):
        raise InputError("the torch optimiser holds parameters of another network: build it from network.parameters()")
