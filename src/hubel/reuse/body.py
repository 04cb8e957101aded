"""A Model whose outputs are features: a network up to one of its layers. Depends on nets.embedding and model.

    body = feature_model()                             # EfficientNet-Lite0, 1,280 features an image
    body = feature_model(model, layer="blocks.10", pooling="max")
    features = body.logits(images)
"""

from __future__ import annotations

import hashlib
import json

import torch
from torch import Tensor, nn

from hubel.engine import evaluation
from hubel.errors import InputError
from hubel.model import Model, pretrained
from hubel.model.features import last_layer
from hubel.nets.embedding import Embedding, canvas

_GLOBAL = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def feature_model(model: Model | None = None, layer: str | None = None, pooling: str | None = None,
                  views: str = "plain", own_classes: float = 0.0) -> Model:
    """Return a Model whose outputs (N, D) are features of `model` (None: the pretrained EfficientNet-Lite0).

    layer : a dotted name; None is the layer before last. pooling : of maps over places: 'mean', 'gem', 'max'; None is
    what the network itself does (for a layer within it: 'mean'). views : 'plain', 'mirror', 'rich' (see
    `nets.embedding.Embedding`). own_classes : above 0, what a classifier makes of each image in the words it knows, its
    classes' probabilities, counts as well, with this weight; 0.5 gave two points at one shot on Caltech-101.

    A Model that `feature_model` returned is returned as it is. Raises InputError for a layer that does not exist, for a
    pooling where the layer before last has no places, for views of a network that takes one size only.
    """
    model = model or pretrained()
    if isinstance(model.network, Embedding):
        return model
    if model.channels is None:
        raise InputError("this network takes arrays of numbers, not images: it has no features of images")
    if own_classes and model.output != "softmax":
        raise InputError(f"own_classes={own_classes}: this model is no classifier, leave it out")
    before = layer is None
    if layer is None:
        layer = _before_last(model, pooling)
    else:
        model.layer(layer)
    network = Embedding(model.network, layer, before, pooling or "mean", views, model.size, own_classes)
    size = model.size if model.size is None else canvas(model.size, views)
    body = Model(network, (), size=size, channels=model.channels, mean=model.preprocess.mean, std=model.preprocess.std,
                 output="values")
    try:
        with torch.no_grad():
            width = body.forward(body.example()).shape[1]
    except RuntimeError as error:
        raise InputError(f"views={views!r}: the network takes images of its own size only, use 'plain' or 'mirror'") from error
    body.classes = tuple(f"feature {i}" for i in range(width))
    return body


def width(body: Model) -> int:
    """How many features there are."""
    return len(body.classes)


def name_of(body: Model, precision: str) -> str:
    """A short name for weights, layer, pooling, views and precision: features of one name may be compared."""
    network = body.network
    about = {"hash": body.hash, "views": getattr(network, "views", ""), "pooling": getattr(network, "pooling", ""),
             **({"own_classes": network.own_classes} if getattr(network, "own_classes", 0) else {}),
             "tap": [n for n, m in network.named_modules() if type(m).__name__ == "Tap"], "precision": precision}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _before_last(model: Model, pooling: str | None) -> str:
    """The layer whose input is tapped: the pooling over all places before the last layer; without one, the last layer."""
    sample = model.preprocess(model.example())
    last = last_layer(model.network, sample)
    pools: list[str] = []

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3] == 1:
            pools.append(name)

    hooks = [m.register_forward_hook(lambda _m, _i, out, name=name: note(name, out))
             for name, m in model.network.named_modules() if isinstance(m, _GLOBAL)]
    try:
        with torch.no_grad(), evaluation(model.network):
            model.network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    if pools and (pooling is not None or isinstance(model.layer(pools[-1]), nn.AdaptiveAvgPool2d)):
        return pools[-1]
    if pooling is not None:
        raise InputError(f"pooling={pooling!r}: this network's layer before last has no places to pool over; leave it out")
    return last
