"""Images in, features out: what the layer before last of a model says about each image. Depends on model and cache.

    features = embed(model, dataset)          # float32 (N, D), computed once for each image and model
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.look.progress import track
from hubel.model import Model, pretrained
from hubel.nets.embedding import Embedding
from hubel.reuse.body import name_of
from hubel.reuse.cache import FeatureCache, content_key

BATCH = 64
_SHARD = 1024


def embed(model: Model | None, x: Any, *, batch_size: int = BATCH, precision: str = "auto", cache: bool = True,
          what: str = "features") -> np.ndarray:
    """Return the features float32 (N, D) of images, row i for image i.

    Parameters
    ----------
    model : a Model (its layer before last), or one of `feature_model` (any layer, pooling and views); None is the
        pretrained EfficientNet-Lite0 (D = 1,280).
    x : a Dataset, or what `model.features` takes: uint8 0..255 or float 0..1, a batch, one image or a list.
    precision : 'auto' runs in bf16 where that passes the engine's self-test (features then agree to about 1%), 'fp32'.
    cache : keep the features in the user's cache folder (environment variable HUBEL_CACHE), by the pixels' content and
        the model's weights; a run that is stopped goes on where it was.

    Memory holds one batch of pixels beside the result. An image of a Dataset that cannot be decoded gets a row of
    zeros, and is listed in `Dataset.unreadable`.
    """
    model = model or pretrained()
    store = FeatureCache(_name(model, precision)) if cache else None
    count = len(x) if hasattr(x, "labels") else None
    if count is None:
        parts, total = _array_parts(model, x, batch_size)
        places = None
    else:
        total = count
        parts = ((images, index) for images, _, index in x.stream(_cuts(count, batch_size), model.size, model.channels))
        places = total
    rows: list[np.ndarray] = []
    result: np.ndarray | None = None
    waiting: list[tuple[bytes, np.ndarray]] = []
    for images, index in track(parts, total, what, size=lambda part: len(part[1])):
        found = _features(model, images, precision, store, waiting)
        if places is None:
            rows.append(found)
            continue
        if result is None:
            result = np.zeros((places, found.shape[1]), np.float32)
        result[index] = found
    if store is not None:
        _flush(store, waiting)
    if places is not None:
        return result if result is not None else np.zeros((places, 0), np.float32)
    return np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)


def _name(model: Model, precision: str) -> str:
    return name_of(model, precision) if isinstance(model.network, Embedding) else f"{model.hash}-{precision}"


def _compute(model: Model, images: Any, precision: str) -> np.ndarray:
    ask = model.logits if isinstance(model.network, Embedding) else model.features
    return ask(images, precision=precision)


def _cuts(count: int, batch_size: int) -> Iterator[np.ndarray]:
    return (np.arange(start, min(start + batch_size, count)) for start in range(0, count, batch_size))


def _array_parts(model: Model, x: Any, batch_size: int) -> tuple[Iterator[tuple[Any, np.ndarray]], int]:
    """Batches of what the model accepts, without preparing more than one batch at a time."""
    sliceable = isinstance(x, (np.ndarray, Tensor)) and model.preprocess.is_batch(x)
    if not sliceable and not isinstance(x, (list, tuple)):
        x = model.prepare(x)
    return ((x[cut[0]:cut[-1] + 1], cut) for cut in _cuts(len(x), batch_size)), len(x)


def _features(model: Model, images: Any, precision: str, store: FeatureCache | None,
              waiting: list[tuple[bytes, np.ndarray]]) -> np.ndarray:
    if store is None:
        return _compute(model, images, precision)
    pixels = model.prepare(images)
    keys = [content_key(str(tuple(p.shape)).encode(), p) for p in _bytes(pixels)]
    rows = store.get(keys)
    missing = [i for i, row in enumerate(rows) if row is None]
    if missing:
        for i, row in zip(missing, _compute(model, pixels[torch.tensor(missing)], precision), strict=True):
            rows[i] = row
            waiting.append((keys[i], row))
        if len(waiting) >= _SHARD:
            _flush(store, waiting)
    return np.stack([row for row in rows if row is not None])


def _bytes(pixels: Tensor) -> np.ndarray:
    """Pixels at uint8 precision where they have it, which hashes four times as fast; else as they are."""
    levels = (pixels * 255).round()
    exact = torch.equal(levels / 255, pixels)
    return (levels.to(torch.uint8) if exact else pixels).numpy()


def _flush(store: FeatureCache, waiting: list[tuple[bytes, np.ndarray]]) -> None:
    if waiting:
        store.add([key for key, _ in waiting], np.stack([row for _, row in waiting]))
        waiting.clear()
