"""Transfer: a network that knows ImageNet becomes one for a few hundred or thousand photos of other classes, in minutes.

First the head, in closed form but for a few steps: a multinomial logistic regression on the pretrained features of every
photo and its mirror image. Then all but the first blocks are trained from there, at small rates, with batch norm as it
was. Depends on nets, engine, and `training.fit`, which brings the budget, the progress bar and resuming.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hubel import engine, nets
from hubel.errors import InputError
from hubel.nets.depths import DepthsNet
from hubel.training import optimizers
from hubel.training.augment import Brightness, Compose, Crop, Flip
from hubel.training.evaluation import Normalise, to_input
from hubel.training.fitting import fit
from hubel.training.history import History
from hubel.training.source import BatchSource, as_source

# Tuned on splits of 15 Scenes (1,200 photos to train on); bench/scenes15.py measures what they reach.
FROZEN_BLOCKS = 5  # edges and textures need no change, and these blocks cost most: 2.6 times the speed
HEAD_RATE, BODY_RATE = 1e-3, 2e-4
EPOCHS, BATCH = 8, 32
DECAY, SMOOTHING = 0.05, 0.1
RIDGE = 0.14  # of the starting head: penalty RIDGE / 2 * |W|^2 beside the mean cross-entropy, on standardised features
LEAST_STEPS = 300  # few photos go round more often


def transfer_network(classes: int) -> nn.Module:
    """The network that `transfer` trains, with ImageNet weights and a head of zeros: normalised (N, 3, 224, 224) in."""
    network = nets.build("efficientnet_lite0_depths", classes)
    assert isinstance(network, DepthsNet)
    network.load_pretrained()
    nn.init.zeros_(network.classifier.weight)
    nn.init.zeros_(network.classifier.bias)
    return network.eval()


def transfer(network: nn.Module, train: Any, *, normalise: Normalise | None = None, minutes: float | None = None,
             epochs: int | None = None, seed: int = 0, mirror: bool = True, validation: Any = None,
             checkpoint: str | Path | None = None, callbacks: Any = None, verbose: int | str = 1, model: Any = None,
             **options: Any) -> History:
    """Train a network of `transfer_network` on photos, in place, and return the History.

    Parameters
    ----------
    train, validation : (x, y) or a BatchSource, as in `fit`; x uint8 (N, 3, 224, 224) in 0..255.
    normalise : what stands between 0..1 and the network: (x - 127/255) / (128/255).
    minutes : a budget for all of it, the starting head included; the schedule ends within it. Results then depend on
        the machine's speed; without it (8 epochs, more where there are few photos) they depend on `seed` alone.
    mirror : False where left and right matter (letters, digits).
    options : further ones of `fit`, over what is set here.

    Raises InputError for a network of another kind, and what `fit` raises.
    """
    if not isinstance(network, DepthsNet):
        raise InputError(f"transfer trains a network of transfer_network(classes), not {type(network).__name__}")
    began = time.monotonic()
    source = as_source(train)
    finished = checkpoint is not None and Path(checkpoint).exists()
    if not finished:  # a run that goes on brings its head along
        start_head(network, source, normalise, mirror)
    if epochs is None:
        epochs = max(EPOCHS, -(-LEAST_STEPS // -(-len(source) // BATCH)))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not _stays(network, name))
    transforms = (Crop(0.35), Brightness(0.3))
    settings: dict[str, Any] = {
        "optimizer": optimizers.AdamW(HEAD_RATE, weight_decay=DECAY), "rates": _rate, "schedule": warm_cosine,
        "batch_size": BATCH, "label_smoothing": SMOOTHING,
        "augment": Compose(Flip(), *transforms) if mirror else Compose(*transforms),
    }
    try:
        return fit(network, source, normalise=normalise, epochs=epochs, minutes=minutes, seed=seed,
                   spent=time.monotonic() - began, validation=validation, checkpoint=checkpoint, callbacks=callbacks,
                   verbose=verbose, model=model, **{**settings, **options})
    finally:
        network.requires_grad_(True)


def warm_cosine(share: float) -> float:
    """Up in a line during the first tenth, then half a cosine to 0."""
    return share / 0.1 if share < 0.1 else float(0.5 * (1 + np.cos(np.pi * (share - 0.1) / 0.9)))


def _stays(network: DepthsNet, name: str) -> bool:
    """The first blocks, and every batch norm: with 32 photos a batch its statistics would only add noise."""
    first = ("body.stem", *(f"body.blocks.{i}." for i in range(FROZEN_BLOCKS)))
    return name.startswith(first) or "_norm." in name


def _rate(name: str) -> float:
    return 1.0 if name.startswith("classifier.") else BODY_RATE / HEAD_RATE


# ---- the starting head -----------------------------------------------------------------------------------------------


class _Features(nn.Module):
    def __init__(self, network: DepthsNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.features(x)


def start_head(network: DepthsNet, source: BatchSource, normalise: Normalise | None, mirror: bool = True) -> None:
    """Set the standardisation and the dense layer from the training data: logistic regression on frozen features."""
    features, labels = _features_of(network, source, normalise, mirror)
    std, mean = torch.std_mean(features, dim=0)
    network.standardise.mean.copy_(mean)
    network.standardise.std.copy_(std + 1e-3 + 1e-2 * std.mean())
    weight, bias = logistic((features - mean) / network.standardise.std, labels, network.classifier.out_features)
    with torch.no_grad():
        network.classifier.weight.copy_(weight)
        network.classifier.bias.copy_(bias)


def _features_of(network: DepthsNet, source: BatchSource, normalise: Normalise | None, mirror: bool
                 ) -> tuple[Tensor, Tensor]:
    run: Callable[[Tensor], Tensor] | None = None
    found: list[Tensor] = []
    labels: list[Tensor] = []
    device = next(network.parameters()).device
    with torch.no_grad():
        for batch in source.epoch(0, 0, 64, shuffle=False):
            x = to_input(batch.x, device, normalise)
            run = run or engine.frozen(_Features(network), x)
            for view in (x, x.flip(3)) if mirror else (x,):
                found.append(run(view).float())
                labels.append(batch.y.to(device))
    return torch.cat(found), torch.cat(labels)


def logistic(x: Tensor, y: Tensor, classes: int, ridge: float = RIDGE) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression: the (classes, D) weights and (classes,) biases that minimise
    mean cross-entropy + ridge / 2 * |W|^2, by L-BFGS in double precision."""
    x = x.double()
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, device=x.device, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, device=x.device, requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=200, tolerance_grad=1e-7, tolerance_change=1e-12,
                               line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        loss = nn.functional.cross_entropy(x @ weight.T + bias, y) + ridge / 2 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        search.step(closure)
    return weight.detach().float(), bias.detach().float()
