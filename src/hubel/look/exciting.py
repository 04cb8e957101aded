"""The real inputs that excite units most, cropped to what each unit can see. Depends on topk, quick, layers, stream.

One pass over the data serves every unit of every layer asked for: the maxima are taken while the activations are there,
and nothing else is kept (Zeiler and Fergus 2014, arXiv:1311.2901; Zhou et al. 2015, arXiv:1412.6856). The pass runs on
the engine's fast copy; what is shown is measured again on the network itself.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hubel.errors import InputError
from hubel.look.capture import Taps
from hubel.look.draw import BLANK, Group, Shown, as_tile, sheet
from hubel.look.keep import load, save
from hubel.look.layers import Layer, Layers, layers
from hubel.look.progress import track
from hubel.look.quick import quick
from hubel.look.stream import at, batches, count
from hubel.look.topk import TopK, peak

if TYPE_CHECKING:
    from matplotlib.figure import Figure


KEEP_SECONDS = 30.0  # a pass that can be resumed is written down so often


@dataclass(frozen=True)
class ExcitingInputs(Shown):
    """For each unit its k most exciting inputs, best first.

    activations : float32 (units, k), the unit's largest activation in the image, in full precision.
    images : int64 (units, k), places in the data; positions : int64 (units, k, 2), row and column in the map.
    boxes : int64 (units, k, 4), the pixels the unit saw there (top, bottom, left, right) at the model's size.
    crops : per unit, k pictures uint8 (h, w, C). selectivity : (units,), standard deviations of the k best above the mean.
    """

    layer: Layer
    units: tuple[int, ...]
    activations: np.ndarray
    images: np.ndarray
    positions: np.ndarray
    boxes: np.ndarray
    crops: tuple[tuple[np.ndarray, ...], ...]
    selectivity: np.ndarray
    seen: int
    model: str = ""

    def plot(self, across: int = 2) -> Figure:
        k = self.activations.shape[1]
        columns = next(c for c in (1, 2, 3, 4, 5) if c * c >= k or c == 5)
        groups = [Group([self.tile(i, j) for j in range(k)], f"unit {unit}", _span(self.activations[i]))
                  for i, unit in enumerate(self.units)]
        h, w = self.layer.receptive_field
        size = self.layer.image
        sees = f"sees {h} × {w} of {size[0]} × {size[1]} pixels" if h < size[0] or w < size[1] else "sees the whole image"
        return sheet(groups, columns, across, title=f"What excites units of {self.layer.name}",
                     foot=f"The {k} strongest of {self.seen:,} images, best first; each unit {sees}.")

    def tile(self, unit: int, rank: int) -> np.ndarray:
        """Return the crop of a unit (by its place in `units`) and rank as (h, w, 3) in 0..1, what of the field lies outside the image in pale."""
        above, below, left, right = self.layer.missing(*self.positions[unit, rank].tolist())
        tile = as_tile(self.crops[unit][rank])
        h, w = tile.shape[:2]
        out = np.empty((above + h + below, left + w + right, 3))
        out[:] = BLANK
        out[above : above + h, left : left + w] = tile
        return out

    def to_dict(self) -> dict[str, Any]:
        return {"layer": self.layer.name, "model": self.model, "seen": self.seen, "units": list(self.units),
                "activations": self.activations.tolist(), "images": self.images.tolist(), "boxes": self.boxes.tolist(),
                "positions": self.positions.tolist(), "selectivity": self.selectivity.tolist()}


def _span(values: np.ndarray) -> str:
    good = values[np.isfinite(values)]
    if not len(good) or (good[0] <= 0 and good.min() == good.max()):
        return "never active here"
    return f"activation {good[0]:.3g} … {good[-1]:.3g}"


def top_inputs(model: Any, data: Any, names: Sequence[str] | None = None, k: int = 9,
               batch_size: int | None = None, resume: str | os.PathLike[str] | None = None
               ) -> tuple[dict[str, TopK], str]:
    """Return {layer: TopK} over all units of the layers `names`, after one pass over the data, and the precision used.

    `data`: a Dataset or a batch of images. `names` None stands for every layer whose output the next one reads
    (`default_layers`). `resume`: a file in which the pass is kept every half minute and when it is interrupted; the same
    call takes it up there, and the file stays as the record of a finished pass.
    """
    if k < 1:
        raise InputError(f"k={k}: give at least 1")
    first = at(model, data, range(min(4, count(data))))
    listed = layers(model, first)
    names = default_layers(listed) if names is None else list(names)
    about = {"model": model.hash, "data": "" if resume is None else _identity(data), "layers": "\n".join(names), "k": str(k)}
    kept = None if resume is None else load(Path(resume), about)
    tops, done = kept or ({name: TopK(listed[name].channels, k) for name in names}, 0)
    copy = quick(model, names, first)
    places = torch.zeros(0, dtype=torch.int64)

    def take(name: str, activation: torch.Tensor) -> None:
        tops[name].update(activation.detach(), places)

    size = batch_size or max(8, min(256, 24 * 224 * 224 // first[0, 0].numel()))
    steps = track(batches(model, data, size, done), count(data) - done, "looking", size=lambda step: len(step[1]))
    written, between = time.monotonic(), True
    try:
        with Taps(copy.network, names, keep=take) as taps, torch.no_grad():
            for x, numbers in steps:
                places, between = torch.from_numpy(np.asarray(numbers)), False
                taps.run(copy.inputs(x))
                done, between = int(numbers[-1]) + 1, True
                if resume is not None and time.monotonic() - written > KEEP_SECONDS:
                    save(Path(resume), tops, about, done)
                    written, between = time.monotonic(), True
    finally:
        if resume is not None and between:  # in the middle of a batch some layers are ahead: then the last file stands
            save(Path(resume), tops, about, done)
    return tops, copy.precision


def _identity(data: Any) -> str:
    """What tells these data from others: a Dataset's fingerprint, or a digest of the pixels."""
    if hasattr(data, "fingerprint"):
        return str(data.fingerprint())
    digest = hashlib.blake2b(str(len(data)).encode(), digest_size=16)
    for image in data:
        digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def default_layers(listed: Layers) -> list[str]:
    """Names of the layers worth a look: of layers that hand the same unit on (convolution, norm, activation) the last."""
    kept: list[Layer] = []
    for layer in listed:
        if kept and layer.shape == kept[-1].shape and layer.view == kept[-1].view:
            kept.pop()
        kept.append(layer)
    return [layer.name for layer in kept if layer.kind not in ("Flatten", "Dropout", "Identity")]


