"""Whole training runs by name, each a file to be read from top to bottom. Depends on the rest of the training room.

    network, history = recipes.get("mnist").train(x, y)

A recipe is a module with the constants and the function of `Recipe`; its first lines say what it reaches, on what
machine, and how often that was measured. Its tricks can be left out one by one, to see what each is worth.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from hubel.errors import InputError
from hubel.training.history import History


class Recipe(Protocol):
    """What a recipe's module holds. Images come as uint8 (N, CHANNELS, *SIZE)."""

    SIZE: tuple[int, int]
    CHANNELS: int
    MEAN: tuple[float, ...]
    STD: tuple[float, ...]
    TRICKS: tuple[str, ...]

    def train(self, x: Tensor, y: Tensor, *, classes: int | None = None, seed: int = 0, without: Collection[str] = (),
              device: str = "cpu", **options: Any) -> tuple[nn.Module, History]:
        """A trained network, which takes normalised images, and its history. y (N,) are classes, by default as many as
        they name; `without` names TRICKS to leave out; `options` go to `fit` (validation, epochs, minutes, checkpoint,
        callbacks, verbose)."""
        ...


def names() -> list[str]:
    """The recipes there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Recipe:
    """The recipe of that name; raises InputError if there is none."""
    if name not in names():
        raise InputError(f"no recipe {name!r}: there are {', '.join(names())}")
    return cast(Recipe, importlib.import_module(f"{__name__}.{name}"))


def normaliser(recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """The recipe's normalisation of a batch (N, C, H, W) in 0..1: (x - MEAN) / STD."""
    mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (recipe.MEAN, recipe.STD))
    return lambda x: (x - mean.to(x.device)) / std.to(x.device)


def drawn(make: Callable[..., nn.Sequential], y: Tensor, classes: int | None, seed: int, **options: Any) -> nn.Sequential:
    """`make(classes, **options)` with weights of this seed, torch's own random numbers left as they are; None: as many
    classes as y names."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return make(classes or int(y.max()) + 1, **options)


def check(x: Tensor, recipe: Recipe, without: Collection[str]) -> None:
    """Raise InputError unless x is uint8 images of the recipe's shape and `without` names tricks of it."""
    shape = (recipe.CHANNELS, *recipe.SIZE)
    if x.ndim != 4 or tuple(x.shape[1:]) != shape or x.dtype != torch.uint8:
        raise InputError(f"the recipe takes uint8 images (N, {', '.join(map(str, shape))}), these are {x.dtype} of shape "
                         f"{tuple(x.shape)}")
    unknown = sorted(set(without) - set(recipe.TRICKS))
    if unknown:
        raise InputError(f"the recipe has no trick {unknown[0]!r} to leave out: there are {', '.join(recipe.TRICKS)}")
