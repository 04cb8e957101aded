"""Transfer: the starting head is the regression's minimum, first blocks and batch norms stay, a seed repeats, it learns."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hubel import data
from hubel.errors import InputError
from hubel.model import Model
from hubel.nets.efficientnet import MEAN, STD, pretrained_lite0
from hubel.training import LambdaCallback
from hubel.training import transfer as room


def normalise(x: Tensor) -> Tensor:
    return (x - MEAN) / STD


@pytest.fixture(scope="module")
def stripes() -> tuple[Tensor, Tensor]:
    """24 noisy pictures of 64 px: stripes that lie, and stripes that stand."""
    rng = np.random.default_rng(0)
    wave = np.sign(np.sin(np.arange(64) / 3))[:, None] * np.ones(64)
    images = [128 + 60 * (wave if i % 2 else wave.T) + 30 * rng.normal(size=(64, 64)) for i in range(24)]
    x = torch.from_numpy(np.clip(images, 0, 255).astype(np.uint8))[:, None].expand(-1, 3, -1, -1).contiguous()
    return x, torch.arange(24) % 2


def test_body_is_the_pretrained_network() -> None:
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    network, whole = room.transfer_network(5), pretrained_lite0()
    seen: list[Tensor] = []
    whole.classifier.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    blocks: dict[int, Tensor] = {}
    for i in network.taps:
        whole.blocks[i].register_forward_hook(lambda _m, _i, out, i=i: blocks.update({i: out.mean((2, 3))}))
    with torch.no_grad():
        whole(x)
        expected = torch.cat([*(blocks[i] for i in network.taps), seen[0]], 1)
        torch.testing.assert_close(network.features(x), expected, rtol=1e-4, atol=1e-5)
        assert network(x).shape == (2, 5)


def test_logistic_is_sklearns() -> None:
    rng = np.random.default_rng(1)
    y = np.arange(120) % 4
    x = (rng.normal(size=(120, 10)) + rng.normal(size=(4, 10))[y]).astype(np.float32)
    weight, bias = room.logistic(torch.from_numpy(x), torch.from_numpy(y), 4, ridge=0.2)
    theirs = LogisticRegression(C=1 / (0.2 * 120), tol=1e-8, max_iter=2000).fit(x.astype(np.float64), y)
    np.testing.assert_allclose(weight, theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(bias - bias.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-4)


def test_what_stays_and_what_moves(stripes: tuple[Tensor, Tensor]) -> None:
    network = room.transfer_network(2)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    room.transfer(network, stripes, normalise=normalise, epochs=2, seed=3, verbose=0)
    after = network.state_dict()
    for name, value in after.items():
        first = name.startswith(("body.stem", *(f"body.blocks.{i}." for i in range(room.FROZEN_BLOCKS))))
        if first or "_norm." in name:
            assert torch.equal(value, before[name]), name
    for name in ("body.blocks.5.project.weight", "body.head.weight", "classifier.weight", "standardise.mean"):
        assert not torch.equal(after[name], before[name]), name
    assert all(p.requires_grad for p in network.parameters()) and not network.training

    again = room.transfer_network(2)
    room.transfer(again, stripes, normalise=normalise, epochs=2, seed=3, verbose=0)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), after.values(), strict=True))


def test_learns_and_is_saved_as_a_model(stripes: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    x, y = stripes
    network = room.transfer_network(2)
    room.transfer(network, (x[:12], y[:12]), normalise=normalise, epochs=2, seed=0, verbose=0)
    model = Model(network, ("standing", "lying"), size=64, channels=3, mean=MEAN, std=STD)
    assert (model.predict(x[12:]).argmax(1) == y[12:].numpy()).all()
    loaded = Model.load(model.save(tmp_path / "stripes.hubel"))
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), atol=1e-5)
    assert model.features(x).shape == (24, 112 + 192 + 1280)


class Stop(Exception):
    """Stands for a kill."""


def interrupted(stripes: tuple[Tensor, Tensor], file: Path, epoch: int, **options: object) -> None:
    """Begin a transfer and break it off at the end of `epoch`."""
    def stop(at: int, logs: object) -> None:
        if at == epoch:
            raise Stop

    with pytest.raises(Stop):
        room.transfer(room.transfer_network(2), stripes, normalise=normalise, seed=1, verbose=0, checkpoint=file,
                      callbacks=[LambdaCallback(on_epoch_end=stop)], **options)


def test_goes_on_from_a_checkpoint_to_the_same_bits(stripes: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    whole, file = room.transfer_network(2), tmp_path / "run.safetensors"
    room.transfer(whole, stripes, normalise=normalise, epochs=2, seed=1, verbose=0)
    interrupted(stripes, file, 1, epochs=2)
    fresh = room.transfer_network(2)
    room.transfer(fresh, stripes, normalise=normalise, epochs=2, seed=1, verbose=0, checkpoint=file,
                  callbacks=[LambdaCallback()])
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), whole.state_dict().values(), strict=True))


def test_a_budgeted_run_goes_on_and_counts_the_head(stripes: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    """Making the head is part of the budget; the run that goes on does not make it again and yet is the same run."""
    file = tmp_path / "run.safetensors"
    interrupted(stripes, file, 1, minutes=5, epochs=3)
    began = time.monotonic()
    history = room.transfer(room.transfer_network(2), stripes, normalise=normalise, minutes=5, epochs=3, seed=1, verbose=0,
                            checkpoint=file, callbacks=[LambdaCallback()])
    assert history.epoch == [0, 1, 2]
    assert history.seconds[-1] > history.seconds[0] > 0
    assert history.seconds[-1] - history.seconds[0] < time.monotonic() - began  # one clock, through the interruption


def test_another_network_is_refused(stripes: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(InputError, match="transfer_network"):
        room.transfer(pretrained_lite0(), stripes)


@pytest.mark.slow
def test_scenes_reach_93_percent(shared_data: Path) -> None:
    source = data.load(shared_data / "scenes15", seed=0)
    network = room.transfer_network(15)
    model = Model(network, source.train.classes, size=224, channels=3, mean=MEAN, std=STD)
    x = torch.from_numpy(source.train.arrays(224, 3)).permute(0, 3, 1, 2)
    began = time.monotonic()
    room.transfer(network, (x, torch.tensor(source.train.labels)), normalise=model.normalise, minutes=5, verbose=0)
    assert time.monotonic() - began < 1.1 * 300  # the budget is kept
    assert (model.predict(source.test).argmax(1) == source.test.labels).mean() >= 0.93
