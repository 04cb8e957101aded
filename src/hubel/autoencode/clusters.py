"""Classes of pixels without masks: clusters of the features that a network has at each place. Depends on model, scikit-learn.

    clusters(coder, images, 3).plot()                 # of an autoencoder's, or of any Model's, maps
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from hubel import engine
from hubel.autoencode.segment import Segmentation, iou
from hubel.errors import InputError, ModelError
from hubel.model import Model
from hubel.nets import EncoderDecoder, UShaped
from hubel.pixels import as_arrays

LEARN = 60_000  # places that the clusters are found on


def clusters(model: Model, x: Any, count: int = 2, *, layers: Sequence[str] | None = None, masks: Any = None,
             seed: int = 0) -> Segmentation:
    """Divide the places of images into `count` clusters of like features: k-means over all images together.

    layers : whose maps are the features, brought to one size; None: of an autoencoder its encoder's stages, of another
        model the last layer of each size from a quarter to a sixteenth of the image's.
    masks : (N, H, W), 0..K-1, only to measure with: each cluster is given the class with which the most pixels agree, one
        to one where there are as many (Hungarian), else the most frequent class in it.
    """
    from sklearn.cluster import MiniBatchKMeans

    if count < 2:
        raise InputError(f"count={count}: give 2 clusters at least")
    images = torch.cat(list(model._parts(x, 256)))
    rows, (height, width) = dense_features(model, images, layers)
    draw = np.random.default_rng(seed)
    learn = rows[np.sort(draw.permutation(len(rows))[:LEARN])]
    found = MiniBatchKMeans(count, random_state=seed, n_init=5, batch_size=4096).fit(learn).predict(rows)
    maps = torch.from_numpy(found.reshape(len(images), 1, height, width)).float()
    found = F.interpolate(maps, images.shape[2:], mode="nearest")[:, 0].numpy().astype(np.int64)
    names = tuple(f"cluster {i + 1}" for i in range(count))
    if masks is None:
        return Segmentation(as_arrays(images), found, None, names, None)
    true = np.asarray(masks)
    classes = int(true.max()) + 1
    found = matched(found, true, count, classes)
    return Segmentation(as_arrays(images), found, true, tuple(str(i) for i in range(classes)), iou(found, true, classes))


def matched(found: np.ndarray, masks: np.ndarray, count: int, classes: int) -> np.ndarray:
    """Clusters renamed as the classes that they agree with best."""
    table = np.bincount(found.ravel() * classes + masks.ravel(), minlength=count * classes).reshape(count, classes)
    names = table.argmax(1)
    if count == classes:
        rows, columns = linear_sum_assignment(-table)
        names[rows] = columns
    return names[found]


def dense_features(model: Model, images: Tensor, layers: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """Features of each place, (N h w, D), and (h, w), the size of the largest of the layers' maps, to which the others are
    brought by bilinear interpolation. All layers count alike, however many maps they have."""
    names = list(layers) if layers is not None else _layers(model)
    kept: dict[str, list[Tensor]] = {name: [] for name in names}
    hooks = [model.layer(name).register_forward_hook(lambda _m, _i, out, name=name: kept[name].append(out.detach().float()))
             for name in names]
    try:
        with torch.no_grad(), engine.evaluation(model.network):
            for part in images.split(32):
                model.network(model.normalise(part))
    finally:
        for hook in hooks:
            hook.remove()
    maps = [torch.cat(parts) for parts in kept.values() if parts and parts[0].ndim == 4]
    if not maps:
        raise ModelError(f"the layers {', '.join(names[:3])} give no maps: name some that do")
    size = max((m.shape[2:] for m in maps), key=lambda s: s[0] * s[1])
    columns = []
    for m in maps:
        m = F.interpolate(m, size, mode="bilinear", align_corners=False)
        rows = m.permute(0, 2, 3, 1).flatten(0, 2)
        rows = (rows - rows.mean(0)) / rows.std(0).mean().clamp_min(1e-6)
        columns.append(rows / rows.shape[1] ** 0.5)
    return torch.cat(columns, dim=1).numpy(), (int(size[0]), int(size[1]))


def _layers(model: Model) -> list[str]:
    net = model.network
    inside = "encoder" if isinstance(net, EncoderDecoder) else "stages" if isinstance(net, UShaped) else None
    if inside is not None:
        return [f"{inside}.{name}" for name, child in net.get_submodule(inside).named_children() if isinstance(child, nn.Sequential)]
    height = (model.size or (224, 224))[0]
    from hubel.look import layers

    maps = [layer for layer in layers(model) if len(layer.shape) == 3 and height // 16 <= layer.shape[1] <= height // 4]
    return [next(layer.name for layer in reversed(maps) if layer.shape[1] == s) for s in sorted({m.shape[1] for m in maps})]
