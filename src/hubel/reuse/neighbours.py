"""Why is this image like that one? The example that decided, the regions that made them alike, what can be measured.

    why = explain_neighbour(model, image, examples, labels)
    why.plot()

With features that are means over places, the dot product of two images' features is a sum over places: what each place of
the one adds to the likeness with the other. The maps below are that sum, term by term. Depends on find's Maps, attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.look.draw import Group, Shown, as_tile, overlay, sheet
from hubel.model import Model, pretrained
from hubel.nets.embedding import Embedding, Reached
from hubel.reuse.attributes import Attributes, attributes
from hubel.reuse.body import feature_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Neighbour(Shown):
    """image, example : uint8 (H, W, 3). index, label : the example's. similarity : cosine of the two features.

    here, there : float (h, w), what each place of the image, of the example, adds; each sums to `similarity`.
    others : (index, similarity) of the next nearest.
    """

    image: np.ndarray
    example: np.ndarray
    index: int
    label: str
    similarity: float
    here: np.ndarray
    there: np.ndarray
    of_image: Attributes
    of_example: Attributes
    others: tuple[tuple[int, float], ...]

    def to_dict(self) -> dict[str, Any]:
        return {"index": self.index, "label": self.label, "similarity": self.similarity, "here": self.here.tolist(),
                "there": self.there.tolist(), "image": self.of_image.to_dict(), "example": self.of_example.to_dict(),
                "others": [list(o) for o in self.others]}

    def plot(self) -> Figure:
        high = max(float(self.here.max()), float(self.there.max()))
        groups = [Group([as_tile(self.image), overlay(as_tile(self.image), self.here.clip(0), high)], "the image",
                        _wrapped(str(self.of_image))),
                  Group([as_tile(self.example), overlay(as_tile(self.example), self.there.clip(0), high)],
                        f"its nearest example: {self.label}", _wrapped(str(self.of_example)))]
        return sheet(groups, 2, 1, title=f"Alike by {self.similarity:.2f} (cosine)",
                     foot="Bright: places that add most to the likeness; all places together add up to it.")


def explain_neighbour(model: Model | None, image: Any, examples: Sequence[Any], labels: Sequence[Any] | None = None) -> Neighbour:
    """Name the example most like `image` (by the mean features before the last layer), and the places that made it so.

    Raises InputError for a network whose layer before last is no mean over places.
    """
    from hubel.reuse.embed import embed

    if not len(examples):
        raise InputError("there are no examples to compare with")
    model = model or pretrained()
    body = feature_model(model)
    features = embed(body, list(examples), precision="fp32")
    maps = _maps(body, image)
    asked = maps.mean((1, 2)).numpy()
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(asked)
    alike = features @ asked / np.maximum(lengths, 1e-12)
    order = np.argsort(-alike, kind="stable")
    best = int(order[0])
    other = _maps(body, examples[best])
    names = [str(label) for label in labels] if labels is not None else [str(i) for i in range(len(examples))]
    here, there = contributions(maps, other), contributions(other, maps)
    return Neighbour(_rgb(image), _rgb(examples[best]), best, names[best], float(here.sum()), here, there, attributes(image),
                     attributes(examples[best]), tuple((int(i), float(alike[i])) for i in order[1:4]))


def contributions(maps: Tensor, other: Tensor) -> np.ndarray:
    """(h, w): what each place of `maps` (C, h, w) adds to the cosine between the two means over places."""
    a, b = maps.mean((1, 2)), other.mean((1, 2))
    each = torch.einsum("chw,c->hw", maps, b) / (maps.shape[1] * maps.shape[2])
    return (each / (a.norm() * b.norm()).clamp_min(1e-12)).numpy()


@torch.no_grad()
def _maps(body: Model, image: Any) -> Tensor:
    network = body.network
    assert isinstance(network, Embedding)
    try:
        value = network.body(body.preprocess(body.prepare(image)))
    except Reached as reached:
        value = reached.value
    if value.ndim != 4:
        raise InputError("this network's layer before last is no mean over places, so no place can be named")
    return value[0]


def _rgb(image: Any) -> np.ndarray:
    return (as_tile(image if isinstance(image, Tensor) else np.asarray(image)) * 255).round().astype(np.uint8)


def _wrapped(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 84))
