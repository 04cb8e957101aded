"""One-shot characters: a network trained to tell drawings of some characters apart, which then knows others from one
drawing each. Depends on training and model.

    model = train_characters(read_background("images_background.zip"))
    accuracy = [one_shot(model, run) for run in read_runs("all_runs.zip")]

Learned from the background alphabets alone. Each character in eight positions (turned and mirrored) counts as eight
characters, as in Santoro et al. 2016, and every drawing is bent, sheared and thickened anew each time it is shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel import training
from hubel.model import Model
from hubel.reuse.omniglot import Characters, Run
from hubel.training.augment import Compose, Draws, Transform

SIDE = 40  # pixels: strokes are one to two wide
_GRID = 4


@dataclass(frozen=True)
class Redraw(Transform):
    """Another hand's drawing of the same character: an affine map, a smooth bend, thinner or thicker strokes.

    turn, shear in degrees; scale as a logarithm; move, bend as shares of the side; all drawn evenly up to that much.
    """

    turn: float = 12.0
    shear: float = 15.0
    scale: float = 0.22
    move: float = 0.08
    bend: float = 0.05
    moves = True

    def plan(self, draws: Draws, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        n, rad = len(draws), math.pi / 180
        angle = draws.uniform(-self.turn * rad, self.turn * rad)
        lean = draws.uniform(-self.shear * rad, self.shear * rad).tan()
        wide, high = (draws.uniform(-self.scale, self.scale).exp() for _ in range(2))
        cos, sin = angle.cos(), angle.sin()
        maps = torch.zeros(n, 2, 3)
        maps[:, 0, 0], maps[:, 0, 1] = wide * cos, wide * (lean * cos - sin)
        maps[:, 1, 0], maps[:, 1, 1] = high * sin, high * (lean * sin + cos)
        maps[:, 0, 2], maps[:, 1, 2] = (draws.uniform(-2 * self.move, 2 * self.move) for _ in range(2))
        knots = torch.stack([draws.uniform(-2 * self.bend, 2 * self.bend) for _ in range(2 * _GRID**2)], 1)
        bends = F.interpolate(knots.view(n, 2, _GRID, _GRID), size=shape[-2:], mode="bicubic", align_corners=True)
        grid = F.affine_grid(maps, [n, 1, *shape[-2:]], align_corners=False) + bends.permute(0, 2, 3, 1)
        return grid, draws.uniform(-0.6, 0.6).exp()

    def apply(self, x: Tensor, plan: tuple[Tensor, Tensor]) -> Tensor:
        grid, gamma = plan
        moved = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return moved.clamp_(0, 1) ** gamma[:, None, None, None]


def network(classes: int) -> nn.Sequential:
    """The embedding network, (N, 1, 40, 40) -> logits; its features are 3 x 3 places of 128 channels."""
    def block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True)]

    return nn.Sequential(
        *block(1, 32, 5, 2), *block(32, 64), nn.MaxPool2d(2), *block(64, 96), *block(96, 96), nn.MaxPool2d(2),
        *block(96, 128), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.Dropout(0.3), nn.Linear(9 * 128, classes),
    )


def train_characters(background: Characters, *, minutes: float | None = None, epochs: int | None = None, seed: int = 0,
                     checkpoint: str | Path | None = None, verbose: int | str = 1, **options: Any) -> Model:
    """Train the embedding network on background characters; further options go to `training.fit`."""
    x, y = eightfold(shrink(background.images), background.labels)
    classes = int(y.max()) + 1
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Model(network(classes), size=SIDE, channels=1)
    settings: dict[str, Any] = {"optimizer": training.optimizers.AdamW(2e-3, weight_decay=0.05), "batch_size": 128,
                                "label_smoothing": 0.1, "augment": Compose(Redraw())}
    training.fit(model.network, (x, y), normalise=model.normalise, minutes=minutes, epochs=epochs, seed=seed, model=model,
                 checkpoint=checkpoint, verbose=verbose, **{**settings, **options})
    return model


def shrink(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W) -> (N, 40, 40), every pixel the mean of what it covers; the strokes' mass stays."""
    import cv2

    return np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images])


def eightfold(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    """(8 N, 1, H, W) and labels: each image turned by quarter turns and mirrored, each position a class of its own."""
    classes = int(labels.max()) + 1
    parts = list(positions(torch.from_numpy(images)[:, None]))
    return torch.cat(parts), torch.cat([torch.from_numpy(labels).long() + i * classes for i in range(8)])


def positions(x: Tensor) -> list[Tensor]:
    """The eight symmetries of the square, applied to (N, C, H, W)."""
    return [torch.rot90(y, i, (2, 3)).contiguous() for y in (x, x.flip(3)) for i in range(4)]


def embed_characters(model: Model, images: np.ndarray, symmetries: bool = True) -> np.ndarray:
    """Embeddings float32 (N, P, D) of drawings uint8 (N, 105, 105): one of unit length for each of P positions, and
    each of these the mean over thirteen small affine changes."""
    x = torch.from_numpy(shrink(images)).float()[:, None] / 255
    found = []
    for turned in positions(x) if symmetries else [x]:
        total = sum(_unit(model.features(_moved(turned, change))) for change in _changes())
        found.append(_unit(np.asarray(total)))
    return np.stack(found, 1)


def _changes() -> list[tuple[float, float, float]]:
    """(degrees, log scale, shear): none, and small ones."""
    return [(0, 0, 0), *((s * 8, 0, 0) for s in (-1, 1)), *((0, s * 0.12, 0) for s in (-1, 1)),
            *((0, 0, s * 0.15) for s in (-1, 1)), *((s * 6, t * 0.08, 0) for s in (-1, 1) for t in (-1, 1)),
            *((s * 5, 0, -s * 0.1) for s in (-1, 1))]


def _moved(x: Tensor, change: tuple[float, float, float]) -> Tensor:
    angle, scale = math.radians(change[0]), math.exp(change[1])
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    theta = torch.tensor([[cos, -sin + change[2], 0.0], [sin, cos, 0.0]]).expand(len(x), 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False).clamp(0, 1)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def similarities(model: Model, run: Run) -> np.ndarray:
    """(M, K): how much each drawing to name is like each one learned from; the mean cosine over positions."""
    learned, asked = embed_characters(model, run.train), embed_characters(model, run.test)
    return np.einsum("mpd,kpd->mk", asked, learned) / learned.shape[1]


def one_shot(model: Model, run: Run) -> float:
    """The share of the run's drawings that are named right, each by itself."""
    return float((similarities(model, run).argmax(1) == run.truth).mean())
