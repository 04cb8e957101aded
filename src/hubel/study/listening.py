"""Training on recordings and time series without being told how. Depends on nets, model, training.

Sound: the small residual network that images get, on the log-mel spectrogram. Series: a fully convolutional network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hubel import nets
from hubel.data import SeriesDataset, Source
from hubel.errors import DataError
from hubel.model import Model, Signals, Sound
from hubel.study.teach import Taught, hold_out

LONGEST = 2**20  # samples: what longer recordings are cropped to
_FRAMES = 256  # of a spectrogram at most: longer hops before larger pictures


def listened(source: Source, *, minutes: float | None, epochs: int | None, seed: int, device: str,
             checkpoint: str | Path | None, verbose: int) -> Taught:
    """Train a model on `source.train`, a SeriesDataset; the test recordings are not looked at."""
    train, held = hold_out(source.train, seed)
    assert isinstance(train, SeriesDataset)
    model = sound_model(train, seed) if source.kind == "sound" else series_model(train, seed)
    model.network.to(device)
    chosen: Any = epochs or (None if minutes else default_epochs(len(train)))
    size = int(np.clip(2 ** round(np.log2(len(train) / 12)), 8, 64))
    model.compile("adamw", metrics=("accuracy",))
    history = model.fit(train, epochs=chosen, batch_size=size, validation_data=held, seed=seed, minutes=minutes,
                        checkpoint=checkpoint, verbose=verbose, learning_rate=0.01 if source.kind == "sound" else 0.003,
                        weight_decay=0.05, label_smoothing=0.1, augment=source.kind)
    what = "speed, shifts in time, colouring and noise" if source.kind == "sound" else "shifts in time"
    recipe = (f"AdamW with a one-cycle schedule, label smoothing 0.1, batches of {size}; the {train.noun} were altered anew in "
              f"every epoch ({what}).")
    return Taught(model, history.to_dict(), history.seconds[-1] if history.seconds else 0.0, recipe, len(train), len(held),
                  history.interrupted)


def sound_model(train: SeriesDataset, seed: int = 0, bands: int = 40) -> Model:
    """A Model for these recordings: as long as 95% of them, as a log-mel spectrogram of 25 ms windows every 10 ms (longer
    ones for long recordings), before a small residual network whose first layer halves the picture. Where several people are
    recorded, each band's mean is taken off: on spoken digits that is worth more than anything else for unheard voices."""
    rate = train.rate
    if rate is None:
        raise DataError(f"{train.name} does not say how many samples a second its recordings have: load it with rate=")
    hop = max(0.01, min(train.length_hint(), LONGEST) / rate / _FRAMES)
    window = max(0.025, 2 * hop)
    length = int(np.clip(train.length_hint(), round(window * rate), LONGEST))
    level = "band" if train.groups else "recording"
    inputs = Sound(rate, length, bands, window, hop, level=level)
    pictures = inputs(torch.from_numpy(train.sample(min(len(train), 500), seed).arrays(length)))
    inputs = replace(inputs, std=(float(pictures.std()),))
    network = nets.build("small_resnet", len(train.classes), 1, seed=seed, width=32, stages=3, kernel=5, stride=2)
    return Model(network, train.classes, preprocess=inputs)


def series_model(train: SeriesDataset, seed: int = 0) -> Model:
    """A Model for these series: as long as 95% of them, standardised by channel, before `series_fcn`."""
    length = min(train.length_hint(), LONGEST)
    values = train.sample(min(len(train), 2000), seed).arrays(length)
    inputs = Signals(train.channels_hint(), 1, length, tuple(values.mean((0, 1)).tolist()),
                     tuple(np.maximum(values.std((0, 1)), 1e-6).tolist()))
    network = nets.build("series_fcn", len(train.classes), train.channels_hint(), seed=seed, width=64)
    return Model(network, train.classes, preprocess=inputs)


def default_epochs(count: int) -> int:
    """Enough to hear some 20,000 recordings, between 8 and 60 times each."""
    return int(np.clip(round(20_000 / count), 8, 60))
