"""Callbacks: what Keras' callbacks of these names do, on curves that the test prescribes."""

from __future__ import annotations

import csv

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hubel import training
from hubel.errors import InputError

X, Y = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2


class Prescribed(training.Callback):
    """Writes given numbers into the logs before the other callbacks see them, and marks the weights with the epoch."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]
        self.run.network.bias.data.fill_(float(epoch))


def run(values, *callbacks, name="val_loss", **options):
    net = nn.Linear(3, 2)
    options = {"epochs": len(values), "verbose": 0, "schedule": "constant", "learning_rate": 0.01, **options}
    return net, training.fit(net, (X, Y), callbacks=[Prescribed(values, name), *callbacks], **options)


def test_early_stopping_waits_and_restores_the_best():
    stopping = training.EarlyStopping(patience=2, restore_best_weights=True)
    net, history = run([5, 4, 3, 3.5, 3.2, 1, 0], stopping)
    assert history.epoch == [0, 1, 2, 3, 4] and "val_loss" in history.stopped and stopping.best_epoch == 2
    assert net.bias.tolist() == [2.0, 2.0]
    net, history = run([0.5, 0.6, 0.6, 0.6, 0.6], training.EarlyStopping("val_accuracy", patience=2), name="val_accuracy")
    assert history.epoch == [0, 1, 2, 3] and net.bias.tolist() == [3.0, 3.0]
    _, history = run([5, 4.95, 4.9, 4.85], training.EarlyStopping(min_delta=0.1, patience=2))
    assert history.epoch == [0, 1, 2]
    with pytest.raises(InputError, match=r"monitors 'val_f1'.*loss"):
        run([1], training.EarlyStopping("val_f1"))


def test_plateaus_reduce_the_rate():
    _, history = run([5, 5, 5, 5, 5, 5, 5], training.ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.004))
    assert history.history["learning_rate"] == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.005, 0.004, 0.004])
    _, history = run([5, 5, 5, 5, 5, 5], training.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2))
    assert history.history["learning_rate"] == pytest.approx([0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025])


def test_model_checkpoint_saves_the_best_and_fills_in_names(tmp_path):
    best = training.ModelCheckpoint(tmp_path / "best.safetensors", save_best_only=True)
    every = training.ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.1f}.safetensors")
    run([3, 1, 2], best, every)
    assert load_file(tmp_path / "best.safetensors")["bias"].tolist() == [1.0, 1.0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["01-3.0.safetensors", "02-1.0.safetensors", "03-2.0.safetensors",
                                                          "best.safetensors"]
    saved = []

    class Model:
        def save(self, path):
            saved.append(path.name)

    run([1.0], training.ModelCheckpoint(tmp_path / "m.hubel"), model=Model())
    assert saved == ["m.hubel"]


def test_csv_logger_writes_a_table_and_replaces_rows_that_are_run_again(tmp_path):
    path = tmp_path / "log.csv"
    _, history = run([3, 1, 2], training.CSVLogger(path))
    rows = list(csv.DictReader(path.open()))
    assert [float(r["val_loss"]) for r in rows] == [3, 1, 2] and [int(r["epoch"]) for r in rows] == [0, 1, 2]
    assert [float(r["loss"]) for r in rows] == pytest.approx(history.history["loss"])

    class Crash(training.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1 and not self.run.resumed:
                raise RuntimeError

    options = {"checkpoint": tmp_path / "run", "epochs": 3}
    with pytest.raises(RuntimeError):
        run([3, 1, 2], training.CSVLogger(path), Crash(), **options)
    run([3, 1, 2], training.CSVLogger(path), Crash(), **options)
    assert [int(r["epoch"]) for r in csv.DictReader(path.open())] == [0, 1, 2]


def test_rates_by_hand_lambdas_and_keras_way_to_stop():
    _, history = run([0, 0, 0], training.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate))
    assert history.history["learning_rate"] == pytest.approx([0.01, 0.005, 0.0025])

    class Stop(training.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    net, history = run([0, 0, 0], Stop())
    assert history.epoch == [0]
    history = training.fit(net, (X, Y), epochs=2, verbose=0)
    assert history.epoch == [0, 1], "the wish of an earlier run must be forgotten"
    with pytest.raises(InputError, match="on_weekend"):
        training.LambdaCallback(on_weekend=print)
