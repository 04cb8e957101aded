"""The loop: against hand-written torch loops, closed forms and a clock that the test turns."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hubel import engine, training
from hubel.errors import DivergedError, InputError, ModelError
from hubel.training import loop
from hubel.training.randomness import permutation
from hubel.training.source import bounds

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.integers(0, 256, (70, 1, 8, 8), dtype=np.uint8))
Y = (X.float().mean((1, 2, 3)) > X.float().mean()).long() + (X[:, 0, :4].float().mean((1, 2)) > 128).long()


def network(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout),
                         nn.Linear(288, 3))


def fit(net, data=(X, Y), **options):
    return training.fit(net, data, **{"verbose": 0, "learning_rate": 0.05, "batch_size": 16, "epochs": 2, **options})


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_does_what_a_hand_written_loop_does():
    """Momentum with Nesterov, decay on matrices, one-cycle, label smoothing, normalisation: to rounding."""
    net, twin = network(), network()
    with engine.using(bf16=False):
        history = fit(net, weight_decay=0.01, label_smoothing=0.1, normalise=lambda x: (x - 0.5) / 0.25)
    optimizer = torch.optim.SGD([{"params": [p for p in twin.parameters() if p.ndim > 1], "weight_decay": 0.01},
                                 {"params": [p for p in twin.parameters() if p.ndim == 1]}],
                                lr=0.05, momentum=0.9, nesterov=True)
    total, losses = 10, []
    for step in range(total):
        epoch, batch = divmod(step, 5)
        begin, end = bounds(70, 16, batch)
        places = torch.from_numpy(permutation(0, epoch, 70)[begin:end].copy())
        share = step / total
        rate = 0.05 * (0.15 + 0.85 * share / 0.23 if share < 0.23 else 1 - 0.99 * (share - 0.23) / 0.77)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(twin((X[places] / 255 - 0.5) / 0.25), Y[places], label_smoothing=0.1)
        losses.append((epoch, loss.item(), len(places)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for p, q in zip(net.state_dict().values(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    means = [sum(v * n for e, v, n in losses if e == epoch) / 70 for epoch in (0, 1)]
    assert history.history["loss"] == pytest.approx(means, rel=1e-4)
    assert history.history["learning_rate"][-1] == pytest.approx(rate)
    assert not net.training and history.epoch == [0, 1]


def test_a_seed_makes_it_repeatable_and_leaves_torchs_generator_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    nets = [network(dropout=0.3) for _ in range(3)]
    torch.set_rng_state(before)
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        fit(net, seed=seed, augment="digit")
        assert torch.equal(torch.get_rng_state(), before)
    assert same(nets[0], nets[1]) and not same(nets[0], nets[2])


def test_accumulated_batches_are_one_large_batch():
    nets = []
    for batch_size, accumulate in ((64, 1), (16, 4)):
        torch.manual_seed(0)
        nets.append(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
        fit(nets[-1], (X[:64], Y[:64]), batch_size=batch_size, accumulate=accumulate, schedule="constant")
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_class_weights_scale_the_loss_of_their_class():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False))
    start = net[1].weight.detach().clone()
    fit(net, class_weight={0: 0.0, 1: 2.0, 2: 0.0}, optimizer=training.SGD(0.05), batch_size=70, epochs=1,
        schedule="constant")
    x = X.float().flatten(1) / 255
    errors = ((x @ start.T).softmax(1) - F.one_hot(Y, 3)) * (Y == 1)[:, None]
    torch.testing.assert_close((start - net[1].weight.detach()) / 0.05, 2.0 * errors.T @ x / 70, rtol=2e-3, atol=1e-5)


def test_clipping_bounds_the_step():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    start = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    fit(net, clip_norm=0.01, optimizer=training.SGD(1.0), learning_rate=1.0, batch_size=70, epochs=1, schedule="constant")
    end = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (end - start).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_ema_is_the_average_of_the_weights():
    from hubel.training.averaging import Ema

    seen = []
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    spy = training.LambdaCallback(on_train_batch_end=lambda b, logs: seen.append(net[1].weight.detach().clone()))
    fit(net, ema=0.5, callbacks=[spy])
    average = seen[0].clone()
    for t, weight in enumerate(seen):
        d = min(0.5, (1 + t) / (10 + t))
        average = d * average + (1 - d) * weight
    torch.testing.assert_close(net[1].weight.detach(), average)
    with pytest.raises(InputError, match="between 0 and 1"):
        Ema(1.0)


def test_lookahead_pulls_back_and_ends_on_the_slow_weights():
    net, plain = network(), network()
    fit(net, lookahead=training.Lookahead(every=2, decay=0.9))
    fit(plain)
    assert not same(net, plain)
    look = training.Lookahead(every=2, decay=0.5, decay_grows=False)
    line = nn.Linear(1, 1, bias=False)
    for step, value in enumerate((1.0, 3.0, 7.0)):
        line.weight.data.fill_(value)
        look.step(line, step, 0.0)
        assert line.weight.item() == [1.0, 2.0, 7.0][step]
    look.finish(line)
    assert line.weight.item() == 2.0


def test_validation_is_measured_as_evaluate_does():
    net = network()
    with engine.using(bf16=False):
        history = fit(net, validation=(X[:30], Y[:30]))
    found = training.evaluate(net, (X[:30], Y[:30]), batch_size=7)
    with torch.no_grad():
        logits = net(X[:30] / 255)
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == Y[:30]).float().mean().item())
    assert found["loss"] == pytest.approx(F.cross_entropy(logits, Y[:30]).item(), rel=1e-5)
    assert history.history["val_loss"][-1] == pytest.approx(found["loss"], rel=1e-4)


def test_vectors_series_values_and_streams_train_too():
    vectors = torch.randn(40, 5)
    line = nn.Linear(5, 1)
    history = training.fit(line, (vectors, vectors @ torch.arange(5.0) + 1), loss="mse", metrics=["mae"], optimizer="adam",
                           learning_rate=0.3, epochs=150, batch_size=20, verbose=0)
    torch.testing.assert_close(line.weight[0].detach(), torch.arange(5.0), rtol=0, atol=0.05)
    assert history.history["mae"][-1] < 0.1
    series = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    training.fit(series, (torch.randn(12, 2, 10), torch.arange(12) % 2), epochs=1, verbose=0)
    from hubel import data

    dataset = data.load((X[:, 0].numpy(), Y.numpy())).train
    source = training.DatasetSource(dataset, (8, 8), 1)
    images = torch.from_numpy(dataset.arrays((8, 8), 1)).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(np.array(dataset.labels))
    nets = network(), network()
    fit(nets[0], source)
    fit(nets[1], (images, labels))
    assert same(*nets)


def test_frozen_batch_norm_keeps_its_statistics():
    net = network()
    net[1].requires_grad_(False)
    fit(net)
    assert net[1].running_mean.abs().max() == 0 and net[1].num_batches_tracked == 0


def test_divergence_stops_names_itself_and_gives_the_weights_back():
    net = network()
    good = {name: t.clone() for name, t in net.state_dict().items()}
    with pytest.raises(DivergedError, match=r"epoch 1, step \d+, at learning rate .* try learning_rate="):
        fit(net, learning_rate=1e30, schedule="constant", epochs=5)
    assert all(torch.equal(good[name], t) for name, t in net.state_dict().items())
    bad = X.float() / 255
    bad[40] = float("nan")
    with pytest.raises(DivergedError, match="inputs of batch"):
        fit(network(), (bad, Y))


def test_a_loss_that_only_grows_is_divergence_before_it_is_infinite():
    net = nn.Linear(4, 1)
    x = torch.ones(64, 4)
    before = net.weight.detach().clone()
    plain = {"loss": "mse", "metrics": (), "optimizer": training.SGD(), "schedule": "constant", "batch_size": 16}
    with pytest.raises(DivergedError, match=r"the loss is \d.* in epoch 1"):  # each step multiplies the error by 1 - 10 rate
        training.fit(net, (x, torch.zeros(64, 1)), learning_rate=1.0, epochs=9, verbose=0, **plain)
    assert torch.equal(net.weight, before)
    training.fit(net, (x, torch.zeros(64, 1)), learning_rate=0.02, epochs=2, verbose=0, **plain)


@pytest.fixture
def clock(monkeypatch):
    """A clock for the loop that stands still unless it is told to go on."""
    now = SimpleNamespace(t=1000.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now.t))
    return now


@pytest.mark.parametrize("epochs", [None, 100])
def test_a_budget_of_minutes_is_kept_and_the_schedule_reaches_its_end(clock, epochs):
    rates = []

    def tick(batch, logs):
        clock.t += 1.0 if len(rates) < 20 else 3.0  # the machine slows down on the way
        rates.append(net_rate())

    net = network()
    callback = training.LambdaCallback(on_train_batch_end=tick)
    net_rate = lambda: callback.run.learning_rate  # noqa: E731
    history = fit(net, epochs=epochs, minutes=1.0, callbacks=[callback], learning_rate=0.01)
    assert 58 <= clock.t - 1000 <= 63
    assert max(rates) > 0.009 and rates[-1] < 0.001 and history.stopped == "the budget of 1 min 00 s is spent"
    clock.t, before = 0.0, len(rates)
    history = fit(network(), epochs=2, minutes=10.0, callbacks=[callback], learning_rate=0.01)
    assert len(rates) - before == 10 and history.stopped is None  # fewer steps than fit: the epochs decide


def test_validation_counts_against_the_budget(clock, monkeypatch):
    real = loop.evaluation.run

    def slow(*arguments, **options):
        clock.t += 10.0
        return real(*arguments, **options)

    monkeypatch.setattr(loop.evaluation, "run", slow)
    callback = training.LambdaCallback(on_train_batch_end=lambda b, logs: setattr(clock, "t", clock.t + 1.0))
    fit(network(), epochs=None, minutes=1.0, validation=(X, Y), callbacks=[callback])
    assert 48 <= clock.t - 1000 <= 66


def interrupting(*at):
    """A callback that sends SIGINT to this process after given batches, counted over the run."""
    count = [0]

    def hook(batch, logs):
        count[0] += 1
        if count[0] in at:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    return training.LambdaCallback(on_train_batch_end=hook)


def test_ctrl_c_keeps_the_best_weights_and_the_same_call_goes_on(tmp_path):
    whole, net = network(dropout=0.2), network(dropout=0.2)
    expected = fit(whole, epochs=4, validation=(X[:20], Y[:20]))
    options = {"epochs": 4, "validation": (X[:20], Y[:20]), "checkpoint": tmp_path / "run.safetensors"}
    handler = signal.getsignal(signal.SIGINT)
    first = fit(net, callbacks=[interrupting(13)], **options)
    assert first.interrupted and first.epoch == [0, 1] and signal.getsignal(signal.SIGINT) is handler
    found = training.evaluate(net, (X[:20], Y[:20]))
    assert found["accuracy"] == pytest.approx(max(first.history["val_accuracy"]), abs=0.051)
    fresh = network(seed=9, dropout=0.2)
    second = fit(fresh, callbacks=[training.LambdaCallback()], **options)
    assert not second.interrupted and same(fresh, whole)
    assert second.history == expected.history and second.epoch == [0, 1, 2, 3]


def test_the_second_ctrl_c_is_immediate():
    seen = []

    def hook(batch, logs):
        seen.append(batch)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        seen.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        fit(network(), callbacks=[training.LambdaCallback(on_train_batch_end=hook)])
    assert seen == [0]


def test_wrong_arguments_are_one_line():
    for options, word in (({"epochs": -1}, "epochs -1"), ({"batch_size": 0}, "batch_size 0"), ({"minutes": 0}, "minutes 0"),
                          ({"loss": "x"}, "unknown loss"), ({"augment": 3}, "augment 3"), ({"epochs": 1.5}, "epochs 1.5"),
                          ({"accumulate": 0}, "accumulate"), ({"clip_norm": -1.0}, "clip_norm"), ({"seed": -1}, "seed")):
        with pytest.raises(InputError, match=word) as caught:
            fit(network(), **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"class 2.*2 outputs"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)))
    with pytest.raises(ModelError, match="tuple"):
        fit(nn.LSTM(8, 3), (torch.randn(4, 5, 8), torch.zeros(4, dtype=torch.int64)))


def test_lines_and_silence(capsys):
    fit(network(), verbose=2, validation=(X, Y))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[1].startswith("epoch 2/2: loss ") and "validation accuracy" in lines[1]
    assert "images/s" in lines[1] and lines[1].endswith(" s")
    fit(network())
    assert capsys.readouterr() == ("", "")


def test_history_comes_back_from_json_and_plots():
    import json

    history = fit(network(), validation=(X, Y))
    again = training.History(**json.loads(json.dumps(history.to_dict())))
    assert again.history == history.history and again.epoch == history.epoch
    assert [a.get_title() for a in history.plot().axes] == ["loss", "accuracy"] and "<td>2</td>" in history._repr_html_()
