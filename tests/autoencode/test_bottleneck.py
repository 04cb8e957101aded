"""The narrowest place: against chains counted by hand, U-nets, and a brute-force search over all cuts."""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch
from torch import Tensor, nn

from hubel import autoencode
from hubel.autoencode import bottleneck, which_narrows
from hubel.autoencode.architectures import network
from hubel.errors import ModelError


@pytest.mark.parametrize("widths", [(10, 3, 7, 12), (5, 9), (12, 12, 12)])
def test_chain_is_as_narrow_as_its_narrowest_layer(widths: tuple[int, ...]) -> None:
    sizes = [12, *widths]
    chain = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(sizes)))
    assert bottleneck(chain, (12,)).passing == min(sizes)


def test_lecture_scale() -> None:
    found = bottleneck(network("convolutional", (128, 128), 3, 1024))
    assert (found.inputs, found.passing, found.ratio, found.narrows) == (49152, 1024, 48.0, True)
    assert found.where[0][1] == (1024,)


def test_code_of_a_variational_autoencoder_counts_once() -> None:
    assert bottleneck(network("variational", (16, 16), 1, 8)).passing == 8


@pytest.mark.parametrize(("kind", "latents"), [("u", 4), ("dense", 256), ("dense", 300)])
def test_what_is_no_bottleneck_is_warned_of(kind: str, latents: int) -> None:
    with pytest.warns(autoencode.BottleneckWarning, match="256 of the input"):
        made = autoencode.build(kind, 16, 1, latents, **({"widths": (400,)} if kind == "dense" else {}))
    assert made.bottleneck is not None and not made.bottleneck.narrows


def test_true_bottleneck_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        autoencode.build("dense", 16, 1, 255)


class Ways(nn.Module):
    """Three ways side by side, one of them joined late."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(20, 4), nn.Linear(20, 6), nn.Linear(4, 9)
        self.d, self.e = nn.Linear(15, 30), nn.Linear(30, 20)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        return self.e(torch.relu(self.d(torch.cat([self.c(a), self.b(x)], dim=1))))


def test_all_ways_together_against_every_cut() -> None:
    # edges of the graph by hand; a set of tensors is a cut if without them nothing leads from x to out
    sizes = {"x": 20, "a": 4, "b": 6, "c": 9, "cat": 15, "d": 30, "relu": 30, "e": 20}
    follows = {"x": ["a", "b"], "a": ["c"], "b": ["cat"], "c": ["cat"], "cat": ["d"], "d": ["relu"], "relu": ["e"], "e": []}

    def leads(blocked: set[str]) -> bool:
        waiting, seen = ["x"], set()
        while waiting:
            name = waiting.pop()
            if name in blocked or name in seen:
                continue
            seen.add(name)
            if name == "e":
                return True
            waiting += follows[name]
        return False

    cuts = (set(c) for n in range(1, 9) for c in itertools.combinations(sizes, n))
    least = min(sum(sizes[n] for n in cut) for cut in cuts if not leads(cut))
    found = bottleneck(Ways(), (20,))
    assert found.passing == least == 10
    assert {name for name, _ in found.where} == {"a", "b"}


def test_residual_connections_go_round_a_narrow_block() -> None:
    class Round(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(8, 2), nn.Linear(2, 8))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.block(x)

    assert bottleneck(Round(), (8,)).passing == 8
    assert bottleneck(Round().block, (8,)).passing == 2


def test_which_of_two_bottlenecks() -> None:
    found = which_narrows({"wide": network("dense", (8, 8), 1, 60), "narrow": network("dense", (8, 8), 1, 5)})
    assert list(found) == ["narrow", "wide"] and found["narrow"].passing == 5


def test_network_that_branches_on_values_is_said_to_be_unknown() -> None:
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match="cannot be traced"):
        bottleneck(Branches(), (4,))
