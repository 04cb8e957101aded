"""Adversarial training in `fit`: what the network is shown, that it helps, catastrophic overfitting, and resuming."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel.attack import pgd
from hubel.errors import InputError
from hubel.training import Harden, fit
from hubel.training.callbacks import Callback
from hubel.training.hardening import Adversary
from hubel.training.overfitting import Watch


def blobs(n: int = 512, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes: which half is brighter, plainly in 4 values and faintly in 60: what robust and what fragile cues are."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (n,), generator=g)
    sign = (2 * y - 1).float()[:, None]
    x = 0.5 + 0.1 * torch.randn(n, 64, generator=g)
    x[:, :4] += 0.25 * sign
    x[:, 4:] += 0.06 * sign
    return x.clamp(0, 1).view(n, 1, 8, 8), y


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))


def robust(model: nn.Module, eps: float, norm: str = "linf") -> float:
    x, y = blobs(300, 1)
    return pgd(model, x.permute(0, 2, 3, 1).numpy(), y.numpy(), eps, norm, steps=20, precision="float",
               progress=False).robust_accuracy


@pytest.mark.parametrize("harden", [Harden(0.15, steps=3), Harden(0.15, method="trades", steps=3), Harden(0.15, method="fgsm"),
                                    Harden(0.15, steps=1, persist=True), Harden(0.6, norm="l2", steps=3)])
def test_hardening_pays(harden):
    eps, norm = (0.15, "linf") if harden.norm == "linf" else (0.6, "l2")
    plain, hard = network(), network()
    fit(plain, blobs(), epochs=15, optimizer="adam", learning_rate=0.01, verbose=0)
    fit(hard, blobs(), epochs=15, optimizer="adam", learning_rate=0.01, verbose=0, harden=harden)
    assert robust(hard, eps, norm) > robust(plain, eps, norm) + 0.1


class Spy(Callback):
    def on_train_begin(self, logs=None) -> None:
        self.seen = []
        adversary = self.run.augment
        call = adversary.__call__

        def wrapped(x, y, draws):
            out = call(x, y, draws)
            self.seen.append((x, *out, adversary.eps))
            return out

        self.run.augment = wrapped


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 0.5)])
def test_what_is_learned_lies_in_the_ball_and_costs_more(norm, eps):
    spy, model = Spy(), network()
    fit(model, blobs(), epochs=4, optimizer="adam", verbose=0, harden=Harden(eps, norm=norm, steps=3, ramp=0.5), callbacks=[spy])
    sizes = []
    for x, bent, _, now in spy.seen:
        d = (bent - x).flatten(1)
        size = d.abs().amax(1) if norm == "linf" else d.norm(dim=1)
        assert (size <= now * (1 + 1e-4)).all() and now <= eps
        assert bent.min() >= 0 and bent.max() <= 1
        sizes.append(now)
    assert sizes == sorted(sizes) and sizes[-1] == eps
    x, bent, y, _ = spy.seen[-1]
    assert F.cross_entropy(model(bent), y) > F.cross_entropy(model(x), y)


def test_trades_loss_is_the_papers():
    plan = Harden(0.1, method="trades", beta=3.0)
    adversary = Adversary(plan, network(), None, None, lambda o, y: F.cross_entropy(o, y, reduction="none"))
    z = torch.randn(6, 2, requires_grad=True)
    y = torch.tensor([0, 1, 1, 0, 1, 1])
    clean, bent = z[:3], z[3:]
    wanted = F.cross_entropy(clean, y[:3]) + 3 * F.kl_div(bent.log_softmax(1), clean.softmax(1), reduction="batchmean")
    assert adversary.loss(z, y).mean().item() == pytest.approx(wanted.item(), rel=1e-5)
    assert adversary.loss(z.detach(), y).shape == (6,)  # validation: clean images alone


def test_gaussian_noise_has_its_deviation():
    spy = Spy()
    fit(network(), blobs(), epochs=1, verbose=0, harden=Harden(0.25, method="gaussian"), callbacks=[spy])
    d = torch.cat([bent - x for x, bent, *_ in spy.seen])
    assert d.std().item() == pytest.approx(0.25, rel=0.02) and abs(d.mean()) < 0.01


@pytest.mark.parametrize("harden", [Harden(0.1, steps=1, persist=True), Harden(0.1, method="fgsm"), Harden(0.1, method="trades", steps=2)])
def test_an_interrupted_run_goes_on_to_the_same_bits(harden, tmp_path):
    class Stop(Callback):
        def __init__(self, at: int) -> None:
            self.at = at

        def on_train_batch_end(self, batch, logs=None) -> None:
            if self.run.step == self.at:
                self.run.interrupt.requested = True

    def train(model: nn.Module, at: int, checkpoint=None) -> None:
        fit(model, blobs(), epochs=3, batch_size=64, optimizer="adam", verbose=0, harden=harden, callbacks=[Stop(at)],
            checkpoint=checkpoint)

    whole, parts = network(), network()
    train(whole, -1)
    train(parts, 13, tmp_path / "run")
    again = network(5)
    train(again, -1, tmp_path / "run")
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


def test_catastrophic_overfitting_is_seen_and_undone():
    """Measurements of a collapse (right under one step, wrong under ten) are put in place of the true ones at step 20."""
    watch: list[Watch] = []
    back: list[bool] = []

    class Pretend(Callback):
        def on_train_begin(self, logs=None) -> None:
            watch.append(self.run.augment.watch)
            true, calls = watch[0]._right, []

            def measured(x, y):
                if self.run.step < 20 or watch[0].caught:
                    return true(x, y)
                calls.append(1)
                return 0.95 if len(calls) % 2 else 0.02

            watch[0]._right = measured

        def on_train_batch_end(self, batch, logs=None) -> None:
            if watch[0].caught and not back:
                now = self.run.network.state_dict()
                back.append(all(torch.equal(now[k], v) for k, v in watch[0].good.items()))

    model = network()
    fit(model, blobs(), epochs=4, batch_size=32, optimizer="adam", learning_rate=0.01, verbose=0,
        harden=Harden(0.1, method="fgsm", ramp=0), callbacks=[Pretend()])
    assert watch[0].caught == 1 and watch[0].adversary.steps == 2
    assert back == [True]
    assert robust(model, 0.1) > 0.5


def test_what_cannot_be_asked():
    for options in ({"eps": 0}, {"eps": 0.1, "method": "magic"}, {"eps": 0.1, "norm": "l1"}, {"eps": 0.1, "steps": 0}):
        with pytest.raises(InputError):
            Harden(**options)
    with pytest.raises(InputError, match="persist"):
        fit(network(), blobs(), verbose=0, harden=Harden(0.1, persist=True), augment=lambda x: x)


def test_normalised_inputs_are_attacked_in_pixels():
    mean, std = 0.3, 0.2
    spy = Spy()
    fit(network(), blobs(), normalise=lambda x: (x - mean) / std, epochs=1, verbose=0, harden=Harden(0.1, ramp=0), callbacks=[spy])
    for x, bent, *_ in spy.seen:
        assert (bent - x).abs().max() <= 0.1 + 1e-6
    assert np.isfinite(float(spy.seen[-1][1].sum()))
