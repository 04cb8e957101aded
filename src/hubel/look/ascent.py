"""Gradient ascent on a batch of images, each for a unit of its own, as far into the network as their layer. Depends on
canvasses, wobble, quick, capture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hubel.look.canvasses import Canvas, Key, generator
from hubel.look.capture import Taps
from hubel.look.quick import Quick
from hubel.look.recipes import Recipe
from hubel.look.wobble import Draws, wobble

KICKS = (0.1, 0.3, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 2.0, 2.0)  # shares of the natural spread a silent image starts again from


class Ascent:
    """`step(i)` for i = 0 .. recipe.steps - 1; the images are `canvas.images()`, `states()` says what became of them."""

    def __init__(self, copy: Quick, layer: str, keys: Sequence[Key], canvas: Canvas, how: Recipe, place: str, sign: int,
                 diversity: float = 0.0) -> None:
        self.copy, self.layer, self.keys, self.canvas = copy, layer, list(keys), canvas
        self.how, self.place, self.sign, self.diversity = how, place, sign, diversity
        self.units = torch.tensor([unit for unit, _ in keys])
        self.draws = Draws([generator(key, 1) for key in keys])
        self.kicks = [0] * len(keys)
        self.kick_draws = [generator(key, 2) for key in keys]
        self.silent = torch.zeros(len(keys), dtype=torch.bool)
        with torch.no_grad():
            start = canvas.images().detach()
            # activations are counted in the root mean square of the image's own whole layer: a unit's picture must not
            # depend on its neighbours in the batch
            self.typical = self._activation(start).flatten(1).square().mean(1).sqrt().clamp_min(1e-6)
        self.shift = how.shift * max(start.shape[2:])

    def step(self, number: int) -> None:
        how = self.how
        with torch.enable_grad():
            x = self.canvas.images()
            activation = self._activation(wobble(x, self.draws.next(), self.shift, how.turn, how.scale))
            gain = self.sign * self._objective(activation) / self.typical
            if how.variation:
                gain = gain - how.variation * variation(x)
            if self.diversity and activation.ndim == 4:
                gain = gain - self.diversity * likeness(activation, self.units)
            (gradient,) = torch.autograd.grad(gain.sum(), self.canvas.parameters, retain_graph=bool(how.variation))
            pull = gradient if not how.variation else torch.autograd.grad(
                self._objective(activation).sum(), self.canvas.parameters)[0]
        self.silent = pull.flatten(1).abs().amax(1) == 0
        self.canvas.ascend(gradient, how.rate * min(1.0, 4 * (how.steps - number) / how.steps))  # the last quarter settles
        self._rescue()

    def _rescue(self) -> None:
        for i in self.silent.nonzero()[:, 0].tolist():
            if self.kicks[i] < len(KICKS):
                self.canvas.kick(torch.tensor([i]), KICKS[self.kicks[i]], self.kick_draws)
                self.kicks[i] += 1

    def states(self) -> list[str]:
        """What became of each image; see Synthesised."""
        silent = "saturated" if self.sign < 0 else "dead"
        return [silent if s else "rescued" if k else "moved" for s, k in zip(self.silent.tolist(), self.kicks, strict=True)]

    def _activation(self, x: Tensor) -> Tensor:
        with Taps(self.copy.network, [self.layer], keep="graph") as taps:
            taps.run(self.copy.inputs(x), stop=True)
        return taps[self.layer].float()

    def _objective(self, activation: Tensor) -> Tensor:
        own = at_place(activation, self.units, self.place)
        if self.how.objective == "odds":
            mine = torch.nn.functional.one_hot(self.units, activation.shape[1]).bool()
            return own - activation.masked_fill(mine, -torch.inf).logsumexp(1)
        return own


def at_place(activation: Tensor, units: Tensor, place: str) -> Tensor:
    """Return (n,): image i's unit i in the middle of its map, its channel's mean, or the mean square of the whole layer."""
    if place == "layer":
        return activation.flatten(1).square().mean(1)
    own = activation[torch.arange(len(units)), units]
    if own.ndim == 1:
        return own
    return own.mean((1, 2)) if place == "everywhere" else own[:, own.shape[1] // 2, own.shape[2] // 2]


def variation(x: Tensor) -> Tensor:
    """Return the total variation (n,): mean absolute difference of neighbours, rows plus columns."""
    return x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3))


def likeness(activation: Tensor, units: Tensor) -> Tensor:
    """Return (n,): how alike an image's channel correlations (Gram matrix) are to those of the others for the same unit,
    as the mean cosine (Olah et al. 2017, section 'Diversity')."""
    flat = activation.flatten(2)
    gram = flat @ flat.transpose(1, 2)
    gram = gram.flatten(1) / gram.flatten(1).norm(dim=1, keepdim=True).clamp_min(1e-12)
    same = (units[:, None] == units).float().fill_diagonal_(0)
    return (gram @ gram.T * same).sum(1) / same.sum(1).clamp_min(1)
