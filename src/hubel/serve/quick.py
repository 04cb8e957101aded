"""predict and embed: what is computed in batches. Depends on model, engine and inputs."""

from __future__ import annotations

import json
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
SURE = 6.0  # times the measured error of one logit is four deviations of the gap between two
Read = list[np.ndarray | Tensor] | Refusal


class Quick:
    """Answers predict and embed requests for one model. Its methods are called from one thread, and it keeps them to it."""

    def __init__(self, model: Any, reader: Reader, precision: str = "auto") -> None:
        self.model, self.reader, self.precision = model, reader, precision
        self.batch = batch_size(model)
        self.used = ""  # 'bf16' or 'fp32', once warm
        self.tie = 0.0  # of the logits' spread: classes that bf16 has closer together are told apart in full precision
        self.names = [json.dumps(c, ensure_ascii=False) for c in model.classes]
        self.pool = ThreadPoolExecutor(workers(), thread_name_prefix="hubel-decode")
        self.head = f'"model": "{model.hash}", "results": ['

    def warm(self) -> None:
        """Make the fast copies and run them once, so that the first client does not wait for it; see how exact they are."""
        x = self.model.example(min(8, self.batch))
        self._features(x[:2])
        self.used = self.model.frozen(self.model.preprocess(x), self.precision).precision
        if self.used == "bf16":
            low, full = self._logits(x), self._logits(x, "fp32")
            self.tie = SURE * float(((low - full).square().mean().sqrt() / full.std(dim=1).mean()).clamp_min(1e-3))

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
        results = [self._file(*files[0])] if len(files) == 1 else list(self.pool.map(lambda f: self._file(*f), files))
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

    def _logits(self, x: Tensor, precision: str | None = None) -> Tensor:
        with torch.no_grad():
            normalised = self.model.preprocess(x)
            return self.model.frozen(normalised, precision or self.precision)(normalised)

    def _probabilities(self, x: Tensor) -> np.ndarray:
        logits = self._logits(x)
        if self.tie and logits.shape[1] > 1:
            best = logits.topk(2, dim=1).values
            close = best[:, 0] - best[:, 1] < self.tie * logits.std(dim=1)
            if close.any():
                logits[close] = self._logits(x[close], "fp32")
        return self.model.probabilities(logits).numpy()

    def _features(self, x: Tensor) -> np.ndarray:
        return self.model.features(x, self.batch, self.precision)

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
