"""In which precision a network trains: the self-test's answers, remembered; the ceiling's arithmetic."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hubel import engine
from hubel.engine import autocast, ceiling, choices

autocast_module, ceiling_module = (importlib.import_module(f"hubel.engine.{name}") for name in ("autocast", "ceiling"))


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.setenv("HUBEL_CACHE", str(tmp_path))
    monkeypatch.setattr(choices, "_known", {})


class Fragile(nn.Module):
    """Its answer is a small difference of large numbers: bf16 loses it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        z = self.conv(x).mean((2, 3))
        return ((z + 4096.0).to(z.dtype) - 4096.0) * 8


X = torch.randn(4, 1, 10, 10)


def test_precision_that_loses_the_answer_is_not_trained_in(monkeypatch):
    monkeypatch.setattr(autocast_module, "cpu_has_bf16", lambda: True)
    monkeypatch.setattr(autocast_module, "faster", lambda a, b: True)
    assert autocast(Fragile(), X) is nullcontext
    assert autocast(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()), X) is not nullcontext


def test_precision_that_is_slower_or_absent_or_switched_off_is_not_trained_in(monkeypatch):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten())
    monkeypatch.setattr(autocast_module, "cpu_has_bf16", lambda: True)
    monkeypatch.setattr(autocast_module, "faster", lambda a, b: False)
    assert autocast(net, X) is nullcontext
    monkeypatch.setattr(autocast_module, "faster", lambda a, b: pytest.fail("remembered, not measured again"))
    assert autocast(net, X) is nullcontext
    with engine.using(bf16=False):
        assert autocast(net, X) is nullcontext
    monkeypatch.setattr(autocast_module, "cpu_has_bf16", lambda: False)
    assert autocast(net, X[:2]) is nullcontext


def test_the_ceiling_is_operations_by_time(monkeypatch):
    ticks = iter(range(10_000))
    calls = []
    monkeypatch.setattr(ceiling_module, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    monkeypatch.setattr(ceiling_module, "SHAPES", ((4, 6, 2), (8, 3, 1)))
    monkeypatch.setattr(ceiling_module, "F", SimpleNamespace(
        conv2d=lambda x, w, padding: calls.append((x.dtype, tuple(x.shape), tuple(w.shape), padding))))
    found = ceiling("fp32", "NCHW", seconds=0.0)  # each call takes one tick, a second
    assert found.per_shape == (2 * 9 * 2 * 16 * 36, 2 * 9 * 64 * 9) and found.flops == found.per_shape[0]
    assert set(calls) == {(torch.float32, (2, 4, 6, 6), (4, 4, 3, 3), 1), (torch.float32, (1, 8, 3, 3), (8, 8, 3, 3), 1)}
