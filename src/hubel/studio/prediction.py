"""What Break and Look share: a model chosen by name, how code opens it, its likeliest classes. Depends on stock."""

from __future__ import annotations

from typing import Any

import numpy as np

from hubel.studio.stock import BUILT_IN, Stock


def opening(stock: Stock, name: str) -> str:
    """The line of Python that opens the model of that name."""
    place = stock.models[name]
    if place == BUILT_IN:
        return "model = hubel.pretrained()"
    if place == "efficientnet_lite2":
        return "model = hubel.pretrained('efficientnet_lite2')"
    return f"model = hubel.Model.load({place!r})"


def short(name: str) -> str:
    """ImageNet's names are lists of synonyms: the first."""
    return name.split(",")[0]


def likeliest(classes: tuple[str, ...], probabilities: np.ndarray, count: int = 3) -> list[tuple[str, float]]:
    """Return (name, probability) of the likeliest classes, best first."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [(short(classes[k]), float(probabilities[k])) for k in order]


def class_choices(model: Any) -> list[tuple[str, str]]:
    """(label, value) of every class, by the alphabet where there are many."""
    names = list(model.classes)
    return [(short(name), name) for name in (sorted(names, key=str.lower) if len(names) > 20 else names)]


def link_of(stock: Stock, name: str, hash_: str) -> list[str]:
    """Complaints of a link whose model is not the one of that name here."""
    if hash_ and stock.shared(name).hash != hash_:
        return [f"The link was made with another model of the name {name} ({hash_}); shown is this one ({stock.shared(name).hash})."]
    return []
