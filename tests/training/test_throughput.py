"""Operations are counted as by hand, and shares refer to the ceiling given."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hubel import engine
from hubel.training.throughput import Throughput, inference, training_step


def test_operations_of_a_step_and_of_inference_are_the_closed_forms():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.Flatten(), nn.Linear(576, 5))
    x, y = torch.randint(0, 256, (6, 3, 12, 12), dtype=torch.uint8), torch.randint(0, 5, (6,))
    first, second, dense = 2 * 9 * 3 * 8 * 144, 2 * 9 * 8 * 16 * 36, 2 * 576 * 5
    with engine.using(bf16=False):
        step, answer = training_step(net, x, y, batch_size=6, steps=3, parts=True), inference(net, x, steps=2)
    assert answer.flops == 6 * (first + second + dense)
    assert step.flops == 6 * (2 * first + 3 * second + 3 * dense)  # images need no gradient
    assert step.precision == answer.precision == "fp32"
    assert sum(step.parts.values()) == pytest.approx(1) and step.parts["convolution, backward"] > 0


def test_measuring_leaves_the_network_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    training_step(net, torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]), batch_size=4, steps=2)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_shares_and_rates():
    top = engine.Ceiling("fp32", "NCHW", 1, (1e9, 4e9))
    found = Throughput("inference", "fp32", 10, 0.5, 1e9)
    assert top.flops == 4e9 and found.images_per_second == 20 and found.share(top) == pytest.approx(0.5)
    assert found.to_dict()["flops_per_second"] == 2e9 and top.to_dict()["flops"] == 4e9
