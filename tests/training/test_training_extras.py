"""Muon, the search for a rate, fine-tuning, TensorBoard's files."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from torch import nn

from hubel import training
from hubel.errors import InputError
from hubel.training import optimizers
from hubel.training.muon import hidden_matrices, orthogonalise
from hubel.training.tensorboard import crc32c
from hubel.training.tuning import layer_rates

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.normal(size=(600, 12)).astype(np.float32))
Y = (X[:, :4].argmax(1))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (3, 8, 8)])
def test_orthogonalising_keeps_the_directions_and_evens_the_singular_values(shape):
    u, _, v = torch.linalg.svd(torch.randn(*shape, generator=torch.Generator().manual_seed(1)), full_matrices=False)
    s = torch.logspace(0, -1.5, u.shape[-1])
    out = orthogonalise(u * s @ v)
    turned = u.mT @ out @ v.mT
    values = turned.diagonal(dim1=-2, dim2=-1)
    assert values.min() > 0.5 and values.max() < 1.3  # of 1 to 0.03 before
    torch.testing.assert_close(turned, torch.diag_embed(values), atol=1e-4, rtol=0)


def test_muon_orthogonalises_hidden_kernels_only():
    net = network()
    assert hidden_matrices(net) == {"2.weight"}
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    made = optimizers.get(training.Muon(others_rate=0.5), net, learning_rate=0.1)
    nn.functional.cross_entropy(net(X), Y).backward()
    gradients = {n: p.grad.clone() for n, p in net.named_parameters()}
    made.step()
    change = {n: before[n] - p.detach() for n, p in net.named_parameters()}
    for name in ("0.weight", "0.bias", "2.bias", "4.weight"):
        torch.testing.assert_close(change[name], 0.5 * 1.9 * gradients[name], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(change["2.weight"], 0.1 * orthogonalise(1.95 * gradients["2.weight"]), rtol=1e-4, atol=1e-6)


def test_muon_learns():
    net = network()
    history = training.fit(net, (X, Y), optimizer="muon", epochs=12, batch_size=50, verbose=0)
    assert history.history["accuracy"][-1] > 0.95


def test_the_rate_found_is_below_divergence_and_trains(tmp_path):
    net = network()
    before = [p.detach().clone() for p in net.parameters()]
    found = training.lr_find(net, (X, Y), batch_size=50, optimizer=training.SGD(), high=100.0)
    assert all(torch.equal(p, q) for p, q in zip(before, net.parameters(), strict=True)), "only a copy is trained"
    ratios = np.diff(np.log(found.rates))
    np.testing.assert_allclose(ratios, np.log(100.0 / 1e-5) / 120, rtol=1e-6)
    assert 0.01 < found.suggestion < 2.0
    history = training.fit(net, (X, Y), optimizer=training.SGD(), learning_rate=found.suggestion, epochs=8, batch_size=50,
                           verbose=0)
    assert history.history["accuracy"][-1] > 0.9
    found.plot().savefig(tmp_path / "rates.png")
    with pytest.raises(InputError, match="did not fall"):
        training.lr_find(net, (X, Y), low=1e-12, high=1e-11, optimizer=training.SGD(), batch_size=50)


def test_fine_tuning_moves_the_head_first_and_lower_layers_least():
    net = network()
    start = {n: p.detach().clone() for n, p in net.named_parameters()}
    seen = []

    def note(epoch, logs):
        seen.append({n: (p.detach() - start[n]).abs().max().item() for n, p in net.named_parameters()})

    history = training.fine_tune(net, (X, Y), head_epochs=1, epochs=2, batch_size=50, verbose=0,
                                 callbacks=[training.LambdaCallback(on_epoch_end=note)])
    assert seen[0]["4.weight"] > 0 and seen[0]["0.weight"] == seen[0]["2.weight"] == 0
    assert 0 < seen[2]["0.weight"] < seen[2]["2.weight"] < seen[2]["4.weight"]
    assert history.epoch == [0, 1, 2] and len(history.history["loss"]) == 3 and all(p.requires_grad for p in net.parameters())
    rate = layer_rates(net, "4.", 0.1, 0.001)
    assert (rate("4.bias"), rate("2.weight"), rate("0.weight")) == (1.0, pytest.approx(0.1), pytest.approx(0.001))
    with pytest.raises(InputError, match=r"no part 'top'.*'4'"):
        training.fine_tune(net, (X, Y), head="top")


def scalars(data: bytes) -> list[tuple[int, str, float]]:
    """An independent reader of event files: checks every CRC's frame and picks step, tag and value."""
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = data[at + 12 : at + 12 + length]
        at += 16 + length
        assert event[0] == 0x09
        if event[9] == 0x1A:  # the version
            assert event[11:] == b"brain.Event:2"
            continue
        assert event[9] == 0x10
        step, i, shift = 0, 10, 0
        while True:
            step |= (event[i] & 0x7F) << shift
            shift, i = shift + 7, i + 1
            if not event[i - 1] & 0x80:
                break
        value = event[i + 2 :]  # field 5: a summary
        assert event[i] == 0x2A and value[0] == 0x0A
        tag_length = value[3]
        tag = value[4 : 4 + tag_length].decode()
        assert value[4 + tag_length] == 0x15
        found.append((step, tag, struct.unpack("<f", value[5 + tag_length : 9 + tag_length])[0]))
    return found


def test_tensorboard_files_hold_the_history(tmp_path):
    history = training.fit(network(), (X, Y), epochs=3, batch_size=2, verbose=0, validation=(X, Y),
                           callbacks=[training.TensorBoard(tmp_path, update_freq=200)])
    train = scalars(next((tmp_path / "train").iterdir()).read_bytes())
    assert [v for s, t, v in train if t == "epoch_loss"] == pytest.approx(history.history["loss"])
    assert [s for s, t, v in train if t == "batch_loss"] == [200, 400, 600, 800]
    held_out = scalars(next((tmp_path / "validation").iterdir()).read_bytes())
    assert [v for s, t, v in held_out if t == "epoch_accuracy"] == pytest.approx(history.history["val_accuracy"])
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
