"""Classes of pixels: a U-net on an autoencoder's encoder, learned from few masks. Depends on autoencoder, nets, training.

    model = segmenter(2, coder=coder)                  # or size=, channels= for an encoder that has learned nothing
    fit_masks(model, images, masks)
    segments(model, others)                            # uint8 (N, H, W)
    iou(segments(model, others), masks, 2)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hubel import training
from hubel.autoencode.architectures import network
from hubel.autoencode.autoencoder import MEAN, STD, Autoencoder
from hubel.autoencode.learning import with_masks
from hubel.errors import InputError, ModelError
from hubel.look.draw import Group, Shown, as_tile, sheet
from hubel.model import Model
from hubel.nets import EncoderDecoder, UShaped
from hubel.pixels import as_arrays
from hubel.training.augment import Brightness, Compose, Contrast, Flip, Rotate, ShiftColours, Zoom

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 600
AUGMENT = Compose(Flip(), Rotate(15), Zoom(0.8, 1.25), Contrast(0.3), Brightness(0.2), ShiftColours(0.3))
COLOURS = np.array([(0.10, 0.12, 0.16), (0.98, 0.75, 0.14), (0.13, 0.55, 0.96), (0.20, 0.73, 0.40), (0.90, 0.28, 0.30),
                    (0.60, 0.35, 0.85), (0.10, 0.75, 0.75), (0.95, 0.55, 0.75), (0.55, 0.40, 0.25), (0.75, 0.78, 0.80)])


def segmenter(classes: int | Sequence[str], *, coder: Autoencoder | None = None, size: int | Sequence[int] = 64,
              channels: int = 3, seed: int = 0, **options: Any) -> Model:
    """Return a Model whose `predict` gives probabilities (N, K, H, W) of each pixel's class: a U-net (Ronneberger et al. 2015).

    coder : a convolutional autoencoder; copies of its encoder's stages, with what they have learned, are the U's way down.
        None: stages with fresh weights, for images of `size`; options are those of kind 'u' (width, stages).
    """
    names = [str(i) for i in range(classes)] if isinstance(classes, int) else [str(c) for c in classes]
    if len(names) < 2:
        raise InputError(f"classes={classes!r}: give 2 at least, the ground is one")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if coder is None:
            pair = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
            shape, mean, std = (channels, *pair), MEAN, STD
            down = network("u", pair, channels, 1, **options).stages[:-1]  # type: ignore[index]
        else:
            shape, down = coder.shape, stages_of(coder)
            mean, std = coder.preprocess.mean, coder.preprocess.std  # type: ignore[assignment]
        net = UShaped(down, len(names), shape, shift=0.0, scale=1.0)  # type: ignore[arg-type]
    return Model(net, names, size=shape[1:], channels=shape[0], mean=mean, std=std)


def stages_of(coder: Autoencoder) -> nn.Sequential:
    """Copies of the encoder's stages that give maps. Raises ModelError where there are none."""
    net = coder.network
    chain = net.encoder if isinstance(net, EncoderDecoder) else getattr(net, "stages", None)
    stages = [copy.deepcopy(s) for s in chain if isinstance(s, nn.Sequential)] if isinstance(chain, nn.Sequential) else []
    if not stages:
        raise ModelError("the autoencoder has no stages of maps: segment with one of kind 'convolutional' or 'variational'")
    return nn.Sequential(*stages)


