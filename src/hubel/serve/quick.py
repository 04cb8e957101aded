"""predict and embed: what is computed in batches. Depends on model, engine and inputs."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hubel.data.parallel import workers
from hubel.serve.batching import Request
from hubel.serve.inputs import Reader
from hubel.serve.refusal import Refusal

BATCH_PIXELS = 32 * 224 * 224  # of the engine's chunks: what is decoded and computed together
MOST = 256
SMALL = 128  # inputs in a batch: from here on layers are too short to share a layer's work among the cores
Read = list[np.ndarray | Tensor] | Refusal


class Quick:
    """Answers predict and embed requests for one model, from `threads` threads.

    A batch of photos keeps all cores busy by itself, so one thread computes, and decodes on a pool beforehand. Small inputs
    are decoded and computed by two threads, each on its share of the cores: measured on two cores with 28-pixel images, 1,640
    a second against 1,370; with photos it is the other way round, 108 against 110.
    """

    def __init__(self, model: Any, reader: Reader, precision: str = "fp32") -> None:
        self.model, self.reader, self.precision = model, reader, precision
        self.batch = batch_size(model)
        self.used = ""  # 'bf16' or 'fp32', once warm
        self.names = [json.dumps(c, ensure_ascii=False) for c in model.classes]
        self.threads = 2 if self.batch >= SMALL and workers() > 1 else 1
        self.pool = ThreadPoolExecutor(workers(), thread_name_prefix="hubel-decode") if self.threads == 1 else None
        self.embedder = model if self.threads == 1 else model.twin()  # layers are read through hooks
        self._hooked = threading.Lock()
        self.head = f'"model": "{model.hash}", "results": ['

    def begin(self) -> None:
        """What each thread does first."""
        torch.set_num_threads(max(1, workers() // self.threads))

    def warm(self) -> None:
        """Make the fast copy and run it once, so that the first client does not wait for it."""
        x = self.model.example(min(2, self.batch))
        self._probabilities(x)
        self._features(x)
        self.used = self.model.frozen(self.model.preprocess(x), self.precision).precision

    def __call__(self, requests: Sequence[Request]) -> Sequence[bytes | BaseException]:
        """Return one body or Refusal for each request."""
        read = self._read(requests)
        answers: list[bytes | BaseException] = [r if isinstance(r, Refusal) else b"" for r in read]
        for verb, write in (("predict", self._predicted), ("embed", self._embedded)):
            chosen = [(i, r) for i, r in enumerate(read) if not isinstance(r, Refusal) and requests[i].verb == verb]
            if chosen:
                rows = self._rows(verb, [part for _, parts in chosen for part in parts])
                for (i, _), own in zip(chosen, _divided(rows, [sum(map(len, parts)) for _, parts in chosen]), strict=True):
                    answers[i] = ("{" + self.head + write(own, requests[i].options) + "]}").encode()
        return answers

    def _read(self, requests: Sequence[Request]) -> list[Read]:
        files = [(data, "the image" if len(r.files) == 1 else f"file {place}")
                 for r in requests for place, data in enumerate(r.files, 1)]
        spread = map if self.pool is None or len(files) == 1 else self.pool.map
        results = list(spread(lambda f: self._file(*f), files))
        out: list[Read] = []
        for own in _divided(results, [len(r.files) for r in requests]):
            refused = next((f for f in own if isinstance(f, Refusal)), None)
            out.append(refused if refused is not None else list(own))
        return out

    def _file(self, data: bytes, name: str) -> np.ndarray | Tensor | Refusal:
        try:
            return self.reader.read(data, name)
        except Refusal as refusal:
            return refusal

    def _rows(self, verb: str, parts: list[np.ndarray | Tensor]) -> list[np.ndarray]:
        """One row for each input of `parts`, in order; inputs of one shape go through the network together."""
        ask = self._probabilities if verb == "predict" else self._features
        groups: dict[tuple, list[int]] = {}
        for i, part in enumerate(parts):
            groups.setdefault((type(part), part.shape[1:]), []).append(i)
        found: list[Any] = [None] * len(parts)
        for places in groups.values():
            own = [parts[i] for i in places]
            x = self.model.prepare(_joined(own)) if isinstance(own[0], np.ndarray) else torch.cat(own)  # type: ignore[arg-type]
            rows = np.concatenate([ask(part) for part in x.split(self.batch)])
            for i, some in zip(places, _divided(rows, [len(p) for p in own]), strict=True):
                found[i] = some
        return list(chain.from_iterable(found))

    def _probabilities(self, x: Tensor) -> np.ndarray:
        with torch.no_grad():
            normalised = self.model.preprocess(x)
            return self.model.probabilities(self.model.frozen(normalised, self.precision)(normalised)).numpy()

    def _features(self, x: Tensor) -> np.ndarray:
        with self._hooked:  # they are read through a hook, which would see another thread's inputs
            return self.embedder.features(x, self.batch, self.precision)

    def _predicted(self, rows: Sequence[np.ndarray], options: dict[str, Any]) -> str:
        top = min(options["top"], len(self.names))
        p = np.stack(rows)
        order = np.argsort(-p, axis=1, kind="stable")[:, :top]
        best = np.take_along_axis(p, order, 1)
        return ", ".join(self._one(classes, values) for classes, values in zip(order.tolist(), best.tolist(), strict=True))

    def _one(self, classes: list[int], values: list[float]) -> str:
        named = [f'{{"class": {self.names[k]}, "number": {k}, "probability": {v:.6f}}}'
                 for k, v in zip(classes, values, strict=True)]
        return f'{named[0][:-1]}, "top": [{", ".join(named)}]}}'

    def _embedded(self, rows: Sequence[np.ndarray], options: dict[str, Any]) -> str:
        return ", ".join(f'{{"features": [{", ".join(f"{v:.7g}" for v in row.tolist())}]}}' for row in rows)


def batch_size(model: Any) -> int:
    """How many inputs are computed together: 32 photos of 224 pixels, up to 256 of smaller inputs."""
    shape = model.example().shape[1:]
    return max(1, min(MOST, BATCH_PIXELS // max(1, int(np.prod(shape[1:]))))) if len(shape) > 1 else MOST


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _divided(values: Any, counts: Sequence[int]) -> list[Any]:
    """`values` cut into pieces of these lengths."""
    out, at = [], 0
    for count in counts:
        out.append(values[at : at + count])
        at += count
    return out
