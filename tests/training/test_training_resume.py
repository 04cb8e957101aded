"""Interrupted runs end with the same bits as uninterrupted ones: after kill -9 at any point, for every optimiser."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from forked import forked
from hubel import training
from hubel.errors import InputError
from hubel.training import checkpoint

CHILD = r"""
import json, os, signal, sys
import numpy as np, torch
from torch import nn
from hubel import training

out, kept, kills, how = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
rng = np.random.default_rng(0)
x = torch.from_numpy(rng.integers(0, 256, (90, 3, 12, 12), dtype=np.uint8))
y = torch.from_numpy(rng.integers(0, 4, 90))
torch.manual_seed(os.getpid())  # a fresh start draws other weights: only the checkpoint can bring them back
net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten(),
                    nn.Dropout(0.3), nn.Linear(2048, 4))
if how == "whole" or not os.path.exists(kept):
    torch.manual_seed(1)
    for m in net:
        getattr(m, "reset_parameters", lambda: None)()
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
real = os.replace
def replace(a, b):
    if str(b) == kept and how == "in writing" and call.run.step in kills:
        die()
    real(a, b)
os.replace = replace
def end(batch, logs):
    if how == "in training" and call.run.step in kills:
        die()
call = training.LambdaCallback(on_train_batch_end=end)
training.fit(net, (x, y), epochs=3, batch_size=24, validation=(x[:30], y[:30]), augment="image", optimizer="muon",
             learning_rate=0.02, ema=0.9, lookahead=True, label_smoothing=0.1, callbacks=[call, training.EarlyStopping(patience=9)],
             checkpoint=kept, checkpoint_seconds=0.0, seed=3, verbose=0)
from safetensors.torch import save_file
save_file({k: v.contiguous() for k, v in net.state_dict().items()}, out)
"""


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    """SIGKILL in the first epoch, at its last step, in the middle of writing a checkpoint, and near the end."""
    steps = [("whole", [], "whole"), *(("parts", *kill) for kill in (([2], "in training"), ([4], "in training"), ([6], "in writing"),
                                                                     ([11], "in training"), ([], "in training"))),
             ("again", [], "in training")]  # a finished run is loaded, not run again
    runs = [(tmp_path / out, tmp_path / f"{'parts' if out == 'again' else out}.run", json.dumps(kills), how) for out, kills, how in steps]
    found = forked(CHILD, runs, tmp_path / "told")
    assert [code for code, _, _ in found] == [0, *4 * [-signal.SIGKILL], 0, 0], found
    whole, parts, again = (load_file(tmp_path / name) for name in ("whole", "parts", "again"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[k], parts[k]) for k in whole)
    assert all(torch.equal(whole[k], again[k]) for k in whole)
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".new") and p.stat().st_size == 0]


class Crash(training.Callback):
    def __init__(self, step=0):
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.run.step == self.step:  # before the checkpoint of this step is written
            raise RuntimeError("crash")


RNG = np.random.default_rng(2)
X, Y = torch.from_numpy(RNG.integers(0, 256, (40, 2, 6, 6), dtype=np.uint8)), torch.from_numpy(RNG.integers(0, 3, 40))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 3))


def fit(net, path=None, crash=0, **options):
    options = {"epochs": 3, "batch_size": 10, "learning_rate": 0.01, **options}
    return training.fit(net, (X, Y), checkpoint=path, checkpoint_seconds=0.0, verbose=0, callbacks=[
        Crash(crash), training.ReduceLROnPlateau("loss", patience=1, factor=0.7, min_delta=10.0)], **options)


VARIANTS = [{"optimizer": o} for o in ("sgd", "adam", "adamw", "rmsprop")] + [
    {"accumulate": 2}, {"lookahead": training.Lookahead(2)}, {"ema": 0.8}, {"schedule": "cosine", "clip_norm": 1.0},
    {"augment": [training.augment.Mixup(3)]}, {"shuffle": False, "initial_epoch": 1},
    {"optimizer": training.Muon(fixed_norm=True), "ema": 0.8, "lookahead": training.Lookahead(3), "label_smoothing": 0.1,
     "augment": [training.augment.Flip(alternate=True), training.augment.Shift(1), training.augment.Mixup(3)]}]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_every_kind_of_run_goes_on_to_the_same_bits(tmp_path, options):
    whole, parts = network(), network()
    expected = fit(whole, tmp_path / "whole", **options)
    for crash in (6, 11):
        with pytest.raises(RuntimeError, match="crash"):
            fit(parts, tmp_path / "run", crash, **options)
        parts = network(seed=crash)
    history = fit(parts, tmp_path / "run", **options)
    assert all(torch.equal(p, q) for p, q in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True))
    assert history.history == expected.history


def test_a_checkpoint_of_another_run_is_refused_by_name(tmp_path):
    path = tmp_path / "run"
    fit(network(), path)
    for options, word in (({"epochs": 4}, "epochs 3 there, 4 here"), ({"learning_rate": 0.02}, "learning_rate"),
                          ({"optimizer": "adam"}, "optimizer"), ({"seed": 1}, "seed 0 there, 1 here"),
                          ({"normalise": lambda x: x - 0.5}, "normalisation"), ({"augment": "image"}, "augment")):
        with pytest.raises(InputError, match=word):
            fit(network(), path, **options)
    with pytest.raises(InputError, match="another data"):
        training.fit(network(), (X, Y.flip(0)), checkpoint=path, epochs=3, batch_size=10, learning_rate=0.01, verbose=0,
                     callbacks=[Crash(), training.ReduceLROnPlateau("loss")])
    wider = network()
    wider[5] = nn.Linear(128, 4)
    with pytest.raises(InputError, match="another network"):
        fit(wider, path)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    path = tmp_path / "run"
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(InputError, match="not a training checkpoint"):
        fit(network(), path)
    checkpoint.write(path, {"a": torch.zeros(3)}, {"config": {}})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 4])
    with pytest.raises(InputError, match="not a training checkpoint"):
        checkpoint.read(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run"
    checkpoint.write(path, {"a": torch.zeros(3)}, {"n": 1})
    monkeypatch.setattr(checkpoint.os, "replace", lambda a, b: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write(path, {"a": torch.ones(3)}, {"n": 2})
    assert checkpoint.read(path)[1]["n"] == 1 and [p.name for p in tmp_path.iterdir()] == ["run"]


def test_optimiser_buffers_come_back_in_their_parameters_order(tmp_path):
    net = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
    made = training.optimizers.get("adam", net, 0.01)
    net(torch.randn(1, 4, 5, 5)).sum().backward()
    made.step()
    tensors, meta = checkpoint.optimizer_state(made)
    checkpoint.write(tmp_path / "o", tensors, meta)
    again = training.optimizers.get("adam", net, 0.01)
    checkpoint.load_optimizer(again, *checkpoint.read(tmp_path / "o"))
    for p in net.parameters():
        for name, value in made.state[p].items():
            assert torch.equal(value, again.state[p][name]) and value.stride() == again.state[p][name].stride()
    assert again.param_groups[0]["betas"] == (0.9, 0.999)
