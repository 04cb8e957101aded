"""Gradient ascent on a batch of images, each for a unit of its own, as far into the network as their layer. Depends on
canvasses, wobble, quick, capture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hubel.look.canvasses import Canvas, Key, generator
from hubel.look.capture import Taps, find, split
from hubel.look.quick import Quick
from hubel.look.recipes import Recipe
from hubel.look.wobble import Draws, wobble

KICKS = (0.1, 0.3, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 2.0, 2.0)  # shares of the natural spread a silent image starts again from
MONOTONE = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.Sigmoid, nn.Tanh,
            nn.Hardsigmoid, nn.LogSigmoid, nn.Softsign)
LEAK = 0.1  # how much of what stands in front of an activation function counts where its mean over places is climbed


class Ascent:
    """`step(i)` for i = 0 .. recipe.steps - 1; the images are `canvas.images()`, `states()` says what became of them.

    A unit behind an activation function is climbed by what the function is given: that has a slope where a ReLU is silent
    and where a ReLU6 is full, and the same images are best. All states are told by what the function gives.
    """

    def __init__(self, copy: Quick, layer: str, keys: Sequence[Key], canvas: Canvas, how: Recipe, place: str, sign: int,
                 diversity: float = 0.0) -> None:
        self.copy, self.layer, self.keys, self.canvas = copy, layer, list(keys), canvas
        self.how, self.place, self.sign, self.diversity = how, place, sign, diversity
        self.units = torch.tensor([unit for unit, _ in keys])
        self.draws = Draws([generator(key, 1) for key in keys])
        self.kicks = [0] * len(keys)
        self.kick_draws = [generator(key, 2) for key in keys]
        module = find(copy.network, split(layer)[0])
        self.function = module if isinstance(module, MONOTONE) and place != "layer" else None
        start = canvas.images().detach()
        z, self.at_start, self.slope_at_start = self._slope(start)
        self.goal_at_start = self._goal(z)
        # activations are counted in the root mean square of the image's own whole layer: a unit's picture must not
        # depend on its neighbours in the batch
        self.typical = z.flatten(1).square().mean(1).sqrt().clamp_min(1e-6)
        self.shift = how.shift * max(start.shape[2:])

    def step(self, number: int) -> None:
        how = self.how
        with torch.enable_grad():
            image = self.canvas.images()
            x = image.detach().requires_grad_()
            z = self._tapped(wobble(x, self.draws.next(), self.shift, how.turn, how.scale))
            goal = self._goal(z)
            gain = self.sign * goal / self.typical
            if self.diversity and z.ndim == 4:
                gain = gain - self.diversity * likeness(self._given(z), self.units)
            (uphill,) = torch.autograd.grad(gain.sum(), x)
            silent = uphill.flatten(1).abs().amax(1) == 0
            if how.variation:
                x = x.detach().requires_grad_()
                uphill = uphill - how.variation * torch.autograd.grad(variation(x).sum(), x)[0]
            (gradient,) = torch.autograd.grad(image, self.canvas.parameters, uphill)
        self.canvas.ascend(gradient, how.rate * min(1.0, 4 * (how.steps - number) / how.steps))  # the last quarter settles
        if silent.any():
            self._rescue(silent & self._no_better(goal.detach(), self.goal_at_start))

    def _rescue(self, stuck: Tensor) -> None:
        for i in stuck.nonzero()[:, 0].tolist():
            if self.kicks[i] < len(KICKS):
                self.canvas.kick(torch.tensor([i]), KICKS[self.kicks[i]], self.kick_draws)
                self.kicks[i] += 1

    def states(self) -> list[str]:
        """What became of each image; see Synthesised."""
        _, reached, slope = self._slope(self.canvas.images().detach())
        stuck = (slope == 0) & self._no_better(reached, self.at_start)
        dead = reached <= 0 if self.sign > 0 else torch.zeros_like(stuck)
        woken = (self.slope_at_start == 0) | torch.tensor([k > 0 for k in self.kicks])
        return [("dead" if d else "saturated") if s else "rescued" if w else "moved"
                for s, d, w in zip(stuck.tolist(), dead.tolist(), woken.tolist(), strict=True)]

    def _no_better(self, now: Tensor, start: Tensor) -> Tensor:
        return self.sign * (now - start) <= 1e-6 * self.typical

    def _tapped(self, x: Tensor) -> Tensor:
        """The layer's activation, or where it is an activation function what that is given."""
        with Taps(self.copy.network, [self.layer], keep="graph", before=self.function is not None) as taps:
            taps.run(self.copy.inputs(x), stop=True)
        return taps[self.layer].float()

    def _given(self, z: Tensor) -> Tensor:
        return z if self.function is None else self.function(z.clone())  # a copy: it may work in place

    def _goal(self, z: Tensor) -> Tensor:
        if self.function is None or self.place == "centre" or z.ndim == 2:
            return self._objective(z)
        return self._objective(self._given(z)) + LEAK * self._objective(z)

    def _slope(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What was tapped, the objective (n,) of the layer's own activation, and its steepest slope (n,) in the pixels."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            z = self._tapped(x)
            own = self._objective(self._given(z))
            (slope,) = torch.autograd.grad(own.sum(), x)
        return z.detach(), own.detach(), slope.flatten(1).abs().amax(1)

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
