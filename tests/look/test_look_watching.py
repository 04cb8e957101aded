"""Filters while training: the strips are the weights at each epoch's end, also after an interruption."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from hubel import look
from hubel.errors import InputError, ModelError
from hubel.model import Model
from hubel.training import callbacks


def new():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.Flatten(), nn.Linear(4 * 16, 2))
    model = Model(network, size=8, channels=1)
    model.compile(optimizer="sgd", loss="cross_entropy")
    return model


X, Y = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 2


class Copies(callbacks.Callback):
    def __init__(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.network[0].weight.detach().clone())


def test_strips_are_the_weights_at_each_epochs_end():
    model, watch, copies = new(), look.WatchFilters(every=2), Copies()
    start = model.network[0].weight.detach().clone()
    model.fit(X, Y, epochs=5, batch_size=8, callbacks=[watch, copies], verbose=0)
    history = watch.history()
    assert history.layer == "0" and history.epochs == (0, 2, 4, 5)
    for i, expected in enumerate([start, copies.seen[1], copies.seen[3], copies.seen[4]]):
        np.testing.assert_array_equal(history.weights[i], expected.numpy())
    flat = torch.nn.functional.cosine_similarity(start.flatten(1), copies.seen[4].flatten(1))
    np.testing.assert_allclose(history.likeness()[0], flat.numpy(), rtol=1e-5)
    assert history.plot() and "<img" in history._repr_html_() and json.dumps(history.to_dict())


def test_strips_survive_an_interruption():
    watch = look.WatchFilters()
    new().fit(X, Y, epochs=3, batch_size=8, callbacks=[watch], verbose=0)
    again = look.WatchFilters()
    again.load(json.loads(json.dumps(watch.state())), dict(watch.tensors()))
    np.testing.assert_array_equal(again.history().weights, watch.history().weights)
    assert again.history().epochs == (0, 1, 2, 3)


def test_what_cannot_be_watched():
    with pytest.raises(InputError, match="nothing was watched"):
        look.WatchFilters().history()
    model = Model(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), size=8, channels=1)
    model.compile(optimizer="sgd", loss="cross_entropy")
    with pytest.raises(ModelError, match="no 2-D convolution"):
        model.fit(X, Y, epochs=1, callbacks=[look.WatchFilters()], verbose=0)