def exciting(model: Any, data: Any, layer: str | None = None, units: Sequence[int] | None = None, k: int = 9,
             show: int = 8) -> ExcitingInputs:
    """Return the k inputs of `data` that excite units of `layer` most, with receptive-field crops.

    layer : a dotted name (`look.layers(model)`); None is the last layer that tells places apart.
    units : channel numbers; None takes the `show` most selective ones, whose best inputs stand highest above the mean.

    Searched on the fast copy with twice as many candidates as are wanted, then measured in full precision.
    """
    first = at(model, data, range(min(1, count(data))))
    listed = layers(model, first)
    chosen = listed.last_map() if layer is None else listed[layer]
    bad = [u for u in units or () if not 0 <= u < chosen.channels]
    if bad:
        raise InputError(f"unit {bad[0]} of {chosen.name}: it has units 0 to {chosen.channels - 1}")
    candidates = min(2 * k, count(data))
    top = top_inputs(model, data, [chosen.name], candidates)[0][chosen.name]
    selectivity = top.selectivity()
    numbers = list(units) if units is not None else selectivity.argsort(dim=0, descending=True, stable=True)[:show].tolist()
    values, images, places = _measured(model, data, chosen, numbers, top.inputs[numbers])
    values, images, places = (a[:, : min(k, candidates)] for a in (values, images, places))
    width = chosen.shape[2] if chosen.is_map else 1
    positions = np.stack([places // width, places % width], axis=-1)
    boxes = np.array([[chosen.box(*p) for p in row] for row in positions.tolist()]).reshape(*places.shape, 4)
    return ExcitingInputs(chosen, tuple(numbers), values, images, positions, boxes, crop(model, data, images, boxes),
                          selectivity[numbers].numpy(), top.seen, model.hash)


def _measured(model: Any, data: Any, layer: Layer, units: Sequence[int], images: torch.Tensor
              ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activation and place of each (unit, image) pair on the network itself, best first."""
    values = np.full(images.shape, -np.inf, dtype=np.float32)
    places = np.zeros(images.shape, dtype=np.int64)
    distinct = torch.unique(images[images >= 0]).tolist()
    with Taps(model.network, [layer.name]) as taps, torch.no_grad():
        for i in range(0, len(distinct), 16):
            some = distinct[i : i + 16]
            taps.run(model.normalise(at(model, data, some)), stop=True)
            activation = taps[layer.name][:, list(units)]
            peaks = peak(activation).numpy()
            where = activation.flatten(2).argmax(2).numpy() if activation.ndim == 4 else np.zeros_like(peaks, dtype=np.int64)
            for row, number in enumerate(some):
                u, j = np.nonzero(images.numpy() == number)
                values[u, j], places[u, j] = peaks[row, u], where[row, u]
    order = np.argsort(-values, axis=1, kind="stable")
    return tuple(np.take_along_axis(a, order, 1) for a in (values, images.numpy(), places))  # type: ignore[return-value]


def crop(model: Any, data: Any, images: np.ndarray, boxes: np.ndarray) -> tuple[tuple[np.ndarray, ...], ...]:
    """Cut boxes (units, k, 4) out of the images (units, k): pictures uint8 (h, w, C)."""
    distinct = sorted({int(i) for i in images.flat if i >= 0})
    pixels: dict[int, np.ndarray] = {}
    needed: dict[int, list[tuple[int, int]]] = {i: [] for i in distinct}
    for u, row in enumerate(images):
        for j, i in enumerate(row):
            needed[int(i)].append((u, j))
    cut: dict[tuple[int, int], np.ndarray] = {}
    for start in range(0, len(distinct), 64):
        some = distinct[start : start + 64]
        arrays = (at(model, data, some) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        pixels = dict(zip(some, arrays, strict=True))
        for i, pairs in ((i, needed[i]) for i in some):
            for u, j in pairs:
                top, bottom, left, right = boxes[u, j]
                cut[u, j] = pixels[i][top:bottom, left:right].copy()
    return tuple(tuple(cut[u, j] for j in range(images.shape[1])) for u in range(images.shape[0]))