def fit_masks(model: Model, x: Any, masks: Any, *, epochs: int | None = None, batch_size: int = 16, learning_rate: float = 0.02,
              optimizer: Any = "muon", augment: Any = "few", **options: Any) -> training.History:
    """Learn from images (as for any Model) and masks, whole numbers (N, H, W), 0..K-1, at the network's size.

    The loss is each pixel's cross-entropy, classes weighed by the inverse square root of how many pixels they have. epochs
    None: as many as make 600 steps. augment: as for `training.fit`, masks move with their images; 'few' is `AUGMENT`, without
    which a network learns a few pictures' colours by heart. Further options go to `training.fit`.
    """
    levels = torch.cat([(part * 255).round().to(torch.uint8) for part in model._parts(x, 256)])
    y = torch.as_tensor(np.asarray(masks)).long()
    count = len(model.classes)
    if y.shape != (len(levels), *levels.shape[2:]):
        raise InputError(f"masks of shape {tuple(y.shape)} for images of {tuple(levels.shape[2:])}: give (N, H, W) at that size")
    if not 0 <= int(y.min()) <= int(y.max()) < count:
        raise InputError(f"masks hold {int(y.min())}..{int(y.max())}: classes are 0..{count - 1}")
    frequent = torch.bincount(y.flatten(), minlength=count).clamp_min(1).float()
    weight = frequent.rsqrt() / frequent.rsqrt().mean()

    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(outputs, target, weight.to(outputs.device), reduction="none").flatten(1).mean(1)

    def pixel_accuracy(outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs.argmax(1) == target).float().flatten(1).mean(1)

    if epochs is None and "minutes" not in options:
        epochs = max(1, round(STEPS / -(-len(levels) // batch_size)))
    change = with_masks(AUGMENT if isinstance(augment, str) and augment == "few" else augment, tuple(levels.shape[2:]))
    model.history = training.fit(model.network, (levels, y), normalise=model.normalise, loss=loss, metrics=[pixel_accuracy],
                                 epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, optimizer=optimizer,
                                 augment=change, model=model, **options)
    return model.history


def segments(model: Model, x: Any) -> np.ndarray:
    """The most probable class of each pixel, uint8 (N, H, W), at the network's size."""
    return model.predict(x).argmax(1).astype(np.uint8)


def iou(found: np.ndarray, masks: np.ndarray, classes: int) -> np.ndarray:
    """Intersection over union of each class, over all pixels together: float (K,), NaN for a class in neither."""
    found, masks = np.asarray(found).ravel().astype(np.int64), np.asarray(masks).ravel().astype(np.int64)
    if found.shape != masks.shape:
        raise InputError(f"{found.size} pixels found and {masks.size} in the masks: give maps of one size")
    table = np.bincount(masks * classes + found, minlength=classes**2).reshape(classes, classes)
    either = table.sum(0) + table.sum(1) - table.diagonal()
    return np.where(either > 0, table.diagonal() / np.maximum(either, 1), np.nan)


@dataclass(frozen=True)
class Segmentation(Shown):
    """Images uint8 (N, H, W, C), the classes found (N, H, W), and the true ones or None; iou (K,) where they are known."""

    images: np.ndarray
    found: np.ndarray
    masks: np.ndarray | None
    classes: tuple[str, ...]
    iou: np.ndarray | None

    def to_dict(self) -> dict[str, Any]:
        known = None if self.iou is None else {c: float(v) for c, v in zip(self.classes, self.iou, strict=True)}
        return {"images": len(self.images), "classes": list(self.classes), "iou": known,
                "mean_iou": None if self.iou is None else float(np.nanmean(self.iou))}

    def plot(self, most: int = 12) -> Figure:
        groups = []
        for i in range(min(most, len(self.images))):
            tiles = [as_tile(self.images[i]), COLOURS[self.found[i] % len(COLOURS)]]
            if self.masks is not None:
                tiles.append(COLOURS[self.masks[i] % len(COLOURS)])
            groups.append(Group(tiles))
        score = "" if self.iou is None else f"mean IoU {np.nanmean(self.iou):.3f} on {len(self.images):,} images"
        what = "image, found" + (", true mask" if self.masks is not None else "")
        return sheet(groups, len(groups[0].tiles), 2, title="Classes of pixels", foot=f"each: {what}. {score}".strip())


def segmentation(model: Model, x: Any, masks: Any = None) -> Segmentation:
    """Segment images and, where their masks (N, H, W) are given, measure."""
    images = as_arrays(torch.cat(list(model._parts(x, 256))))
    found = segments(model, images)
    true = None if masks is None else np.asarray(masks)
    return Segmentation(images, found, true, model.classes, None if true is None else iou(found, true, len(model.classes)))
