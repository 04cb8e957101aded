"""Depth, separating units, resuming a pass, and the commands."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
import torch
from torch import nn

from forked import forked
from hubel import look
from hubel.data import load
from hubel.errors import DataError, InputError
from hubel.look.exciting import default_layers
from hubel.model import Model


@pytest.fixture(scope="module")
def digits():
    return load("digits").test.sample(150)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 16, 3, 2), nn.ReLU(),
                            nn.Flatten(), nn.Linear(144, 10))
    return Model(network.eval(), [str(i) for i in range(10)], size=8, channels=1, mean=0.3, std=0.4)


def test_depth_measures_accuracies_and_preferences(model, digits):
    found = look.depth(model, digits)
    assert found.names == ("1", "3", "5") == tuple(default_layers(look.layers(model)))
    assert min(found.probe) > found.chance and found.images == 150
    assert found.plot() and len(json.dumps(found.to_dict())) > 50
    unit = torch.relu(nn.functional.conv2d(model.normalise(torch.from_numpy(digits.arrays(8, 1)).permute(0, 3, 1, 2) / 255),
                                           model.network[0].weight, model.network[0].bias, padding=1)).mean((2, 3))[:, 0]
    means = [float(unit[torch.from_numpy(digits.labels == k)].mean().detach()) for k in range(10)]
    best = int(np.argmax(means))
    assert found.preferred[0][0] == best
    mask = torch.from_numpy(digits.labels == best)
    apart = (unit[mask].mean() - unit[~mask].mean()) / unit.std(correction=0)
    assert found.selectivity[0][0] == pytest.approx(float(apart), rel=0.05)


def test_separating_units_by_brute_force(model, digits):
    found = look.separating(model, digits, 3, "8", "3")
    units, areas = found.units, found.areas
    x = model.prepare(digits.arrays(8, 1))
    f = look.activations(model.network, model.normalise(x), ["3"])["3"].mean((2, 3))
    a, b = f[torch.from_numpy(digits.labels == 3)][:, units[0]], f[torch.from_numpy(digits.labels == 8)][:, units[0]]
    wins = (a[:, None] > b).double() + 0.5 * (a[:, None] == b).double()
    assert areas[0] == pytest.approx(float(wins.mean()), abs=0.02)
    assert (np.diff(np.abs(areas - 0.5)) <= 1e-9).all() and len(units) == 16
    assert found.values_a[0] == pytest.approx(a.numpy(), abs=0.02) and found.values_b[0] == pytest.approx(b.numpy(), abs=0.02)
    assert (found.a, found.b) == ("3", "8") and found.plot() and json.dumps(found.to_dict())
    with pytest.raises(DataError, match="no image of class 11"):
        look.separating(model, digits, 3, 11)
    with pytest.raises(InputError, match="no class 'eight': did you mean"):
        look.separating(model, digits, 3, "eight")


KILLED = """
import importlib, os, signal, sys, torch
from torch import nn
from hubel import look
exciting = importlib.import_module("hubel.look.exciting")  # the module, not the function of its name
from hubel.model import Model
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.Flatten(),
                        nn.Linear(144, 10))
model = Model(network.eval(), [str(i) for i in range(10)], size=8, channels=1, mean=0.3, std=0.4)
x = torch.rand(150, 1, 8, 8, generator=torch.Generator().manual_seed(1))
exciting.KEEP_SECONDS = 0
if sys.argv[2] == "kill":
    update, count = exciting.TopK.update, [0]
    def update_and_die(self, *args):
        update(self, *args)
        count[0] += 1
        if count[0] == 13:  # in the middle of a batch: one layer is ahead of the other
            os.kill(os.getpid(), signal.SIGKILL)
    exciting.TopK.update = update_and_die
tops, _ = look.top_inputs(model, x, ["1", "5"], k=3, batch_size=16, resume=sys.argv[1])
print({name: (top.seen, top.inputs.tolist(), top.values.tolist()) for name, top in tops.items()})
"""


def test_a_killed_pass_is_taken_up_again(tmp_path):
    killed, resumed, whole = forked(KILLED, [(tmp_path / "a", "kill"), (tmp_path / "a", "go on"), (tmp_path / "b", "go on")],
                                    tmp_path / "told")
    assert killed[0] == -signal.SIGKILL
    assert resumed[0] == whole[0] == 0, resumed[2] + whole[2]
    assert resumed[1] == whole[1] and "150" in whole[1]


def test_an_interrupted_pass_is_taken_up_again(model, digits, tmp_path):
    whole, _ = look.top_inputs(model, digits, ["1", "5"], k=3, batch_size=16)

    class Breaks:
        """The digits, until the sixth batch."""

        def __init__(self, data, breaks):
            self.data, self.breaks, self.fingerprint = data, breaks, data.fingerprint

        def __len__(self):
            return len(self.data)

        def stream(self, cuts, **options):
            for i, batch in enumerate(self.data.stream(cuts, **options)):
                if self.breaks and i == 5:
                    raise KeyboardInterrupt
                yield batch

    file = tmp_path / "pass.safetensors"
    with pytest.raises(KeyboardInterrupt):
        look.top_inputs(model, Breaks(digits, True), ["1", "5"], k=3, batch_size=16, resume=file)
    resumed, _ = look.top_inputs(model, Breaks(digits, False), ["1", "5"], k=3, batch_size=16, resume=file)
    for name in ("1", "5"):
        assert resumed[name].seen == 150
        assert torch.equal(resumed[name].inputs, whole[name].inputs)
        assert torch.equal(resumed[name].values, whole[name].values)
    with pytest.raises(InputError, match="another model, data set or choice"):
        look.top_inputs(model, digits, ["1"], k=3, resume=file)
    file.write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="is not a pass"):
        look.top_inputs(model, digits, ["1"], k=3, resume=file)


def test_commands_write_pages(model, tmp_path, capsys, monkeypatch):
    from PIL import Image

    from hubel.cli import run

    monkeypatch.setattr("hubel.study.opening.open_model", lambda name: model)
    assert run(["look", "m", "digits", "--layer", "3", "--unit", "2", "--images", "60", "-o", str(tmp_path / "a")]) == 0
    page = (tmp_path / "a" / "index.html").read_text()
    assert f"{model.hash}/3/2/0" in page and "--layer 3 --seed 0 --images 60 --unit 2" in page
    assert (tmp_path / "a" / "exciting.png").exists()
    assert run(["look", "m", "--layers"]) == 0 and "receptive field" in capsys.readouterr().out
    Image.new("L", (9, 9), 200).save(tmp_path / "x.png")
    assert run(["explain", "m", str(tmp_path / "x.png"), "--class", "4", "--check", "-o", str(tmp_path / "b")]) == 0
    facts = json.loads((tmp_path / "b" / "facts.json").read_text())
    assert facts["gradcam"]["names"] == ["4"] and len(facts["notes"]) == 2
    assert run(["explain", "m", str(tmp_path / "x.png"), "--class", "40"]) == 2
    assert run(["look", "m", "--layer", "nine"]) == 2
