"""What an attribution is: for each image, how much each pixel or place had to do with one logit. Depends on draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hubel.errors import InputError
from hubel.look.draw import INK, MUTED, WIDTH, Shown, as_tile, canvas, fitted, overlay, robust_high, scale_bar, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Attribution(Shown):
    """maps on their own absolute scale: two images may be compared.

    images : float32 (N, C, H, W) in 0..1. maps : float32 (N, 1 or C, h, w); h x w is the layer's for Grad-CAM, the
    image's otherwise. targets : int64 (N,), the classes explained; probabilities : float32 (N,), what the model gives them.
    unit : what a value of the maps means. checks : measured facts about the maps, by name.
    """

    method: str
    images: Tensor
    maps: Tensor
    targets: Tensor
    probabilities: Tensor
    classes: tuple[str, ...]
    unit: str
    layer: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, Any] = field(default_factory=dict)
    model: str = ""

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def is_signed(self) -> bool:
        return bool((self.maps < 0).any())

    def heat(self) -> Tensor:
        """Return one value a place (N, h, w): the channels' sum for signed maps, else the maps themselves."""
        return self.maps.sum(1)

    def plot(self, most: int = 6) -> Figure:
        n = min(most, len(self))
        heat = self.heat()[:n]
        high = robust_high(heat)
        margin, gap, head, foot = 0.12, 0.14, 0.46, 0.55
        across = 1 if n == 1 else 2
        width = (WIDTH - 2 * margin - gap * (across - 1)) / across
        side = (width - 0.03) / 2
        rows = -(-n // across)
        total = 0.42 + rows * (side + head) + foot
        figure = canvas(total)
        figure.text(margin / WIDTH, 1 - 0.1 / total, self._title(), size=10.5, weight="bold", color=INK, va="top")
        for i in range(n):
            left, top = margin + (i % across) * (width + gap), total - 0.42 - (i // across) * (side + head)
            name = name_of(self.classes, int(self.targets[i]))
            figure.text(left / WIDTH, top / total, _clip(name, 27), size=8.5, weight="bold", color=INK, va="top")
            figure.text(left / WIDTH, (top - 0.155) / total, f"probability {float(self.probabilities[i]):.2f}", size=7.5,
                        color=MUTED, va="top")
            image = as_tile(self.images[i])
            for j, picture in enumerate((image, self._picture(image, heat[i].numpy(), high))):
                place = ((left + j * (side + 0.03)) / WIDTH, (top - 0.34 - side) / total, side / WIDTH, side / total)
                axes = figure.add_axes(place)
                axes.imshow(fitted(picture, 256), interpolation="antialiased")
                axes.axis("off")
        at = (margin / WIDTH, 0.2 / total, (WIDTH - 2 * margin) / WIDTH, 0.1 / total)
        low, colours = (-high, "RdBu_r") if self.is_signed else (0.0, "inferno")
        scale_bar(figure, colours, low, high, f"{self.unit}; one scale for all images", at)
        return figure

    def _title(self) -> str:
        return self.method + (f" at {self.layer}" if self.layer else "")

    def _picture(self, image: np.ndarray, heat: np.ndarray, high: float) -> np.ndarray:
        return signed(heat, high) if self.is_signed else overlay(image, heat, high)

    def to_dict(self) -> dict[str, Any]:
        return {"method": self.method, "layer": self.layer, "model": self.model, "unit": self.unit,
                "settings": self.settings, "checks": self.checks, "targets": self.targets.tolist(),
                "names": [name_of(self.classes, int(t)) for t in self.targets],
                "probabilities": self.probabilities.tolist(), "size": list(self.maps.shape[-2:]),
                "largest": self.maps.abs().flatten(1).amax(1).tolist(), "sum": self.maps.flatten(1).sum(1).tolist()}


def name_of(classes: Sequence[str] | None, number: int) -> str:
    return str(classes[number]) if classes and number < len(classes) else f"class {number}"


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def result_of(method: str, model: Any, images: Tensor, maps: Tensor, targets: Tensor, logits: Tensor, unit: str,
              settings: dict[str, Any] | None = None, checks: dict[str, Any] | None = None, layer: str | None = None
              ) -> Attribution:
    """Return the Attribution of maps, given the model's logits (N, K) for the images."""
    probabilities = model.probabilities(logits).gather(1, targets[:, None])[:, 0]
    return Attribution(method, images, maps, targets, probabilities, model.classes, unit, layer, settings or {},
                       checks or {}, model.hash)


def wanted(y: Any, n: int) -> Tensor | None:
    """Return the classes to explain as int64 (n,); None for the predicted ones. `y` is one class for all or one each."""
    if y is None:
        return None
    targets = torch.as_tensor(np.asarray(y), dtype=torch.int64).reshape(-1)
    if len(targets) not in (1, n):
        raise InputError(f"{len(targets)} classes for {n} images: give one for all or one each")
    return targets.expand(n)


def chosen(logits: Tensor, targets: Tensor | None) -> Tensor:
    """Return the class to explain for each row of logits (N, K): `targets` (N,), or the predicted ones."""
    n, k = logits.shape
    if targets is None:
        return logits.argmax(1)
    if n and not (int(targets.min()) >= 0 and int(targets.max()) < k):
        raise InputError(f"classes {int(targets.min())}..{int(targets.max())}: the model has 0..{k - 1}")
    return targets.clone()


def chunk_of(x: Tensor, budget: int = 16 * 3 * 224 * 224) -> int:
    """How many images go through at once: about as many values as 16 photos of 224 pixels."""
    return max(1, min(1024, budget // max(1, x[0].numel())))
