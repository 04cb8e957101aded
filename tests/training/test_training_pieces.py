"""Losses, metrics, schedules, random numbers, batches: against closed forms and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hubel.errors import InputError
from hubel.training import losses, metrics, optimizers, schedules
from hubel.training.randomness import Draws, _hash, permutation, step_seed
from hubel.training.source import ArraySource, as_source, bounds, steps


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("name", ["cross_entropy", "sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_cross_entropy_is_the_formula(name, smoothing):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(7, 5)), rng.integers(0, 5, 7)
    target = (1 - smoothing) * np.eye(5)[y] + smoothing / 5
    wanted = -(target * np.log(softmax(z))).sum(1)
    loss = losses.get(name, smoothing)
    np.testing.assert_allclose(loss(torch.tensor(z), torch.tensor(y)), wanted, rtol=1e-9)
    np.testing.assert_allclose(loss(torch.tensor(z), torch.tensor(y)[:, None]), wanted, rtol=1e-9)
    np.testing.assert_allclose(loss(torch.tensor(z), torch.tensor(np.eye(5)[y])), wanted, rtol=1e-9)


def test_binary_crossentropy_is_the_formula_and_averages_over_outputs():
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(6, 3)), rng.integers(0, 2, (6, 3))
    p = 1 / (1 + np.exp(-z))
    wanted = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(1)
    np.testing.assert_allclose(losses.get("binary_crossentropy")(torch.tensor(z), torch.tensor(y)), wanted, rtol=1e-9)


def test_targets_do_not_broadcast():
    """(N,) against (N, 1) must compare N pairs, not N x N."""
    outputs, y = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1.0, 0.0, 3.0])
    assert losses.get("mse")(outputs, y).tolist() == [0.0, 4.0, 0.0]
    with pytest.raises(InputError, match=r"\(3,\).*\(3, 2\)"):
        losses.get("mse")(torch.zeros(3, 2), y)


def test_unknown_names_are_refused():
    for call, word in ((lambda: losses.get("hinge9"), "hinge9"), (lambda: metrics.get(["f7"]), "f7"),
                       (lambda: schedules.get("zigzag"), "zigzag"), (lambda: losses.get("mse", 0.1), "label_smoothing"),
                       (lambda: losses.get("cross_entropy", 1.0), "label_smoothing"),
                       (lambda: losses.class_weights([1.0, -1.0], 2), "negative"),
                       (lambda: losses.class_weights([1.0], 2), "2 classes"),
                       (lambda: optimizers.get("newton", torch.nn.Linear(2, 2)), "newton"),
                       (lambda: optimizers.get("sgd", torch.nn.Linear(2, 2), learning_rate=float("nan")), "nan")):
        with pytest.raises(InputError, match=word):
            call()


def test_accuracy_in_its_four_forms():
    outputs = torch.tensor([[0.1, 2.0, -1.0], [3.0, 0.0, 1.0]])
    assert metrics.accuracy(outputs, torch.tensor([1, 2])).tolist() == [1.0, 0.0]
    assert metrics.accuracy(outputs, torch.tensor([[0.0, 0.7, 0.3], [0.9, 0.1, 0.0]])).tolist() == [1.0, 1.0]
    assert metrics.accuracy(outputs[:, :1], torch.tensor([0, 1])).tolist() == [0.0, 1.0]
    several = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    assert metrics.accuracy(outputs, several).tolist() == [1.0, pytest.approx(2 / 3)]


def test_one_cycle_rises_to_one_and_falls():
    values = np.array([schedules.one_cycle(t) for t in np.linspace(0, 1, 1001)])
    assert values.max() == pytest.approx(1.0, abs=5e-3) and values[0] == 0.15 and values[-1] == pytest.approx(0.01)
    top = values.argmax()
    assert (np.diff(values[: top + 1]) > 0).all() and (np.diff(values[top:]) < 0).all()
    assert schedules.cosine(0.5) == pytest.approx(0.5) and schedules.linear(0.25) == 0.75


@given(st.integers(1, 500), st.integers(1, 64))
def test_batches_cover_all_samples_in_nearly_equal_parts(count, batch_size):
    cuts = [bounds(count, batch_size, b) for b in range(steps(count, batch_size))]
    assert cuts[0][0] == 0 and cuts[-1][1] == count and all(a[1] == b[0] for a, b in itertools.pairwise(cuts))
    sizes = [end - begin for begin, end in cuts]
    assert len(sizes) == math.ceil(count / batch_size) and max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1


def test_an_epoch_is_a_permutation_and_can_be_entered_anywhere():
    source = ArraySource(np.arange(50, dtype=np.uint8)[:, None], np.arange(50) % 3)
    whole = list(source.epoch(4, seed=1, batch_size=8))
    assert sorted(torch.cat([b.x for b in whole]).flatten().tolist()) == list(range(50))
    late = list(source.epoch(4, seed=1, batch_size=8, start_batch=3))
    assert all(torch.equal(a.x, b.x) and (a.places == b.places).all() for a, b in zip(whole[3:], late, strict=True))
    other = list(source.epoch(5, seed=1, batch_size=8))
    assert not torch.equal(torch.cat([b.x for b in whole]), torch.cat([b.x for b in other]))
    assert all((b.x.flatten().numpy() == b.places).all() and (b.y.numpy() == b.places % 3).all() for b in whole)


def test_sources_refuse_what_cannot_be_trained_on():
    for x, y, word in ((np.zeros((3, 2)), np.zeros(2), "one target per input"), (np.zeros((0, 2)), [], "0 samples"),
                       (np.zeros((3, 2), int), np.zeros(3), "int64"), (np.zeros((3, 2)), np.array([0, -1, 1]), "negative")):
        with pytest.raises(InputError, match=word):
            as_source((x, y))


def test_draws_do_not_depend_on_the_batch():
    alone = np.concatenate([np.stack([d.unit(), d.unit()]) for d in (Draws(3, 2, np.array([i])) for i in range(40))], 1)
    together = Draws(3, 2, np.arange(40))
    assert (np.stack([together.unit(), together.unit()]) == alone).all()
    assert not np.isclose(alone[0], Draws(3, 3, np.arange(40)).unit()).any()
    assert not np.isclose(alone[0], Draws(4, 2, np.arange(40)).unit()).any()


def test_draws_are_uniform_and_independent_between_neighbours():
    draws = Draws(0, 0, np.arange(200_000))
    first, second = draws.unit(), draws.unit()
    for values in (first, second):
        counts = np.histogram(values, 50, (0, 1))[0]
        assert ((counts - 4000) ** 2 / 4000).sum() < 110  # chi-square, 49 degrees of freedom: p = 1e-6
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.015 and abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.015
    integers = Draws(0, 0, np.arange(90_000)).integers(-4, 4)
    assert integers.min() == -4 and integers.max() == 4 and abs(integers.double().mean()) < 0.05


def test_the_plain_and_the_array_hash_agree():
    assert all(step_seed(s, t) == int(_hash(s, 1, t)[0] >> np.uint64(1)) for s, t in ((0, 0), (5, 123), (2**31, 7)))
    assert (permutation(1, 2, 30) != permutation(1, 3, 30)).any()


def test_decay_spares_vectors_and_rates_multiply():
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    made = optimizers.get("SGD", network, learning_rate=0.4, weight_decay=0.1,
                          rates=lambda name: 0.0 if name.startswith("1.") else 0.5 if name.startswith("0.") else 1.0)
    found = {id(p): (g["base_lr"], g["weight_decay"]) for g in made.param_groups for p in g["params"]}
    assert found[id(network[0].weight)] == (0.2, 0.1) and found[id(network[0].bias)] == (0.2, 0.0)
    assert found[id(network[2].weight)] == (0.4, 0.1) and id(network[1].weight) not in found


def test_keras_like_objects_bring_their_own_numbers():
    class Adam:  # as keras.optimizers.Adam looks from outside
        learning_rate, beta_1, beta_2, epsilon, weight_decay = 0.02, 0.8, 0.99, 1e-6, None

    group = optimizers.get(Adam(), torch.nn.Linear(2, 2)).param_groups[0]
    assert (group["base_lr"], group["betas"], group["eps"]) == (0.02, (0.8, 0.99), 1e-6)
    made = optimizers.get(torch.optim.Adagrad, torch.nn.Linear(2, 2), learning_rate=0.3)
    assert isinstance(made, torch.optim.Adagrad) and made.param_groups[0]["base_lr"] == 0.3
    with pytest.raises(InputError, match="another network"):
        optimizers.get(torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), 0.1), torch.nn.Linear(2, 2))
    frozen = torch.nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(InputError, match="no parameter to train"):
        optimizers.get("sgd", frozen)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_fused_optimisers_do_what_the_plain_ones_do_on_channels_last_weights(name):
    """The fused kernels walk raw memory: a gradient in another order than its parameter would be applied wrongly."""
    weights = {}
    for fused in (True, False):
        torch.manual_seed(0)
        network = torch.nn.Conv2d(6, 8, 3).to(memory_format=torch.channels_last)
        made = optimizers.get(name, network, 0.01, 0.1)
        for group in made.param_groups:
            group["fused"] = fused
        for i in range(3):
            made.zero_grad()
            network(torch.randn(2, 6, 9, 9, generator=torch.Generator().manual_seed(i))).square().mean().backward()
            made.step()
        weights[fused] = network.weight.detach().clone()
    torch.testing.assert_close(weights[True], weights[False], rtol=1e-5, atol=1e-7)
