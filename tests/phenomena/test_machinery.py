"""The judge, the intervals, the many networks at once, the batch that survives being killed, the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from hubel import phenomena
from hubel.cli import run as command
from hubel.errors import InputError
from hubel.phenomena import statistics
from hubel.phenomena.claim import Claim, Findings, Need, judge
from hubel.phenomena.many import train_many
from hubel.phenomena.statistics import Number


def claim(*needs: Need) -> Claim:
    return Claim(99, "Made up", "It is so.", "nobody", needs, (1, 1, 1), "made-up")


@pytest.mark.parametrize(("low", "high", "outcome"), [(1.1, 2, "held"), (0.5, 0.9, "did not hold"), (0.5, 2, "inconclusive"),
                                                      (float("nan"), float("nan"), "inconclusive"), (-np.inf, np.inf,
                                                          "inconclusive")])
def test_a_need_is_met_only_if_the_whole_interval_is_on_its_side(low: float, high: float, outcome: str) -> None:
    value = (low + high) / 2 if np.isfinite(low) else low
    at_least = judge(claim(Need("x", "x", at_least=1)), Findings({"x": Number(value, low, high)}, "r"), "default", 0, 1)
    at_most = judge(claim(Need("x", "x", at_most=-1)), Findings({"x": Number(-value, -high, -low)}, "r"), "default", 0, 1)
    assert at_least.outcome == at_most.outcome == outcome


def test_one_missed_need_outweighs_an_open_one_and_a_missing_number_is_an_error() -> None:
    needs = (Need("a", "a", at_least=1), Need("b", "b", at_least=1))
    found = Findings({"a": Number(1, 0, 2), "b": Number(0, 0, 0)}, "r")
    assert judge(claim(*needs), found, "default", 0, 1).outcome == "did not hold"
    with pytest.raises(InputError, match="returned no b"):
        judge(claim(*needs), Findings({"a": Number(1, 0, 2)}, "r"), "default", 0, 1)


def test_intervals_agree_with_scipy() -> None:
    v = np.array([1.0, 2.0, 4.0, 4.5])
    low, high = stats.t.interval(0.95, 3, v.mean(), stats.sem(v))
    n = statistics.mean(v)
    assert np.allclose((n.low, n.high), (low, high))
    exact = stats.binomtest(7, 20).proportion_ci(method="wilson")
    assert np.allclose((statistics.rate(7, 20).low, statistics.rate(7, 20).high), (exact.low, exact.high))
    assert np.isclose(statistics.geometric([1, 4]).value, 2) and not np.isfinite(statistics.mean([3.0]).high)
    x = np.arange(6.0)
    s = statistics.slope(x, 3 * x + 1)
    assert np.allclose((s.value, s.low, s.high), 3)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


@pytest.mark.parametrize(("optimizer", "options"), [("sgd", {"momentum": 0.9}), ("adam", {})])
def test_many_networks_at_once_learn_what_each_would_learn_alone(optimizer: str, options: dict) -> None:
    x, y = torch.randn(12, 3), torch.randint(0, 2, (12,))
    rates = [0.01, 0.1, 0.3]
    many = train_many(network, 3, x, y, steps=5, batch_size=12, learning_rate=rates, optimizer=optimizer, seed=7, **options)
    torch.manual_seed(7)
    alone = [network() for _ in range(3)]
    for i, (net, rate) in enumerate(zip(alone, rates, strict=True)):
        kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
        descent = kind(net.parameters(), lr=rate, **options)
        for _ in range(5):
            descent.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            descent.step()
        assert torch.allclose(many.logits(x)[i], net(x), atol=1e-5)
        assert torch.allclose(many.network(i)(x), net(x), atol=1e-5)


def test_many_networks_take_labels_and_inputs_of_their_own_and_never_repeat_a_sample_within_an_epoch() -> None:
    seen: list[torch.Tensor] = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :1] * self.w

    x = torch.arange(10.0)[None, :, None].repeat(2, 1, 1) + 100 * torch.arange(2)[:, None, None]
    y = torch.stack([torch.zeros(10), torch.ones(10)]).long()

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(targets.clone())
        return outputs.square().mean((1, 2))

    train_many(Watching, 2, x, y, steps=4, batch_size=5, own=True, loss=loss)
    assert all((t[0] == 0).all() and (t[1] == 1).all() for t in seen)


def test_names_numbers_and_sizes_that_are_none_are_said_in_one_line() -> None:
    with pytest.raises(InputError, match="did you mean 'double-descent'"):
        phenomena.run("double-decent")
    with pytest.raises(InputError, match="default, quick, smallest"):
        phenomena.run("two-sigma", "huge")
    with pytest.raises(InputError, match="seed=-1"):
        phenomena.run("two-sigma", seed=-1)
    with pytest.raises(InputError, match="minutes=0"):
        phenomena.run_all(minutes=0)
    assert phenomena.find(16).name == "double-descent"


def test_the_command_writes_one_page_keeps_what_it_has_and_lists_all(tmp_path: Path,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    words = ["claims", "two-sigma", "15", "--smallest", "-o", str(tmp_path / "out"), "--jobs", "1"]
    assert command(words) == 0
    page = (tmp_path / "out" / "claims.html").read_text("utf-8")
    assert "data:image/png;base64," in page and "What the field says" in page and "did not hold" in page.lower()
    assert len(json.loads((tmp_path / "out" / "claims.json").read_text("utf-8"))["verdicts"]) == 2
    before = (tmp_path / "out" / "facts" / "polynomials.json").stat().st_mtime_ns
    capsys.readouterr()
    assert command(words) == 0
    assert "2 of 2 claims" in capsys.readouterr().err
    assert (tmp_path / "out" / "facts" / "polynomials.json").stat().st_mtime_ns == before
    assert command(["claims", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(c.name in listed for c in phenomena.claims())
    assert command(["claims", "--quick", "--smallest"]) == 2


def test_what_does_not_fit_in_the_time_is_left_out_and_named(tmp_path: Path) -> None:
    result = phenomena.run_all(["two-sigma", "hidden-units"], size="smallest", minutes=1.5 / 60, out=tmp_path, jobs=1)
    assert result.left_out == ("hidden-units",) and "hidden-units" in result.page.read_text("utf-8")


@pytest.mark.parametrize("sign", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_killed_run_loses_only_the_claim_that_was_running(tmp_path: Path, sign: signal.Signals) -> None:
    """Polynomials, 15, are done first, since one claim runs at a time; the kill falls into 16, which takes 45 seconds."""
    words = [sys.executable, "-m", "hubel.cli", "claims", "15", "16", "-o", str(tmp_path), "--jobs", "1"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    first, page = tmp_path / "facts" / "polynomials.json", tmp_path / "claims.html"
    while not page.exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(sign)
    _, err = process.communicate()  # which waits for the worker too: it holds the other end of stderr
    assert json.loads(first.read_text("utf-8"))["facts"]["name"] == "polynomials"
    assert "Over-parameterised polynomials" in page.read_text("utf-8") and not list(tmp_path.rglob(".*.new"))
    if sign == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in err and "1 claim is kept" in err, err


def test_a_claim_that_breaks_is_named_and_the_others_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubel.phenomena import batch

    real = batch.ProcessPoolExecutor.submit

    def submit(pool: object, work: object, name: str, *rest: object) -> object:
        return real(pool, work, "no-such-claim" if name == "polynomials" else name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(batch.ProcessPoolExecutor, "submit", submit)
    result = phenomena.run_all(["two-sigma", "polynomials"], size="smallest", out=tmp_path, jobs=1)
    assert [v["name"] for v in result.verdicts] == ["two-sigma"] and result.failed[0][0] == "polynomials"
    assert "could not be measured" in result.page.read_text("utf-8")
